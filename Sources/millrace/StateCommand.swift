import Base
import Connectors
import Engine
import Records
import Topology

enum StateCommand: Command {
    static let name = "state"
    static let summary = "look at the windows and alerts that workers keep, while they run"
    static let help = """
        usage: millrace state list    FILE (--bootstrap-server LIST | --state DIR)
               millrace state get     FILE KEY (--bootstrap-server LIST | --state DIR) [--step NAME]
               millrace state dump    FILE (--bootstrap-server LIST | --state DIR) [--step NAME]
               millrace state compare FILE A B

        Reads the state of a topology and changes nothing: from its changelog on Kafka, as of the last commits,
        or from snapshots on this machine. `list` shows the stores, `get` all that is kept for one key,
        `dump` everything as JSON lines, `compare` the differences of two folders (or files) of snapshots: exit
        code 1 if there are any. KEY is the text of the key's field, or of several fields with commas between.

          --bootstrap-server LIST   Kafka brokers
          --group NAME              consumer group instead of the topology's name, for snapshots too
          --state DIR               snapshots: a state folder, a worker's folder in it, or one file
          --step NAME               one step or rule only
          --json                    list as JSON lines
        \(KafkaArguments.help)
          --set name=value          a parameter of the topology

        example: millrace state get Topologies/marketplace/topology.yaml M000017 --bootstrap-server 127.0.0.1:9092
        """
    static let options: [String: Arguments.Kind] = [
        "--bootstrap-server": .value, "--group": .value, "--state": .value, "--step": .value, "--json": .flag,
        "--set": .values,
    ].merging(KafkaArguments.options) { $1 }

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        let words = arguments.files
        let counts = ["list": 2, "get": 3, "dump": 2, "compare": 4]
        guard let verb = words.first, let count = counts[verb], words.count == count else {
            throw Fault(
                .user,
                "list FILE, get FILE KEY, dump FILE or compare FILE A B is expected; see millrace state --help"
            )
        }
        guard let spec = try arguments.topology(words[1]) else { return ExitCode.usage }
        if verb == "compare" {
            let group = arguments.value("--group") ?? spec.name
            let first = try StateInspector(spec, snapshots: words[2], group: group)
            let differences = first.differences(
                from: try StateInspector(spec, snapshots: words[3], group: group))
            for line in differences { put(line) }
            say("\(differences.isEmpty ? "no difference" : "\(differences.count) lines differ")")
            return differences.isEmpty ? ExitCode.done : ExitCode.failed
        }
        if let step = arguments.value("--step") { try check(step, spec) }
        let inspector = try inspector(spec, arguments)
        if verb == "list" {
            list(inspector, isJson: arguments.has("--json"))
            let proofs = inspector.proofs
            if !arguments.has("--json") { for (store, proof) in proofs { put("\(store): \(proof.text)") } }
            return proofs.allSatisfy(\.proof.holds) ? ExitCode.done : ExitCode.failed
        }
        let wanted = verb == "get" ? words[2] : nil
        let entries = inspector.entries { entry in
            (wanted == nil || entry.text == wanted)
                && (arguments.value("--step") ?? entry.store) == entry.store
        }
        for entry in entries { put(entry.state.json) }
        if let wanted, entries.isEmpty {
            say("nothing is kept for '\(wanted)'")
            return ExitCode.failed
        }
        return ExitCode.done
    }

    private static func check(_ step: String, _ spec: TopologySpec) throws(Fault) {
        var names: [String] = []
        for step in spec.steps where step.window != nil || step.operation != nil { names.append(step.name) }
        names += spec.sources.filter { $0.table != nil }.map(\.name) + spec.rules.map(\.name)
        guard names.contains(step) else {
            throw Fault(
                .user, "--step \(step): the topology keeps state for \(names.joined(separator: ", "))")
        }
    }

    private static func inspector(_ spec: TopologySpec, _ arguments: Arguments) throws(Fault)
        -> StateInspector
    {
        if let folder = arguments.value("--state") {
            guard !arguments.has("--bootstrap-server") else {
                throw Fault(.user, "--state and --bootstrap-server are two places; name one")
            }
            return try StateInspector(spec, snapshots: folder, group: arguments.value("--group") ?? spec.name)
        }
        guard let servers = arguments.value("--bootstrap-server") else {
            throw Fault(.user, "--bootstrap-server LIST or --state DIR says where the state is")
        }
        var settings = KafkaSettings(
            bootstrapServers: servers, group: arguments.value("--group") ?? spec.name)
        try KafkaArguments.add(spec.kafka, arguments, to: &settings)
        return try StateInspector(spec, settings)
    }

    private static func list(_ inspector: StateInspector, isJson: Bool) {
        if !isJson { put("task  store                 keys      panes/key  bytes         closed until") }
        for store in inspector.stores {
            let summary = store.summary
            let until = summary.closedUntil.map { CivilTime.string($0) } ?? "-"
            if isJson {
                put(
                    "{\"task\":\(store.task),\"store\":\"\(summary.store)\",\"keys\":\(summary.keys),\"panes\":\(summary.panes),"
                        + "\"bytes\":\(summary.bytes),\"closed_until\":\(until == "-" ? "null" : "\"\(until)\"")}"
                )
            } else {
                put(
                    pad("\(store.task)", 6) + pad(summary.store, 22) + pad("\(summary.keys)", 10)
                        + pad("\(summary.panes)", 11)
                        + pad("\(summary.bytes)", 14) + until)
            }
        }
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }
}
