import Base
import Glibc

/// This program, or another, as a process of its own.
struct BenchProcess {
    private let id: pid_t

    /// `log`: what it says goes to this file; nil: where this process' words go.
    init(_ words: [String], log: String? = nil) throws(Fault) { id = try Self.spawn(words, log: log) }

    /// `kill -9`, and waits for the end.
    func kill() {
        Glibc.kill(id, SIGKILL)
        var status: Int32 = 0
        waitpid(id, &status, 0)
    }

    /// True once it has ended by itself; what it was is then gone.
    var hasEnded: Bool {
        var status: Int32 = 0
        return waitpid(id, &status, WNOHANG) == id
    }

    static func runToEnd(_ words: [String]) throws(Fault) {
        var status: Int32 = 0
        waitpid(try spawn(words), &status, 0)
    }

    private static func spawn(_ words: [String], log: String? = nil) throws(Fault) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let log {
            posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
            posix_spawn_file_actions_adddup2(&actions, 1, 2)
        }
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        arguments.append(nil)
        defer { for argument in arguments { free(argument) } }
        var id = pid_t()
        let code = posix_spawn(&id, words[0], &actions, nil, arguments, environ)
        guard code == 0 else { throw Fault(.external, "\(words[0]): \(String(cString: strerror(code)))") }
        return id
    }
}
