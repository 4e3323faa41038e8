import Base
import Connectors
import Engine
import Foundation
import Records
import Testing
import Topology

/// Windows of another key than their topic's, on a real broker.
@Suite(.serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)) struct RepartitionTests {
    static let partitions = 4

    static func topology(_ name: String, _ orders: String) -> String {
        """
        topology: \(name)
        sources:
          orders:
            kafka: { topic: \(orders) }
            key: merchant_id
            time: { field: event_time, out_of_order: 5s, idle: 2s }
            schema: { merchant_id: text, buyer_id: text, amount: decimal(2), event_time: timestamp }
        steps:
          large: { from: orders, where: amount >= 1.00 }
          merchants: { from: large, key: merchant_id, window: { size: 10m }, aggregate: { n: count(), amount: sum(amount) } }
          buyers:
            from: large
            key: buyer_id
            window: { size: 5m, slide: 1m }
            aggregate: { n: count(), amount: sum(amount), least: min(amount), shops: distinct(merchant_id) }
        rules:
          busy: { on: buyers, when: n >= 12, clear: n < 8, at: close, risk: r, severity: low, message: "{buyer_id}: {n}" }
        sinks:
          alerts: { kafka: { topic: \(name)-alerts } }
          windows: { kafka: { topic: \(name)-windows }, from: [merchants, buyers] }
        """
    }

    struct Order {
        var json: String
        var merchant: String
        var time: Int64
    }

    /// In event-time order up to the out-of-order bound; at the end time goes far on.
    static func orders(_ random: inout SplitMix64, count: Int) -> [Order] {
        var time: Int64 = 1_767_225_600_000
        func order(_ merchant: String, _ buyer: String, _ time: Int64, _ cents: Int64) -> Order {
            let json =
                "{\"merchant_id\":\"\(merchant)\",\"buyer_id\":\"\(buyer)\",\"amount\":\"\(Decimal.string(cents, scale: 2))\","
                + "\"event_time\":\"\(CivilTime.string(time))\"}"
            return Order(json: json, merchant: merchant, time: time)
        }
        let orders = (0..<count).map { _ in
            time += Int64(random.next() % 600)
            let behind = Int64(random.next() % 2000)
            return order(
                "M\(random.next() % 40)", "B\(random.next() % 25)", time - behind,
                Int64(random.next() % 9000) + 50)
        }
        // Too small to count, they only say in each partition that time has gone on.
        let last = (0..<40).map { order("M\($0)", "B", time + 10_800_000, 1) }
        return orders + last
    }

    /// Goal: alerts and windows of a key that is spread over all partitions are those of all records
    /// together, while one partition is empty, and however often a worker begins again. Method: a replay in
    /// one task.
    @Test func windowsOfAnotherKeyAgreeWithTheReplay() throws {
        let cluster = try KafkaCluster.shared()
        let topic = try cluster.makeTopic("orders", partitions: Self.partitions)
        let name = "rep-\(UInt32.random(in: 0...UInt32.max))"
        let seed = UInt64.random(in: 1...1_000_000)
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let orders = Self.orders(&random, count: 6000)
        let (read, problems) = TopologyReader.read(Self.topology(name, topic), file: "rep.yaml")
        let spec = try #require(read, "\(problems)")
        let settings = cluster.settings(group: name)
        try KafkaAdmin(settings).create(
            ["alerts", "windows"].map { KafkaTopicPlan(name: "\(name)-\($0)", partitions: Self.partitions) })
        let expected = try Self.replay(spec, orders)
        #expect(expected.count > 500 && expected.contains { $0.contains("raised") })

        let feeder = try KafkaFeeder(settings)
        let target = try feeder.topic(topic)
        var live: [String] = []
        let readers = try ["alerts", "windows"].map { try KafkaReader(settings, topic: "\(name)-\($0)") }
        for round in 0..<3 {
            var options = Worker.Options(kafka: settings)
            options.lanes = 2
            let worker = Worker(spec, options)
            let failure = LockedFault()
            let thread = Thread { do { try worker.run() } catch { failure.set("\(error)") } }
            thread.start()
            #expect(WorkerTests.wait(seconds: 120) { worker.isReady || failure.text != nil })
            for order in orders[orders.count * round / 3..<orders.count * (round + 1) / 3] {
                try feeder.send(
                    to: target, key: order.merchant, value: order.json,
                    partition: Self.partition(order.merchant))
            }
            try feeder.flush()
            let wanted = round < 2 ? expected.count / 4 * round : expected.count
            let isThere = WorkerTests.wait(seconds: 120) {
                for reader in readers {
                    _ = try? reader.poll(timeoutMilliseconds: 20) {
                        if let text = $0.valueText { live.append(Self.essence(text)) }
                    }
                }
                return live.count >= wanted || failure.text != nil
            }
            #expect(isThere, "\(live.count) of \(wanted)")
            worker.stop()
            #expect(WorkerTests.wait(seconds: 120) { thread.isFinished })
            #expect(failure.text == nil)
        }
        let (missing, strange) = (Set(expected).subtracting(live), Set(live).subtracting(expected))
        let (count, unique) = (live.count, Set(live).count)
        #expect(count == unique, "something came twice")
        #expect(missing.isEmpty, "\(missing.count) missing, one of them \(missing.first ?? "")")
        #expect(strange.isEmpty, "\(strange.count) strange, one of them \(strange.first ?? "")")
    }

    /// Goal: a partition whose only record is ten minutes older than the others' holds no window back once it
    /// is quiet.
    @Test func aQuietPartitionWithAnOldRecordHoldsNothingBack() throws {
        let cluster = try KafkaCluster.shared()
        let topic = try cluster.makeTopic("visits", partitions: 2)
        let windows = try cluster.makeTopic("windows", partitions: 2)
        let text = """
            topology: quiet-\(UInt32.random(in: 0...UInt32.max))
            sources:
              visits:
                kafka: { topic: \(topic) }
                key: user
                time: { field: ts, idle: 1s }
                schema: { user: text, shop: text, ts: timestamp }
            steps:
              shops: { from: visits, key: shop, window: { size: 10s }, aggregate: { n: count() } }
            sinks:
              windows: { kafka: { topic: \(windows) }, from: [shops] }
            """
        let spec = try #require(TopologyReader.read(text, file: "quiet.yaml").spec)
        let settings = cluster.settings(group: spec.name)
        let feeder = try KafkaFeeder(settings)
        let target = try feeder.topic(topic)
        func visit(_ partition: Int32, _ time: Int64) throws {
            let json = "{\"user\":\"u\(partition)\",\"shop\":\"s\",\"ts\":\(time)}"
            try feeder.send(to: target, key: "u\(partition)", value: json, partition: partition)
        }
        let now = SystemClock().nowMilliseconds
        try visit(1, now - 600_000)
        for second in 0..<3 { try visit(0, now - 60_000 + Int64(second) * 20_000) }
        try feeder.flush()
        var options = Worker.Options(kafka: settings)
        options.lanes = 1
        let worker = Worker(spec, options)
        let failure = LockedFault()
        let thread = Thread { do { try worker.run() } catch { failure.set("\(error)") } }
        thread.start()
        defer {
            worker.stop()
            #expect(WorkerTests.wait(seconds: 120) { thread.isFinished })
        }
        let reader = try KafkaReader(settings, topic: windows)
        var closed = 0
        // By the clock of the old record it would take nine minutes and more.
        let isThere = WorkerTests.wait(seconds: 120) {
            _ = try? reader.poll(timeoutMilliseconds: 20) { (_: KafkaReader.Record) in closed += 1 }
            return closed >= 4 || failure.text != nil
        }
        #expect(isThere && failure.text == nil, "\(closed) \(failure.text ?? "")")
    }

    /// Partition 0 stays empty.
    static func partition(_ merchant: String) -> Int32 {
        1 + Int32(hash(merchant) % UInt64(partitions - 1))
    }

    private static func hash(_ text: String) -> UInt64 {
        var text = text
        return text.withUTF8 { bytes in bytes.baseAddress.map { hashBytes($0, bytes.count) } ?? 0 }
    }

    /// All but when it was detected, where it stood and how far time had come: partitions differ in those.
    static func essence(_ json: String) -> String {
        let object = (try? JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]) ?? [:]
        return ["alert_id", "step", "state", "event_time", "window", "key", "values", "message"].map { name in
            guard let value = object[name] else { return "" }
            guard let nested = value as? [String: Any] else { return "\(value)" }
            return nested.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
        }.joined(separator: " | ")
    }

    static func replay(_ spec: TopologySpec, _ orders: [Order]) throws -> [String] {
        let file = NSTemporaryDirectory() + "/millrace-repartition-\(getpid()).jsonl"
        defer { unlink(file) }
        let text = orders.map(\.json).joined(separator: "\n") + "\n"
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        var result: [String] = []
        var replay = try Replay(spec, inputs: [("orders", [file])], keepsResults: true)
        _ = try replay.run(
            output: { outbox throws(Fault) in
                for record in outbox.records {
                    if case .sink = record.destination, let value = outbox.value(of: record) {
                        result.append(essence(String(decoding: value, as: UTF8.self)))
                    }
                }
            }, progress: { _, _, _ in })
        return result
    }
}
