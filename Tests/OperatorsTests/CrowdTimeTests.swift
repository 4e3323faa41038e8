import Base
import Dataflow
import Engine
import Foundation
import Records
import Testing
import Topology

@testable import Operators

/// Goal: records far ahead of all others make none of them late, and count. Method: streams with such
/// records, one, now and then, or many in a row, as they are read live and as they are caught up with, with
/// and without crashes, against windows of all records.
@Suite struct CrowdTimeTests {
    typealias Event = WindowOracleTests.Event

    /// 2026-01-01.
    static let start: Int64 = 1_767_225_600_000
    static let sizes: [(window: String, size: Int64, slide: Int64, previous: Bool)] = [
        ("{ size: 60s }", 60_000, 60_000, false), ("{ size: 5m, slide: 10s }", 300_000, 10_000, false),
        ("{ size: 60s, slide: 20s, until: previous }", 60_000, 20_000, true),
    ]

    /// Events that come in order, but for `disorder`, and when each comes.
    static func stream(
        _ random: inout SplitMix64, count: Int, step: UInt64, disorder: UInt64, leapsPerMille: UInt64,
        burst: UInt64
    ) -> (events: [Event], arrivals: [Int64]) {
        var time = start
        var leaping = 0
        var lead: Int64 = 0
        var events: [Event] = []
        var arrivals: [Int64] = []
        for _ in 0..<count {
            time += Int64(random.next() % step)
            if leaping == 0, !events.isEmpty, random.next() % 1000 < leapsPerMille {
                leaping = 1 + Int(random.next() % burst)
                lead = 70_000 + Int64(random.next() % 3_480_000)
            }
            var event = time - Int64(random.next() % (disorder + 1))
            if leaping > 0 {
                event += lead
                leaping -= 1
            }
            arrivals.append(time)
            events.append(
                Event(
                    key: "k\(random.next() % 5)", value: Int64(random.next() % 90) - 20,
                    flag: random.next() % 2 == 0, time: event))
        }
        return (events, arrivals)
    }

    static func spec(_ window: String, outOfOrder: UInt64) throws -> TopologySpec {
        let text = """
            topology: t
            sources:
              in:
                kafka: { topic: in }
                time: { field: time, out_of_order: \(outOfOrder)ms, ahead: 1h }
                schema: { key: text, value: int?, flag: bool, time: timestamp }
            steps:
              w: { from: in, key: key, window: \(window), aggregate: \(WindowOracleTests.aggregates) }
            rules:
              every: { on: w, when: n >= 3 and s > 10, risk: r, severity: low }
            sinks:
              alerts: { kafka: { topic: alerts } }
              results: { kafka: { topic: results }, from: w }
            """
        let (spec, diagnostics) = TopologyReader.read(text, file: "t.yaml")
        return try #require(spec, "\(diagnostics)")
    }

    /// Reads the stream in batches, as it comes or long after that.
    final class Reader {
        let spec: TopologySpec
        let events: [Event]
        let arrivals: [Int64]
        let clock = ManualClock(0)
        var pipeline: Pipeline
        var task: TaskState
        var output = WindowOracleTests.Output()
        let storage = RawRecordStorage(capacity: 2048)
        var outbox = Outbox()
        var log = ChangelogTests.Log()
        var restores = 0

        init(_ spec: TopologySpec, _ events: [Event], _ arrivals: [Int64]) {
            self.spec = spec
            self.events = events
            self.arrivals = arrivals
            pipeline = Self.pipeline(spec, events, clock)
            task = pipeline.makeTask(partition: 0)
        }

        static func pipeline(_ spec: TopologySpec, _ events: [Event], _ clock: ManualClock) -> Pipeline {
            let decoder = WindowOracleTests.FixedDecoder()
            decoder.events = events
            return Pipeline(
                spec, decoders: [decoder], zones: ZoneTables([:]),
                options: Pipeline.Options(clock: clock, tracksChanges: true))
        }

        func take(_ rows: Range<Int>) {
            for (place, row) in rows.enumerated() {
                storage.offsets[place] = Int64(row)
                storage.valueCounts[place] = -1
                storage.keyCounts[place] = -1
                storage.timestamps[place] = arrivals[row]
            }
            pipeline.process(
                RawRecords(at: storage, from: 0, count: rows.count), source: 0, task: task, outbox: &outbox)
            collect()
        }

        func collect() {
            WindowOracleTests.collect(outbox, into: &output)
            outbox.removeAll()
        }

        func commit(_ next: Int) {
            pipeline.collectChanges(task, positions: [0: Int64(next)], into: &outbox)
            log.append(outbox)
            outbox.removeAll()
        }

        func restore() throws {
            restores += 1
            pipeline = Self.pipeline(spec, events, clock)
            task = pipeline.makeTask(partition: 0)
            try ChangelogTests.restore(pipeline, task, log, from: 0)
        }

        func finish() {
            pipeline.finish(task, outbox: &outbox)
            collect()
        }
    }

    static func check(
        _ output: WindowOracleTests.Output, _ events: [Event], _ place: Int, _ note: String
    ) {
        let (_, size, slide, previous) = sizes[place]
        #expect(output.late == 0, "\(note)")
        let expected = WindowOracleTests.closed(
            events, size: size, slide: slide, previous: previous, outOfOrder: 1_000_000_000)
        #expect(output.results.count == expected.count, "\(note)")
        for result in output.results {
            guard let key = result["key"], let start = result["start"].flatMap({ Int64($0) }),
                let end = result["end"].flatMap({ Int64($0) }),
                let members = expected[WindowOracleTests.Window(key: key, start: start, end: end)]
            else {
                Issue.record("\(note): a window nobody expects: \(result)")
                continue
            }
            for (name, value) in WindowOracleTests.aggregate(members) where result[name] != value {
                Issue.record(
                    "\(note): \(key) at \(start): \(name) is \(result[name] ?? "nothing"), not \(value)")
            }
        }
    }

    @Test(arguments: [true, false], [7, 500]) func oneRecordFarAheadMakesNoneLate(isLive: Bool, rows: Int)
        throws
    {
        var random = SplitMix64(seed: 3)
        var (events, arrivals) = Self.stream(
            &random, count: 2500, step: 400, disorder: 1500, leapsPerMille: 0, burst: 1)
        events[124].time += 59 * 60_000
        for place in Self.sizes.indices {
            let reader = Reader(try Self.spec(Self.sizes[place].window, outOfOrder: 2000), events, arrivals)
            reader.clock.nowMilliseconds = Self.start + 86_400_000
            var next = 0
            while next < events.count {
                let end = min(next + rows, events.count)
                if isLive { reader.clock.nowMilliseconds = arrivals[end - 1] }
                reader.take(next..<end)
                next = end
            }
            // It did not stand still either.
            #expect(reader.task.watermarks[0] > arrivals[2300] - 10_000)
            #expect(reader.task.watermarks[0] <= arrivals[2499])
            reader.finish()
            Self.check(reader.output, events, place, "window \(place), live \(isLive), batches of \(rows)")
        }
    }

    @Test(arguments: 0..<3) func manyRecordsAheadAndCrashesMakeNoneLate(place: Int) throws {
        for seed in UInt64(1)...6 {
            print("seed \(seed)")
            var random = SplitMix64(seed: seed &* 91)
            let (events, arrivals) = Self.stream(
                &random, count: 600, step: seed % 3 == 0 ? 60 : 700, disorder: seed % 2 * 1500,
                leapsPerMille: 1 + seed % 4 * 10, burst: seed > 4 ? 100 : 3)
            let reader = Reader(
                try Self.spec(Self.sizes[place].window, outOfOrder: seed % 2 * 2000), events, arrivals)
            let isLive = seed % 2 == 0 || seed == 1
            reader.clock.nowMilliseconds = isLive ? 0 : Self.start + 86_400_000
            var (next, committed) = (0, 0)
            var saved = reader.output
            while committed < events.count {
                let end = min(next + 1 + Int(random.next() % 40), events.count)
                if isLive, end > next {
                    reader.clock.nowMilliseconds = max(reader.clock.nowMilliseconds, arrivals[end - 1])
                }
                if end > next { reader.take(next..<end) }
                next = end
                if random.next() % 6 == 0 {
                    reader.output = saved
                    try reader.restore()
                    next = max(0, Int(reader.task.positions[0]))
                    #expect(next == committed)
                } else if random.next() % 2 == 0 || next == events.count {
                    reader.commit(next)
                    (saved, committed) = (reader.output, next)
                }
            }
            #expect(reader.restores > 1)
            reader.finish()
            Self.check(reader.output, events, place, "seed \(seed), window \(place), live \(isLive)")
        }
    }

    // MARK: Event time goes on

    /// A batch of one record; true if it leaps.
    @discardableResult
    static func take(_ crowd: inout CrowdTime, _ time: Int64, appended: Int64, now: Int64) -> Bool {
        var leaps = false
        if time &- crowd.reached > crowd.step {
            leaps = crowd.leap(time, appended: appended, row: 1, now: now)
        } else {
            crowd.reached = max(crowd.reached, time)
        }
        crowd.endBatch(rows: 1, appended: appended, now: now)
        return leaps
    }

    /// A record an hour, live, caught up with, and from a producer whose clock stands: it has come.
    @Test func whatIsNotAheadIsNoLeap() {
        for (appended, now): (Int64, Int64) in [(300, 300), (300, 86_400_000), (-Self.start, 300)] {
            var crowd = CrowdTime(outOfOrder: 0, hasClock: true)
            for hour in Int64(0)..<5 {
                let time = Self.start + hour * 3_600_000
                let leaps = Self.take(&crowd, time, appended: time + appended, now: time + now)
                #expect(!leaps && crowd.reached == time)
            }
        }
    }

    /// One whose time in Kafka is its own wrong one is told by the clock, and, once the clock has come there,
    /// not at all.
    @Test func aProducerThatSetsTheTimeInKafkaIsToldByTheClock() {
        var crowd = CrowdTime(outOfOrder: 0, hasClock: true)
        Self.take(&crowd, Self.start, appended: Self.start, now: Self.start)
        let leaps = Self.take(
            &crowd, Self.start + 3_600_000, appended: Self.start + 3_600_000, now: Self.start + 5)
        #expect(leaps && crowd.reached == Self.start + 5)
    }

    @Test func aCrowdThatLeapsIsFollowed() {
        var crowd = CrowdTime(outOfOrder: 2000, hasClock: true)
        let now = Self.start + 86_400_000
        Self.take(&crowd, Self.start, appended: Self.start, now: now)
        for record in 0..<Int64(CrowdTime.confirmations) {
            #expect(crowd.reached == Self.start)
            Self.take(&crowd, Self.start + 7_200_000 + record, appended: Self.start, now: now)
        }
        #expect(crowd.reached == Self.start + 7_200_000)
    }

    /// All clocks of a platform are two minutes ahead of Kafka's: event time goes on with Kafka's, and, once
    /// so many records agree, two minutes ahead of it; after a restart too, and whether it is read at once or
    /// later.
    @Test(arguments: [0, 3_600_000]) func aPlatformWhoseClocksAreAheadIsFollowed(later: Int64) {
        for (outOfOrder, step): (Int64, Int64) in [(2000, 1), (2000, 30_000)] {
            var crowd = CrowdTime(outOfOrder: outOfOrder, hasClock: true)
            for record in Int64(0)..<Int64(CrowdTime.confirmations * 3) {
                let arrival = Self.start + record * step
                Self.take(&crowd, arrival + 120_000, appended: arrival, now: arrival + later)
                #expect(crowd.reached >= arrival)
                if record > CrowdTime.confirmations {
                    #expect(crowd.reached >= arrival + 117_000, "record \(record)")
                }
                if record % 1300 == 1299 {
                    let reached = crowd.reached
                    crowd = CrowdTime(outOfOrder: outOfOrder, hasClock: true)
                    crowd.restore(reached: reached, appended: arrival)
                }
            }
        }
    }

    @Test func withoutAClockEventTimeIsAsItIs() {
        var crowd = CrowdTime(outOfOrder: 0, hasClock: false)
        for time: Int64 in [-5, 7, 3, Self.start, Self.start + 86_400_000_000] {
            let leaps = Self.take(&crowd, time, appended: -1, now: .max)
            #expect(!leaps)
        }
        #expect(crowd.reached == Self.start + 86_400_000_000)
    }
}
