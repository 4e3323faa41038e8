import Base
import Connectors
import Engine
import Glibc

enum WorkerCommand: Command {
    static let name = "worker"
    static let summary = "run the topologies that are deployed, each as a process of its own"
    static let help = """
        usage: millrace worker --bootstrap-server HOST:PORT [OPTIONS]

        Reads topic millrace-deployments, to which `millrace deploy` writes, and runs each topology of its pool as
        `millrace run` does, in a process of its own: one that ends is started again, at once and then less and less often, and
        harms no other. Ends with SIGTERM, after its topologies have drained.

          --bootstrap-server LIST   Kafka brokers
          --pool NAME               topologies that were deployed to this pool; default "default"
          --state DIR               a folder for each topology; default $STATE_DIRECTORY, else ./millrace-state
          --metrics-port PORT       /metrics of all topologies, each sample with its topology as a label; /health, /ready
          --metrics-address IP      listen elsewhere than on 127.0.0.1
          --lanes N                 threads of each topology
          --redis URL               for Redis sinks that name none
          --policy FILE             who may change rules while they run, as of `millrace run`; for all topologies
          --leave                   every end of a topology is for good
          --grace S                 seconds that draining may take; default 25
        \(KafkaArguments.help)

        example: millrace worker --bootstrap-server 127.0.0.1:9092 --metrics-port 9464
        """
    static let options: [String: Arguments.Kind] = [
        "--bootstrap-server": .value, "--pool": .value, "--state": .value, "--metrics-port": .value,
        "--metrics-address": .value,
        "--lanes": .value, "--redis": .value, "--leave": .flag, "--grace": .value, "--policy": .value,
    ].merging(KafkaArguments.options) { $1 }

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        if let word = arguments.files.first {
            throw Fault(.user, "'\(word)': a worker runs what is deployed; `millrace run FILE` runs one file")
        }
        guard let servers = arguments.value("--bootstrap-server") else {
            throw Fault(.user, "--bootstrap-server is missing, like --bootstrap-server 127.0.0.1:9092")
        }
        var settings = KafkaSettings(bootstrapServers: servers, group: "millrace-worker")
        try KafkaArguments.add([:], arguments, to: &settings)
        let state =
            arguments.value("--state") ?? getenv("STATE_DIRECTORY").map { String(cString: $0) }
            ?? "millrace-state"
        var options = Supervisor.Options(kafka: settings, folder: state)
        options.pool = arguments.value("--pool") ?? options.pool
        options.metricsPort = try arguments.integer("--metrics-port", in: 0...65_535).map { UInt16($0) }
        options.metricsAddress = arguments.value("--metrics-address") ?? options.metricsAddress
        let grace = try arguments.integer("--grace", in: 1...3600) ?? 25
        options.graceMilliseconds = Int64(grace + 5) * 1000
        options.words = ["--grace", "\(grace)"]
        if let file = arguments.value("--policy") { _ = try ApprovalPolicy.read(file: file) }
        for option in ["--redis", "--kafka-config", "--policy"] {
            if let value = arguments.value(option) { options.words += [option, value] }
        }
        if let lanes = try arguments.integer("--lanes", in: 1...256) {
            options.words += ["--lanes", "\(lanes)"]
        }
        for value in arguments.all("--kafka") { options.words += ["--kafka", value] }
        if arguments.has("--leave") { options.words.append("--leave") }
        let supervisor = Supervisor(options)
        Signals.onStop { _ in supervisor.stop() }
        try supervisor.run()
        return ExitCode.done
    }
}
