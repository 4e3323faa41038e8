import Base
import Connectors
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

    static let all: [Command] = [run, replay, lint, explain, test, state, model, demo, generate, bench, docs]

    /// Runs the program; `words` without its own name.
    static func main(_ words: [String]) -> Int32 {
        Output.finish(dispatch(words), onlyResultsMatter: words.first == run.name)
    }

    private static func dispatch(_ words: [String]) -> Int32 {
        guard let name = words.first, name != "--help", name != "-h", name != "help" else {
            put(overview)
            return words.isEmpty ? ExitCode.usage : ExitCode.done
        }
        if name == "--version" || name == "version" {
            put(Version.text)
            return ExitCode.done
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

            millrace COMMAND --help shows the options and an example; millrace --version, what this is.
            """
    }

    /// Options by which commands take librdkafka settings.
    static let kafkaOptions: [String: Arguments.Kind] = ["--kafka": .values, "--kafka-config": .value]
    static let kafkaHelp = """
          --kafka-config FILE       librdkafka settings as Kafka's tools take them with --command-config, secrets among
                                    them: NAME=VALUE lines; nothing of it is printed
          --kafka NAME=VALUE        one such setting, seen in the process list; unknown ones are refused
        """

    /// Adds librdkafka settings: the topology's, over them those of `--kafka-config`, over them those of `--kafka`.
    static func addKafkaSettings(_ topology: [String: String], _ arguments: Arguments, to settings: inout KafkaSettings) throws(Fault) {
        settings.raw = topology
        if let file = arguments.value("--kafka-config") {
            for entry in try KafkaProperties.read(FileText.read(file), file: file) {
                settings.raw[entry.name] = entry.value
                settings.places[entry.name] = "\(file):\(entry.line)"
            }
        }
        for text in arguments.all("--kafka") {
            guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
                throw Fault(.user, "--kafka takes NAME=VALUE; put settings with secrets into a file: --kafka-config FILE")
            }
            let name = String(text[..<equals])
            if KafkaSettings.isSecret(name) {
                say("warning: everybody on this machine sees --kafka \(name)=… in the process list; use --kafka-config FILE")
            }
            settings.raw[name] = String(text[text.index(after: equals)...])
            settings.places[name] = nil
        }
    }

    /// The topology of a file, or nil after its diagnostics were printed.
    static func topology(_ path: String, _ arguments: Arguments) throws(Fault) -> TopologySpec? {
        try TopologyFile.read(path, parameters: arguments.parameters()) { say("\($0)") }
    }
}
