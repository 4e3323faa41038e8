import Base
import Connectors
import Engine
import Foundation
import Testing

/// A topology of the library on workers that die, fed with files of JSON lines.
final class LibraryRig {
    let cluster: KafkaCluster
    let group = "lib-\(UInt32.random(in: 0...UInt32.max))"
    let program: Program
    let partitions: Int
    private(set) var workers: [WorkerProcess] = []
    private var fed: Int64 = 0

    var kafka: String { "--bootstrap-server \(cluster.bootstrapServers)" }
    var alertTopic: String { "\(group)-alerts" }

    /// `topics`: those that it reads, as its text names them.
    init(_ text: String, topics: [String], partitions: Int) throws {
        cluster = try KafkaCluster.shared()
        program = try Program()
        self.partitions = partitions
        var text = text
        for topic in topics { text = text.replacing("topic: \(topic) ", with: "topic: \(group)-\(topic) ") }
        text = text.replacing(/topology: [a-z-]+/, with: "topology: \(group)", maxReplacements: 1)
        text = text.replacing("default: orders,", with: "default: \(group)-orders,")
        text = text.replacing("default: risk-alerts", with: "default: \(alertTopic)")
        try program.write("start.yaml", text)
        try KafkaAdmin(cluster.settings(group: "admin")).create(
            topics.map { KafkaTopicPlan(name: "\(group)-\($0)", partitions: partitions) })
    }

    deinit { for worker in workers { worker.kill() } }

    /// Rows of one topic by the key that `key` takes from a line.
    func feed(_ topic: String, _ lines: some Sequence<Substring>, key: (Substring) -> String?) throws {
        let feeder = try KafkaFeeder(cluster.settings(group: ""))
        let target = try feeder.topic("\(group)-\(topic)")
        for line in lines {
            try feeder.send(to: target, key: key(line), value: String(line))
            fed += 1
        }
        try feeder.flush()
    }

    static func field(_ name: String) -> (Substring) -> String? {
        { line in
            line.firstRange(of: "\"\(name)\":\"").map { String(line[$0.upperBound...].prefix { $0 != "\"" }) }
        }
    }

    func startWorkers(_ count: Int) throws {
        for number in 0..<count {
            let worker = WorkerProcess(
                "w\(number)",
                WorkerProcess.Setup(
                    topology: "\(program.folder)/start.yaml", folder: program.folder,
                    bootstrapServers: cluster.bootstrapServers, parameters: [:]))
            try worker.start()
            workers.append(worker)
        }
        #expect(CrashRun.wait(seconds: 120) { self.workers.allSatisfy { $0.isReady } })
    }

    /// `kill -9`, and again.
    func kill(_ number: Int) throws {
        workers[number].kill()
        try workers[number].start()
        #expect(CrashRun.wait(seconds: 120) { self.workers.allSatisfy { $0.isReady } })
    }

    func deploy(_ words: String) throws -> Program.Result {
        try program.shell("$MILLRACE deploy start.yaml \(words) \(kafka) --timeout 20")
    }

    /// Everything that was fed was read, and what it gives is committed.
    func stopWhenRead(_ topics: [String]) throws {
        #expect(CrashRun.wait(seconds: 180) { (try? self.isRead(topics)) == true })
        for worker in workers { #expect(worker.terminate(seconds: 60) == .exit(0), "\(worker.lastWords)") }
    }

    /// The group's committed positions stand behind every record that was fed, and then behind what came of
    /// them in repartition topics: that was committed with the former.
    private func isRead(_ topics: [String]) throws -> Bool {
        let positions = try cluster.run(["groups", "--describe", "--group", group])
        var read: [String: [Int32: Int64]] = [:]
        for line in positions.split(separator: "\n") {
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            guard words.count > 5, words[1].hasPrefix(group), let partition = Int32(words[2]) else {
                continue
            }
            read[String(words[1]), default: [:]][partition] = Int64(words[3]) ?? 0
        }
        // A table that every lane has all of is no topic of the group.
        let own = topics.map { "\(group)-\($0)" }.filter { read[$0] != nil }
        guard !own.isEmpty, try isRead(own, read) else { return false }
        if between.isEmpty {
            between = try ends(of: read.keys.filter { $0.hasSuffix("-repartition") })
            return between.isEmpty
        }
        return between.allSatisfy { topic, ends in
            ends.allSatisfy { read[topic]?[$0.key] ?? 0 >= $0.value }
        }
    }

    /// By repartition topic, where it ended when every source was read: tasks go on telling each other the
    /// time.
    private var between: [String: [Int32: Int64]] = [:]

    private func isRead(_ topics: [String], _ read: [String: [Int32: Int64]]) throws -> Bool {
        try ends(of: topics).allSatisfy { topic, ends in
            ends.allSatisfy { read[topic]?[$0.key] ?? 0 >= $0.value }
        }
    }

    private func ends(of topics: [String]) throws -> [String: [Int32: Int64]] {
        var ends: [String: [Int32: Int64]] = [:]
        for topic in topics {
            let reader = try KafkaReader(cluster.settings(group: ""), topic: topic)
            while !reader.isAtEnd {
                try reader.poll(timeoutMilliseconds: 100) {
                    ends[topic, default: [:]][$0.partition] = $0.offset + 1
                }
            }
        }
        return ends
    }

    func alerts() throws -> [String] {
        var alerts: [String] = []
        let reader = try KafkaReader(cluster.settings(group: ""), topic: alertTopic)
        while !reader.isAtEnd {
            try reader.poll(timeoutMilliseconds: 100) { if let value = $0.valueText { alerts.append(value) } }
        }
        return alerts
    }

    static func stripped(_ alert: some StringProtocol) -> String {
        String(alert).replacing(/"detected_at":"[^"]*",/, with: "")
    }

    /// What the cluster gave is what `replay --activations` gives, of each customer in its order.
    func compareWithReplay() throws {
        let made = try program.shell(
            "$MILLRACE rules export \(group) --topology start.yaml --records \(kafka) > log.jsonl && "
                + "$MILLRACE replay --activations log.jsonl > replayed.jsonl")
        #expect(made.code == 0, "\(made.errors)")
        func byCustomer(_ alerts: [String]) -> [String: [String]] {
            Dictionary(grouping: alerts) { Self.field("customer")($0[...]) ?? "" }
                .mapValues { $0.map(Self.stripped) }
        }
        let found = byCustomer(try alerts())
        let expected = byCustomer(
            (program.read("replayed.jsonl") ?? "").split(separator: "\n").map(String.init))
        for customer in Set(found.keys).union(expected.keys).sorted() {
            let (one, other) = (found[customer] ?? [], expected[customer] ?? [])
            let place = zip(one, other).prefix { $0 == $1 }.count
            #expect(
                one == other,
                "\(customer): \(one.count) for \(other.count); \(one.dropFirst(place).first ?? "none")\nfor \(other.dropFirst(place).first ?? "none")"
            )
        }
        print("\(found.values.reduce(0) { $0 + $1.count }) alerts of \(found.count) customers")
    }

    /// Each of these alerts gives itself again out of a file that needs no Kafka.
    func bundle(_ alerts: [String]) throws {
        for alert in alerts {
            let id = String(alert.dropFirst("{\"alert_id\":\"".count).prefix(32))
            let isCleared = alert.contains("\"state\":\"cleared\"")
            let made = try program.shell(
                "$MILLRACE bundle \(id) --topology start.yaml\(isCleared ? " --cleared" : "") \(kafka) --out . && "
                    + "$MILLRACE replay --bundle \(id).bundle.jsonl")
            #expect(made.code == 0, "\(id): \(made.output)\(made.errors)")
            let last = made.output.split(separator: "\n").last ?? ""
            #expect(Self.stripped(last) == Self.stripped(alert))
        }
    }
}
