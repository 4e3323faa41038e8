import Base
import Engine
import Topology

/// Exit codes: 0 done, 1 failed, 2 bad usage or bad file.
enum ExitCode {
    static let done: Int32 = 0
    static let failed: Int32 = 1
    static let usage: Int32 = 2
}

/// One of the program's commands.
struct Command: Sendable {
    var name: String
    var summary: String
    var help: String
    var options: [String: Arguments.Kind]
    var run: @Sendable (Arguments) throws(Fault) -> Int32

    static let all: [Command] = [run, replay, lint, explain, test, state, model, demo, generate, bench]

    /// Runs the program; `words` without its own name.
    static func main(_ words: [String]) -> Int32 {
        Output.finish(dispatch(words), onlyResultsMatter: words.first == run.name)
    }

    private static func dispatch(_ words: [String]) -> Int32 {
        guard let name = words.first, name != "--help", name != "-h", name != "help" else {
            put(overview)
            return words.isEmpty ? ExitCode.usage : ExitCode.done
        }
        guard let command = all.first(where: { $0.name == name }) else {
            let known = all.map(\.name).joined(separator: ", ")
            say("millrace: unknown command '\(name)'; there is \(known)")
            return ExitCode.usage
        }
        if words.dropFirst().contains(where: { $0 == "--help" || $0 == "-h" }) {
            put(command.help)
            return ExitCode.done
        }
        do throws(Fault) {
            var options = command.options
            options["-v"] = .flag
            let arguments = try Arguments(Array(words.dropFirst()), options: options)
            if arguments.has("-v") { Log.level = .debug }
            return try command.run(arguments)
        } catch {
            say("millrace \(name): \(error.detail)")
            return error.domain == .user ? ExitCode.usage : ExitCode.failed
        }
    }

    private static var overview: String {
        let lines = all.map { command in
            "  \(command.name)\(String(repeating: " ", count: max(1, 10 - command.name.count)))\(command.summary)"
        }
        return """
            millrace: notices within 3 seconds that the trade behind a loan is not what it was

            usage: millrace COMMAND [OPTIONS]

            \(lines.joined(separator: "\n"))

            millrace COMMAND --help shows the options and an example.
            """
    }

    /// The topology's librdkafka settings, then those of `--kafka NAME=VALUE`.
    static func kafkaSettings(_ spec: TopologySpec, _ arguments: Arguments) throws(Fault) -> [String: String] {
        var settings = spec.kafka
        for text in arguments.all("--kafka") {
            guard let equals = text.firstIndex(of: "=") else { throw Fault(.user, "--kafka takes NAME=VALUE, not '\(text)'") }
            settings[String(text[..<equals])] = String(text[text.index(after: equals)...])
        }
        return settings
    }

    /// The topology of a file, or nil after its diagnostics were printed.
    static func topology(_ path: String, _ arguments: Arguments) throws(Fault) -> TopologySpec? {
        try TopologyFile.read(path, parameters: arguments.parameters()) { say("\($0)") }
    }
}
