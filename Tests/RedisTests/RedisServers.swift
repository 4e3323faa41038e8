import Base
import Glibc
import Testing

@testable import Connectors

/// Servers of Redis on ports of loopback, in a folder that ends with them.
final class RedisServers {
    let folder: String
    private var processes: [Int: pid_t] = [:]

    init() throws {
        var template = Array("/tmp/millrace-redis-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for port in Array(processes.keys) { kill(port) }
        _ = shell("rm -rf \(folder)")
    }

    @discardableResult
    func shell(_ command: String) -> Bool { system("cd \(folder) && ( \(command) ) > /dev/null 2>&1") == 0 }

    /// A port that is free, as is the one of a cluster's bus.
    static func port() -> Int {
        while true {
            let port = Int.random(in: 20_000..<32_000)
            if isFree(port), isFree(port + 10_000) { return port }
        }
    }

    private static func isFree(_ port: Int) -> Bool {
        let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(file) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(file, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }

    /// `options`: of the command line, without the port. Does not wait.
    func launch(_ port: Int, _ options: [String]) throws {
        _ = mkdir("\(folder)/\(port)", 0o755)
        var words = ["redis-server"]
        // A sentinel's file stands before its options.
        words += options.first.map { $0.hasPrefix("/") } == true ? [options[0]] : []
        if !options.contains("--port") { words += ["--port", "\(port)"] }
        words += [
            "--bind", "127.0.0.1", "--save", "", "--dir", "\(folder)/\(port)", "--logfile",
            "\(folder)/\(port)/log",
        ]
        words += options.drop { $0.hasPrefix("/") }
        var arguments = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for file in Int32(3)..<256 { posix_spawn_file_actions_addclose(&actions, file) }
        var process: pid_t = 0
        try #require(posix_spawnp(&process, "redis-server", &actions, nil, &arguments, environ) == 0)
        processes[port] = process
    }

    func kill(_ port: Int) {
        guard let process = processes.removeValue(forKey: port) else { return }
        Glibc.kill(process, SIGKILL)
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
    }

    static func wait(seconds: Int64 = 60, until isDone: () -> Bool) -> Bool {
        let deadline = monotonicNanoseconds() + seconds * 1_000_000_000
        while !isDone() {
            if monotonicNanoseconds() > deadline { return false }
            usleep(5000)
        }
        return true
    }

    static func answers(_ address: RedisAddress) -> Bool {
        do throws(Fault) {
            try RedisReader(address, timeoutMilliseconds: 500).ping()
            return true
        } catch { return false }
    }
}
