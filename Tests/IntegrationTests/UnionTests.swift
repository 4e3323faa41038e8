import Base
import Connectors
import Engine
import Foundation
import Records
import Testing
import Topology

/// Windows over a union of topics that are days apart, on a real broker.
@Suite(.serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)) struct UnionTests {
    static let partitions = 3

    static func topology(_ name: String, _ web: String, _ shop: String) -> String {
        let sources = [("web", web), ("shop", shop)].map { source, topic in
            """
              \(source):
                kafka: { topic: \(topic) }
                key: merchant
                time: { field: at, out_of_order: 5s, idle: 10m }
                schema: { merchant: text, buyer: text, amount: int, at: timestamp }
            """
        }
        return """
            topology: \(name)
            latency: 1h
            sources:
            \(sources.joined(separator: "\n"))
            steps:
              all: { from: [web, shop] }
              merchants: { from: all, key: merchant, window: { size: 10m, slide: 1m }, aggregate: { n: count(), s: sum(amount), buyers: distinct(buyer) } }
              buyers: { from: all, key: buyer, window: { size: 1d, zone: Europe/Berlin }, aggregate: { n: count(), s: sum(amount) } }
            rules:
              busy: { on: merchants, when: n >= 4, clear: n < 2, at: close, risk: r, severity: low, message: "{merchant}: {n}" }
            sinks:
              alerts: { kafka: { topic: \(name)-alerts } }
              windows: { kafka: { topic: \(name)-windows }, from: [merchants, buyers] }
            """
    }

    struct Order {
        var merchant: String
        var json: String

        init(_ merchant: Int, _ buyer: Int, _ amount: Int64, _ time: Int64) {
            self.merchant = "M\(merchant)"
            json =
                "{\"merchant\":\"M\(merchant)\",\"buyer\":\"B\(buyer)\",\"amount\":\(amount),\"at\":\"\(CivilTime.string(time))\"}"
        }
    }

    /// `ahead`: of the times. At the end time goes far on, in every partition.
    static func orders(_ random: inout SplitMix64, ahead: Int64, end: Int64) -> [Order] {
        var time: Int64 = 1_767_225_600_000 + ahead
        let orders = (0..<400).map { _ in
            time += Int64(random.next() % 60_000)
            return Order(
                Int(random.next() % 9), Int(random.next() % 7), Int64(random.next() % 90),
                time - Int64(random.next() % 3000))
        }
        return orders + (0..<30).map { Order(100 + $0, 100 + $0, 0, end) }
    }

    static func partition(_ merchant: String) -> Int32 {
        Int32(merchant.utf8.reduce(0) { ($0 + Int($1)) % partitions })
    }

    /// Windows of the records that only make time go on never close.
    static func essences(_ texts: [String]) -> [String] {
        texts.map(RepartitionTests.essence).filter {
            !$0.contains("=M1") && !$0.contains("=B1") || !$0.contains("s=0")
        }
    }

    static func replay(_ spec: TopologySpec, _ inputs: [String: [Order]]) throws -> [String] {
        let folder = NSTemporaryDirectory() + "/millrace-union-\(getpid())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for (name, orders) in inputs {
            try (orders.map(\.json).joined(separator: "\n") + "\n").write(
                toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
        }
        var result: [String] = []
        var replay = try Replay(
            spec, inputs: inputs.keys.map { ($0, ["\(folder)/\($0)"]) }, keepsResults: true)
        _ = try replay.run(
            output: { outbox throws(Fault) in
                for record in outbox.records {
                    if case .sink = record.destination, let value = outbox.value(of: record) {
                        result.append(String(decoding: value, as: UTF8.self))
                    }
                }
            }, progress: { _, _, _ in })
        return essences(result)
    }

    /// Goal: windows hold what lies in them though one topic is read two days ahead of the other, by workers
    /// that begin again in between. Method: a replay of both in the order of time.
    @Test func windowsOverTopicsThatAreApartAgreeWithTheReplay() throws {
        let cluster = try KafkaCluster.shared()
        let topics = try ["web", "shop"].map { try cluster.makeTopic($0, partitions: Self.partitions) }
        let name = "union-\(UInt32.random(in: 0...UInt32.max))"
        let seed = UInt64.random(in: 1...1_000_000)
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let end: Int64 = 1_767_225_600_000 + 10 * 86_400_000
        let web = Self.orders(&random, ahead: 2 * 86_400_000, end: end)
        let shop = Self.orders(&random, ahead: 0, end: end)
        let (read, problems) = TopologyReader.read(
            Self.topology(name, topics[0], topics[1]), file: "union.yaml")
        let spec = try #require(read, "\(problems)")
        let settings = cluster.settings(group: name)
        try KafkaAdmin(settings).create(
            ["alerts", "windows"].map { KafkaTopicPlan(name: "\(name)-\($0)", partitions: Self.partitions) })
        let expected = try Self.replay(spec, ["web": web, "shop": shop])
        #expect(expected.count > 500 && expected.contains { $0.contains("raised") })

        let feeder = try KafkaFeeder(settings)
        let targets = try topics.map { try feeder.topic($0) }
        let readers = try ["alerts", "windows"].map { try KafkaReader(settings, topic: "\(name)-\($0)") }
        var live: [String] = []
        // All of one topic, then the other in two parts.
        for round in 0..<3 {
            var options = Worker.Options(kafka: settings)
            options.lanes = 2
            let worker = Worker(spec, options)
            let failure = LockedFault()
            let thread = Thread { do { try worker.run() } catch { failure.set("\(error)") } }
            thread.start()
            #expect(WorkerTests.wait(seconds: 120) { worker.isReady || failure.text != nil })
            let part =
                round == 0 ? web[...] : round == 1 ? shop[..<(shop.count / 2)] : shop[(shop.count / 2)...]
            for order in part {
                try feeder.send(
                    to: targets[round == 0 ? 0 : 1], key: order.merchant, value: order.json,
                    partition: Self.partition(order.merchant))
            }
            try feeder.flush()
            let wanted = [0, expected.count / 10, expected.count][round]
            let isThere = WorkerTests.wait(seconds: 120) {
                for reader in readers {
                    _ = try? reader.poll(timeoutMilliseconds: 20) {
                        if let text = $0.valueText { live += Self.essences([text]) }
                    }
                }
                let read = worker.statuses.flatMap(\.partitions).reduce(0) {
                    $0 + ($1.source < 2 ? $1.records : 0)
                }
                return live.count >= wanted && read >= Int64(part.count) || failure.text != nil
            }
            #expect(isThere, "\(live.count) of \(wanted)")
            worker.stop()
            #expect(WorkerTests.wait(seconds: 120) { thread.isFinished })
            #expect(failure.text == nil)
        }
        let (missing, strange) = (Set(expected).subtracting(live), Set(live).subtracting(expected))
        #expect(live.count == Set(live).count, "something came twice")
        #expect(missing.isEmpty, "\(missing.count) missing, one of them \(missing.first ?? "")")
        #expect(strange.isEmpty, "\(strange.count) strange, one of them \(strange.first ?? "")")
    }
}
