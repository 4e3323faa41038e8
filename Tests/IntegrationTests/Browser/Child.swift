import Glibc

/// A program beside these tests. (Foundation's Process would wait for the browsers that a driver leaves
/// behind.)
final class Child {
    private let process: pid_t

    init(_ words: [String], log: String = "/dev/null") throws {
        process = try WorkerProcess.spawn(words, [:], log: log)
    }

    deinit { kill() }

    private var hasEnded = false

    /// `kill -9`, and waits for the end.
    func kill() {
        if hasEnded { return }
        hasEnded = true
        Glibc.kill(process, SIGKILL)
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
    }
}
