import Base
import Foundation
import Glibc

/// One worker as an operating system process: the built `millrace` that lies beside these tests.
final class WorkerProcess {
    struct Setup {
        var topology: String
        var folder: String
        var bootstrapServers: String
        var parameters: [String: String]
        var redis: String?
        /// A fault that builds for tests plant: `MILLRACE_PLANT`.
        var plant: String?
        var extra: [String] = []
    }

    enum Ending: Equatable, CustomStringConvertible {
        case exit(Int32)
        case signal(Int32)
        var description: String {
            switch self {
            case .exit(let code): "exit code \(code)"
            case .signal(let number): "signal \(number)"
            }
        }
    }

    let name: String
    private let setup: Setup
    private(set) var process: pid_t = 0
    /// How it ended when it last did.
    private(set) var ending: Ending?
    private(set) var starts = 0
    /// The point at which the last start was told to kill itself, and whether somebody else did.
    private(set) var startedWith: String?
    private(set) var wasKilled = false

    static let program: String = {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: own).deletingLastPathComponent().path + "/millrace"
    }()

    init(_ name: String, _ setup: Setup) {
        self.name = name
        self.setup = setup
    }

    deinit { kill() }

    /// What it says since its last start.
    var log: String { "\(setup.folder)/\(name)-\(starts).log" }

    /// The folder of its snapshots.
    var state: String { "\(setup.folder)/state-\(name)" }

    private var arguments: [String] {
        var words = ["run", setup.topology, "--bootstrap-server", setup.bootstrapServers]
        words += ["--instance-id", name, "--lanes", "2", "--metrics-port", "0", "--snapshot-interval", "1"]
        if let redis = setup.redis { words += ["--redis", redis] }
        words += ["--state", state]
        for (name, value) in setup.parameters.sorted(by: { $0.key < $1.key }) {
            words += ["--set", "\(name)=\(value)"]
        }
        words += setup.extra
        return words
    }

    /// Starts it; `killAt` is a named point and a count, at which it kills itself.
    func start(killAt: String? = nil) throws {
        guard process == 0 else { return }
        var environment: [String: String] = [:]
        if let plant = setup.plant { environment["MILLRACE_PLANT"] = plant }
        if let killAt { environment["MILLRACE_KILL_AT"] = killAt }
        starts += 1
        ending = nil
        startedWith = killAt
        wasKilled = false
        process = try Self.spawn([Self.program] + arguments, environment, log: log)
    }

    /// Notes its end, if it has ended.
    @discardableResult
    func poll() -> Bool {
        guard process != 0 else { return true }
        var status: Int32 = 0
        guard waitpid(process, &status, WNOHANG) == process else { return false }
        note(status)
        return true
    }

    var isRunning: Bool { !poll() }

    /// `kill -9`, and waits for the end.
    func kill() {
        guard !poll() else { return }
        wasKilled = true
        Glibc.kill(process, SIGKILL)
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        note(status)
    }

    func send(_ signal: Int32) { if process != 0 { Glibc.kill(process, signal) } }

    /// SIGTERM; how it ended, nil if it did not within `seconds`.
    func terminate(seconds: Double) -> Ending? {
        send(SIGTERM)
        return CrashRun.wait(seconds: seconds) { poll() } ? ending : nil
    }

    /// True once every lane has partitions.
    var isReady: Bool {
        guard let port = metricsPort else { return false }
        return Http.get(port: port, "/ready")?.contains(" 200 ") == true
    }

    private var metricsPort: UInt16? {
        guard let text = try? String(contentsOfFile: log, encoding: .utf8),
            let place = text.range(of: "metrics on http://127.0.0.1:")
        else { return nil }
        return UInt16(text[place.upperBound...].prefix { $0.isNumber })
    }

    /// The end of what it said, for messages.
    var lastWords: String {
        let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").suffix(3).joined(separator: " / ")
    }

    private func note(_ status: Int32) {
        process = 0
        ending = status & 0x7F == 0 ? .exit((status >> 8) & 0xFF) : .signal(status & 0x7F)
    }

    static func spawn(_ words: [String], _ extra: [String: String], log: String) throws -> pid_t {
        var environment = ProcessInfo.processInfo.environment
        for (name, value) in extra { environment[name] = value }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for file in Int32(3)..<256 { posix_spawn_file_actions_addclose(&actions, file) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A clean signal mask, and its own process group.
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var arguments = words.map { strdup($0) } + [nil]
        var variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in arguments + variables { free(text) } }
        var process: pid_t = 0
        let code = posix_spawn(&process, words[0], &actions, &attributes, &arguments, &variables)
        guard code == 0 else { throw Fault(.external, "\(words[0]): \(String(cString: strerror(code)))") }
        return process
    }
}

/// Just enough HTTP to ask a worker how it is.
enum Http {
    /// Status line, headers and body; nil if nobody answers within two seconds.
    static func get(port: UInt16, _ path: String) -> String? {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { Glibc.close(socket) }
        var limit = timeval(tv_sec: 2, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let isConnected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard isConnected == 0 else { return nil }
        let request = Array("GET \(path) HTTP/1.0\r\nHost: localhost\r\n\r\n".utf8)
        guard Glibc.send(socket, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
            return nil
        }
        var answer: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(socket, &part, part.count, 0)
            guard count > 0 else { break }
            answer += part[..<count]
        }
        return answer.isEmpty ? nil : String(decoding: answer, as: UTF8.self)
    }
}
