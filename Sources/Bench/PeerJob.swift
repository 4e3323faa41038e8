import Base
import Connectors
import Engine
import Glibc

/// A peer's program in a process of its own, whose standard output says how it gets on.
final class PeerJob {
    struct Program: Sendable {
        var java = "java"
        /// Where its classes and libraries are, as for `java -cp`.
        var classPath: String
        var mainClass: String
        /// For the JVM.
        var flags: [String] = []
    }

    struct Progress {
        /// Of the program's monotonic clock, which is this program's as well.
        var nanoseconds: Int64
        var records: Int
        /// Of the process so far.
        var cpuNanoseconds: Int64
    }

    private let id: pid_t
    private let folder: String
    private var outputPath: String { folder + "/output" }
    /// One entry for each line that was new when it was looked for.
    private(set) var progress: [Progress] = []

    /// Throws if it is not running within a minute.
    init(_ program: Program, _ arguments: [String]) throws(Fault) {
        var template = Array(
            "\(getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp")/millrace-peer-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else {
            throw Fault(.external, "no folder for a peer: \(String(cString: strerror(errno)))")
        }
        folder = String(cString: made)
        let words =
            ["/usr/bin/env", program.java] + program.flags
            + ["-Djava.io.tmpdir=\(folder)", "-cp", program.classPath, program.mainClass] + arguments
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 1, folder + "/output", O_WRONLY | O_CREAT, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, folder + "/errors", O_WRONLY | O_CREAT, 0o600)
        var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        var id = pid_t()
        let code = posix_spawn(&id, words[0], &actions, nil, pointers, environ)
        guard code == 0 else { throw Fault(.external, "\(program.java): \(String(cString: strerror(code)))") }
        self.id = id
        let deadline = monotonicNanoseconds() + 60_000_000_000
        while !output().contains("state RUNNING") {
            guard isAlive, monotonicNanoseconds() < deadline else {
                let errors = (try? FileText.read(folder + "/errors")) ?? ""
                stop()
                throw Fault(.external, "\(program.mainClass) does not run: \(errors.suffix(1000))")
            }
            usleep(50_000)
        }
    }

    private var isAlive: Bool {
        var status: Int32 = 0
        return waitpid(id, &status, WNOHANG) == 0
    }

    private func output() -> String { (try? FileText.read(outputPath)) ?? "" }

    /// Reads the last line; throws if the program has ended.
    func look() throws(Fault) {
        guard isAlive else { throw Fault(.external, "the peer has ended: \(output().suffix(500))") }
        // A line that is being written has no end yet.
        let lines = output().split(separator: "\n", omittingEmptySubsequences: true).dropLast()
        guard let line = lines.last(where: { $0.hasPrefix("records ") }) else { return }
        let words = line.split(separator: " ")
        guard words.count == 3, let time = Int64(words[1]), let records = Int(words[2]) else { return }
        if progress.last?.nanoseconds == time { return }
        progress.append(Progress(nanoseconds: time, records: records, cpuNanoseconds: cpuNanoseconds()))
    }

    private func cpuNanoseconds() -> Int64 {
        guard let text = try? FileText.read("/proc/\(id)/stat"), let end = text.lastIndex(of: ")") else {
            return 0
        }
        // After the name: state is field 3, user and system time in ticks are fields 14 and 15.
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 12, let user = Int64(fields[11]), let system = Int64(fields[12]) else {
            return 0
        }
        return (user + system) * 1_000_000_000 / Int64(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Ends it: first gently, so that it leaves its group.
    func stop() {
        kill(id, SIGTERM)
        let deadline = monotonicNanoseconds() + 15_000_000_000
        var status: Int32 = 0
        while waitpid(id, &status, WNOHANG) == 0 {
            if monotonicNanoseconds() > deadline { kill(id, SIGKILL) }
            usleep(50_000)
        }
        // With what the program kept there.
        BenchFolder.delete(folder)
    }
}
