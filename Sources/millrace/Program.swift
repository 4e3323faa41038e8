import Base

/// The program: its commands, and which of them is meant.
enum Program {
    private static let commands: [any Command.Type] = [
        RunCommand.self,
        WorkerCommand.self,
        DeployCommand.self,
        RulesCommand.self,
        AuditCommand.self,
        PlanCommand.self,
        BacktestCommand.self,
        NotifyCommand.self,
        AlertsCommand.self,
        ConsoleCommand.self,
        ReplayCommand.self,
        BundleCommand.self,
        GuessCommand.self,
        LintCommand.self,
        ExplainCommand.self,
        TestCommand.self,
        FlowCommand.self,
        StateCommand.self,
        ModelCommand.self,
        DemoCommand.self,
        GenerateCommand.self,
        BenchCommand.self,
        DocsCommand.self,
    ]

    /// Runs the program; `words` without its own name.
    static func main(_ words: [String]) -> Int32 {
        Output.finish(dispatch(words), onlyResultsMatter: words.first == RunCommand.name)
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
        guard let command = commands.first(where: { $0.name == name }) else {
            let known = commands.map { $0.name }.joined(separator: ", ")
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
        let lines = commands.map { command in
            "  \(command.name)\(String(repeating: " ", count: max(1, 10 - command.name.count)))\(command.summary)"
        }
        return """
            millrace: notices within 3 seconds that the trade behind a loan is not what it was

            usage: millrace COMMAND [OPTIONS]

            \(lines.joined(separator: "\n"))

            millrace COMMAND --help shows the options and an example; millrace --version, what this is.
            """
    }
}
