import Base
import Connectors
import Engine
import Glibc
import Topology

extension Command {
    static let bench = Command(
        name: "bench",
        summary: "every figure of the README, each with its reference and its answer checked",
        help: """
            usage: millrace bench NAME [OPTIONS]

              operators     windows alone: 10,000 keys, 5 min / 10 s (--keys, --slide, --records)
              tables        a step with a table join over the same without (--keys, --records)
              decode        JSON to columns
              kafka         a full topic drained: the engine over a bare loop that decodes the same fields
                            (--bootstrap-server, --records)
              latency       from a record's scheduled send to its alert read, at a fixed rate
                            (--bootstrap-server, --rate, --seconds)
                            or with --guarantee at-least-once
              restart       from the kill of a worker to its first new alert (--bootstrap-server, --keys)
              allocations   of memory, per record at steady state
              redis         hot metrics of merchants per second
              library       every rule of Topologies over a generated month: found, missed, false, and the cost
                            (--topologies DIR, --seed, or --data DIR with a month that is there)

              --json        one JSON object instead of text

            example: millrace bench operators --slide 1
            """,
        options: [
            "--json": .flag, "--bootstrap-server": .value, "--records": .value, "--keys": .value, "--slide": .value,
            "--rate": .value, "--seconds": .value, "--guarantee": .value, "--topologies": .value, "--data": .value,
            "--seed": .value,
        ],
        run: { (arguments: Arguments) throws(Fault) -> Int32 in
            guard arguments.files.count == 1 else { throw Fault(.user, "one bench is expected: operators, tables, decode, kafka, latency, restart, allocations or redis") }
            if arguments.files[0] == "library" { return try library(arguments) }
            let report = try report(arguments.files[0], arguments)
            print(arguments.has("--json") ? report.json : report.text)
            return ExitCode.done
        }
    )

    /// 1 if something was missed, or raised without reason.
    private static func library(_ arguments: Arguments) throws(Fault) -> Int32 {
        let topologies = arguments.value("--topologies") ?? "Topologies"
        var options = LibraryOptions()
        if let seed = try arguments.integer("--seed", in: 0...Int.max) { options.seed = UInt64(seed) }
        let (report, scores) = try BenchLibrary.run(
            folder: arguments.value("--data"), generating: options, topologies: topologies)
        if arguments.has("--json") {
            print(report.json)
        } else {
            print(BenchLibrary.table(scores))
            print(report.text)
        }
        return scores.allSatisfy { $0.found == $0.planted && $0.isFalse == 0 } ? ExitCode.done : ExitCode.failed
    }

    private static func guarantee(_ text: String?) throws(Fault) -> TopologySpec.Guarantee {
        guard let text else { return .exactlyOnce }
        guard let guarantee = TopologySpec.Guarantee(rawValue: text) else {
            throw Fault(.user, "--guarantee is exactly-once or at-least-once, not '\(text)'")
        }
        return guarantee
    }

    private static func report(_ name: String, _ arguments: Arguments) throws(Fault) -> BenchReport {
        let records = try arguments.integer("--records", in: 1000...1_000_000_000)
        func servers() throws(Fault) -> KafkaSettings {
            guard let servers = arguments.value("--bootstrap-server") else {
                throw Fault(.user, "bench \(name) needs a broker: --bootstrap-server 127.0.0.1:9092")
            }
            return KafkaSettings(bootstrapServers: servers)
        }
        switch name {
        case "operators":
            return try BenchOperators.run(
                records: records ?? 4_000_000,
                keys: try arguments.integer("--keys", in: 1...10_000_000) ?? 10_000,
                slideSeconds: try arguments.integer("--slide", in: 1...300) ?? 10)
        case "tables":
            return try BenchTables.run(
                records: records ?? 4_000_000, keys: try arguments.integer("--keys", in: 1...10_000_000) ?? 100_000)
        case "decode": return try BenchDecode.run(records: records ?? 2_000_000)
        case "kafka": return try BenchKafka.run(try servers(), records: records ?? 3_000_000)
        case "latency":
            return try BenchLatency.run(
                try servers(), rate: try arguments.integer("--rate", in: 100...10_000_000) ?? 50_000,
                seconds: try arguments.integer("--seconds", in: 1...3600) ?? 15,
                guarantee: try guarantee(arguments.value("--guarantee")))
        case "restart":
            return try BenchRestart.run(
                try servers(), keys: try arguments.integer("--keys", in: 1000...2_000_000) ?? 100_000,
                program: "/proc/self/exe")
        case "allocations": return try BenchAllocations.run(records: records ?? 2_000_000)
        case "redis": return try BenchRedis.run(keys: records ?? 100_000)
        default: throw Fault(.user, "unknown bench '\(name)'; there is operators, decode, kafka, latency, restart, allocations, redis")
        }
    }
}
