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
               millrace deploy --undeploy TOPOLOGY --bootstrap-server HOST:PORT

        A topology that nobody runs yet is started by the workers of a pool (`millrace worker`). Of one that runs it
        checks the file, proposes it to every worker of the topology, and, if every task is prepared to go on with it, makes
        it the next epoch: each task switches at its next commit, and says in the same transaction from which offsets on.
        Waits for all of them, and prints them. Where a worker refuses, or does not answer in time, nothing changes.
        Exit code 0: every task goes on with it; 1: not; 2: the file has a mistake.

          --status             which epoch counts, and what each task says of it
          --rollback [EPOCH]   the rules of an earlier epoch, the one before if none is given, become the next one
          --undeploy           workers that run what is deployed (`millrace worker`) run it no more
          --pool NAME          the workers that are to run it, where nobody does yet; default "default"
          --dry-run            say what would change, and change nothing
          --begin-empty        agree that windows which are new know nothing of what was before
          --alerts-max N       how many alerts the change itself may raise and clear, of merchants whose windows meet the new
                               rules already; default 100. What it would come to is tried on a copy of the state and told
                               before; a roll-back may any number
          --restart            agree that every worker ends and begins anew with the file, where that is what it takes; whoever
                               started them must start them again (systemd, Kubernetes, `millrace worker`)
          --reason TEXT        why, for those who look at it later
          --author NAME        who; default: $USER
          --policy FILE        the workers' policy, where they have one (`millrace rules --help`)
          --key FILE           the author's private key, which signs the change; --holder NAME if it is somebody's who speaks
                               for the author
          --group NAME         the workers' consumer group instead of the topology's name
          --timeout S          how long to wait for the tasks, each time; default 10
          --set name=value     a parameter of the topology
          --json               {"topology", "epoch", "ruleset", "logic", "tasks": [{"task", "epoch", "first", …}]}
        \(KafkaArguments.help)

        example: millrace deploy Topologies/merchant-watch/topology.yaml --set limit=1500 \\
                   --reason "fewer false alarms" --bootstrap-server 127.0.0.1:9092
        """
    static let options: [String: Arguments.Kind] = [
        "--bootstrap-server": .value, "--status": .flag, "--rollback": .flag, "--dry-run": .flag,
        "--undeploy": .flag, "--pool": .value, "--begin-empty": .flag, "--restart": .flag, "--reason": .value,
        "--author": .value, "--group": .value, "--timeout": .value, "--set": .values, "--json": .flag,
        "--policy": .value, "--key": .value, "--holder": .value, "--alerts-max": .value,
    ].merging(KafkaArguments.options) { $1 }

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        if arguments.has("--status") { return try status(arguments) }
        if arguments.has("--rollback") { return try rollBack(arguments) }
        if arguments.has("--undeploy") { return try undeploy(arguments) }
        let path = try arguments.file()
        guard let spec = try arguments.topology(path) else { return ExitCode.usage }
        let refusals = Worker.refusals(of: spec)
        for refusal in refusals { say("\(Diagnostic(file: path, at: refusal.position, refusal.message))") }
        if !refusals.isEmpty { return ExitCode.usage }
        let text = RuleSetText(
            file: path, text: try TopologyFile.text(path), parameters: try arguments.parameters())
        let settings = try settings(arguments, topology: spec.name, spec.kafka)
        let deployments = try Deployment.all(settings)
        if arguments.has("--dry-run") == false, let deployments, deployments[spec.name]?.isWanted != true {
            if let started = try begin(text, spec, settings, arguments) { return started }
        }
        var deployment = try RuleSetDeployment(settings, policy: try RulesCommand.policy(arguments))
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
                .user,
                "nothing was deployed yet, so it is not known here what the workers run: compare the files with `millrace plan`"
            )
        }
        let code = try deploy(text, spec, &deployment, arguments)
        if code == ExitCode.done, var known = deployments?[spec.name], known.isWanted {
            // What a worker begins with that has nothing yet.
            known.text = text
            try known.publish(settings)
        }
        return code
    }

    /// The first time that workers are to run it; nil: somebody runs it by hand already.
    private static func begin(
        _ text: RuleSetText, _ spec: TopologySpec, _ settings: KafkaSettings, _ arguments: Arguments
    ) throws(Fault) -> Int32? {
        let pool = arguments.value("--pool") ?? Deployment.defaultPool
        if arguments.value("--pool") == nil,
            try KafkaWatch(settings).members(deadlineMilliseconds: 10_000).isEmpty == false
        {
            return nil
        }
        try Deployment(topology: spec.name, pool: pool, text: text).publish(settings)
        say("\(spec.name) is deployed to pool '\(pool)'; its workers start it")
        let deadline =
            monotonicNanoseconds() + Int64(try arguments.integer("--timeout", in: 1...3600) ?? 60)
            * 1_000_000_000
        func wait(_ fault: Fault) throws(Fault) {
            guard monotonicNanoseconds() < deadline else {
                throw Fault(
                    .external,
                    "\(fault.detail). It stays deployed: look at the log of a worker of pool '\(pool)', or take it back "
                        + "with `millrace deploy --undeploy \(spec.name)`")
            }
            usleep(200_000)
        }
        while true {
            var deployment: RuleSetDeployment
            do throws(Fault) {
                deployment = try RuleSetDeployment(settings, policy: try RulesCommand.policy(arguments))
            } catch {
                try wait(error)
                continue
            }
            // Of a topology that was here before, other rules may count.
            do throws(Fault) { return try deploy(text, spec, &deployment, arguments) } catch {
                if error.domain == .user { throw error }
                try wait(error)
            }
        }
    }

    private static func undeploy(_ arguments: Arguments) throws(Fault) -> Int32 {
        let name = try topologyName(arguments)
        let settings = try settings(arguments, topology: name)
        guard var known = try Deployment.all(settings)?[name], known.isWanted else {
            throw Fault(.user, "\(name) is not deployed to any pool on \(settings.bootstrapServers)")
        }
        known.isWanted = false
        try known.publish(settings)
        put(
            "\(name) runs no more in pool '\(known.pool)'; its state and its rules stay, and `millrace deploy` goes on with them"
        )
        return ExitCode.done
    }

    private static func deploy(
        _ text: RuleSetText, _ spec: TopologySpec, _ deployment: inout RuleSetDeployment,
        _ arguments: Arguments
    ) throws(Fault) -> Int32 {
        let start = monotonicNanoseconds()
        let timeout = Int64(try arguments.integer("--timeout", in: 1...3600) ?? 10) * 1000
        let author = arguments.value("--author") ?? getenv("USER").map { String(cString: $0) } ?? "unknown"
        var request = RuleSetDeployment.Request(
            text, spec, author: author, reason: arguments.value("--reason") ?? "",
            consent: arguments.has("--restart") ? .restart : arguments.has("--begin-empty") ? .empty : .hot,
            signer: try RulesCommand.signer(arguments, author), milliseconds: timeout)
        let most = try arguments.integer("--alerts-max", in: 0...1_000_000_000)
        request.alertsMax = most ?? (arguments.has("--rollback") ? nil : 100)
        let epoch: Int64
        let way: ChangePlan.Way
        let outcome = try deployment.deploy(request, at: { SystemClock().nowMilliseconds }) { answers in
            if !arguments.has("--json") { tellTrial(answers) }
        }
        switch outcome {
        case .activated(let made, let how): (epoch, way) = (made, how)
        case let other: throw fault(other, deployment, spec, seconds: timeout / 1000)
        }
        let acknowledgements = try deployment.wait(
            for: epoch, milliseconds: way == .restart ? max(timeout, 60_000) : timeout)
        try deployment.refresh()
        return report(
            spec.name, deployment, acknowledgements, arguments,
            after: Double(monotonicNanoseconds() - start) / 1e9)
    }

    private static func tellTrial(_ answers: [RuleSetDeployment.Answer]) {
        // Where tasks begin anew, or refuse, nothing is tried.
        guard !answers.isEmpty, answers.allSatisfy({ $0.isPrepared && $0.way <= .empty }) else { return }
        guard let count = RuleSetDeployment.total(answers) else {
            return put("what it would raise and clear at once is not known: not every lane came to try it")
        }
        put("would raise \(count.raised) alerts and clear \(count.cleared) at once")
    }

    /// Why nothing was changed.
    private static func fault(
        _ outcome: RuleSetDeployment.Outcome, _ deployment: RuleSetDeployment, _ spec: TopologySpec,
        seconds: Int64
    ) -> Fault {
        switch outcome {
        case .activated: return Fault(.defect, "it was activated")
        case .otherPolicy(let worker, nil):
            return Fault(
                .user, "\(worker) has no policy, and --policy was given; start its worker with --policy too")
        case .otherPolicy(let worker, let hash?):
            return Fault(
                .user, "\(worker) goes by a policy of its own (\(hash)); give the same file: --policy FILE")
        case .refused(let refused):
            var told: Set<String> = []
            for answer in refused {
                for reason in answer.reasons where told.insert(reason).inserted {
                    say("\(answer.worker): \(reason)")
                }
            }
            return Fault(
                .user, "\(refused.count) of \(deployment.tasks) tasks refuse it; nothing was changed")
        case .unagreed(let way, let reasons):
            for reason in reasons { say(reason) }
            let what = way == .restart ? "every worker must begin anew" : "what is new begins empty"
            return Fault(
                .user,
                "\(what): \(way == .restart ? "--restart" : "--begin-empty") agrees to it; nothing was changed"
            )
        case .tooManyAlerts(let count):
            let all = count.raised + count.cleared
            return Fault(
                .user,
                "it would raise \(count.raised) alerts and clear \(count.cleared) at once: --alerts-max \(all) agrees to it; "
                    + "nothing was changed")
        case .unanswered(let tasks):
            return Fault(
                .external,
                "tasks \(tasks.map { "\($0)" }.joined(separator: ", ")) have not answered within \(seconds) s (is every worker "
                    + "running?); nothing was changed")
        case .differentFiles(let files):
            return Fault(
                .user,
                "the workers run different files: \(files.joined(separator: ", ")); nothing was changed")
        case .unapproved(let missing):
            return Fault(
                .external,
                "\(missing) more must approve it: `millrace rules approve \(spec.name) \(spec.ruleset.prefix(19)) --author NAME "
                    + "--key FILE --policy FILE`; then deploy it again. Nothing was changed")
        }
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
    static func topologyName(_ arguments: Arguments) throws(Fault) -> String {
        let words = arguments.files.filter { Int64($0) == nil }
        guard words.count == 1 else {
            throw Fault(.user, "the name of one topology is expected, like merchant-risk")
        }
        guard words[0].hasSuffix(".yaml") || words[0].contains("/") else { return words[0] }
        guard let spec = try arguments.topology(words[0]) else {
            throw Fault(.user, "\(words[0]) has a mistake")
        }
        return spec.name
    }

    static func connect(
        _ arguments: Arguments, topology: String, _ kafka: [String: String] = [:]
    ) throws(Fault) -> RuleSetDeployment {
        try RuleSetDeployment(
            settings(arguments, topology: topology, kafka), policy: RulesCommand.policy(arguments))
    }

    static func settings(
        _ arguments: Arguments, topology: String, _ kafka: [String: String] = [:]
    ) throws(Fault) -> KafkaSettings {
        guard let servers = arguments.value("--bootstrap-server") else {
            throw Fault(.user, "--bootstrap-server is missing, like --bootstrap-server 127.0.0.1:9092")
        }
        var settings = KafkaSettings(bootstrapServers: servers, group: arguments.value("--group") ?? topology)
        try KafkaArguments.add(kafka, arguments, to: &settings)
        try settings.check()
        return settings
    }

    /// Prints what tasks say of the newest epoch. `after`: seconds that a deployment took.
    private static func report(
        _ topology: String, _ deployment: RuleSetDeployment,
        _ acknowledgements: [RuleSetDeployment.Acknowledgement],
        _ arguments: Arguments, after seconds: Double?
    ) -> Int32 {
        let activation = deployment.history.activations.last
        let isDone = deployment.history.epoch == 0 || acknowledgements.count == deployment.tasks
        if arguments.has("--json") {
            put(json(topology, activation, acknowledgements))
        } else {
            if let activation {
                put(
                    "\(topology): epoch \(activation.epoch) of the rules, by \(activation.author) at \(activation.at)"
                        + (activation.reason.isEmpty ? "" : ": \(activation.reason)"))
                put("  ruleset \(activation.ruleset)")
                put("  logic   \(activation.logic)")
            } else {
                put(
                    "\(topology): epoch 0: the rules are those of the file that its workers were started with"
                )
            }
            for task in acknowledgements {
                let first = task.first.map { "\($0.topic) from \($0.offset)" }.joined(separator: ", ")
                put(
                    "  task \(task.task)  \(first)  watermark \(task.watermark ?? "none")  raised \(task.raised)  cleared \(task.cleared)"
                )
            }
            let raised = acknowledgements.reduce(0) { $0 + $1.raised }
            let cleared = acknowledgements.reduce(0) { $0 + $1.cleared }
            if let seconds, deployment.history.epoch > 0 {
                put(
                    "\(acknowledgements.count) of \(deployment.tasks) tasks go on with it after "
                        + "\(Double(Int(seconds * 100)) / 100) s; raised \(raised), cleared \(cleared)")
            }
        }
        if !isDone {
            say(
                "error: \(acknowledgements.count) of \(deployment.tasks) tasks go on with epoch \(deployment.history.epoch) so far"
            )
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
