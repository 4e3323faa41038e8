import Base
import Bench
import Connectors
import Engine
import Glibc
import Marketplace
import Simulation
import Topology

enum BenchCommand: Command {
    static let name = "bench"
    static let summary = "every figure of Tests/README.md, each with its reference and its answer checked"
    static let help = """
        usage: millrace bench NAME [OPTIONS]

          operators     windows alone: 10,000 keys, 5 min / 10 s (--keys, --slide, --records)
          tables        a step with a table join over the same without (--keys, --records)
          decode        JSON to columns
          kafka         a full topic drained: the engine over a bare loop that decodes the same fields
                        (--bootstrap-server, --records)
          profile       where each nanosecond of a record goes in the engine, by stage and by thread
                        (--bootstrap-server, --records, --shape NAME of `shapes`)
          shapes        `kafka` once for each of many shapes of topic and topology, a row each
                        (--bootstrap-server, --records, --rounds, --shape NAME,NAME…, --lag for the row
                        "lag" too, ten times the records)
          latency       from a record's scheduled send to its alert read, at a fixed rate
                        (--bootstrap-server, --rate, --seconds), with --guarantee at-least-once too;
                        or with --share 25,50,75: finds the rate that can be sustained and holds these
                        percents of it for --seconds each (300), with the worst stalls of each
          peers         the same job in Kafka Streams on the same topic, alerts compared one by one; called by
                        Tests/Peers/compare (--bootstrap-server, --class-path, --records, --rate, --seconds);
                        and in Flink SQL with --flink-class-path (--flink-times)
          restart       from the kill of a worker to its first new alert (--bootstrap-server, --keys)
          planned       the longest silence while workers are added, restarted in turn and taken away under a load
                        (--bootstrap-server, --rate)
          allocations   of memory, per record at steady state
          score         boosted trees (300 of depth 6, 10 features), their reasons, and an LSTM (128 and 64 units, 60
                        steps), of made-up weights (--records)
          redis         hot metrics of merchants per second
          library       every rule of Topologies over a generated month: found, missed, false, and the cost
                        (--topologies DIR, --seed, or --data DIR with a month that is there)
          catchup       such a month on Kafka in four partitions, preloaded or at --rate records a second, read by
                        two workers of two lanes, with --kills of them, against its replay (--bootstrap-server,
                        --topologies DIR, --topology NAME,NAME…, --data DIR, --seed); --copies N of what fund-flow
                        reads, each about other accounts
          console       the console over --records alerts (1,000,000): its index rebuilt, filters over 100,000 of them,
                        10,000 connections that say nothing, requests made up from --seed for --seconds (60)
                        (--bootstrap-server); exit code 1 beyond a bound
          simulation    lanes on a cluster in memory, with crashes, lost answers and rebalances from seeds, against
                        a replay: --records schedules (3,000) from --seed on, or those of --shape SCENARIO;
                        --plant MISTAKE makes one on purpose and stops when it is found; --plant all makes each, and
                        fails if one is not found within 300 schedules

          --json        one JSON object instead of text

        example: millrace bench operators --slide 1
        """
    static let options: [String: Arguments.Kind] = [
        "--json": .flag, "--bootstrap-server": .value, "--records": .value, "--keys": .value,
        "--slide": .value,
        "--rate": .value, "--seconds": .value, "--guarantee": .value, "--topologies": .value,
        "--data": .value,
        "--seed": .value, "--shape": .value, "--rounds": .value, "--lag": .flag, "--share": .value,
        "--class-path": .value,
        "--flink-class-path": .value, "--flink-times": .value, "--kills": .value, "--plant": .value,
        "--topology": .value, "--copies": .value,
    ]

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        guard arguments.files.count == 1 else { throw Fault(.user, "one bench is expected: \(benches)") }
        if arguments.files[0] == "library" { return try library(arguments) }
        if arguments.files[0] == "shapes" { return try shapes(arguments) }
        if arguments.files[0] == "catchup" { return try catchUp(arguments) }
        if arguments.files[0] == "console" { return try console(arguments) }
        if arguments.files[0] == "simulation" { return try simulation(arguments) }
        let report = try report(arguments.files[0], arguments)
        put(arguments.has("--json") ? report.json : report.text)
        return ExitCode.done
    }

    private static let benches =
        "operators, tables, decode, kafka, profile, shapes, latency, peers, restart, planned, allocations, score, redis, "
        + "library, catchup, console, simulation"

    /// 1 if an answer was wrong.
    private static func shapes(_ arguments: Arguments) throws(Fault) -> Int32 {
        var options = BenchShapes.Options()
        options.records = try arguments.integer("--records", in: 10_000...100_000_000) ?? options.records
        options.rounds = try arguments.integer("--rounds", in: 1...100) ?? options.rounds
        options.names = arguments.value("--shape").map { $0.split(separator: ",").map(String.init) } ?? []
        options.withLag = arguments.has("--lag")
        let isJson = arguments.has("--json")
        var rows: [String] = []
        let isRight = try BenchShapes.run(try servers("shapes", arguments), options) { row in
            if !isJson { put(rows.isEmpty ? "\(BenchShapes.heading)\n\(row.line)" : row.line) }
            rows.append(row.json)
            Output.flush()
        }
        if isJson { put("{\"bench\":\"shapes\",\"rows\":[\(rows.joined(separator: ","))]}") }
        return isRight ? ExitCode.done : ExitCode.failed
    }

    /// 1 if a bound was passed.
    private static func console(_ arguments: Arguments) throws(Fault) -> Int32 {
        var options = BenchConsole.Options()
        options.alerts = try arguments.integer("--records", in: 1000...10_000_000) ?? options.alerts
        options.filtered = min(options.filtered, options.alerts / 2)
        options.seconds = try arguments.integer("--seconds", in: 1...36_000) ?? options.seconds
        if let seed = try arguments.integer("--seed", in: 0...Int.max) { options.seed = UInt64(seed) }
        let (report, isWithin) = try BenchConsole.run(
            try servers("console", arguments), options, program: "/proc/self/exe")
        put(arguments.has("--json") ? report.json : report.text)
        return isWithin ? ExitCode.done : ExitCode.failed
    }

    private static func servers(_ name: String, _ arguments: Arguments) throws(Fault) -> KafkaSettings {
        guard let servers = arguments.value("--bootstrap-server") else {
            throw Fault(.user, "bench \(name) needs a broker: --bootstrap-server 127.0.0.1:9092")
        }
        return KafkaSettings(bootstrapServers: servers)
    }

    /// 1 if something was missed, or raised without reason.
    private static func library(_ arguments: Arguments) throws(Fault) -> Int32 {
        let topologies = arguments.value("--topologies") ?? "Topologies"
        var options = LibraryOptions()
        if let seed = try arguments.integer("--seed", in: 0...Int.max) { options.seed = UInt64(seed) }
        let (report, scores) = try BenchLibrary.run(
            folder: arguments.value("--data"), generating: options, topologies: topologies)
        if arguments.has("--json") {
            put(report.json)
        } else {
            put(BenchLibrary.table(scores))
            put(report.text)
        }
        return scores.allSatisfy { $0.found == $0.planted && $0.isFalse == 0 }
            ? ExitCode.done : ExitCode.failed
    }

    /// 1 if something differed from the replay.
    private static func catchUp(_ arguments: Arguments) throws(Fault) -> Int32 {
        var options = BenchCatchUp.Options()
        options.folder = arguments.value("--data")
        options.topologies = arguments.value("--topologies") ?? options.topologies
        if let names = arguments.value("--topology") {
            options.names = names.split(separator: ",").map(String.init)
        }
        options.kills = try arguments.integer("--kills", in: 0...1000) ?? 0
        options.copies = try arguments.integer("--copies", in: 1...1000) ?? 1
        options.rate = try arguments.integer("--rate", in: 1...1_000_000)
        if let seed = try arguments.integer("--seed", in: 0...Int.max) { options.seed = UInt64(seed) }
        let (report, isRight) = try BenchCatchUp.run(try servers("catchup", arguments), options)
        print(arguments.has("--json") ? report.json : report.text)
        return isRight ? ExitCode.done : ExitCode.failed
    }

    /// 1 if a schedule's outputs were not those of a replay.
    private static func simulation(_ arguments: Arguments) throws(Fault) -> Int32 {
        // A seed is the same run only if dictionaries are in the same order.
        if getenv("SWIFT_DETERMINISTIC_HASHING") == nil {
            setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
            execv("/proc/self/exe", CommandLine.unsafeArgv)
        }
        var options = BenchSimulation.Options()
        if let seed = try arguments.integer("--seed", in: 0...Int.max) { options.seed = UInt64(seed) }
        options.schedules = try arguments.integer("--records", in: 1...100_000_000) ?? options.schedules
        options.only = arguments.value("--shape")
        if arguments.value("--plant") == "all" { return try everyMistake(options) }
        if let name = arguments.value("--plant") {
            guard let mistake = Mistake(rawValue: name) else {
                let names = Mistake.allCases.map(\.rawValue).joined(separator: ", ")
                throw Fault(.user, "--plant is all, or one of \(names), not '\(name)'")
            }
            options.mistake = mistake
        }
        let failed = try BenchSimulation(options).run { line in
            put(line)
            Output.flush()
        }
        return failed.isEmpty ? ExitCode.done : ExitCode.failed
    }

    /// Most show in the first ten schedules.
    private static let schedulesForMistakes = 300

    /// 1 if a mistake made on purpose is not found.
    private static func everyMistake(_ options: BenchSimulation.Options) throws(Fault) -> Int32 {
        var options = options
        options.schedules = schedulesForMistakes
        var missed: [String] = []
        for mistake in Mistake.allCases {
            options.mistake = mistake
            let found = try BenchSimulation(options).run { put("\(mistake.rawValue): \($0.prefix(200))") }
            Output.flush()
            if found.isEmpty { missed.append(mistake.rawValue) }
        }
        put(
            "\(Mistake.allCases.count - missed.count) of \(Mistake.allCases.count) mistakes are found within \(schedulesForMistakes) schedules each"
        )
        if !missed.isEmpty { say("error: not found: \(missed.joined(separator: ", "))") }
        return missed.isEmpty ? ExitCode.done : ExitCode.failed
    }

    private static func guarantee(_ text: String?) throws(Fault) -> TopologySpec.Guarantee {
        guard let text else { return .exactlyOnce }
        guard let guarantee = TopologySpec.Guarantee(rawValue: text) else {
            throw Fault(.user, "--guarantee is exactly-once or at-least-once, not '\(text)'")
        }
        return guarantee
    }

    private static func percents(_ text: String) throws(Fault) -> [Int] {
        try text.split(separator: ",").map { (part) throws(Fault) -> Int in
            guard let share = Int(part), (1...150).contains(share) else {
                throw Fault(
                    .user, "--share is percents of the sustainable rate, such as 25,50,75, not '\(text)'")
            }
            return share
        }
    }

    private static func report(_ name: String, _ arguments: Arguments) throws(Fault) -> BenchReport {
        let records = try arguments.integer("--records", in: 1000...1_000_000_000)
        switch name {
        case "operators":
            return try BenchOperators.run(
                records: records ?? 4_000_000,
                keys: try arguments.integer("--keys", in: 1...10_000_000) ?? 10_000,
                slideSeconds: try arguments.integer("--slide", in: 1...300) ?? 10)
        case "tables":
            return try BenchTables.run(
                records: records ?? 4_000_000,
                keys: try arguments.integer("--keys", in: 1...10_000_000) ?? 100_000)
        case "decode": return try BenchDecode.run(records: records ?? 2_000_000)
        case "kafka": return try BenchKafka.run(try servers(name, arguments), records: records ?? 3_000_000)
        case "profile":
            return try BenchProfile.run(
                try servers(name, arguments), records: records ?? 3_000_000,
                shape: arguments.value("--shape") ?? "base")
        case "latency":
            let guarantee = try guarantee(arguments.value("--guarantee"))
            let seconds = try arguments.integer("--seconds", in: 1...3600)
            if let shares = arguments.value("--share") {
                return try BenchLatency.run(
                    try servers(name, arguments), shares: try percents(shares),
                    seconds: max(3, seconds ?? 300),
                    guarantee: guarantee)
            }
            return try BenchLatency.run(
                try servers(name, arguments),
                rate: try arguments.integer("--rate", in: 100...10_000_000) ?? 50_000,
                seconds: seconds ?? 15, guarantee: guarantee)
        case "peers":
            guard let classPath = arguments.value("--class-path") else {
                throw Fault(.user, "bench peers needs --class-path; see Tests/Peers/compare")
            }
            var options = BenchPeers.Options()
            options.classPath = classPath
            options.records = try arguments.integer("--records", in: 100_000...100_000_000) ?? options.records
            options.flinkClassPath = arguments.value("--flink-class-path")
            options.flinkTimes = try arguments.integer("--flink-times", in: 1...30) ?? options.flinkTimes
            options.rate = try arguments.integer("--rate", in: 100...1_000_000) ?? options.rate
            options.seconds = try arguments.integer("--seconds", in: 5...3600) ?? options.seconds
            return try BenchPeers.run(try servers(name, arguments), options)
        case "restart":
            return try BenchRestart.run(
                try servers(name, arguments),
                keys: try arguments.integer("--keys", in: 1000...2_000_000) ?? 100_000,
                program: "/proc/self/exe")
        case "planned":
            return try BenchPlanned.run(
                try servers(name, arguments),
                rate: try arguments.integer("--rate", in: 500...100_000) ?? 5000,
                program: "/proc/self/exe")
        case "allocations": return try BenchAllocations.run(records: records ?? 2_000_000)
        case "score": return try BenchScore.run(records: records ?? 200_000)
        case "redis": return try BenchRedis.run(keys: records ?? 100_000)
        default: throw Fault(.user, "unknown bench '\(name)'; there is \(benches)")
        }
    }
}
