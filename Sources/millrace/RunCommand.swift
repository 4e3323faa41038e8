import Base
import Connectors
import Engine
import Glibc
import Marketplace
import Topology

enum RunCommand: Command {
    static let name = "run"
    static let summary = "a worker: process a topology until SIGTERM"
    static let help = """
        usage: millrace run FILE --bootstrap-server HOST:PORT [OPTIONS]

        Joins the group named like the topology, processes its topics and publishes alerts until SIGTERM, SIGINT
        or SIGHUP: then it drains, commits and ends, and its partitions wait 6 s for it to come back under its name. SIGUSR1
        ends it for good: others take over at once. Exit code 1 after a failure that a restart may mend, and if nothing
        of a topic, or less than one record in a hundred, could be read, which the last line says; 2 after a failure
        that somebody must decide on.

          --bootstrap-server LIST   Kafka brokers
          --group NAME              consumer group instead of the topology's name
          --state DIR               snapshots of the state, and the worker's name; default $STATE_DIRECTORY, else
                                    ./millrace-state. Workers of one machine may share it
          --instance-id NAME        the worker's name in its group instead of the one in --state: after a restart
                                    it has its partitions back at once
          --lanes N                 threads; default: cores, at most as many as partitions
          --redis URL               for Redis sinks that name none: redis://host:port or unix:/path
          --metrics-port PORT       /metrics, /health and /ready on 127.0.0.1; 0 takes a free port
          --metrics-address IP      listen elsewhere
          --commit-interval MS      milliseconds between commit cycles; default 100
          --max-task-idle MS        how long a record waits at most for another source of its task, or another partition
                                    before it, that was read to its end; default 100
          --snapshot-interval S     seconds between snapshots of a task; default 30
          --new-topic SOURCE        the source's topic is another one than its state was made from (made anew, or another
                                    name): read it where the source's `start` says; windows and alerts stay
          --policy FILE             who may change the rules while they run, and who must agree (`millrace rules --help`); without
                                    it, whoever may write to the topic of rule sets
          --leave                   every end is for good: for workers whose names do not last (no disk, no --instance-id)
          --grace S                 seconds that draining may take; then it ends as it is, with exit code 1; default 25
        \(KafkaArguments.help)
          --dry-run                 print the plan, which is the topics that are needed, and stop
          --execute                 print the plan, and carry it out; without either, carry it out
          --set name=value          a parameter of the topology

        example: millrace run Topologies/marketplace/topology.yaml --bootstrap-server 127.0.0.1:9092 \\
                   --redis redis://127.0.0.1:6379 --metrics-port 9464
        """
    static let options: [String: Arguments.Kind] = [
        "--bootstrap-server": .value, "--group": .value, "--instance-id": .value, "--state": .value,
        "--snapshot-interval": .value, "--lanes": .value,
        "--redis": .value, "--metrics-port": .value, "--metrics-address": .value, "--commit-interval": .value,
        "--max-task-idle": .value,
        "--new-topic": .values, "--grace": .value, "--policy": .value, "--leave": .flag, "--dry-run": .flag,
        "--execute": .flag, "--set": .values,
    ].merging(KafkaArguments.options) { $1 }

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        let path = try arguments.file()
        guard let spec = try arguments.topology(path) else { return ExitCode.usage }
        let refusals = Worker.refusals(of: spec)
        for refusal in refusals { say("\(Diagnostic(file: path, at: refusal.position, refusal.message))") }
        if !refusals.isEmpty { return ExitCode.usage }
        guard let servers = arguments.value("--bootstrap-server") else {
            throw Fault(.user, "--bootstrap-server is missing, like --bootstrap-server 127.0.0.1:9092")
        }
        var settings = KafkaSettings(
            bootstrapServers: servers, group: arguments.value("--group") ?? spec.name)
        try KafkaArguments.add(spec.kafka, arguments, to: &settings)
        settings.instanceId = arguments.value("--instance-id")
        if arguments.has("--dry-run"), arguments.has("--execute") {
            throw Fault(.user, "--dry-run and --execute contradict each other; give one of them")
        }
        if arguments.has("--dry-run") || arguments.has("--execute") {
            // Of a run that goes on standard output is for its sinks.
            let tell = arguments.has("--dry-run") ? put : say
            tell("topics that must exist or are made (partitions as the sources have):")
            // As on several partitions, where windows of another key need a topic of their own.
            let plans =
                Worker.topics(of: spec, group: settings.group, partitions: 2)
                + RuleSetTopics.plans(settings.group, partitions: 2)
            for plan in plans {
                let settings = plan.configuration.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
                tell("  \(plan.name)\(settings.isEmpty ? "" : "  (\(settings.joined(separator: ", ")))")")
            }
            for source in spec.sources where source.isBroadcast {
                tell("  table \(source.name): \(Explain.origin(source)), read whole by every lane")
            }
            if arguments.has("--dry-run") { return ExitCode.done }
        }
        var options = Worker.Options(kafka: settings)
        options.text = RuleSetText(
            file: path, text: try TopologyFile.text(path), parameters: try arguments.parameters())
        if let url = arguments.value("--redis") { options.redis = try RedisAddress(url) }
        options.stateDirectory =
            arguments.value("--state") ?? environment("STATE_DIRECTORY") ?? "millrace-state"
        options.snapshotMilliseconds =
            Int64(try arguments.integer("--snapshot-interval", in: 1...86_400) ?? 30) * 1000
        options.lanes = try arguments.integer("--lanes", in: 1...256) ?? 0
        options.metricsPort = try arguments.integer("--metrics-port", in: 0...65_535).map { UInt16($0) }
        options.metricsAddress = arguments.value("--metrics-address") ?? options.metricsAddress
        options.graceMilliseconds = Int64(try arguments.integer("--grace", in: 1...3600) ?? 25) * 1000
        if let file = arguments.value("--policy") { options.policy = try ApprovalPolicy.read(file: file) }
        options.newTopics = Set(arguments.all("--new-topic"))
        let sources = spec.repartitioned(prefix: settings.group).sources.map(\.name)
        for name in options.newTopics.sorted() where !sources.contains(name) {
            throw Fault(
                .user,
                "--new-topic: there is no source '\(name)'; there is \(sources.joined(separator: ", "))")
        }
        options.commitMilliseconds = Int64(try arguments.integer("--commit-interval", in: 1...60_000) ?? 100)
        options.taskIdleMilliseconds =
            Int64(
                try arguments.integer("--max-task-idle", in: 0...60_000) ?? Int(Limits.taskIdleMilliseconds))
        let model = LatencyModel(
            commitIntervalMilliseconds: options.commitMilliseconds,
            taskIdleMilliseconds: options.taskIdleMilliseconds)
        for mistake in LatencyProof.check(spec, file: path, model) { Log.warning(mistake.message) }
        options.generator = { (source, spec) throws(Fault) in
            try MarketplaceSource(
                source: source, rate: spec.rate, merchants: spec.merchants, seed: spec.seed,
                clock: SystemClock())
        }
        let worker = Worker(spec, options)
        let leaves = arguments.has("--leave")
        Signals.onStop { worker.stop(forGood: $0 || leaves) }
        try worker.run()
        let unreadable = worker.unreadable
        for line in unreadable { Log.error(line) }
        return unreadable.isEmpty ? ExitCode.done : ExitCode.failed
    }
}

private func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
