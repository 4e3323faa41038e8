import Base
import Dataflow
import Engine
import Foundation
import Records
import Testing
import Topology

@testable import Operators

/// Goal: every window and aggregate is right after each record and at each close. Method: random streams with
/// disorder, late records and nulls against sums over all records kept in a list.
@Suite struct WindowOracleTests {
    struct Event {
        var key: String
        var value: Int64?
        var flag: Bool
        var time: Int64
    }

    /// Rows are given by the test, so nothing is parsed.
    final class FixedDecoder: RecordDecoder {
        var events: [Event] = []

        func decode(_ raw: RawRecords, into batch: Batch) {
            batch.arena.removeAll()
            batch.count = raw.count
            for row in 0..<raw.count {
                let event = events[Int(raw.offsets[row])]
                batch.status[row] = 0
                batch.columns[0].values[row] = batch.arena.append(event.key).packed
                batch.columns[0].valid[row] = 1
                batch.columns[1].values[row] = event.value ?? 0
                batch.columns[1].valid[row] = event.value == nil ? 0 : 1
                batch.columns[2].values[row] = event.flag ? 1 : 0
                batch.columns[2].valid[row] = 1
                batch.columns[3].values[row] = event.time
                batch.columns[3].valid[row] = 1
            }
        }

        func explain(_ row: Int, of batch: Batch, into text: Arena) {}
    }

    static let aggregates =
        "{ n: count(), f: count(flag), s: sum(value), lo: min(value), hi: max(value), a: avg(value), "
        + "fi: first(value), la: last(value), d: distinct(value), dev: stddev(value), q: \"quantile(value, 0.5)\", "
        + "from: window_start(), to: window_end() }"

    static func spec(window: String, outOfOrder: String) -> TopologySpec {
        let text = """
            topology: t
            sources:
              in:
                kafka: { topic: in }
                time: { field: time, out_of_order: \(outOfOrder) }
                schema: { key: text, value: int?, flag: bool, time: timestamp }
            steps:
              w:
                from: in
                key: key
                window: \(window)
                aggregate: \(aggregates)
            rules:
              every:
                on: w
                when: n >= 0 and f >= 0 and s > -1000000 and lo is not null or hi is null or a is null or fi is null or la is null or d >= 0 or dev is null or q is null or to > from
                clear: n >= 0
                risk: r
                severity: low
            sinks:
              alerts: { kafka: { topic: alerts } }
              results: { kafka: { topic: results }, from: w }
            """
        let (spec, diagnostics) = TopologyReader.read(text, file: "t.yaml")
        if spec == nil { Issue.record("\(diagnostics)") }
        return spec!
    }

    static func events(
        _ random: inout SplitMix64, count: Int, disorder: Int64, step: Int64, keys: UInt64 = 5
    ) -> [Event] {
        var time: Int64 = 1_000_000
        return (0..<count).map { _ in
            // Now and then a long pause, in which everything leaves.
            time += random.next() % 200 == 0 ? step * 400 : Int64(random.next() % UInt64(step))
            let behind = disorder == 0 ? 0 : Int64(random.next() % UInt64(disorder))
            return Event(
                key: "k\(random.next() % keys)",
                value: random.next() % 10 == 0 ? nil : Int64(random.next() % 90) - 20,
                flag: random.next() % 2 == 0, time: time - behind)
        }
    }

    struct Window: Hashable {
        var key: String
        var start: Int64
        var end: Int64
    }

    /// The closed windows as the topology defines them, from all records that were not late.
    static func closed(_ events: [Event], size: Int64, slide: Int64, previous: Bool, outOfOrder: Int64)
        -> [Window: [Event]]
    {
        var windows: [Window: [Event]] = [:]
        var greatest = Int64.min
        var watermark = Int64.min
        for event in events {
            greatest = max(greatest, event.time)
            watermark = max(watermark, greatest - outOfOrder)
            // Windows are [anchor end - size, anchor end); with `previous` they close a slide after their
            // end.
            var end = (event.time / slide + 1) * slide
            while end - size <= event.time {
                let closesAt = previous ? end + slide : end
                if closesAt > watermark {
                    windows[Window(key: event.key, start: end - size, end: end), default: []].append(event)
                }
                end += slide
            }
        }
        return windows
    }

    static func aggregate(_ events: [Event]) -> [String: String] {
        let values = events.compactMap(\.value)
        var result = [
            "n": "\(events.count)", "f": "\(events.filter(\.flag).count)",
            "s": values.isEmpty ? "null" : "\(values.reduce(0, +))",
        ]
        result["lo"] = values.min().map { "\($0)" } ?? "null"
        result["hi"] = values.max().map { "\($0)" } ?? "null"
        result["d"] = "\(Set(values).count)"
        let timed = events.filter { $0.value != nil }
        let first = timed.min { $0.time < $1.time }
        result["fi"] = first.flatMap { $0.value.map { "\($0)" } } ?? "null"
        var last: Event?
        for event in timed where event.time >= last?.time ?? .min { last = event }
        result["la"] = last.flatMap { $0.value.map { "\($0)" } } ?? "null"
        let sum = Int128(values.reduce(0, +))
        result["a"] =
            values.isEmpty
            ? "null"
            : "\"\(Decimal.string(Decimal.divideHalfEven(sum * 1_000_000, Int128(values.count)), scale: 6))\""
        return result
    }

    @Test(arguments: [
        ("{ size: 5m, slide: 10s }", 300_000, 10_000, false), ("{ size: 60s }", 60_000, 60_000, false),
        ("{ size: 30s, slide: 1s }", 30_000, 1000, false),
        ("{ size: 60s, slide: 20s, until: previous }", 60_000, 20_000, true),
        // More panes than a word has bits, and fewer values than are counted exactly.
        ("{ size: 70s, slide: 1s }", 70_000, 1000, false),
        ("{ size: 66s, slide: 1s, until: previous }", 66_000, 1000, true),
    ])
    func closedWindowsAgreeWithAllRecords(window: String, size: Int64, slide: Int64, previous: Bool) throws {
        for seed in UInt64(1)...4 {
            let disorder: Int64 = seed % 2 == 0 ? 0 : 4000
            print("seed \(seed), window \(window)")
            var random = SplitMix64(seed: seed)
            let events = Self.events(&random, count: 1500, disorder: disorder * 2, step: slide / 3 + 1)
            let spec = Self.spec(window: window, outOfOrder: "\(disorder)ms")
            var expected = Self.closed(
                events, size: size, slide: slide, previous: previous, outOfOrder: disorder)
            for rowsMax in [1, 37, 2048] {
                let results = Self.run(spec, events, rowsMax: rowsMax).results
                for result in results {
                    let key = Window(
                        key: result["key"]!, start: Int64(result["start"]!)!, end: Int64(result["end"]!)!)
                    guard let members = expected[key] else {
                        Issue.record("a window nobody expects: \(result)")
                        continue
                    }
                    for (name, value) in Self.aggregate(members) {
                        #expect(result[name] == value, "seed \(seed), \(key), \(name)")
                    }
                }
                #expect(results.count == expected.count, "seed \(seed), batches of \(rowsMax)")
            }
            expected = [:]
        }
    }

    /// Goal: what rules see after each record does not depend on batches. Method: all alerts of several
    /// sizes.
    @Test func alertsAreTheSameForEveryBatchSize() {
        var random = SplitMix64(seed: 11)
        print("seed 11")
        let events = Self.events(&random, count: 2000, disorder: 12_000, step: 1000)
        let spec = Self.spec(window: "{ size: 5s, slide: 1s }", outOfOrder: "3s")
        let first = Self.run(spec, events, rowsMax: 1)
        #expect(first.alerts.count > 500)
        #expect(first.late > 0)
        for rowsMax in [2, 7, 256, 2048] {
            let other = Self.run(spec, events, rowsMax: rowsMax)
            #expect(other.alerts.count == first.alerts.count, "batches of \(rowsMax)")
            let difference = zip(first.alerts, other.alerts).first { $0 != $1 }
            #expect(difference == nil, "batches of \(rowsMax)")
            #expect(other.late == first.late)
        }
    }

    /// Goal: running values are those of the window that is current at the key's newest record.
    @Test(
        arguments: [
            ("{ size: 60s, slide: 10s }", 60_000, 10_000), ("{ size: 60s, slide: 1s }", 60_000, 1000),
            ("{ size: 200s, slide: 1s }", 200_000, 1000),
        ] as [(String, Int64, Int64)])
    func runningValuesAgreeWithAllRecords(window: String, size: Int64, slide: Int64) {
        var random = SplitMix64(seed: 21)
        print("seed 21")
        let events = Self.events(&random, count: 3000, disorder: 0, step: 4000)
        let spec = Self.spec(window: window, outOfOrder: "0s")
        let run = Self.run(spec, events, rowsMax: 512)
        // The rule clears and raises in turn, so its alerts show the values after most records.
        var checked = 0
        for alert in run.alerts {
            guard let offset = Self.member(alert, "offset").flatMap({ Int($0) }) else { continue }
            let event = events[offset]
            let end = (event.time / slide + 1) * slide
            let members = events[...offset].filter {
                $0.key == event.key && $0.time >= end - size && $0.time < end
            }
            for (name, value) in Self.aggregate(Array(members)) {
                #expect(Self.member(alert, "w.\(name)") == value, "record \(offset), \(name)")
            }
            checked += 1
        }
        #expect(checked > 1000)
    }

    // MARK: Running

    struct Output {
        var alerts: [String] = []
        var results: [[String: String]] = []
        var late = 0
    }

    static func run(_ spec: TopologySpec, _ events: [Event], rowsMax: Int) -> Output {
        let decoder = FixedDecoder()
        decoder.events = events
        let pipeline = Pipeline(
            spec, decoders: [decoder], zones: ZoneTables([:]),
            options: Pipeline.Options(rowsMax: rowsMax, clock: nil))
        let task = pipeline.makeTask(partition: 0)
        let storage = RawRecordStorage(capacity: rowsMax)
        var outbox = Outbox()
        var output = Output()
        var next = 0
        while next < events.count {
            let count = min(rowsMax, events.count - next)
            for row in 0..<count {
                storage.offsets[row] = Int64(next + row)
                storage.valueCounts[row] = -1
                storage.keyCounts[row] = -1
            }
            pipeline.process(
                RawRecords(at: storage, from: 0, count: count), source: 0, task: task, outbox: &outbox)
            collect(outbox, into: &output)
            outbox.removeAll()
            next += count
        }
        pipeline.advance(
            source: 0, to: pipeline.endOfTime(source: 0, task: task), task: task, outbox: &outbox)
        collect(outbox, into: &output)
        return output
    }

    static func collect(_ outbox: borrowing Outbox, into output: inout Output) {
        for record in outbox.records {
            let text = outbox.value(of: record).map { String(decoding: $0, as: UTF8.self) } ?? ""
            switch record.destination {
            case .sink(0): output.alerts.append(text)
            case .sink:
                var result: [String: String] = [:]
                for name in ["n", "f", "s", "lo", "hi", "a", "fi", "la", "d"] {
                    result[name] = member(text, name)
                }
                result["key"] = member(text, "key\":{\"key").map { String($0.dropFirst().dropLast()) }
                for name in ["start", "end"] {
                    let stamp = member(text, name).map { String($0.dropFirst().dropLast()) } ?? ""
                    result[name] = CivilTime.parse(stamp).map { "\($0.milliseconds)" }
                }
                output.results.append(result)
            case .late: output.late += 1
            case .deadLetter, .changelog, .repartition, .acknowledgement:
                Issue.record("neither result nor alert: \(text)")
            }
        }
    }

    /// The raw value of a member of flat JSON.
    static func member(_ json: String, _ name: String) -> String? {
        guard let range = json.range(of: "\"\(name)\":") else { return nil }
        return String(json[range.upperBound...].prefix { $0 != "," && $0 != "}" })
    }
}
