import Base
import Dataflow
import Engine
import Foundation
import Records
import Testing
import Topology

@testable import Operators

/// Goal: a task that is lost at any commit and put back from its changelog, or from a snapshot and the
/// changelog's tail, goes on as if nothing had happened. Method: random streams, random crashes, a changelog
/// that is compacted at random as Kafka may, against the same stream without a crash.
@Suite struct ChangelogTests {
    /// A compacted topic of one partition.
    struct Log {
        struct Record {
            var offset: Int
            var key: [UInt8]
            var value: [UInt8]?
        }

        var records: [Record] = []
        var end = 0

        mutating func append(_ outbox: borrowing Outbox) {
            for record in outbox.records where record.destination == .changelog {
                let key = outbox.key(of: record).map { Array($0) } ?? []
                records.append(
                    Record(offset: end, key: key, value: outbox.value(of: record).map { Array($0) }))
                end += 1
            }
        }

        /// Leaves out what a newer record of the same key replaced, and perhaps tombstones that every reader
        /// has seen: Kafka keeps them for `delete.retention.ms`, and an older snapshot is not used.
        mutating func compact(_ random: inout SplitMix64, seen offset: Int) {
            var newest: [[UInt8]: Int] = [:]
            for record in records { newest[record.key] = record.offset }
            let dropsTombstones = random.next() % 2 == 0
            records = records.filter { record in
                newest[record.key] == record.offset
                    && !(dropsTombstones && record.value == nil && record.offset < offset)
            }
        }

        var liveKeys: Int { Set(records.map(\.key)).count }
    }

    struct Saved {
        var bytes: [UInt8]
        var offset: Int
    }

    static let windows: [(text: String, disorder: Int64)] = [
        ("{ size: 5m, slide: 10s }", 4000), ("{ size: 60s }", 0), ("{ size: 90s, slide: 1s }", 3000),
        ("{ size: 60s, slide: 20s, until: previous }", 4000),
    ]

    @Test(arguments: 0..<4) func aRestoredTaskGoesOnAsIfNothingHadHappened(window: Int) throws {
        for seed in UInt64(1)...2 {
            let (text, disorder) = Self.windows[window]
            print("seed \(seed), window \(text)")
            var random = SplitMix64(seed: seed &* 77)
            let spec = Self.spec(window: text, outOfOrder: "\(disorder)ms")
            let events = WindowOracleTests.events(&random, count: 700, disorder: disorder * 2, step: 4000)
            let expected = try Self.run(spec, events, &random, crashesPerMille: 0).output
            let found = try Self.run(spec, events, &random, crashesPerMille: 150, checksState: true)
            #expect(found.crashes > 3)
            for key in 0..<5 {
                let name = "\"key\":{\"key\":\"k\(key)\"}"
                let wanted = expected.filter { $0.contains(name) }
                let had = found.output.filter { $0.contains(name) }
                let first = Self.difference(wanted, had)
                let isSame = wanted == had
                #expect(
                    isSame,
                    "seed \(seed), k\(key): \(had.count) of \(wanted.count); \(first.prefix(1400))")
            }
        }
    }

    /// Goal: what a rule remembers of a key stays while one of its windows empties and another begins between
    /// the same two commits.
    @Test func aKeyThatMovesFromOneWindowToAnotherKeepsItsAlerts() throws {
        let text = """
            topology: t
            sources:
              in:
                kafka: { topic: in }
                time: { field: time }
                schema: { key: text, value: int?, flag: bool, time: timestamp }
            steps:
              with: { from: in, where: flag, key: key, window: { size: 20s }, aggregate: { n: count(), s: sum(value) } }
              without: { from: in, where: not flag, key: key, window: { size: 20s }, aggregate: { n: count(), s: sum(value) } }
            rules:
              seen: { on: with, when: n >= 1, clear: n >= 3, at: close, risk: r, severity: low }
            sinks:
              alerts: { kafka: { topic: alerts } }
              results: { kafka: { topic: results }, from: [with, without] }
            """
        let spec = try #require(TopologyReader.read(text, file: "t.yaml").spec)
        for seed in UInt64(1)...20 {
            var random = SplitMix64(seed: seed)
            let events = WindowOracleTests.events(&random, count: 400, disorder: 0, step: 8000, keys: 3)
            let expected = try Self.run(spec, events, &random, crashesPerMille: 0).output
            let found = try Self.run(
                spec, events, &random, crashesPerMille: 200, snapshotsPerMille: 0, checksState: true
            ).output
            let isSame = expected.sorted() == found.sorted()
            #expect(isSame, "seed \(seed): \(Self.difference(expected, found).prefix(600))")
        }
    }

    /// Goal: what is forgotten leaves the changelog too.
    @Test func tombstonesEmptyTheChangelog() throws {
        var random = SplitMix64(seed: 5)
        print("seed 5")
        // Its rule clears at every second look: an alert that stays raised would keep its key.
        let spec = WindowOracleTests.spec(window: "{ size: 60s, slide: 10s }", outOfOrder: "0s")
        var events = WindowOracleTests.events(&random, count: 400, disorder: 0, step: 4000)
        let last = events.map(\.time).max() ?? 0
        for minute in Int64(100)..<110 {
            events.append(
                WindowOracleTests.Event(key: "z", value: 1, flag: true, time: last + minute * 60_000))
        }
        var run = try Self.run(spec, events, &random, crashesPerMille: 0)
        #expect(run.log.liveKeys > 8)
        run.log.compact(&random, seen: .max)
        let alive = run.log.records.filter { $0.value != nil }
        // Definitions, the task, its rules, and z's panes and edges; alerts on records are remembered up to a
        // limit.
        let others = alive.filter { record in
            record.key.count > 1 && ![ChangeKind.seen, ChangeKind.rule].contains(record.key[0])
                && record.key.last != UInt8(ascii: "z")
        }
        #expect(others.count == 0)
        #expect(alive.contains { $0.key.last == UInt8(ascii: "z") })
    }

    /// Goal: a snapshot of an earlier life of a changelog (the topic was made anew, and has grown past the
    /// offset at which the snapshot stands) is recognised at whatever record the changelog is taken up, and
    /// one of this life never taken for such.
    @Test func aSnapshotOfAnEarlierLifeIsRecognised() throws {
        let seed = UInt64.random(in: 1...1_000_000)
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let spec = Self.spec(window: "{ size: 60s, slide: 10s }", outOfOrder: "0s")
        let events = WindowOracleTests.events(&random, count: 400, disorder: 0, step: 4000)
        for round in 0..<40 {
            let former = try Self.run(spec, events, &random, crashesPerMille: 0, snapshotsPerMille: 300)
            guard let saved = former.saved else { continue }
            var (log, isSame) = (former.log, round % 2 == 0)
            if !isSame {
                log = try Self.run(spec, events, &random, crashesPerMille: 0, snapshotsPerMille: 0).log
            }
            if random.next() % 2 == 0 { log.compact(&random, seen: saved.offset) }
            let pipeline = Self.pipeline(spec, events)
            let task = pipeline.makeTask(partition: 0)
            #expect(saved.bytes.withUnsafeBufferPointer { pipeline.readSnapshot($0, task: task) })
            #expect(task.isDoubtful)
            // The last record that the snapshot knows is read again. A life that ends before it says nothing,
            // and is not gone on with.
            if log.end < saved.offset { isSame = false }
            try Self.restore(pipeline, task, log, from: saved.offset - 1)
            let isContinued = !task.isDoubtful && !task.isContradicted
            #expect(isContinued == isSame, "round \(round)")
        }
    }

    /// Goal: another topology's state is refused by name, and a source that reads another topic is told.
    @Test func stateKnowsItsTopologyAndTopics() throws {
        func spec(_ topology: String, _ topic: String) throws -> TopologySpec {
            try #require(
                TopologyReader.read(
                    """
                    topology: \(topology)
                    sources:
                      in: { kafka: { topic: \(topic) }, time: { field: time }, schema: { key: text, time: timestamp } }
                    steps:
                      w: { from: in, key: key, window: { size: 20s }, aggregate: { n: count() } }
                    sinks: { results: { kafka: { topic: results }, from: w } }
                    """, file: "t.yaml"
                ).spec)
        }
        let first = Self.pipeline(try spec("t", "in"), [])
        let task = first.makeTask(partition: 0)
        var outbox = Outbox()
        let mark = LogMark(offset: 6, timestamp: 5, hash: 4)
        first.note(mark, of: 0, task)
        first.collectChanges(task, positions: [0: 7], into: &outbox)
        var log = Log()
        log.append(outbox)

        let moved = Self.pipeline(try spec("t", "in-v2"), [])
        let other = moved.makeTask(partition: 0)
        try Self.restore(moved, other, log, from: 0)
        #expect(moved.formerTopics(other) == [0: "in"])
        #expect(other.positions[0] == 7 && other.marks[0] == mark)
        moved.forgetLog(0, other)
        #expect(other.positions[0] == -1 && other.marks[0] == nil)

        let stranger = Self.pipeline(try spec("u", "in"), [])
        let fault = #expect(throws: Fault.self) {
            try Self.restore(stranger, stranger.makeTask(partition: 0), log, from: 0)
        }
        #expect(
            fault?.detail.contains("kept for topology 't', and this is topology 'u'") == true,
            "\(fault?.detail ?? "")")
    }

    /// Goal: a changed topology is told what it does with the state: which steps it keeps, begins and leaves
    /// out, and which take in other rows. A change that the state does not know is none.
    @Test func changesAreNamed() throws {
        func spec(_ condition: String, _ steps: String, limit: Int = 1) throws -> TopologySpec {
            try #require(
                TopologyReader.read(
                    """
                    topology: t
                    sources:
                      in: { kafka: { topic: in }, time: { field: time }, schema: { key: text, n: int, time: timestamp } }
                    steps:
                      good: { from: in, where: \(condition) }
                      w: { from: good, key: key, window: { size: 20s }, aggregate: { n: count() } }
                    \(steps)
                    rules: { r: { on: w, when: n > \(limit), risk: r, severity: low } }
                    sinks: { alerts: { kafka: { topic: alerts } } }
                    """, file: "t.yaml"
                ).spec)
        }
        let old = "  v: { from: in, key: key, window: { size: 20s }, aggregate: { n: sum(n) } }"
        let new = "  x: { from: in, key: key, window: { size: 40s }, aggregate: { n: sum(n) } }"
        let first = Self.pipeline(try spec("n > 1", old), [])
        let task = first.makeTask(partition: 0)
        var outbox = Outbox()
        first.collectChanges(task, positions: [0: 7], into: &outbox)
        var log = Log()
        log.append(outbox)
        func changes(_ spec: TopologySpec) throws -> StateChanges? {
            let pipeline = Self.pipeline(spec, [])
            let task = pipeline.makeTask(partition: 0)
            try Self.restore(pipeline, task, log, from: 0)
            return pipeline.changes(task)
        }
        #expect(try changes(spec("n > 1", old, limit: 9)) == nil)
        let changed = try #require(try changes(spec("n > 2", new)))
        #expect(changed.kept == ["w"] && changed.begun == ["x"] && changed.dropped == ["v"])
        #expect(
            changed.lines == [
                "the topology was changed: steps that go on with their state: w; that begin empty: x; that were left out, with their "
                    + "state: v",
                "step 'w' takes in other rows from now on: in, where (n:int > 2:int):bool; what it holds was taken in as: in, where "
                    + "(n:int > 1:int):bool",
            ])
    }

    /// Goal: state of an older format is refused at its first record, not misread at a later one.
    @Test func anOlderFormatIsRefused() throws {
        let pipeline = Self.pipeline(Self.spec(window: "{ size: 60s }", outOfOrder: "0s"), [])
        let task = pipeline.makeTask(partition: 0)
        let (key, value): ([UInt8], [UInt8]) = ([ChangeKind.definitions], [FormerState.format - 1, 1, 0])
        let fault = #expect(throws: Fault.self) {
            try key.withUnsafeBufferPointer { key in
                try value.withUnsafeBufferPointer { try pipeline.restore(key: key, value: $0, task: task) }
            }
        }
        #expect(
            fault?.detail.hasPrefix("the state's format is \(FormerState.format - 1), and this program reads")
                == true)
    }

    /// Goal: a snapshot that lost or changed any byte is never mistaken for a whole one without a crash of
    /// the program. (The file that carries it has checksums of its own.)
    @Test func readingADamagedSnapshotEndsWell() throws {
        var random = SplitMix64(seed: 9)
        print("seed 9")
        let spec = Self.spec(window: "{ size: 60s, slide: 10s }", outOfOrder: "0s")
        let events = WindowOracleTests.events(&random, count: 300, disorder: 0, step: 4000)
        let saved = try #require(
            try Self.run(spec, events, &random, crashesPerMille: 0, snapshotsPerMille: 900).saved)
        for round in 0..<2000 {
            var bytes = saved.bytes
            if round % 2 == 0 {
                bytes.removeLast(Int(random.next() % UInt64(bytes.count)))
            } else {
                bytes[Int(random.next() % UInt64(bytes.count))] ^= 1 << UInt8(random.next() % 8)
            }
            let pipeline = Self.pipeline(spec, events)
            _ = bytes.withUnsafeBufferPointer {
                pipeline.readSnapshot($0, task: pipeline.makeTask(partition: 0))
            }
        }
    }

    /// Goal: windows that cannot be read as they were kept are refused by name; what fits goes on.
    @Test func changedDefinitionsAreRefused() throws {
        var random = SplitMix64(seed: 3)
        let events = WindowOracleTests.events(&random, count: 200, disorder: 0, step: 4000)
        let run = try Self.run(
            Self.spec(window: "{ size: 60s, slide: 10s }", outOfOrder: "0s"), events, &random,
            crashesPerMille: 0)
        let other = Self.pipeline(Self.spec(window: "{ size: 60s, slide: 20s }", outOfOrder: "0s"), events)
        #expect {
            let task = other.makeTask(partition: 0)
            try Self.restore(other, task, run.log, from: 0)
        } throws: { error in
            "\(error)".contains("step 'w'") && "\(error)".contains("window 1m by 10s")
                && "\(error)".contains("window 1m by 20s")
                && "\(error)".contains("give the step another name")
        }
    }

    /// Where two lists first part, and what only one of them has, shortly.
    static func difference(_ wanted: [String], _ found: [String]) -> String {
        func short(_ text: String?) -> String {
            guard let text else { return "none" }
            let names = ["rule", "step", "state", "event_time", "start", "values"]
            return names.compactMap { name in WindowOracleTests.member(text, name).map { "\(name) \($0)" } }
                .joined(separator: " ")
        }
        let index =
            zip(wanted, found).enumerated().first { $0.element.0 != $0.element.1 }?.offset
            ?? min(wanted.count, found.count)
        let missing = wanted.first { !found.contains($0) }
        let strange = found.first { !wanted.contains($0) }
        return
            "at \(index): \(short(index < wanted.count ? wanted[index] : nil)) | \(short(index < found.count ? found[index] : nil)); "
            + "missing \(short(missing)); strange \(short(strange))"
    }

    // MARK: Running

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
                aggregate: \(WindowOracleTests.aggregates)
              flagged:
                from: in
                where: flag
                key: key
                window: { size: 40s, slide: 20s }
                aggregate: { n: count(), s: sum(value) }
              records: { from: in, key: key, where: value == 7 }
            rules:
              every:
                on: w
                when: n >= 0 and f >= 0 and s > -1000000 and lo is not null or hi is null or a is null or fi is null or la is null or d >= 0 or dev is null or q is null or to > from
                clear: s > 100
                risk: r
                severity: low
              both: { on: { w, flagged }, when: flagged.n > 2 and w.n > 6, clear: flagged.n < 2, risk: r, severity: low }
              closing: { on: flagged, when: s > 60, at: close, risk: r, severity: low }
              seven: { on: records, when: flag, risk: r, severity: low }
            sinks:
              alerts: { kafka: { topic: alerts } }
              results: { kafka: { topic: results }, from: [w, flagged] }
            """
        let (spec, diagnostics) = TopologyReader.read(text, file: "t.yaml")
        if spec == nil { Issue.record("\(diagnostics)") }
        return spec!
    }

    static func pipeline(_ spec: TopologySpec, _ events: [WindowOracleTests.Event]) -> Pipeline {
        let decoder = WindowOracleTests.FixedDecoder()
        decoder.events = events
        return Pipeline(
            spec, decoders: [decoder], zones: ZoneTables([:]),
            options: Pipeline.Options(rowsMax: 64, clock: nil, tracksChanges: true))
    }

    static func restore(_ pipeline: Pipeline, _ task: TaskState, _ log: Log, from offset: Int) throws {
        for record in log.records where record.offset >= offset {
            try record.key.withUnsafeBufferPointer { key in
                if let value = record.value {
                    try value.withUnsafeBufferPointer {
                        try pipeline.restore(key: key, value: $0, task: task)
                    }
                } else {
                    try pipeline.restore(key: key, value: nil, task: task)
                }
            }
        }
        try pipeline.finishRestore(task, place: "the log")
    }

    /// What a task holds, and what one holds that was put back from the log.
    static func check(
        _ spec: TopologySpec, _ events: [WindowOracleTests.Event], _ pipeline: Pipeline, _ task: TaskState,
        _ log: Log
    ) throws {
        let other = self.pipeline(spec, events)
        let restored = other.makeTask(partition: 0)
        try restore(other, restored, log, from: 0)
        var (wanted, found): ([String], [String]) = ([], [])
        pipeline.describe(task) { wanted.append($0.json) }
        other.describe(restored) { found.append($0.json) }
        let (missing, strange) = (Set(wanted).subtracting(found), Set(found).subtracting(wanted))
        let isSame = missing.isEmpty && strange.isEmpty && wanted.count == found.count
        #expect(isSame, "missing \(missing.first ?? "none"), strange \(strange.first ?? "none")")
    }

    struct Run {
        var output: [String] = []
        var log = Log()
        var saved: Saved?
        var crashes = 0
    }

    static func run(
        _ spec: TopologySpec, _ events: [WindowOracleTests.Event], _ random: inout SplitMix64,
        crashesPerMille: UInt64,
        snapshotsPerMille: UInt64 = 200, checksState: Bool = false
    ) throws -> Run {
        var run = Run()
        var pipeline = pipeline(spec, events)
        var task = pipeline.makeTask(partition: 0)
        let storage = RawRecordStorage(capacity: 64)
        var outbox = Outbox()
        var next = 0
        var committed = 0
        var pending: [String] = []
        while committed < events.count {
            let count = min(1 + Int(random.next() % 20), events.count - next)
            for row in 0..<count {
                storage.offsets[row] = Int64(next + row)
                storage.valueCounts[row] = -1
                storage.keyCounts[row] = -1
            }
            pipeline.process(
                RawRecords(at: storage, from: 0, count: count), source: 0, task: task, outbox: &outbox)
            next += count
            for record in outbox.records {
                pending.append(outbox.value(of: record).map { String(decoding: $0, as: UTF8.self) } ?? "")
            }
            outbox.removeAll()
            if random.next() % 1000 < crashesPerMille {
                run.crashes += 1
                pending = []
                if random.next() % 2 == 0 { run.log.compact(&random, seen: run.saved?.offset ?? .max) }
                // The older pipeline may be gone with its process, or not.
                if random.next() % 2 == 0 { pipeline = self.pipeline(spec, events) }
                task = pipeline.makeTask(partition: 0)
                var from = 0
                if let saved = run.saved, random.next() % 2 == 0 {
                    let isRead = saved.bytes.withUnsafeBufferPointer { pipeline.readSnapshot($0, task: task) }
                    #expect(isRead)
                    from = saved.offset
                }
                try restore(pipeline, task, run.log, from: from)
                next = max(0, Int(task.positions[0]))
                #expect(next == committed)
            } else if random.next() % 3 == 0 || next == events.count {
                pipeline.collectChanges(task, positions: [0: Int64(next)], into: &outbox)
                run.log.append(outbox)
                outbox.removeAll()
                if checksState { try check(spec, events, pipeline, task, run.log) }
                run.output += pending
                pending = []
                committed = next
                if random.next() % 1000 < snapshotsPerMille {
                    let bytes = Arena(capacity: 1024)
                    pipeline.writeSnapshot(task, to: bytes)
                    run.saved = Saved(
                        bytes: Array(UnsafeBufferPointer(start: bytes.base, count: bytes.count)),
                        offset: run.log.end)
                }
            }
        }
        return run
    }
}
