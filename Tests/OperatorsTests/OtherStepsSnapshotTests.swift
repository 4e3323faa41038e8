import Records
import Testing
import Topology

@testable import Operators

/// Goal: a snapshot that was written by a topology with other steps gives what this one still has of it; what
/// is new begins empty, what is gone is passed over, and a step whose definition has changed is refused by
/// its name.
@Suite struct OtherStepsSnapshotTests {
    static let kept =
        "  w: { from: in, key: key, window: { size: 60s }, aggregate: { n: count(), s: sum(value) } }"
    static let gone =
        "  x: { from: in, key: key, window: { size: 2m, slide: 30s }, aggregate: { most: max(value) } }"
    static let new = "  a: { from: in, key: [key, flag], window: { size: 90s }, aggregate: { n: count() } }"

    static func lines(_ run: AbandonedAlertTests.Run, _ store: String) -> [String] {
        var lines: [String] = []
        run.pipeline.describe(run.task) { if $0.store.hasPrefix(store) { lines.append($0.json) } }
        return lines.sorted()
    }

    @Test(arguments: [[kept, new], [new, kept], [kept, gone], [gone, new, kept]]) func whatFits(
        steps: [String]
    ) throws {
        let before = try AbandonedAlertTests.spec(
            [Self.gone, Self.kept].joined(separator: "\n"), AbandonedAlertTests.record)
        let after = try AbandonedAlertTests.spec(steps.joined(separator: "\n"), AbandonedAlertTests.record)
        let first = try AbandonedAlertTests.Run(before, AbandonedAlertTests.events)
        first.process(3)
        _ = try first.commit()
        let second = try AbandonedAlertTests.Run(
            after, AbandonedAlertTests.events, after: first, fromSnapshot: true)
        // It was taken: nothing of the changelog was read, and the state is that of three records.
        #expect(second.task.isDoubtful && second.task.positions == [3])
        #expect(Self.lines(second, "w") == Self.lines(first, "w") && Self.lines(second, "w").count == 3)
        #expect(Self.lines(second, "big") == Self.lines(first, "big") && Self.lines(second, "big").count == 2)
        #expect(Self.lines(second, "a").isEmpty)
        if steps.contains(Self.gone) { #expect(Self.lines(second, "x") == Self.lines(first, "x")) }
        second.process(2)
        #expect(Self.lines(second, "a").count == (steps.contains(Self.new) ? 2 : 0))
        // What the changelog holds by then is the same again.
        _ = try second.commit()
        let third = try AbandonedAlertTests.Run(after, AbandonedAlertTests.events, after: second)
        for store in ["w", "a", "x", "big"] {
            #expect(Self.lines(third, store) == Self.lines(second, store), "\(store)")
        }
    }

    @Test func anotherDefinition() throws {
        let before = try AbandonedAlertTests.spec(
            [Self.kept, Self.gone].joined(separator: "\n"), AbandonedAlertTests.record)
        let after = try AbandonedAlertTests.spec(
            [Self.kept, Self.gone.replacing("2m", with: "3m")].joined(separator: "\n"),
            AbandonedAlertTests.record)
        let first = try AbandonedAlertTests.Run(before, AbandonedAlertTests.events)
        first.process(3)
        _ = try first.commit()
        #expect {
            try AbandonedAlertTests.Run(after, AbandonedAlertTests.events, after: first, fromSnapshot: true)
        } throws: { "\($0)".contains("step 'x' was kept as") }
    }
}
