import Base
import Connectors
import Console
import Engine
import Glibc
import Models
import Records
import Topology

enum AlertsCommand: Command {
    static let name = "alerts"
    static let summary = "what was raised, and what became of it"
    static let help = """
        usage: millrace alerts list --topology NAME --bootstrap-server HOST:PORT [--status open] [--limit 100] [--json]
               millrace alerts explain ID --topology NAME --bootstrap-server HOST:PORT [--json]
               millrace alerts take|close|snooze|reopen|note ID --topology NAME --bootstrap-server HOST:PORT [OPTIONS]

        Reads and writes the topics of a deployed topology, as the console does: `take` makes an alert yours, `close` closes
        it with an outcome. Of two who take one alert one is refused (exit code 1).

          --outcome NAME      of close: confirmed, useful, false-positive, noise
          --until TIME        of snooze, at most 90 days ahead, like 2026-12-01T08:00:00Z
          --note TEXT         why; snooze needs one
          --by NAME           who; default: $USER
          --revision N        only if the alert still is at this revision; default: as it is
          --status, --severity, --rule, --owner, --customer    of list; names with commas between
          --file FILE         the topology's file, where it is not deployed
          --policy FILE       the workers' policy, where they have one, by which it is known which rules run
          --json              for programs
        \(KafkaArguments.help)

        example: millrace alerts close 5f0c1d2e3a4b5c6d7e8f901122334455 --outcome false-positive --topology merchant-risk \\
                   --bootstrap-server 127.0.0.1:9092
        """
    static let options: [String: Arguments.Kind] = [
        "--bootstrap-server": .value, "--topology": .value, "--file": .value, "--outcome": .value,
        "--until": .value, "--note": .value, "--by": .value,
        "--revision": .value, "--status": .value, "--severity": .value, "--rule": .value, "--owner": .value,
        "--customer": .value,
        "--limit": .value, "--json": .flag, "--set": .values, "--policy": .value,
    ].merging(KafkaArguments.options) { $1 }

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        guard let servers = arguments.value("--bootstrap-server"),
            let topology = arguments.value("--topology")
        else {
            throw Fault(.user, "--topology and --bootstrap-server are expected")
        }
        var settings = KafkaSettings(bootstrapServers: servers, group: topology)
        try KafkaArguments.add([:], arguments, to: &settings)
        try settings.check()
        let by = arguments.value("--by") ?? getenv("USER").map { String(cString: $0) } ?? "unknown"
        let caller = Caller(
            name: by, roles: [.viewer, .analyst], language: "en", method: "command", peer: "command")
        let policy = try RulesCommand.policy(arguments)
        do throws(ApiError) {
            let alerts = try TopologyAlerts(
                settings, topology: topology, file: try text(arguments), policy: policy)
            switch arguments.files.first {
            case "list": return try list(alerts, arguments, caller)
            case "explain": return try explain(alerts, arguments)
            case let word?:
                guard let action = Disposition.Action(rawValue: word) else { break }
                return try dispose(alerts, action, arguments, caller)
            case nil: break
            }
        } catch {
            throw Fault(error.status < 409 || error.status == 422 ? .user : .external, error.message)
        }
        throw Fault(.user, "there is list, explain, take, close, snooze, reopen and note")
    }

    private static func text(_ arguments: Arguments) throws(ApiError) -> RuleSetText? {
        guard let path = arguments.value("--file") else { return nil }
        do throws(Fault) {
            return RuleSetText(
                file: path, text: try TopologyFile.text(path), parameters: try arguments.parameters())
        } catch { throw ApiError(error) }
    }

    private static func id(_ arguments: Arguments) throws(ApiError) -> String {
        guard arguments.files.count == 2 else {
            throw ApiError(400, "bad-request", "the id of one alert is expected")
        }
        return arguments.files[1]
    }

    private static func list(_ alerts: TopologyAlerts, _ arguments: Arguments, _ caller: Caller)
        throws(ApiError) -> Int32
    {
        var members: [(name: String, value: String)] = []
        for name in ["status", "severity", "rule", "owner", "customer"] {
            if let value = arguments.value("--\(name)") { members.append((name, value)) }
        }
        let limit: Int
        do throws(Fault) { limit = try arguments.integer("--limit", in: 1...100_000) ?? 100 } catch {
            throw ApiError(error)
        }
        for row in try alerts.list(try AlertFilter(members, caller: caller), limit: limit) {
            if arguments.has("--json") {
                put(row.json.string)
            } else {
                put(
                    "\(row.id)  \(row.time)  \(row.severity)  \(row.status)\(row.owner.map { " by \($0)" } ?? "")  \(row.rule)  \(row.message)"
                )
            }
        }
        return ExitCode.done
    }

    private static func explain(_ alerts: TopologyAlerts, _ arguments: Arguments) throws(ApiError) -> Int32 {
        for line in try alerts.explain(try id(arguments), isJson: arguments.has("--json")) { put(line) }
        return ExitCode.done
    }

    private static func dispose(
        _ alerts: TopologyAlerts, _ action: Disposition.Action, _ arguments: Arguments, _ caller: Caller
    ) throws(ApiError) -> Int32 {
        let until = try arguments.value("--until").map { (text) throws(ApiError) in
            guard let parsed = CivilTime.parse(text), parsed.hasZone else {
                throw ApiError(
                    400, "bad-request", "--until takes a time with its zone, like 2026-12-01T08:00:00Z")
            }
            return parsed.milliseconds
        }
        let revision: Int?
        do throws(Fault) { revision = try arguments.integer("--revision", in: 0...Int(Int32.max)) } catch {
            throw ApiError(error)
        }
        let next = try alerts.dispose(
            try id(arguments), action, by: caller, outcome: arguments.value("--outcome"), until: until,
            note: arguments.value("--note"),
            revision: revision.map { Int64($0) })
        put(
            arguments.has("--json")
                ? next.json.string
                : "\(next.alertId) is \(next.status)\(next.owner.map { ", \($0)'s" } ?? ""), revision \(next.revision)"
        )
        return ExitCode.done
    }
}
