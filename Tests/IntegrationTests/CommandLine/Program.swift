import Foundation

/// The program as a person starts it, with files in a folder of its own.
final class Program {
    struct Result {
        var code: Int32
        var output: String
        var errors: String
        /// It ended by itself, not by a signal.
        var hasExited: Bool
    }

    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
        "millrace-cli-\(UUID().uuidString)"
    ).path

    init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: folder) }

    @discardableResult
    func write(_ name: String, _ text: String) throws -> String {
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
        return "\(folder)/\(name)"
    }

    func read(_ name: String) -> String? { try? String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8) }

    /// What is in a folder, in order, hidden files too.
    func list(_ name: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(folder)/\(name)").sorted()
    }

    /// Runs a line of the shell in the folder; `$MILLRACE` is the program.
    func shell(_ line: String) throws -> Result { try run("/bin/bash", ["-c", line]) }

    /// Runs the program with these words.
    func callAsFunction(_ words: String...) throws -> Result { try run(WorkerProcess.program, words) }

    func run(_ program: String, _ words: [String], input: String? = nil) throws -> Result {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = words
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        process.environment = ProcessInfo.processInfo.environment.merging(["MILLRACE": WorkerProcess.program])
        { $1 }
        process.standardInput = FileHandle.nullDevice
        // Files instead of pipes: nobody has to read while it runs.
        let paths = ["output", "errors"].map { "\(folder)/.\($0)-\(UUID().uuidString)" }
        for path in paths { _ = FileManager.default.createFile(atPath: path, contents: nil) }
        let files = paths.map { FileHandle(forWritingAtPath: $0) ?? .nullDevice }
        process.standardOutput = files[0]
        process.standardError = files[1]
        try process.run()
        process.waitUntilExit()
        let texts = try paths.map {
            String(decoding: try Data(contentsOf: URL(fileURLWithPath: $0)), as: UTF8.self)
        }
        for path in paths { unlink(path) }
        return Result(
            code: process.terminationStatus, output: texts[0], errors: texts[1],
            hasExited: process.terminationReason == .exit)
    }
}
