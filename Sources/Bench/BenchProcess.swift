import Base
import Glibc

/// This program, or another, as a process of its own.
struct BenchProcess: Sendable {
    let id: pid_t

    /// `log`: what it says goes to this file; nil: where this process' words go.
    init(_ words: [String], log: String? = nil) throws(Fault) {
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
        self.id = id
    }

    /// `kill -9`, and waits for the end.
    func kill() { end(with: SIGKILL) }

    /// Waits until it has ended; its exit code, -1 if a signal ended it.
    @discardableResult
    func end(with signal: Int32) -> Int32 {
        Glibc.kill(id, signal)
        return wait()
    }

    @discardableResult
    func wait() -> Int32 {
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0, errno == EINTR {}
        return status & 0x7f == 0 ? (status >> 8) & 0xff : -1
    }

    /// True once it has ended by itself; what it was is then gone.
    var hasEnded: Bool {
        var status: Int32 = 0
        return waitpid(id, &status, WNOHANG) == id
    }

    static func runToEnd(_ words: [String]) throws(Fault) { _ = try Self(words).wait() }
}
