import Base
import Connectors
import Engine
import Foundation
import Testing

/// A topology whose rules change, what it was fed, and what must come out.
final class RuleChangeRig {
    static let seed =
        ProcessInfo.processInfo.environment["MILLRACE_SEED"].flatMap(UInt64.init)
        ?? UInt64.random(in: 0..<1_000_000)

    private let cluster: KafkaCluster
    let group = "rules-\(UInt32.random(in: 0...UInt32.max))"
    let program: Program
    private let partitions: Int32
    private var fed: [Int32: [String]] = [:]
    private var time = Int64(Date().timeIntervalSince1970 * 1000) - 3_600_000

    var bootstrapServers: String { cluster.bootstrapServers }
    private var orders: String { "\(group)-orders" }
    private var topic: String { "\(group)-alerts" }

    init(partitions: Int32) throws {
        cluster = try KafkaCluster.shared()
        program = try Program()
        self.partitions = partitions
        try KafkaAdmin(cluster.settings(group: "admin")).create([
            KafkaTopicPlan(name: orders, partitions: Int(partitions))
        ])
        try program.write("start.yaml", text(burst: 1_000_000))
    }

    /// `burst`: records of a shop in ten seconds; nil: there is no such rule.
    func text(burst: Int?, usual: Int = 2, extra: String = "window: { size: 10s, slide: 2s }") -> String {
        let rule =
            burst.map {
                "  burst: { on: pace, when: n >= \($0), clear: n < 2, risk: r, severity: high, message: \"{n}\" }\n"
            } ?? ""
        return """
            topology: \(group)
            sources:
              orders:
                kafka: { topic: \(orders) }
                key: shop
                time: { field: t, out_of_order: 3s, idle: 1h }
                schema: { shop: text, amount: int, t: timestamp }
            steps:
              pace: { from: orders, key: shop, \(extra), aggregate: { n: count(), total: sum(amount) } }
              large: { from: orders, key: shop, where: amount > 900 }
            rules:
            \(rule)  rich: { on: pace, at: close, when: total > \(usual * 1000), risk: r, severity: low, message: "{total}" }
              large: { on: large, when: amount > \(900 + usual), risk: r, severity: low, message: "{amount}" }
            sinks:
              alerts: { kafka: { topic: \(topic) } }
            """
    }

    func variant(_ random: inout SplitMix64) -> String {
        text(
            burst: random.next() % 4 == 0 ? nil : 2 + Int(random.next() % 6),
            usual: 1 + Int(random.next() % 5))
    }

    func startWorker(_ name: String, _ extra: [String] = []) throws -> WorkerProcess {
        let worker = WorkerProcess(
            name,
            WorkerProcess.Setup(
                topology: "\(program.folder)/start.yaml", folder: program.folder,
                bootstrapServers: bootstrapServers, parameters: [:], extra: extra))
        try worker.start()
        return worker
    }

    private var number = 0

    func deploy(_ text: String, _ extra: String = "") throws -> Program.Result {
        number += 1
        try program.write("\(number).yaml", text)
        return try program.shell(
            "$MILLRACE deploy \(number).yaml --bootstrap-server \(bootstrapServers) --timeout 20 "
                + (extra.contains("--alerts-max") ? extra : "--alerts-max 1000000 \(extra)"))
    }

    func deployInBackground(_ text: String) throws -> Process {
        number += 1
        try program.write("\(number).yaml", text)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: WorkerProcess.program)
        process.arguments = [
            "deploy", "\(program.folder)/\(number).yaml", "--bootstrap-server", bootstrapServers, "--timeout",
            "20", "--alerts-max", "1000000",
        ]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }

    // MARK: Records

    private func send(_ rows: [(partition: Int32, key: String, value: String)]) throws {
        let feeder = try KafkaFeeder(cluster.settings(group: ""))
        let target = try feeder.topic(orders)
        for row in rows {
            try feeder.send(to: target, key: row.key, value: row.value, partition: row.partition)
            fed[row.partition, default: []].append(row.value)
        }
        try feeder.flush()
    }

    private func row(_ shop: Int, _ amount: Int, at time: Int64) -> (
        partition: Int32, key: String, value: String
    ) {
        (Int32(shop) % partitions, "s\(shop)", "{\"shop\":\"s\(shop)\",\"amount\":\(amount),\"t\":\(time)}")
    }

    func feed(_ count: Int, _ random: inout SplitMix64) throws {
        try send(
            (0..<count).map { _ in
                time += Int64(random.next() % 100)
                let late = random.next() % 30 == 0 ? 9000 : Int64(random.next() % 2500)
                return row(Int(random.next() % 40), Int(random.next() % 1000), at: time - late)
            })
    }

    func feedPlainly(shops: Int, each: Int) throws {
        try send((0..<each).flatMap { _ in (0..<shops).map { row($0, 1, at: time) } })
    }

    /// So far on that every window closes.
    func flush() throws {
        time += 600_000
        try send((0..<Int(partitions)).map { row($0, 1, at: time) })
    }

    /// The group has read everything.
    func isRead() throws -> Bool {
        let positions = try cluster.run(["groups", "--describe", "--group", group])
        var read: [Int32: Int] = [:]
        for line in positions.split(separator: "\n") {
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            guard words.count > 4, words[1] == orders, let partition = Int32(words[2]) else { continue }
            read[partition] = Int(words[3])
        }
        return fed.allSatisfy { read[$0.key] ?? 0 >= $0.value.count }
    }

    // MARK: What came out

    private func read(_ topic: String, _ body: (KafkaReader.Record) -> Void) throws {
        let reader = try KafkaReader(cluster.settings(group: ""), topic: topic)
        while !reader.isAtEnd { try reader.poll(timeoutMilliseconds: 100, body) }
    }

    func alerts() throws -> [String] {
        var alerts: [String] = []
        try read(topic) { if let value = $0.valueText { alerts.append(value) } }
        return alerts
    }

    /// Every alert is that of a replay that switches where the acknowledgements say, over the very records
    /// that were fed.
    func compare() throws {
        let made = try program.shell(
            "$MILLRACE rules export \(group) --topology start.yaml --records --bootstrap-server \(bootstrapServers) > log.jsonl && "
                + "$MILLRACE replay --activations log.jsonl > replayed.jsonl")
        #expect(made.code == 0, "\(made.errors)")
        let bundle = try BundleReader.read("\(program.folder)/log.jsonl")
        for (partition, values) in fed {
            let log = try #require(bundle.logs.first { $0.topic == orders && $0.partition == partition })
            #expect(log.records.map { $0.value.map { String(decoding: $0, as: UTF8.self) } } == values)
        }
        var (found, expected): ([String: [String]], [String: [String]]) = ([:], [:])
        for alert in try alerts() { found[customer(alert), default: []].append(stripped(alert)) }
        for alert in (program.read("replayed.jsonl") ?? "").split(separator: "\n") {
            expected[customer(String(alert)), default: []].append(stripped(String(alert)))
        }
        for key in Set(found.keys).union(expected.keys).sorted() {
            let (one, other) = (found[key] ?? [], expected[key] ?? [])
            let place =
                zip(one, other).enumerated().first { $0.element.0 != $0.element.1 }?.offset
                ?? min(one.count, other.count)
            #expect(
                one == other,
                "\(key): \(one.count) for \(other.count), at \(place): \(one.dropFirst(place).first ?? "none")\nfor \(other.dropFirst(place).first ?? "none")"
            )
        }
        print("\(found.values.reduce(0) { $0 + $1.count }) alerts in \(bundle.rulesets.count) rule sets")
    }

    /// Some alerts, raised and cleared, each give themselves again out of a file.
    func bundleSome(_ count: Int, _ random: inout SplitMix64) throws {
        let alerts = try alerts()
        try #require(!alerts.isEmpty)
        for _ in 0..<count {
            let alert = alerts[Int(random.next() % UInt64(alerts.count))]
            let id = String(alert.dropFirst("{\"alert_id\":\"".count).prefix(32))
            let published = alerts.filter { $0.contains(id) }.map(stripped)
            let made = try program.shell(
                "$MILLRACE bundle \(id) --topology start.yaml --cleared --bootstrap-server \(bootstrapServers) --out . && "
                    + "stat -c %a \(id).bundle.jsonl && $MILLRACE replay --bundle \(id).bundle.jsonl start.yaml"
            )
            #expect(made.code == 0, "\(id): \(made.output)\(made.errors)")
            let lines = made.output.split(separator: "\n").map(String.init)
            #expect(lines.count == 2 + published.count && lines[1] == "600", "\(made.output)")
            #expect(lines.dropFirst(2).map(stripped) == published)
        }
    }

    private func customer(_ alert: String) -> String {
        guard let start = alert.firstRange(of: "\"customer\":\"")?.upperBound else { return "" }
        return String(alert[start...].prefix { $0 != "\"" })
    }

    private func stripped(_ alert: String) -> String {
        alert.replacing(/"detected_at":"[^"]*",/, with: "")
    }
}
