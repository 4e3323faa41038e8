import Base
import Connectors
import Engine
import Foundation
import Records
import Testing
import Topology

/// Tables on a real broker: a co-partitioned one and one that every lane has all of.
@Suite(.serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)) struct TableWorkerTests {
    static func spec(orders: String, registry: String, regions: String, joined: String) throws -> TopologySpec
    {
        let text = """
            topology: tables
            sources:
              orders:
                kafka: { topic: \(orders) }
                time: { field: at }
                schema: { id: text, merchant: text, at: timestamp }
              registry:
                kafka: { topic: \(registry) }
                time: { field: since }
                table: { key: merchant, versions: 365d }
                schema: { merchant: text, city: text, since: timestamp }
              regions:
                kafka: { topic: \(regions) }
                time: { field: since }
                table: { key: city, versions: 365d, broadcast: true }
                schema: { city: text, region: text, since: timestamp }
            steps:
              placed: { from: orders, key: merchant, join: { table: registry, on: merchant, kind: left } }
              located: { from: placed, key: merchant, join: { table: regions, on: registry.city, kind: left, select: [region] } }
            sinks:
              joined: { kafka: { topic: \(joined) }, from: located }
            """
        let (spec, diagnostics) = TopologyReader.read(text, file: "t.yaml")
        return try #require(spec, "\(diagnostics)")
    }

    /// A worker on a thread.
    final class Run {
        let worker: Worker
        let failure = LockedFault()
        private let thread: Thread

        init(_ spec: TopologySpec, _ options: Worker.Options) {
            let worker = Worker(spec, options)
            let failure = failure
            self.worker = worker
            thread = Thread { do { try worker.run() } catch { failure.set("\(error)") } }
            thread.start()
        }

        func stop() {
            worker.stop()
            let thread = thread
            #expect(WorkerTests.wait(seconds: 120) { thread.isFinished })
            #expect(failure.text == nil)
        }
    }

    /// Goal: orders that were there before the worker find tables that were there too; updates and deletions
    /// are seen while it runs; after a restart the tables are as they were, and what came meanwhile is seen.
    @Test func tablesAreReadFirstAndFollowedAndSurvive() throws {
        let cluster = try KafkaCluster.shared()
        let orders = try cluster.makeTopic("orders", partitions: 4)
        let registry = try cluster.makeTopic("registry", partitions: 4, ["cleanup.policy": "compact"])
        let regions = try cluster.makeTopic("regions", partitions: 2, ["cleanup.policy": "compact"])
        let joined = try cluster.makeTopic("joined", partitions: 4)
        let spec = try Self.spec(orders: orders, registry: registry, regions: regions, joined: joined)
        let feeder = try KafkaFeeder(cluster.settings(group: ""))
        let (toOrders, toRegistry, toRegions) = (
            try feeder.topic(orders), try feeder.topic(registry), try feeder.topic(regions)
        )
        var number = 0
        func order(_ merchant: String, _ at: String) throws -> String {
            number += 1
            try feeder.send(
                to: toOrders, key: merchant,
                value: "{\"id\":\"o\(number)\",\"merchant\":\"\(merchant)\",\"at\":\"\(at)\"}")
            return "o\(number)"
        }
        func register(_ merchant: String, _ city: String, _ since: String) throws {
            try feeder.send(
                to: toRegistry, key: merchant,
                value: "{\"merchant\":\"\(merchant)\",\"city\":\"\(city)\",\"since\":\"\(since)\"}")
        }
        func locate(_ city: String, _ region: String) throws {
            try feeder.send(
                to: toRegions, key: city,
                value: "{\"city\":\"\(city)\",\"region\":\"\(region)\",\"since\":\"2026-01-01T00:00:00Z\"}")
        }
        // Orders come first, so that only the worker can make them wait.
        var expected: [String: String] = [:]
        for index in 0..<2000 {
            expected[try order("M\(index)", "2026-03-01T00:00:00Z")] = "c\(index % 10) r\(index % 10)"
        }
        for index in 0..<20_000 {
            try register(
                "M\(index % 2000)", "c\(index % 2000 % 10)", "2026-02-0\(1 + index / 2500)T00:00:00Z")
        }
        for city in 0..<10 { try locate("c\(city)", "r\(city)") }
        try feeder.flush()

        let reader = try KafkaReader(cluster.settings(group: ""), topic: joined)
        var found: [String: String] = [:]
        var twice = 0
        func read() {
            _ = try? reader.poll(timeoutMilliseconds: 50) { record in
                let object =
                    try? JSONSerialization.jsonObject(with: Data((record.valueText ?? "").utf8))
                    as? [String: Any]
                guard let object, let id = object["id"] as? String else { return }
                if found[id] != nil { twice += 1 }
                found[id] =
                    "\(object["registry.city"] as? String ?? "none") \(object["regions.region"] as? String ?? "none")"
            }
        }
        var options = Worker.Options(kafka: cluster.settings(group: "g-\(orders)"))
        options.lanes = 2
        /// Orders are sent until one finds what is expected, since nobody says when an update was read.
        func sees(_ merchant: String, _ at: String, _ wanted: String) throws -> Bool {
            for _ in 0..<40 {
                let id = try order(merchant, at)
                try feeder.flush()
                guard
                    WorkerTests.wait(
                        seconds: 20,
                        until: {
                            read()
                            return found[id] != nil
                        })
                else { return false }
                expected[id] = found[id]
                if found[id] == wanted { return true }
                usleep(100_000)
            }
            return false
        }
        var run = Run(spec, options)
        var isThere = WorkerTests.wait(seconds: 120) {
            read()
            return found.count >= expected.count || run.failure.text != nil
        }
        #expect(isThere)
        let wrong = expected.filter { found[$0.key] != $0.value }
        #expect(
            wrong.isEmpty,
            "\(wrong.count) of \(expected.count), like \(wrong.first.map { "\($0) \(found[$0.key] ?? "")" } ?? "")"
        )

        try register("M3", "c4", "2026-04-01T00:00:00Z")
        try locate("c5", "elsewhere")
        try feeder.send(to: toRegistry, key: "M6", value: nil)
        try feeder.flush()
        #expect(try sees("M3", "2026-04-01T00:00:00Z", "c4 r4"))
        // As of then.
        #expect(try sees("M3", "2026-03-31T23:59:59Z", "c3 r3"))
        #expect(try sees("M5", "2026-04-01T00:00:00Z", "c5 elsewhere"))
        let now = CivilTime.string(SystemClock().nowMilliseconds + 5000)
        #expect(try sees("M6", now, "none none"))
        #expect(try sees("M6", "2026-03-01T00:00:00Z", "c6 r6"))
        run.stop()

        try register("M7", "c8", "2026-05-01T00:00:00Z")
        try locate("c9", "far")
        let waiting = [
            try order("M7", "2026-05-01T00:00:00Z"), try order("M3", "2026-05-01T00:00:00Z"),
            try order("M9", "2026-05-01T00:00:00Z"),
        ]
        try feeder.flush()
        run = Run(spec, options)
        isThere = WorkerTests.wait(seconds: 120) {
            read()
            return waiting.allSatisfy { found[$0] != nil } || run.failure.text != nil
        }
        #expect(isThere)
        #expect(waiting.map { found[$0] } == ["c8 r8", "c4 r4", "c9 far"])
        #expect(try sees("M6", now, "none none"))
        #expect(try sees("M1999", "2026-05-01T00:00:00Z", "c9 far"))
        run.stop()
        #expect(twice == 0)
    }

    /// Goal: a table in Redis is looked up by the lanes of a worker; without Redis rows have no partner and
    /// go on.
    @Test func aTableInRedisIsLookedUp() throws {
        let cluster = try KafkaCluster.shared()
        let redis = try #require(try PrivateRedis.start(), "redis-server is installed by deploy/install")
        defer { redis.stop() }
        let orders = try cluster.makeTopic("orders", partitions: 2)
        let joined = try cluster.makeTopic("joined", partitions: 2)
        let text = """
            topology: limited
            sources:
              orders:
                kafka: { topic: \(orders) }
                time: { field: at }
                schema: { id: text, merchant: text, at: timestamp }
              limits:
                redis: { key: "limits:{merchant}", stale: 1ms, timeout: 1s }
                table: { key: merchant }
                schema: { merchant: text, most: decimal(2) }
            steps:
              all: { from: orders, join: { table: limits, on: merchant, kind: left } }
            sinks:
              joined: { kafka: { topic: \(joined) }, from: all }
            """
        let spec = try #require(TopologyReader.read(text, file: "t.yaml").spec)
        let writer = try RedisReader(redis.address)
        for merchant in 0..<50 {
            _ = try writer.command("HSET", "limits:M\(merchant)", "most", "\(merchant).00")
        }
        let feeder = try KafkaFeeder(cluster.settings(group: ""))
        let topic = try feeder.topic(orders)
        func send(_ range: Range<Int>) throws {
            for id in range {
                try feeder.send(
                    to: topic, key: "M\(id % 60)",
                    value: "{\"id\":\"\(id)\",\"merchant\":\"M\(id % 60)\",\"at\":\"2026-01-01T00:00:00Z\"}")
            }
            try feeder.flush()
        }
        let reader = try KafkaReader(cluster.settings(group: ""), topic: joined)
        var found: [Int: String] = [:]
        func hasAll(_ count: Int) -> Bool {
            _ = try? reader.poll(timeoutMilliseconds: 50) { record in
                let object =
                    try? JSONSerialization.jsonObject(with: Data((record.valueText ?? "").utf8))
                    as? [String: Any]
                guard let object, let id = (object["id"] as? String).flatMap({ Int($0) }) else { return }
                found[id] =
                    "\(object["limits.most"] as? String ?? "none") \(object["limits.found"] as? Bool ?? false)"
            }
            return found.count >= count
        }
        var options = Worker.Options(kafka: cluster.settings(group: "g-\(orders)"))
        #expect { try Worker(spec, options).run() } throws: {
            "\($0)".contains("table 'limits': no Redis was named")
        }
        options.redis = redis.address
        try send(0..<600)
        let run = Run(spec, options)
        #expect(WorkerTests.wait(seconds: 120) { hasAll(600) })
        #expect((0..<600).allSatisfy { found[$0] == ($0 % 60 < 50 ? "\($0 % 60).00 true" : "none false") })
        redis.kill()
        usleep(20_000)
        try send(600..<700)
        #expect(WorkerTests.wait(seconds: 120) { hasAll(700) })
        #expect((600..<700).allSatisfy { found[$0] == "none false" })
        #expect(
            run.worker.metricsText().contains("millrace_table_lookups_unanswered_total{table=\"limits\"}"))
        run.stop()
    }

    /// Goal: a table whose partitions do not match is refused with words; one that every lane has may have
    /// any number.
    @Test func unequalPartitionsAreRefused() throws {
        let cluster = try KafkaCluster.shared()
        let orders = try cluster.makeTopic("orders", partitions: 4)
        let other = try cluster.makeTopic("registry", partitions: 2)
        let spec = try Self.spec(orders: orders, registry: other, regions: other + "x", joined: "joined")
        let worker = Worker(spec, Worker.Options(kafka: cluster.settings(group: "g-\(orders)")))
        #expect { try worker.run() } throws: {
            "\($0)".contains("does not exist") && "\($0)".contains(other + "x")
        }
        let second = try Self.spec(orders: orders, registry: other, regions: orders, joined: "joined")
        #expect {
            try Worker(second, Worker.Options(kafka: cluster.settings(group: "g-\(orders)"))).run()
        } throws: {
            "\($0)".contains("have 4 and 2 partitions")
        }
    }
}
