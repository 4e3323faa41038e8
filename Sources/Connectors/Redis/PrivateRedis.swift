import Base
import Glibc

/// A Redis server of our own, on a socket in a directory of its own, for the demo and tests. It keeps
/// nothing on disk and ends with this object.
package final class PrivateRedis {
    package let address: RedisAddress
    private let directory: String
    private let program: String
    private var process: pid_t = 0

    private var socket: String { directory + "/redis.sock" }

    /// nil if no `redis-server` is installed. Throws if it does not answer within ten seconds.
    package static func start() throws(Fault) -> PrivateRedis? {
        guard let program = find("redis-server") else { return nil }
        return try PrivateRedis(program)
    }

    package static var isInstalled: Bool { find("redis-server") != nil }

    private init(_ program: String) throws(Fault) {
        self.program = program
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/millrace-redis-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw Fault(.external, "no directory for Redis in \(parent): \(String(cString: strerror(errno)))")
        }
        directory = string(template)
        address = try RedisAddress("unix:\(directory)/redis.sock")
        try launch()
    }

    deinit { stop() }

    /// Starts it, again after `kill`.
    package func launch() throws(Fault) {
        guard process == 0 else { return }
        unlink(socket)
        process = try spawn([
            program, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--daemonize",
            "no",
            "--dir", directory, "--logfile", directory + "/redis.log",
        ])
        let deadline = monotonicNanoseconds() + 10_000_000_000
        while true {
            do throws(Fault) {
                return try RedisReader(address, timeoutMilliseconds: 1000).ping()
            } catch {
                if monotonicNanoseconds() > deadline {
                    stop()
                    throw Fault(.external, "redis-server did not start: \(error.detail)")
                }
                usleep(5000)
            }
        }
    }

    /// Stops answering, without closing connections, until `resume`.
    package func pause() { if process != 0 { Glibc.kill(process, SIGSTOP) } }
    package func resume() { if process != 0 { Glibc.kill(process, SIGCONT) } }

    /// Ends it at once; what it held is lost.
    package func kill() {
        guard process != 0 else { return }
        Glibc.kill(process, SIGKILL)
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        process = 0
    }

    /// Ends it and removes its directory.
    package func stop() {
        kill()
        for name in ["redis.sock", "redis.log"] { unlink("\(directory)/\(name)") }
        rmdir(directory)
    }

    private func spawn(_ words: [String]) throws(Fault) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // Not our sockets and files (closing what is not open is no error to glibc), and a clean signal mask.
        for file in Int32(3)..<256 { posix_spawn_file_actions_addclose(&actions, file) }
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var arguments = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var process: pid_t = 0
        let code = posix_spawn(&process, program, &actions, &attributes, &arguments, environ)
        guard code == 0 else { throw Fault(.external, "\(program): \(String(cString: strerror(code)))") }
        return process
    }

    private static func find(_ program: String) -> String? {
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        return path.split(separator: ":").map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
    }
}
