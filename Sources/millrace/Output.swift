import Base
import Connectors
import Glibc

/// What commands say: results to standard output, words for people to standard error. Either may be closed,
/// full, or a pipe whose reader has left; the program then goes on to its end and says so there (`finish`).
///
/// Used by the main thread only.
enum Output {
    nonisolated(unsafe) private static let results = FileWriter.standardOutput()
    nonisolated(unsafe) private static let words = FileWriter(descriptor: 2, named: "standard error")
    /// A person reads along: every line goes out at once.
    private static let isTerminal = isatty(1) == 1
    nonisolated(unsafe) private static var fault: Fault?
    nonisolated(unsafe) private static var hasLostWords = false

    /// To be called before anything is opened. A file that is opened must not get the number of a standard
    /// stream that was closed, or lines would be written into it; and a reader that leaves, or a file that
    /// may not grow, is an error where it happens, not the end of the process.
    static func prepare() {
        for number in [SIGPIPE, SIGXFSZ] { signal(number, SIG_IGN) }
        for descriptor: Int32 in 0...2 where fcntl(descriptor, F_GETFD) < 0 {
            // Opened the wrong way round, so that use of it fails as before.
            _ = open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY)
        }
    }

    /// True once results could not be written: more of them make no sense.
    static var hasFailed: Bool { fault != nil }

    /// A line of results.
    static func put(_ line: String) { raw(line + "\n") }

    /// Results, as they are.
    static func raw(_ text: String) {
        if hasFailed { return }
        do throws(Fault) {
            try results.write(text)
            if isTerminal { try results.flush() }
        } catch {
            fault = error
        }
    }

    /// Hands on what was put so far.
    static func flush() {
        if hasFailed { return }
        do throws(Fault) { try results.flush() } catch { fault = error }
    }

    /// Words for people, as they are: progress is drawn over.
    static func tell(_ text: String) {
        flush()
        do throws(Fault) {
            try words.write(text)
            try words.flush()
        } catch {
            hasLostWords = true
        }
    }

    /// The exit code of a command that ended with `code`: no success if results or words were lost. A worker
    /// goes on without its log, which costs it nothing.
    static func finish(_ code: Int32, onlyResultsMatter: Bool = false) -> Int32 {
        flush()
        if let fault { tell("millrace: \(fault.detail)\n") }
        let isLost = hasFailed || !onlyResultsMatter && (hasLostWords || Log.hasLostLines)
        return code == ExitCode.done && isLost ? ExitCode.failed : code
    }
}

/// A line of results, to standard output.
func put(_ line: String) { Output.put(line) }

/// A line for people, to standard error.
func say(_ line: String) { Output.tell(line + "\n") }
