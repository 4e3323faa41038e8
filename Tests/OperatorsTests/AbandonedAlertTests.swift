import Base
import Dataflow
import Engine
import Foundation
import Records
import Testing
import Topology

@testable import Operators

/// Goal: alerts of a rule that was removed, renamed, or that looks at other windows by another key, are
/// cleared once, with the reason, in the first commit after the restore, from a changelog or a snapshot; and
/// never again.
@Suite struct AbandonedAlertTests {
    static func spec(_ steps: String, _ rules: String, sinks: String = "alerts: { kafka: { topic: alerts } }")
        throws -> TopologySpec
    {
        let text = """
            topology: t
            latency: 1d
            sources:
              in:
                kafka: { topic: in }
                time: { field: time }
                schema: { key: text, value: int?, flag: bool, time: timestamp }
            steps:
              all: { from: in, where: flag and value is not null }
            \(steps)
            rules:
            \(rules)
            sinks:
              \(sinks)
            """
        let (spec, diagnostics) = TopologyReader.read(text, file: "t.yaml")
        return try #require(spec, "\(diagnostics)")
    }

    static let window =
        "  w: { from: in, key: key, window: { size: 60s }, aggregate: { n: count(), s: sum(value) } }"
    static let record =
        "  big: { on: w, when: s > 5, risk: much, severity: high, measure: look, message: \"{s}\" }"
    static let close = "  big: { on: w, when: s > 5, at: close, risk: much, severity: high, measure: look }"

    /// A task over a changelog: what it was sent, and what it said.
    final class Run {
        let pipeline: Pipeline
        let task: TaskState
        var outbox = Outbox()
        private(set) var log: ChangelogTests.Log
        private(set) var snapshot: [UInt8]?
        private var at = 0

        init(
            _ spec: TopologySpec, _ events: [WindowOracleTests.Event], after other: Run? = nil,
            fromSnapshot: Bool = false
        ) throws {
            pipeline = ChangelogTests.pipeline(spec, events)
            task = pipeline.makeTask(partition: 0)
            log = other?.log ?? ChangelogTests.Log()
            guard let other else { return }
            var from = 0
            if fromSnapshot, let snapshot = other.snapshot {
                let isRead = snapshot.withUnsafeBufferPointer { pipeline.readSnapshot($0, task: task) }
                if isRead { from = log.end }
            }
            try ChangelogTests.restore(pipeline, task, log, from: from)
            at = max(0, Int(task.positions[0]))
        }

        func process(_ count: Int) {
            let storage = RawRecordStorage(capacity: count)
            for row in 0..<count {
                storage.offsets[row] = Int64(at + row)
                storage.valueCounts[row] = -1
                storage.keyCounts[row] = -1
            }
            pipeline.process(
                RawRecords(at: storage, from: 0, count: count), source: 0, task: task, outbox: &outbox)
            at += count
        }

        /// As a lane commits; returns the alerts.
        func commit() throws -> [[String: Any]] {
            pipeline.clearAbandoned(task, into: &outbox)
            let alerts = try outbox.records.compactMap { record -> [String: Any]? in
                guard case .sink(let sink) = record.destination, let value = outbox.value(of: record) else {
                    return nil
                }
                var object = try #require(
                    try JSONSerialization.jsonObject(with: Data(value)) as? [String: Any])
                object["sink"] = sink
                object["record"] = outbox.key(of: record).map { String(decoding: $0, as: UTF8.self) }
                return object
            }
            pipeline.collectChanges(task, positions: [0: Int64(at)], into: &outbox)
            log.append(outbox)
            outbox.removeAll()
            let bytes = Arena(capacity: 1024)
            pipeline.writeSnapshot(task, to: bytes)
            snapshot = Array(UnsafeBufferPointer(start: bytes.base, count: bytes.count))
            return alerts
        }

        func compact() {
            var random = SplitMix64(seed: 1)
            log.compact(&random, seen: .max)
        }
    }

    /// `a` and `b` are raised, `c` is not; with a close in between for rules that wait for one.
    static let events = [("a", 9, 1), ("b", 7, 2), ("c", 1, 3), ("d", 0, 70), ("c", 1, 71)].map {
        key, value, second in
        WindowOracleTests.Event(
            key: key, value: Int64(value), flag: true, time: 1_000_000_020_000 + Int64(second) * 1000)
    }

    /// What one commit says of `rule` under a changed topology, where the alerts were raised under the first;
    /// and that the commits after it say nothing.
    static func cleared(
        _ before: TopologySpec, _ after: TopologySpec, fromSnapshot: Bool, events: Int = 3
    ) throws -> (raised: [[String: Any]], cleared: [[String: Any]]) {
        let first = try Run(before, Self.events)
        first.process(events)
        let raised = try first.commit()
        #expect(raised.count == 2 && raised.allSatisfy { $0["state"] as? String == "raised" })
        // A restart without a change clears nothing.
        let same = try Run(before, Self.events, after: first, fromSnapshot: fromSnapshot)
        #expect(try same.commit().isEmpty)
        // One that dies before its first commit has said nothing.
        let lost = try Run(after, Self.events, after: first, fromSnapshot: fromSnapshot)
        #expect(lost.task.abandoned.count == 2)
        let second = try Run(after, Self.events, after: first, fromSnapshot: fromSnapshot)
        let cleared = try second.commit()
        #expect(try second.commit().isEmpty)
        second.compact()
        for fromSnapshot in [false, true] {
            #expect(try Run(after, Self.events, after: second, fromSnapshot: fromSnapshot).commit().isEmpty)
            // Nor does the rule come back with what it had.
            let back = try Run(before, Self.events, after: second, fromSnapshot: fromSnapshot)
            var edges = 0
            back.pipeline.describe(back.task) { if $0.json.hasPrefix("{\"rule\"") { edges += 1 } }
            #expect(edges == 0)
        }
        return (raised, cleared)
    }

    static let other = "  other: { on: w, when: n > 100, risk: much, severity: high }"

    @Test(arguments: [false, true], [record, close]) func aRuleThatWasRemoved(
        fromSnapshot: Bool, rule: String
    ) throws {
        let before = try Self.spec(Self.window, rule)
        let after = try Self.spec(Self.window, Self.other)
        let isClose = rule == Self.close
        let (raised, cleared) = try Self.cleared(
            before, after, fromSnapshot: fromSnapshot, events: isClose ? 4 : 3)
        #expect(cleared.map { $0["record"] as? String } == ["a", "b"])
        for (alert, old) in zip(cleared, raised) {
            #expect(alert["alert_id"] as? String == old["alert_id"] as? String)
            #expect(alert["rule"] as? String == "big" && alert["risk"] as? String == "much")
            #expect(alert["severity"] as? String == "high" && alert["measure"] as? String == "look")
            #expect(alert["condition"] as? String == "s > 5")
            #expect(alert["state"] as? String == "cleared" && alert["revision"] as? Int == 2)
            #expect(alert["reason"] as? String == "rule-removed")
            #expect(alert["key"] as? [String: String] == old["key"] as? [String: String])
            #expect(alert["customer"] as? String == old["customer"] as? String)
            #expect(alert["window"] is NSNull && alert["cause"] is NSNull)
            #expect((alert["values"] as? [String: Any])?.isEmpty == true)
            let times = [old, alert].compactMap { $0["event_time"] as? String }
            #expect(times.count == 2 && times[0] <= times[1])
        }
        // Whoever knows alerts knows these: nothing is left out.
        let names = Set(raised[0].keys)
        #expect(cleared.allSatisfy { Set($0.keys) == names.union(["reason"]) })
    }

    @Test(arguments: [false, true]) func aRuleThatWasRenamed(fromSnapshot: Bool) throws {
        let before = try Self.spec(Self.window, Self.record)
        let after = try Self.spec(Self.window, Self.record.replacingOccurrences(of: "big:", with: "large:"))
        let (_, cleared) = try Self.cleared(before, after, fromSnapshot: fromSnapshot)
        #expect(cleared.map { $0["reason"] as? String } == ["rule-removed", "rule-removed"])
        // The new one raises its own.
        let events =
            Self.events.prefix(3) + [
                WindowOracleTests.Event(key: "a", value: 1, flag: true, time: Self.events[2].time)
            ]
        let first = try Run(before, Array(events))
        first.process(3)
        _ = try first.commit()
        let second = try Run(after, Array(events), after: first)
        _ = try second.commit()
        second.process(1)
        let alerts = try second.commit()
        #expect(
            alerts.map { $0["rule"] as? String } == ["large"] && alerts.first?["state"] as? String == "raised"
        )
    }

    @Test(arguments: [false, true], [record, close]) func itsStepWasRemovedToo(
        fromSnapshot: Bool, rule: String
    ) throws {
        let before = try Self.spec(Self.window, rule)
        // The key table that held the keys is another one now, or none.
        let after = try Self.spec(
            "  plain: { from: in, key: [flag, key] }",
            "  other: { on: plain, when: value > 100, risk: r, severity: low }")
        let (_, cleared) = try Self.cleared(
            before, after, fromSnapshot: fromSnapshot, events: rule == Self.close ? 4 : 3)
        #expect(cleared.map { $0["reason"] as? String } == ["rule-removed", "rule-removed"])
        #expect(cleared.map { $0["record"] as? String } == ["a", "b"])
    }

    @Test(arguments: [false, true], [record, close]) func itLooksAtAnotherWindow(
        fromSnapshot: Bool, rule: String
    ) throws {
        let before = try Self.spec(Self.window, rule)
        let after = try Self.spec(
            Self.window.replacingOccurrences(of: " w:", with: " v:").replacingOccurrences(
                of: "60s", with: "90s"),
            rule.replacingOccurrences(of: "on: w", with: "on: v"))
        let (_, cleared) = try Self.cleared(
            before, after, fromSnapshot: fromSnapshot, events: rule == Self.close ? 4 : 3)
        #expect(cleared.map { $0["reason"] as? String } == ["window-changed", "window-changed"])
    }

    @Test(arguments: [false, true]) func itHasAnotherKey(fromSnapshot: Bool) throws {
        let before = try Self.spec(Self.window, Self.record)
        let after = try Self.spec(
            Self.window.replacingOccurrences(of: " w:", with: " v:").replacingOccurrences(
                of: "key: key", with: "key: [key, flag]"),
            Self.record.replacingOccurrences(of: "on: w", with: "on: v"))
        let (_, cleared) = try Self.cleared(before, after, fromSnapshot: fromSnapshot)
        #expect(cleared.map { $0["reason"] as? String } == ["key-changed", "key-changed"])
        #expect(cleared.first?["key"] as? [String: String] == ["key": "a"])
    }

    /// Goal: a changed condition is no reason; the alert goes on and is cleared by the new one.
    @Test(arguments: [false, true]) func aChangedConditionClearsNothing(fromSnapshot: Bool) throws {
        let before = try Self.spec(Self.window, Self.record)
        let after = try Self.spec(Self.window, Self.record.replacingOccurrences(of: "s > 5", with: "s > 8"))
        let first = try Run(before, Self.events)
        first.process(3)
        _ = try first.commit()
        let second = try Run(after, Self.events, after: first, fromSnapshot: fromSnapshot)
        #expect(try second.commit().isEmpty)
    }

    /// Goal: it goes where the alert went, or, where that sink is gone as well, to all that take alerts.
    @Test func theSinksAreThoseOfTheRule() throws {
        let two =
            "one: { kafka: { topic: one }, rules: [big] }\n  two: { kafka: { topic: two }, rules: [other] }"
        let before = try Self.spec(Self.window, Self.record + "\n" + Self.other, sinks: two)
        let first = try Run(before, Self.events)
        first.process(3)
        _ = try first.commit()
        let rest = try Self.spec(
            Self.window, Self.other,
            sinks:
                "zero: { kafka: { topic: zero } }\n  one: { kafka: { topic: one } }\n  two: { kafka: { topic: two } }"
        )
        let kept = try Run(rest, Self.events, after: first).commit()
        #expect(kept.map { $0["sink"] as? Int } == [1, 1])
        let none = try Self.spec(
            Self.window, Self.other,
            sinks: "zero: { kafka: { topic: zero } }\n  two: { kafka: { topic: two } }")
        let all = try Run(none, Self.events, after: first).commit()
        #expect(all.map { $0["sink"] as? Int } == [0, 1, 0, 1])
    }

    /// Goal: a snapshot is read though steps with other keys came before those that it knows.
    @Test func keyTablesAreFoundByTheirNames() throws {
        let before = try Self.spec(Self.window, Self.record)
        let after = try Self.spec("  first: { from: in, key: flag }\n" + Self.window, Self.record)
        let first = try Run(before, Self.events)
        first.process(3)
        _ = try first.commit()
        var (wanted, found): (Set<String>, Set<String>) = ([], [])
        first.pipeline.describe(first.task) { wanted.insert($0.json) }
        let second = try Run(after, Self.events, after: first, fromSnapshot: true)
        second.pipeline.describe(second.task) { found.insert($0.json) }
        #expect(wanted == found && wanted.count == 5)
    }
}
