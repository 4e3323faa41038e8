import Base
import Connectors
import Engine
import Foundation
import Marketplace
import Records
import Testing
import Topology

/// The whole program on a real broker and a real Redis.
@Suite(.serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)) struct WorkerTests {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    static func spec(topic: String, alerts: String) throws -> TopologySpec {
        let path = root.path + "/Topologies/marketplace/topology.yaml"
        let spec = try TopologyFile.read(path, parameters: ["topic": topic, "alerts": alerts]) { _ in }
        return try #require(spec)
    }

    /// What two runs must agree on: all of an alert but when it was detected and where the record stood.
    static func essence(_ json: String) -> String {
        let object = (try? JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]) ?? [:]
        let names = ["alert_id", "rule", "state", "customer", "event_time", "message"]
        return names.map { "\(object[$0] ?? "")" }.joined(separator: " | ")
    }

    static func wait(seconds: Double, until condition: () -> Bool) -> Bool {
        let deadline = Date().addingTimeInterval(seconds)
        while !condition() {
            if Date() > deadline { return false }
            usleep(20_000)
        }
        return true
    }

    /// Goal: a file replayed and the same records through Kafka raise the same alerts, each once, in order
    /// per merchant; the metrics are in Redis and on /metrics; Redis away for a while costs no alert and
    /// delays none.
    @Test func replayAndKafkaAgreeWhileRedisComesAndGoes() throws {
        let cluster = try KafkaCluster.shared()
        let redis = try #require(try PrivateRedis.start(), "redis-server is installed by deploy/install")
        defer { redis.stop() }
        let orders = try cluster.makeTopic("orders", partitions: 4)
        let alerts = try cluster.makeTopic("risk-alerts", partitions: 4)
        let spec = try Self.spec(topic: orders, alerts: alerts)
        var options = MarketplaceOptions(seed: 3, merchants: 60, ordersPerDay: 4000)
        options.fraudPerMille = 150
        options.outOfOrderMilliseconds = 0

        // The file, and what replay makes of it.
        let folder = NSTemporaryDirectory() + "/millrace-worker-\(getpid())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var marketplace = try Marketplace(options)
        let events = MarketplaceEvents()
        while marketplace.next(into: events, eventsMax: 10_000) > 0 {}
        let text = String(
            decoding: UnsafeBufferPointer(start: events.bytes.base, count: events.bytes.count), as: UTF8.self)
        try text.write(toFile: folder + "/orders.jsonl", atomically: true, encoding: .utf8)
        var replayed: [String] = []
        var replay = try Replay(spec, inputs: [("orders", [folder + "/orders.jsonl"])], keepsResults: false)
        _ = try replay.run(
            output: { outbox throws(Fault) in
                for record in outbox.records {
                    if case .sink = record.destination, let value = outbox.value(of: record) {
                        replayed.append(String(decoding: value, as: UTF8.self))
                    }
                }
            }, progress: { _, _, _ in })
        #expect(replayed.count > 10)

        // The same through Kafka; half of it while Redis does not answer.
        var workerOptions = Worker.Options(kafka: cluster.settings(group: "g-\(orders)"))
        workerOptions.lanes = 2
        workerOptions.redis = redis.address
        workerOptions.metricsPort = 0
        let worker = Worker(spec, workerOptions)
        let failure = LockedFault()
        let thread = Thread { do { try worker.run() } catch { failure.set("\(error)") } }
        thread.start()
        #expect(Self.wait(seconds: 120) { worker.isReady || failure.text != nil })
        let feeder = try KafkaFeeder(cluster.settings(group: ""))
        let target = try feeder.topic(orders)
        func send(_ range: Range<Int>) throws {
            for event in events.events[range] {
                try feeder.send(
                    to: target,
                    key: UnsafeBufferPointer(
                        start: events.bytes.base + event.keyOffset, count: Int(event.keyCount)),
                    value: UnsafeBufferPointer(
                        start: events.bytes.base + event.valueOffset, count: Int(event.valueCount)))
            }
            try feeder.flush()
        }
        func processed() -> Int64 { worker.statuses.reduce(0) { $0 + $1.records } }
        let half = events.events.count / 2
        try send(0..<half)
        redis.pause()
        try send(half..<events.events.count)
        #expect(Self.wait(seconds: 120) { processed() == Int64(events.events.count) || failure.text != nil })
        let reader = try KafkaReader(cluster.settings(group: ""), topic: alerts)
        var live: [String] = []
        // Alerts that only the end of the file brings are not expected from a stream that may go on.
        let last = events.events.map(\.time).max() ?? 0
        let expected = replayed.filter { alert in
            let time =
                (try? JSONSerialization.jsonObject(with: Data(alert.utf8)) as? [String: Any])?["event_time"]
                as? String
            return (CivilTime.parse(time ?? "")?.milliseconds ?? .max) <= last - 3_600_000
        }
        _ = Self.wait(seconds: 120) {
            _ = try? reader.poll(timeoutMilliseconds: 50) {
                if let value = $0.valueText { live.append(value) }
            }
            return live.count >= expected.count
        }
        let liveEssence = live.map(Self.essence)
        let missing = Set(expected.map(Self.essence)).subtracting(liveEssence)
        #expect(missing.isEmpty, "missing: \(missing.sorted().first ?? "")")
        let strange = Set(liveEssence).subtracting(replayed.map(Self.essence))
        #expect(strange.isEmpty, "not in the replay: \(strange.sorted().first ?? "")")
        #expect(Set(liveEssence).count == live.count, "an alert came twice")
        // All of them came while Redis was away.
        redis.resume()

        // Each merchant's hash holds the newest values.
        worker.stop()
        #expect(Self.wait(seconds: 120) { thread.isFinished })
        #expect(failure.text == nil)
        let check = try RedisReader(redis.address)
        #expect(try check.command("DBSIZE").integer ?? 0 > 10)
        let merchant = try #require(
            events.events.last.map { event in
                String(
                    decoding: UnsafeBufferPointer(
                        start: events.bytes.base + event.keyOffset, count: Int(event.keyCount)), as: UTF8.self
                )
            })
        let paid = text.split(separator: "\n").last {
            $0.contains("\"\(merchant)\"") && $0.contains("\"paid\"")
        }
        let hash = try check.hash("merchant:\(merchant)")
        #expect(hash["today.orders"].flatMap { Int($0) } ?? 0 > 0, "\(paid ?? "") \(hash)")
        #expect(try check.timeToLive("merchant:\(merchant)") > 0)
    }

    /// Goal: a worker that is stopped and started goes on where it committed: no record twice, none left out.
    @Test func aSecondWorkerGoesOnWhereTheFirstCommitted() throws {
        let cluster = try KafkaCluster.shared()
        let orders = try cluster.makeTopic("orders", partitions: 2)
        let alerts = try cluster.makeTopic("risk-alerts", partitions: 2)
        let spec = try Self.spec(topic: orders, alerts: alerts)
        let feeder = try KafkaFeeder(cluster.settings(group: ""))
        let target = try feeder.topic(orders)
        for round in 0..<3 {
            for number in 0..<500 {
                let order =
                    "{\"order_id\":\"o\(round)-\(number)\",\"merchant_id\":\"M\(number % 7)\",\"buyer_id\":\"b\","
                    + "\"kind\":\"shipped\",\"amount\":1.00,\"event_time\":\"2026-01-01T00:00:00Z\"}"
                try feeder.send(
                    to: target, key: "M\(number % 7)", value: number % 10 == 0 ? "not JSON" : order)
            }
            if round == 0 {
                let keyless =
                    "{\"order_id\":\"o\",\"merchant_id\":\"M1\",\"buyer_id\":\"b\",\"kind\":\"shipped\",\"amount\":1.00,\"event_time\":\"2026-01-01T00:00:00Z\"}"
                try feeder.send(to: target, key: nil, value: keyless)
            }
            try feeder.flush()
            let worker = Worker(spec, Worker.Options(kafka: cluster.settings(group: "g-\(orders)")))
            let failure = LockedFault()
            let thread = Thread { do { try worker.run() } catch { failure.set("\(error)") } }
            thread.start()
            func processed() -> Int64 { worker.statuses.reduce(0) { $0 + $1.records } }
            #expect(
                Self.wait(seconds: 120) { processed() >= (round == 0 ? 501 : 500) || failure.text != nil })
            worker.stop()
            #expect(Self.wait(seconds: 120) { thread.isFinished })
            #expect(failure.text == nil)
            #expect(processed() == (round == 0 ? 501 : 500), "round \(round)")
        }
        let reader = try KafkaReader(cluster.settings(group: ""), topic: "marketplace-dead-letter")
        var dead = 0
        var headers: [String: String] = [:]
        _ = Self.wait(seconds: 120) {
            _ = try? reader.poll(timeoutMilliseconds: 50) { record in
                let named = Dictionary(record.headers.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
                guard named["__streams.errors.topic"] == orders else { return }
                if record.key == nil {
                    #expect(named["__streams.errors.exception"] == "millrace.NullKey")
                    return
                }
                dead += 1
                headers = named
            }
            return dead >= 150
        }
        #expect(dead == 150)
        #expect(headers["__streams.errors.exception"] == "millrace.MalformedRecord")
        #expect(headers["__streams.errors.partition"] != nil && headers["__streams.errors.offset"] != nil)
        #expect(headers["millrace.errors.step"] == "orders")
    }

    @Test func aMissingTopicIsNamed() throws {
        let cluster = try KafkaCluster.shared()
        let spec = try Self.spec(topic: "nowhere", alerts: "risk-alerts")
        let worker = Worker(spec, Worker.Options(kafka: cluster.settings(group: "g")))
        #expect { try worker.run() } throws: { error in "\(error)".contains("'nowhere' does not exist") }
    }
}

final class LockedFault: @unchecked Sendable {
    private let lock = NSLock()
    private var value: String?
    var text: String? { lock.withLock { value } }
    func set(_ text: String) { lock.withLock { value = text } }
}
