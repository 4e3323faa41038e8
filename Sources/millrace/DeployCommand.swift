import Base
import Connectors
import Engine
import Glibc
import Records
import Topology

enum DeployCommand: Command {
    static let name = "deploy"
    static let summary = "change the rules of a topology that runs, with nothing lost"
    static let help = """
        usage: millrace deploy FILE --bootstrap-server HOST:PORT [OPTIONS]
               millrace deploy --status TOPOLOGY --bootstrap-server HOST:PORT
               millrace deploy --rollback [EPOCH] TOPOLOGY --bootstrap-server HOST:PORT

        Checks the file, proposes it to every worker of the topology, and, if every task is prepared to go on with it, makes
        it the next epoch: each task switches at its next commit, and says in the same transaction from which offsets on.
        Waits for all of them, and prints them. Where a worker refuses, or does not answer in time, nothing changes.
        Exit code 0: every task goes on with it; 1: not; 2: the file has a mistake.

          --status             which epoch counts, and what each task says of it
          --rollback [EPOCH]   the rules of an earlier epoch, the one before if none is given, become the next one
          --dry-run            say what would change, and change nothing
          --reason TEXT        why, for those who look at it later
          --author NAME        who; default: $USER
          --group NAME         the workers' consumer group instead of the topology's name
          --timeout S          how long to wait for the tasks, each time; default 10
          --set name=value     a parameter of the topology
          --json               {"topology", "epoch", "ruleset", "logic", "tasks": [{"task", "epoch", "first", …}]}
        \(KafkaArguments.help)

        example: millrace deploy Topologies/merchant-watch/topology.yaml --set limit=1500 \\
                   --reason "fewer false alarms" --bootstrap-server 127.0.0.1:9092
        """
    static let options: [String: Arguments.Kind] = [
        "--bootstrap-server": .value, "--status": .flag, "--rollback": .flag, "--dry-run": .flag, "--reason": .value,
        "--author": .value, "--group": .value, "--timeout": .value, "--set": .values, "--json": .flag,
    ].merging(KafkaArguments.options) { $1 }

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        if arguments.has("--status") { return try status(arguments) }
        if arguments.has("--rollback") { return try rollBack(arguments) }
        let path = try arguments.file()
        guard let spec = try arguments.topology(path) else { return ExitCode.usage }
        let refusals = Worker.refusals(of: spec)
        for refusal in refusals { say("\(Diagnostic(file: path, at: refusal.position, refusal.message))") }
        if !refusals.isEmpty { return ExitCode.usage }
        let text = RuleSetText(file: path, text: try TopologyFile.text(path), parameters: try arguments.parameters())
        var deployment = try connect(arguments, topology: spec.name, spec.kafka)
        let current = deployment.history.text(ofEpoch: deployment.history.epoch)?.read().spec
        if let current {
            if current.logic == spec.logic, current.ruleset == spec.ruleset {
                let acknowledgements = try deployment.acknowledgements(of: deployment.history.epoch)
                return report(spec.name, deployment, acknowledgements, arguments, after: nil)
            }
            let plan = try ChangePlan(from: current, to: spec)
            if !arguments.has("--json") { for line in PlanCommand.lines(plan) { put(line) } }
            if arguments.has("--dry-run") {
                if arguments.has("--json") { put(PlanCommand.json(plan)) }
                return PlanCommand.exitCode(plan.changeClass)
            }
        } else if arguments.has("--dry-run") {
            throw Fault(
                .user, "nothing was deployed yet, so it is not known here what the workers run: compare the files with `millrace plan`")
        }
        return try deploy(text, spec, &deployment, arguments)
    }

    private static func deploy(
        _ text: RuleSetText, _ spec: TopologySpec, _ deployment: inout RuleSetDeployment, _ arguments: Arguments
    ) throws(Fault) -> Int32 {
        let start = monotonicNanoseconds()
        let previous = deployment.history.epoch
        let timeout = Int64(try arguments.integer("--timeout", in: 1...3600) ?? 10) * 1000
        let answers = try deployment.prepare(text, spec.ruleset, milliseconds: timeout)
        let refused = answers.filter { !$0.isPrepared }
        if !refused.isEmpty {
            var told: Set<String> = []
            for answer in refused {
                for reason in answer.reasons where told.insert(reason).inserted { say("\(answer.worker): \(reason)") }
            }
            throw Fault(.user, "\(refused.count) of \(deployment.tasks) tasks refuse it; nothing was changed")
        }
        if answers.count < deployment.tasks {
            let missing = (0..<Int32(deployment.tasks)).filter { task in !answers.contains { $0.task == task } }
            throw Fault(
                .external,
                "tasks \(missing.map { "\($0)" }.joined(separator: ", ")) have not answered within \(timeout / 1000) s (is every worker "
                    + "running?); nothing was changed")
        }
        let former = Set(answers.map(\.former))
        if previous == 0, former.count > 1 {
            throw Fault(.user, "the workers run different files: \(former.sorted().joined(separator: ", ")); nothing was changed")
        }
        let epoch = try deployment.activate(
            spec.ruleset, logic: spec.logic, after: previous, former: former.first,
            author: arguments.value("--author") ?? getenv("USER").map { String(cString: $0) } ?? "unknown",
            reason: arguments.value("--reason") ?? "", at: SystemClock().nowMilliseconds)
        let acknowledgements = try deployment.wait(for: epoch, milliseconds: timeout)
        try deployment.refresh()
        return report(
            spec.name, deployment, acknowledgements, arguments, after: Double(monotonicNanoseconds() - start) / 1e9)
    }

    private static func status(_ arguments: Arguments) throws(Fault) -> Int32 {
        let deployment = try connect(arguments, topology: try topologyName(arguments))
        let acknowledgements = try deployment.acknowledgements(of: deployment.history.epoch)
        return report(try topologyName(arguments), deployment, acknowledgements, arguments, after: nil)
    }

    private static func rollBack(_ arguments: Arguments) throws(Fault) -> Int32 {
        let name = try topologyName(arguments)
        var deployment = try connect(arguments, topology: name)
        let newest = deployment.history.epoch
        let given = arguments.files.compactMap { Int64($0) }.first
        let epoch = given ?? newest - 1
        guard newest > 0, (0..<newest).contains(epoch) else {
            throw Fault(.user, "\(name) is at epoch \(newest), and epoch \(epoch) is none before it")
        }
        guard let text = deployment.history.text(ofEpoch: epoch) else {
            throw Fault(.user, "the text of epoch \(epoch) is not in topic '\(RuleSetTopics.ruleSets(name))'")
        }
        let (spec, diagnostics) = text.read()
        for diagnostic in diagnostics { say("\(diagnostic)") }
        guard let spec else { return ExitCode.usage }
        if arguments.has("--dry-run"), let current = deployment.history.text(ofEpoch: newest)?.read().spec {
            let plan = try ChangePlan(from: current, to: spec)
            for line in PlanCommand.lines(plan) { put(line) }
            return PlanCommand.exitCode(plan.changeClass)
        }
        return try deploy(text, spec, &deployment, arguments)
    }

    // MARK: Parts

    /// A topology by its name, or a file that says it.
    private static func topologyName(_ arguments: Arguments) throws(Fault) -> String {
        let words = arguments.files.filter { Int64($0) == nil }
        guard words.count == 1 else { throw Fault(.user, "the name of one topology is expected, like merchant-risk") }
        guard words[0].hasSuffix(".yaml") || words[0].contains("/") else { return words[0] }
        guard let spec = try arguments.topology(words[0]) else { throw Fault(.user, "\(words[0]) has a mistake") }
        return spec.name
    }

    private static func connect(
        _ arguments: Arguments, topology: String, _ kafka: [String: String] = [:]
    ) throws(Fault) -> RuleSetDeployment {
        guard let servers = arguments.value("--bootstrap-server") else {
            throw Fault(.user, "--bootstrap-server is missing, like --bootstrap-server 127.0.0.1:9092")
        }
        var settings = KafkaSettings(bootstrapServers: servers, group: arguments.value("--group") ?? topology)
        try KafkaArguments.add(kafka, arguments, to: &settings)
        try settings.check()
        return try RuleSetDeployment(settings)
    }

    /// Prints what tasks say of the newest epoch. `after`: seconds that a deployment took.
    private static func report(
        _ topology: String, _ deployment: RuleSetDeployment, _ acknowledgements: [RuleSetDeployment.Acknowledgement],
        _ arguments: Arguments, after seconds: Double?
    ) -> Int32 {
        let activation = deployment.history.activations.last
        let isDone = deployment.history.epoch == 0 || acknowledgements.count == deployment.tasks
        if arguments.has("--json") {
            put(json(topology, activation, acknowledgements))
        } else {
            if let activation {
                put("\(topology): epoch \(activation.epoch) of the rules, by \(activation.author) at \(activation.at)"
                    + (activation.reason.isEmpty ? "" : ": \(activation.reason)"))
                put("  ruleset \(activation.ruleset)")
                put("  logic   \(activation.logic)")
            } else {
                put("\(topology): epoch 0: the rules are those of the file that its workers were started with")
            }
            for task in acknowledgements {
                let first = task.first.map { "\($0.topic) from \($0.offset)" }.joined(separator: ", ")
                put("  task \(task.task)  \(first)  watermark \(task.watermark ?? "none")  raised \(task.raised)  cleared \(task.cleared)")
            }
            let raised = acknowledgements.reduce(0) { $0 + $1.raised }, cleared = acknowledgements.reduce(0) { $0 + $1.cleared }
            if let seconds, deployment.history.epoch > 0 {
                put(
                    "\(acknowledgements.count) of \(deployment.tasks) tasks go on with it after "
                        + "\(Double(Int(seconds * 100)) / 100) s; raised \(raised), cleared \(cleared)")
            }
        }
        if !isDone {
            say("error: \(acknowledgements.count) of \(deployment.tasks) tasks go on with epoch \(deployment.history.epoch) so far")
        }
        return isDone ? ExitCode.done : ExitCode.failed
    }

    private static func json(
        _ topology: String, _ activation: RuleSetActivation?, _ tasks: [RuleSetDeployment.Acknowledgement]
    ) -> String {
        var json = JsonWriter()
        json.beginObject()
        json.member("topology", topology)
        json.member("epoch", activation?.epoch ?? 0)
        json.name("ruleset")
        if let activation { json.text(activation.ruleset) } else { json.null() }
        json.name("logic")
        if let activation { json.text(activation.logic) } else { json.null() }
        json.name("tasks")
        json.list(tasks) { json, task in
            json.beginObject()
            json.member("task", Int64(task.task))
            json.member("epoch", task.epoch)
            json.name("first")
            json.beginObject()
            for (topic, offset) in task.first { json.member(topic, offset) }
            json.endObject()
            json.name("watermark")
            if let watermark = task.watermark { json.text(watermark) } else { json.null() }
            json.member("raised", Int64(task.raised))
            json.member("cleared", Int64(task.cleared))
            json.member("worker", task.worker)
            json.endObject()
        }
        json.endObject()
        return json.string
    }
}
