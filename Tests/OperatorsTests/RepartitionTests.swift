import Base
import Dataflow
import Engine
import Formats
import Foundation
import Records
import Testing
import Topology

@testable import Operators

/// Goal: windows behind a repartition topic are those of one partition, whatever the number of partitions and
/// however unevenly they are read. Method: random streams through tasks and topics in memory, against the
/// same topology in one task, and against sums over what lies in the topics.
@Suite struct RepartitionTests {
    typealias Event = RepartitionBroker.Event

    static func spec(outOfOrder: Int64, extra: String = "") throws -> TopologySpec {
        let text = """
            topology: t
            sources:
              in:
                kafka: { topic: in }
                key: shop
                time: { field: time, out_of_order: \(outOfOrder)ms }
                schema: { shop: text, buyer: text, value: int?, flag: bool, time: timestamp }
            steps:
              some: { from: in, where: flag }
              shops: { from: some, key: shop, window: { size: 60s, slide: 20s }, aggregate: { n: count() } }
              buyers:
                from: some
                key: buyer
                window: { size: 30s, slide: 10s }
                aggregate: { n: count(), s: sum(value), lo: min(value), hi: max(value), a: avg(value), fi: first(value), la: last(value), d: distinct(value), q: "quantile(value, 0.5)" }
              past:
                from: in
                where: value > 0
                fields: { twice: value * 2 }
                key: [buyer, flag]
                window: { size: 60s, slide: 20s, until: previous }
                aggregate: { n: count(), s: sum(twice) }
              wide: { from: some, key: buyer, window: { size: 24h }, aggregate: { n: count(), last: last(time) } }
            rules:
              busy: { on: buyers, when: n > 3, at: close, risk: r, severity: low }
              fifth: { on: wide, when: n == 5, risk: r, severity: low }
            \(extra)
            sinks:
              alerts: { kafka: { topic: alerts } }
              results: { kafka: { topic: results }, from: [shops, buyers, past] }

            """
        let (spec, diagnostics) = TopologyReader.read(text, file: "t.yaml")
        return try #require(spec, "\(diagnostics)")
    }

    /// Times are all different, so that the first and the last value are. `isTied`: a buyer buys in one shop.
    static func events(
        _ random: inout SplitMix64, count: Int, disorder: Int64, isTied: Bool = false
    ) -> [Event] {
        var time: Int64 = 86_400_000 * 100
        return (0..<count).map { index in
            time += random.next() % 100 == 0 ? 90_000 : Int64(random.next() % 3000)
            let buyer = Int(random.next() % 12)
            let shop = isTied ? buyer : Int(random.next() % 12)
            let behind = disorder == 0 ? 0 : Int64(random.next() % UInt64(disorder))
            return Event(
                shop: "s\(shop)", buyer: "b\(buyer)",
                value: random.next() % 8 == 0 ? nil : Int64(random.next() % 40) - 10,
                flag: random.next() % 4 != 0,
                time: (time - behind) / 8192 * 8192 + Int64(index % 8192), index: index)
        }
    }

    static func place(_ partitions: Int, empty: Int?) -> (Event) -> Int {
        { event in
            let place = RepartitionBroker.partition(of: Array(event.shop.utf8), among: partitions)
            return place == empty ? (place + 1) % partitions : place
        }
    }

    static let end: Int64 = 86_400_000 * 102

    /// Tasks read by turns in random portions; a task reads up to 16 times as much as another.
    static func run(_ broker: RepartitionBroker, _ random: inout SplitMix64, skew: Int) {
        let speeds = (0..<broker.partitions).map { _ in 1 + Int(random.next() % 16) * skew }
        while !(0..<broker.partitions).allSatisfy(broker.isRead) {
            let task = Int(random.next() % UInt64(broker.partitions))
            switch random.next() % 4 {
            case 0: broker.read(task, 1 + Int(random.next() % 10) * speeds[task])
            case 1:
                // An empty partition is quiet from the start; one with records never is before its end.
                broker.carry(task, isQuiet: broker.inputs[task].isEmpty)
            default:
                for topic in broker.topics.indices {
                    broker.readTopic(topic, task, 1 + Int(random.next() % 200))
                }
            }
        }
        broker.finish(at: end)
    }

    /// Outputs of each sink and key in their order, without what depends on who has come how far: the
    /// partition and the watermark.
    static func sequences(_ broker: RepartitionBroker) -> [String: [String]] {
        Dictionary(
            grouping: broker.outputs.map { output -> (String, String) in
                var text = output.text
                if output.sink == 0, let cause = text.range(of: "\"cause\":{") {
                    // What comes last: the cause and how complete the windows were.
                    let offset = WindowOracleTests.member(text, "offset") ?? ""
                    text =
                        "\(text[..<cause.lowerBound]) offset \(offset) of \(WindowOracleTests.member(text, "topic") ?? "")"
                }
                let step =
                    WindowOracleTests.member(text, "step") ?? WindowOracleTests.member(text, "rule") ?? ""
                return ("\(output.sink) \(step) \(output.key)", "\(text) \(output.causedAt)")
            }, by: \.0
        ).mapValues { $0.map(\.1) }
    }

    @Test(arguments: [1, 3, 8])
    func windowsAndAlertsAreThoseOfOnePartition(partitions: Int) throws {
        for seed in UInt64(1)...4 {
            print("seed \(seed), \(partitions) partitions")
            var random = SplitMix64(seed: seed)
            let disorder: Int64 = seed % 2 == 0 ? 0 : 9000
            let events = Self.events(&random, count: 1000, disorder: disorder, isTied: true)
            // Times are rounded down to make them different.
            let spec = try Self.spec(outOfOrder: disorder + 8192)
            let whole = RepartitionBroker(spec, events, partitions: 1, isSplit: false) { _ in 0 }
            whole.finish(at: Self.end)
            let split = RepartitionBroker(
                spec, events, partitions: partitions,
                place: Self.place(partitions, empty: seed % 3 == 0 && partitions > 1 ? 1 : nil))
            Self.run(split, &random, skew: seed % 2 == 0 ? 4 : 1)
            #expect(whole.late.isEmpty && split.late.isEmpty && split.dead.isEmpty)
            let (expected, found) = (Self.sequences(whole), Self.sequences(split))
            #expect(expected.values.joined().contains { $0.contains("\"rule\":\"busy\"") })
            #expect(expected.values.joined().contains { $0.contains("\"rule\":\"fifth\"") })
            #expect(Set(expected.keys) == Set(found.keys))
            for (key, sequence) in expected {
                let difference = zip(sequence, found[key] ?? []).first { $0 != $1 }
                #expect(difference == nil, "seed \(seed), \(key)")
                #expect(sequence.count == found[key]?.count, "seed \(seed), \(key)")
            }
            let rows = split.topics.joined().joined().count { $0.key != nil }
            #expect(split.pipeline.counters.records == whole.pipeline.counters.records + Int64(rows))
        }
    }

    /// Two windows of one key from different conditions come over two topics, each with a watermark of its
    /// own, and a rule that compares them reads the one at rows and closes of the other.
    @Test func rowsOfOneTopicDoNotMoveWindowsOfAnother() throws {
        let text = """
            topology: t
            sources:
              in:
                kafka: { topic: in }
                key: shop
                time: { field: time, out_of_order: 12s }
                schema: { shop: text, buyer: text, value: int?, flag: bool, time: timestamp }
            steps:
              all: { from: in, where: flag, key: buyer, window: { size: 90s, slide: 30s }, aggregate: { n: count(), d: distinct(value), q: "quantile(value, 0.9)" } }
              good: { from: in, where: value > 0, key: buyer, window: { size: 2m, slide: 1m }, aggregate: { n: count(), hi: max(value) } }
              old: { from: in, where: value > 5, key: buyer, window: { size: 2d, slide: 1d, zone: Europe/Berlin, until: yesterday }, aggregate: { n: count(), d: days() } }
            rules:
              now: { on: { all, good, old }, when: all.n > 1 and good.n > 1 or old.n > 3, clear: all.n == 1, risk: r, severity: low }
              then: { on: { all, good }, at: close, when: all.n > good.n, risk: r, severity: low }
              later: { on: { good, old }, at: close, when: good.n > 2 or old.d > 1, risk: r, severity: low }
            sinks:
              alerts: { kafka: { topic: alerts } }
              results: { kafka: { topic: results }, from: [all, good, old] }

            """
        let (read, diagnostics) = TopologyReader.read(text, file: "t.yaml")
        let spec = try #require(read, "\(diagnostics)")
        let zones = ["Europe/Berlin": try TimeZoneTable.read("Europe/Berlin")]
        for seed in UInt64(21)...23 {
            print("seed \(seed)")
            var random = SplitMix64(seed: seed)
            var events = Self.events(&random, count: 1000, disorder: 3800)
            // Days pass, so that those windows close too.
            for index in events.indices where index > 600 { events[index].time += 86_400_000 }
            let whole = RepartitionBroker(spec, events, partitions: 1, isSplit: false, zones: zones) { _ in 0
            }
            whole.finish(at: Self.end + 3 * 86_400_000)
            let partitions = seed % 2 == 0 ? 3 : 1
            let split = RepartitionBroker(
                spec, events, partitions: partitions, zones: zones, place: Self.place(partitions, empty: nil))
            #expect(split.topics.count == 3)
            for task in 0..<partitions {
                while !split.isRead(task) {
                    split.read(task, 1 + Int(random.next() % 50))
                    split.carry(task)
                    // One topic far behind the others, another one each time.
                    for topic in split.topics.indices where topic != Int(seed % 3) || random.next() % 50 == 0
                    {
                        split.readTopic(
                            topic, Int(random.next() % UInt64(partitions)), Int(random.next() % 100))
                    }
                }
            }
            split.finish(at: Self.end + 3 * 86_400_000)
            #expect(whole.late.isEmpty && split.late.isEmpty && split.dead.isEmpty)
            let (expected, found) = (Self.sequences(whole), Self.sequences(split))
            #expect(split.outputs.contains { $0.sink == 0 })
            for (key, sequence) in expected where key.hasPrefix("1 ") {
                let difference = zip(sequence, found[key] ?? []).first { $0 != $1 }
                #expect(difference == nil, "seed \(seed), \(key)")
                #expect(sequence.count == found[key]?.count, "seed \(seed), \(key)")
            }
        }
    }

    // MARK: The oracle

    /// Records of a topic's partition in order, as the format defines them.
    struct Row {
        var key: String
        var value: Int64?
        var time: Int64
        var origin: RepartitionOrigin
        var isMark: Bool
        var isIdle: Bool
    }

    static func rows(_ records: [RepartitionBroker.Record], _ fields: [Field], partitions: Int) -> [Row] {
        let decoder = RepartitionDecoder(fields, partitions: partitions, capacity: 1)
        let batch = Batch(schema: Schema(fields), capacity: 1)
        let storage = RawRecordStorage(capacity: 1)
        return records.map { record in
            record.value.withUnsafeBufferPointer { value in
                storage.values[0] = value.baseAddress
                storage.valueCounts[0] = Int32(value.count)
                decoder.decode(RawRecords(at: storage, from: 0, count: 1), into: batch)
            }
            func column(_ name: String) -> Column? {
                fields.firstIndex { $0.name == name }.map { batch.columns[$0] }
            }
            let isMark = batch.status[0] == RowStatus.mark.rawValue
            let value = column("value")
            return Row(
                key: String(decoding: record.key ?? [], as: UTF8.self),
                value: value.flatMap { $0.valid[0] == 1 ? $0.values[0] : nil },
                time: isMark ? 0 : column("time")?.values[0] ?? 0, origin: decoder.origins[0], isMark: isMark,
                isIdle: isMark && decoder.idle[0] == 1)
        }
    }

    /// The closed windows of `buyers` in one task: a window has the rows that came before the least watermark
    /// of all partitions passed its end.
    static func closed(_ rows: [Row], partitions: Int, late: inout Int) -> [String: (count: Int, sum: Int64)]
    {
        var windows: [String: (count: Int, sum: Int64)] = [:]
        var upstream = Array(repeating: Int64?.none, count: partitions)
        var isIdle = Array(repeating: false, count: partitions)
        var watermark = Int64.min
        for row in rows {
            let place = Int(row.origin.writer)
            isIdle[place] = row.isIdle
            if row.origin.watermark != .min {
                upstream[place] = max(upstream[place] ?? .min, row.origin.watermark)
            }
            let heard = upstream.indices.filter { !isIdle[$0] }
            if heard.isEmpty {
                watermark = max(watermark, upstream.compactMap { $0 }.max() ?? watermark)
            } else if heard.allSatisfy({ upstream[$0] != nil }) {
                watermark = max(watermark, heard.compactMap { upstream[$0] }.min() ?? watermark)
            }
            if row.isMark { continue }
            var end = (row.time / 10_000 + 1) * 10_000
            if end + 20_000 <= watermark { late += 1 }
            while end - 30_000 <= row.time {
                if end > watermark {
                    let window = windows["\(row.key) \(CivilTime.string(end))"] ?? (0, 0)
                    windows["\(row.key) \(CivilTime.string(end))"] = (
                        window.count + 1, window.sum + (row.value ?? 0)
                    )
                }
                end += 10_000
            }
        }
        return windows
    }

    /// Rows that are late upstream or downstream, partitions that have no bound between them.
    @Test(arguments: [1, 3, 8])
    func disorderBeyondTheBoundIsJudgedByTheSlowestPartition(partitions: Int) throws {
        var lateTotal = 0
        for seed in UInt64(11)...14 {
            print("seed \(seed), \(partitions) partitions")
            var random = SplitMix64(seed: seed)
            let events = Self.events(&random, count: 1000, disorder: 120_000)
            let spec = try Self.spec(outOfOrder: 3000)
            let broker = RepartitionBroker(
                spec, events, partitions: partitions,
                place: Self.place(partitions, empty: seed % 2 == 0 && partitions > 1 ? 1 : nil))
            Self.run(broker, &random, skew: seed % 2 == 0 ? 2 : 0)
            var expected: [String: (count: Int, sum: Int64)] = [:]
            var late = 0
            var sent: [Int64] = []
            for partition in 0..<partitions {
                let rows = Self.rows(
                    broker.topics[0][partition], broker.spec.sources[1].schema.fields, partitions: partitions)
                expected.merge(Self.closed(rows, partitions: partitions, late: &late)) { one, _ in
                    Issue.record("a key in two partitions")
                    return one
                }
                sent += rows.filter { !$0.isMark }.map(\.origin.offset)
            }
            // Late or not, every row that the window takes in goes through, once.
            #expect(sent.sorted() == events.filter(\.flag).map { Int64($0.index) })
            let results = broker.outputs.filter { $0.text.contains("\"step\":\"buyers\"") }
            #expect(results.count == expected.count)
            for result in results {
                let end = WindowOracleTests.member(result.text, "end").map { $0.dropFirst().dropLast() } ?? ""
                let window = expected["\(result.key) \(end)"]
                #expect(WindowOracleTests.member(result.text, "n") == window.map { "\($0.count)" })
                let sum = WindowOracleTests.member(result.text, "s")
                #expect(sum == "null" || sum == window.map { "\($0.sum)" })
            }
            let found = broker.late.filter {
                $0.headers["__streams.errors.topic"] == "in" && $0.value.contains("buyer")
            }
            #expect(broker.dead.isEmpty)
            #expect(found.count >= late)
            lateTotal += late
        }
        #expect(lateTotal > 0)
    }
}
