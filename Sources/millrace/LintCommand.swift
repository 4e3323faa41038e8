import Base
import Connectors
import Engine
import Topology

enum LintCommand: Command {
    static let name = "lint"
    static let summary = "check topology files and prove their bounds"
    static let help = """
        usage: millrace lint FILE... [--set name=value]... [--bootstrap-server LIST [OPTIONS]]

        Reports every mistake as file:line:column, proves the latency bound of each source-to-alert path
        term by term, and bounds the state of each step. Exit code 1 if any file has an error.

        With --bootstrap-server it also compares each topology with a cluster, which it does not change:
        topics and their settings, co-partitioning, state topics, transactions; and prints the rights that
        a worker needs as kafka-acls commands.

          --bootstrap-server LIST   Kafka brokers
          --group NAME              consumer group instead of the topology's name
          --principal NAME          who gets the rights; default User:millrace
        \(KafkaArguments.help)
          --json                    the comparison as one JSON object a file, and nothing else

        example: millrace lint Topologies/*/topology.yaml
                 millrace lint Topologies/marketplace/topology.yaml --bootstrap-server 127.0.0.1:9092
        """
    static let options: [String: Arguments.Kind] = [
        "--set": .values, "--bootstrap-server": .value, "--group": .value, "--principal": .value,
        "--json": .flag,
    ].merging(KafkaArguments.options) { $1 }

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        guard !arguments.files.isEmpty else { throw Fault(.user, "at least one file is expected") }
        if !arguments.has("--bootstrap-server") {
            for name in ["--group", "--principal", "--kafka", "--kafka-config", "--json"]
            where arguments.has(name) {
                throw Fault(.user, "\(name) needs --bootstrap-server")
            }
        }
        var code = ExitCode.done
        for path in arguments.files where try !lint(path, arguments) { code = ExitCode.failed }
        return code
    }

    /// False if the file has an error.
    private static func lint(_ path: String, _ arguments: Arguments) throws(Fault) -> Bool {
        guard let spec = try arguments.topology(path) else { return false }
        let problems = LatencyProof.check(spec, file: path) + StateBound.check(spec, file: path)
        for problem in problems { say("\(problem)") }
        let hasErrors = problems.contains { $0.severity == .error }
        if arguments.has("--json") { return try checkCluster(spec, path, arguments) && !hasErrors }
        put("\(path): \(hasErrors ? "the bounds do not hold" : "no errors")")
        put("  ruleset \(spec.ruleset)")
        put("  logic \(spec.logic)")
        for model in spec.models {
            put(
                "  model \(model.name): \(model.text), sha256 \(model.card.sha256), \(model.card.samples.count) samples agree; about "
                    + "\(StateBound.grouped(model.rowsPerSecond)) rows a second take up a core")
        }
        let paths = LatencyProof.paths(spec)
        for (index, rule) in spec.rules.enumerated() {
            for path in paths where path.rule == index {
                let terms = path.terms.filter { $0.milliseconds > 0 }.map { "\($0.name) \($0.milliseconds)" }
                put(
                    "  latency \(path.total) ms <= \(spec.latency) ms: rule \(rule.name) over \(path.description) (\(terms.joined(separator: " + ")))"
                )
            }
        }
        for bound in StateBound.all(spec) {
            put("  state of \(spec.steps[bound.step].name): \(bound.description)")
        }
        for bound in OperatorBound.all(spec) {
            for line in bound.lines { put("  state of \(bound.name): \(line)") }
        }
        for estimate in Estimate.all(spec) {
            put("  result \(spec.steps[estimate.step].name).\(estimate.description)")
        }
        for refusal in Worker.refusals(of: spec) { put("  replay only: \(refusal.message)") }
        guard arguments.has("--bootstrap-server") else { return !hasErrors }
        return try checkCluster(spec, path, arguments) && !hasErrors
    }

    /// Compares a topology with the cluster of the command line and prints what was found; false after an
    /// error.
    private static func checkCluster(_ spec: TopologySpec, _ path: String, _ arguments: Arguments)
        throws(Fault) -> Bool
    {
        guard let servers = arguments.value("--bootstrap-server"), !servers.isEmpty else {
            throw Fault(.user, "--bootstrap-server is empty; it takes a list like 127.0.0.1:9092")
        }
        let principal = arguments.value("--principal") ?? "User:millrace"
        guard principal.contains(":") else {
            throw Fault(.user, "--principal takes a type and a name, like User:millrace, not '\(principal)'")
        }
        var settings = KafkaSettings(
            bootstrapServers: servers, group: arguments.value("--group") ?? spec.name)
        try KafkaArguments.add(spec.kafka, arguments, to: &settings)
        try settings.check()
        let facts = try KafkaAdmin(settings).describe(deadlineMilliseconds: 10_000) {
            ClusterCheck.needs($0, spec, group: settings.group)
        }
        let check = ClusterCheck(spec, group: settings.group, facts: facts)
        put(
            arguments.has("--json")
                ? check.json(file: path, servers, principal: principal)
                : check.text(servers, principal: principal))
        return !check.hasErrors
    }
}
