import Base

/// One of the program's commands.
protocol Command: SendableMetatype {
    static var name: String { get }
    /// A line of the overview.
    static var summary: String { get }
    static var help: String { get }
    static var options: [String: Arguments.Kind] { get }

    /// Returns the exit code.
    static func run(_ arguments: Arguments) throws(Fault) -> Int32
}

/// Exit codes: 0 done, 1 failed, 2 bad usage or bad file.
enum ExitCode {
    static let done: Int32 = 0
    static let failed: Int32 = 1
    static let usage: Int32 = 2
}
