import Base
import Dataflow
import Engine
import Foundation
import Records
import Testing
import Topology

@testable import Operators

/// Goal: rules at the record look at every window that a record changes, and time clears them where it
/// should. Method: random streams out of order, against the definition taken word by word over a list of all
/// records: which windows hold a record, oldest first, and every end of a window, one after the other.
@Suite struct RecordRuleOrderTests {
    typealias Event = WindowOracleTests.Event

    struct Window: Sendable {
        var text: String
        var size: Int64
        var slide: Int64
        var isPrevious = false
        /// What local time is ahead of UTC.
        var offset: Int64 = 0

        func pane(_ time: Int64) -> Int64 { Int64((Double(time + offset) / Double(slide)).rounded(.down)) }
        func start(_ pane: Int64) -> Int64 { pane * slide - offset }
        var span: Int64 { size / slide }
        /// Start and end of the window at an anchor.
        func bounds(_ anchor: Int64) -> (Int64, Int64) {
            isPrevious ? (start(anchor - span), start(anchor)) : (start(anchor - span + 1), start(anchor + 1))
        }
        /// Anchors whose windows hold a pane.
        func anchors(_ pane: Int64) -> (first: Int64, last: Int64) {
            isPrevious ? (pane + 1, pane + span) : (pane, pane + span - 1)
        }
    }

    static let day: Int64 = 86_400_000
    static let windows = [
        Window(text: "{ size: 60s }", size: 60_000, slide: 60_000),
        Window(text: "{ size: 60s, slide: 10s }", size: 60_000, slide: 10_000),
        Window(text: "{ size: 70s, slide: 1s }", size: 70_000, slide: 1000),
        Window(
            text: "{ size: 60s, slide: 20s, until: previous }", size: 60_000, slide: 20_000, isPrevious: true),
        Window(text: "{ size: 1d, zone: Asia/Shanghai }", size: day, slide: day, offset: 28_800_000),
        Window(
            text: "{ size: 6d, slide: 2d, zone: Asia/Shanghai }", size: 6 * day, slide: 2 * day,
            offset: 28_800_000),
        Window(
            text: "{ size: 3d, slide: 1d, zone: Asia/Shanghai, until: yesterday }", size: 3 * day, slide: day,
            isPrevious: true, offset: 28_800_000),
    ]

    /// The sum of records of which none has a value is null; that of no records is 0.
    typealias Totals = (n: Int, s: Int64?)

    struct Rule: Sendable {
        var when: String
        var clear: String?
        /// Of counts and sums of the rule's windows.
        var holds: @Sendable ([Totals]) -> Bool
        var clears: (@Sendable ([Totals]) -> Bool)?
    }

    static let rules = [
        Rule(when: "n >= 3", clear: nil, holds: { $0[0].n >= 3 }, clears: nil),
        Rule(when: "n >= 4", clear: "n < 2", holds: { $0[0].n >= 4 }, clears: { $0[0].n < 2 }),
        // More records may make it false; none does not.
        Rule(
            when: "n > 0 and s < 40", clear: nil, holds: { $0[0].n > 0 && $0[0].s.map { $0 < 40 } ?? false },
            clears: nil),
        // What is null is neither.
        Rule(
            when: "s < 25", clear: "s > 60", holds: { $0[0].s.map { $0 < 25 } ?? false },
            clears: { $0[0].s.map { $0 > 60 } ?? false }),
        Rule(
            when: "n > 1 and s is null", clear: "s is not null", holds: { $0[0].n > 1 && $0[0].s == nil },
            clears: { $0[0].s != nil }),
        Rule(when: "n < 3", clear: "n > 5", holds: { $0[0].n < 3 }, clears: { $0[0].n > 5 }),
    ]

    // MARK: Oracle

    /// The watermark after each event. `sources`: by event; the watermark is that of the slowest, once all
    /// are known.
    static func watermarks(_ events: [Event], _ sources: [Int], outOfOrder: Int64) -> [Int64] {
        var greatest = Array(repeating: Int64.min, count: (sources.max() ?? 0) + 1)
        return zip(events, sources).map { event, source in
            greatest[source] = max(greatest[source], event.time)
            let least = greatest.min() ?? .min
            return least == .min ? .min : least - outOfOrder
        }
    }

    /// One line for each alert. `watermarks`: after each event.
    static func oracle(
        _ events: [Event], _ watermarks: [Int64], _ windows: [Window], _ rule: Rule, until end: Int64
    ) -> [String] {
        var taken: [(event: Event, members: [Bool])] = []
        var raised: Set<String> = []
        var lines: [String] = []
        var watermark = Int64.min

        func values(_ key: String, _ anchors: [Int64]) -> [Totals] {
            windows.indices.map { place in
                let (start, end) = windows[place].bounds(anchors[place])
                let rows = taken.filter {
                    $0.members[place] && $0.event.key == key && $0.event.time >= start && $0.event.time < end
                }
                let values = rows.compactMap(\.event.value)
                return (rows.count, values.isEmpty && !rows.isEmpty ? nil : values.reduce(0, +))
            }
        }
        func newest(_ key: String, _ place: Int) -> Int64 {
            taken.filter { $0.members[place] && $0.event.key == key }.map {
                windows[place].pane($0.event.time)
            }.max() ?? .min
        }
        func tell(_ state: String, _ key: String, _ time: Int64, _ anchors: [Int64], _ values: [Totals]) {
            let numbers = values.map { "\($0.n) \($0.s.map { "\($0)" } ?? "none")" }.joined(separator: " ")
            lines.append("\(state) \(key) \(time) \(windows[0].bounds(anchors[0]).1) \(numbers)")
        }
        /// As of the newest: raises and clears.
        func decide(_ key: String, _ time: Int64, _ anchors: [Int64], isTimeAlone: Bool) {
            let found = values(key, anchors)
            let holds = rule.holds(found)
            if raised.contains(key) {
                if rule.clears.map({ $0(found) }) ?? !holds {
                    raised.remove(key)
                    tell("cleared", key, time, anchors, found)
                }
            } else if holds, !isTimeAlone {
                raised.insert(key)
                tell("raised", key, time, anchors, found)
            }
        }
        /// Every end of a window that event time passes.
        func advance(to time: Int64) {
            if time == .min { return }
            // Time begins with the oldest record, if that came before the first watermark.
            let begin = watermark == .min ? min(time, taken.map(\.event.time).min() ?? time) : watermark
            var ends: Set<Int64> = []
            for window in windows {
                var pane = window.pane(begin) + 1
                while window.start(pane) <= time {
                    ends.insert(window.start(pane))
                    pane += 1
                }
            }
            for end in ends.sorted() where !raised.isEmpty {
                for key in raised.sorted() {
                    decide(
                        key, end, windows.indices.map { max(newest(key, $0), windows[$0].pane(end)) },
                        isTimeAlone: true)
                }
            }
        }

        for (event, reached) in zip(events, watermarks) {
            advance(to: max(watermark, reached))
            watermark = max(watermark, reached)
            let open = windows.map { watermark == .min ? .min : $0.pane(watermark) }
            let panes = windows.map { $0.pane(event.time) }
            let members = windows.indices.map { windows[$0].anchors(panes[$0]).last >= open[$0] }
            guard members.contains(true) else { continue }
            taken.append((event, members))
            let key = event.key
            let newestTime = windows.indices.reduce(event.time) {
                max($0, windows[$1].start(max(open[$1], newest(key, $1))))
            }
            func anchors(_ time: Int64) -> [Int64] {
                windows.indices.map { max(open[$0], windows[$0].pane(time)) }
            }
            var instants: Set<Int64> = newestTime > event.time ? [event.time] : []
            var isReached = newestTime == event.time
            for place in windows.indices where members[place] {
                let (first, last) = windows[place].anchors(panes[place])
                let current = windows[place].pane(newestTime)
                if first <= current, current <= last { isReached = true }
                for anchor in stride(
                    from: max(first, open[place], panes[place] + 1), through: min(last, current), by: 1)
                {
                    let begin = windows[place].start(anchor)
                    if begin > event.time, begin < newestTime { instants.insert(begin) }
                }
            }
            var hasRaised = false
            for instant in instants.sorted() where !raised.contains(key) {
                let found = values(key, anchors(instant))
                guard rule.holds(found) else { continue }
                raised.insert(key)
                hasRaised = true
                tell("raised", key, event.time, anchors(instant), found)
            }
            if isReached || hasRaised { decide(key, event.time, anchors(newestTime), isTimeAlone: false) }
        }
        advance(to: end)
        return lines
    }

    // MARK: Running

    /// Over one source, or over a union of two.
    static func spec(_ windows: [Window], _ rule: Rule, sources: Int, outOfOrder: Int64) throws
        -> TopologySpec
    {
        let names = ["w", "x"].prefix(windows.count)
        let inputs = (0..<sources).map { "in\($0)" }
        let steps = zip(names, windows).map { name, window in
            "  \(name): { from: all, key: key, window: \(window.text), aggregate: { n: count(), s: sum(value), f: count(flag) } }"
        }
        let clear = rule.clear.map { "clear: \($0), " } ?? ""
        let text = """
            topology: t
            sources:
            \(inputs.map { """
              \($0):
                kafka: { topic: \($0) }
                time: { field: time, out_of_order: \(outOfOrder)ms }
                schema: { key: text, value: int?, flag: bool, time: timestamp }
            """ }.joined(separator: "\n"))
            steps:
              all: { from: \(sources == 1 ? "in0" : "[in0, in1]") }
            \(steps.joined(separator: "\n"))
            rules:
              r: { on: \(windows.count == 1 ? "w" : "[w, x]"), when: \(rule.when), \(clear)risk: r, severity: low, message: "\(windows.count == 1 ? "{n} {s}" : "{w.n} {w.s} {x.n} {x.s}")" }
            sinks:
              alerts: { kafka: { topic: alerts } }

            """
        let (spec, diagnostics) = TopologyReader.read(text, file: "t.yaml")
        return try #require(spec, "\(diagnostics)")
    }

    static func found(_ alerts: [String]) -> [String] {
        alerts.map { alert in
            func time(_ name: String) -> String {
                let stamp =
                    WindowOracleTests.member(alert, name).map { String($0.dropFirst().dropLast()) } ?? ""
                return CivilTime.parse(stamp).map { "\($0.milliseconds)" } ?? "none"
            }
            func text(_ name: String) -> String {
                WindowOracleTests.member(alert, name).map { String($0.dropFirst().dropLast()) } ?? ""
            }
            return
                "\(text("state")) \(text("customer")) \(time("event_time")) \(time("end")) \(text("message"))"
        }
    }

    /// The pipeline closes windows up to where the oracle's time ends.
    static func run(
        _ spec: TopologySpec, _ events: [Event], _ sources: [Int], rowsMax: Int, until end: Int64,
        oneByOne: Bool
    ) throws -> [String] {
        let decoder = WindowOracleTests.FixedDecoder()
        decoder.events = events
        let decoders: [any RecordDecoder] = spec.sources.map { source -> any RecordDecoder in
            source.origin.isStream ? StreamRows(capacity: rowsMax) : decoder
        }
        let zones = ZoneTables(["Asia/Shanghai": try TimeZoneTable.read("Asia/Shanghai")])
        let pipeline = Pipeline(
            spec, decoders: decoders, zones: zones, options: Pipeline.Options(rowsMax: rowsMax, clock: nil))
        pipeline.closesOneByOne = oneByOne
        let task = pipeline.makeTask(partition: 0)
        let storage = RawRecordStorage(capacity: rowsMax)
        var outbox = Outbox()
        var output = WindowOracleTests.Output()
        var next = 0
        while next < events.count {
            var count = 1
            while count < rowsMax, next + count < events.count, sources[next + count] == sources[next] {
                count += 1
            }
            for row in 0..<count {
                storage.offsets[row] = Int64(next + row)
                storage.valueCounts[row] = -1
                storage.keyCounts[row] = -1
            }
            pipeline.process(
                RawRecords(at: storage, from: 0, count: count), source: sources[next], task: task,
                outbox: &outbox)
            WindowOracleTests.collect(outbox, into: &output)
            outbox.removeAll()
            next += count
        }
        for source in 0...(sources.max() ?? 0) {
            pipeline.advance(source: source, to: end, task: task, outbox: &outbox)
        }
        WindowOracleTests.collect(outbox, into: &output)
        let ids = output.alerts.filter { $0.contains("\"raised\"") }.compactMap {
            WindowOracleTests.member($0, "alert_id")
        }
        #expect(Set(ids).count == ids.count, "two alerts of one id")
        return found(output.alerts)
    }

    static func compare(
        _ windows: [Window], _ rule: Rule, _ events: [Event], _ sources: [Int], outOfOrder: Int64,
        _ what: String
    ) throws {
        let end = (events.map(\.time).max() ?? 0) + 3 * windows.reduce(0) { max($0, $1.size) }
        let watermarks = watermarks(events, sources, outOfOrder: outOfOrder)
        let expected = oracle(events, watermarks, windows, rule, until: end)
        let spec = try spec(windows, rule, sources: (sources.max() ?? 0) + 1, outOfOrder: outOfOrder)
        for rowsMax in [1, 7, 2048] {
            for oneByOne in [false, true] {
                let found = try run(spec, events, sources, rowsMax: rowsMax, until: end, oneByOne: oneByOne)
                if found == expected { continue }
                let place =
                    zip(expected, found).enumerated().first { $0.element.0 != $0.element.1 }?.offset
                    ?? min(expected.count, found.count)
                let around = (
                    expected.dropFirst(max(0, place - 2)).prefix(5),
                    found.dropFirst(max(0, place - 2)).prefix(5)
                )
                Issue.record(
                    "\(what), \(windows.map(\.text)), \(rule.when), batches of \(rowsMax), one by one \(oneByOne): \(found.count) of \(expected.count); \(around.0) | \(around.1)"
                )
                return
            }
        }
    }

    /// `step`: about the time between records; `disorder`: how far a record may be behind.
    static func check(
        _ windows: [Window], _ rule: Rule, seed: UInt64, step: Int64, disorder: Int64, outOfOrder: Int64,
        count: Int = 220
    ) throws {
        var random = SplitMix64(seed: seed)
        let events = WindowOracleTests.events(&random, count: count, disorder: disorder, step: step, keys: 3)
        try compare(
            windows, rule, events, events.map { _ in 0 }, outOfOrder: outOfOrder,
            "seed \(seed), disorder \(disorder)")
    }

    // MARK: Tests

    @Test(arguments: windows.indices) func rulesSeeEveryWindowThatARecordChanges(place: Int) throws {
        let window = Self.windows[place]
        for (number, rule) in Self.rules.enumerated() {
            for (mess, disorder) in [window.slide / 4, window.size, 3 * window.size].enumerated() {
                let seed = UInt64(1000 * place + 10 * number + mess)
                // What is behind by more than the bound may be late, or out of order all the same.
                try Self.check(
                    [window], rule, seed: seed, step: window.slide / 2 + window.size / 20, disorder: disorder,
                    outOfOrder: number % 2 == 0 ? disorder : disorder / 3)
            }
        }
    }

    /// Goal: the other windows of a rule are those that were current then.
    @Test func rulesOverTwoWindows() throws {
        let rules = [
            Rule(
                when: "w.n >= 3 and x.n >= 5", clear: nil, holds: { $0[0].n >= 3 && $0[1].n >= 5 },
                clears: nil),
            Rule(
                when: "w.s > 2 * x.n and x.n > 1", clear: "x.n < 2",
                holds: { ($0[0].s ?? .min) > 2 * Int64($0[1].n) && $0[1].n > 1 },
                clears: { $0[1].n < 2 }),
        ]
        let pairs = [(0, 1), (1, 0), (1, 3), (3, 1), (2, 1), (4, 6), (6, 4), (5, 4)]
        for (number, (one, other)) in pairs.enumerated() {
            let windows = [Self.windows[one], Self.windows[other]]
            for (place, rule) in rules.enumerated() {
                let size = max(windows[0].size, windows[1].size)
                for (mess, disorder) in [windows[0].slide / 4, size].enumerated() {
                    try Self.check(
                        windows, rule, seed: UInt64(50_000 + 100 * number + 10 * place + mess),
                        step: (windows[0].size + windows[1].size) / 20, disorder: disorder,
                        outOfOrder: mess == 1 ? disorder / 3 : disorder)
                }
            }
        }
    }

    /// Goal: the same over a union whose inputs are apart, by up to a thousand windows.
    @Test(arguments: windows.indices) func rulesOverUnionsThatAreApart(place: Int) throws {
        let window = Self.windows[place]
        for (number, rule) in Self.rules.enumerated() {
            for (mess, apart) in [0, 2 * window.size, 40 * window.size, 1000 * window.slide].enumerated() {
                let seed = UInt64(200_000 + 1000 * place + 10 * number + mess)
                var random = SplitMix64(seed: seed)
                let step = window.slide / 2 + window.size / 20
                var events = WindowOracleTests.events(
                    &random, count: 200, disorder: window.slide / 2, step: step, keys: 3)
                let second = (0..<events.count).map { _ in random.next() % 2 == 0 }
                // One input is ahead, and now and then catches its breath for a while.
                for index in events.indices where second[index] { events[index].time += apart }
                var order: [Int] = []
                var lists = [events.indices.filter { !second[$0] }, events.indices.filter { second[$0] }]
                while !lists.joined().isEmpty {
                    let list = lists[0].isEmpty ? 1 : lists[1].isEmpty ? 0 : Int(random.next() % 2)
                    let taken = lists[list].prefix(1 + Int(random.next() % 12))
                    order += taken
                    lists[list].removeFirst(taken.count)
                }
                try Self.compare(
                    [window], rule, order.map { events[$0] }, order.map { second[$0] ? 1 : 0 },
                    outOfOrder: window.slide / 2,
                    "seed \(seed), apart by \(apart)")
            }
        }
    }

    /// A stream in order is looked at as ever.
    @Test func nothingIsDifferentInOrder() throws {
        for (place, window) in Self.windows.enumerated() {
            for (number, rule) in Self.rules.enumerated() {
                try Self.check(
                    [window], rule, seed: UInt64(90_000 + 10 * place + number), step: window.slide,
                    disorder: 0, outOfOrder: 0)
            }
        }
    }
}
