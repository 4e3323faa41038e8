import Records
import Testing
import Topology

@testable import Operators

/// Goal: a raised alert `at: close` is cleared at the same close whether or not its task was restored in
/// between, also where nothing but the alert tells of its key any more.
@Suite struct RaisedRestoreTests {
    static let step =
        "  w: { from: in, where: flag, key: key, window: { size: 60s }, aggregate: { s: sum(value) } }"
    /// `a` is raised at the close of its only window. What comes later is not the window's, and moves event
    /// time.
    static let events = [("a", 9, true, 1), ("x", 0, false, 70), ("x", 0, false, 130), ("x", 0, false, 200)]
        .map {
            WindowOracleTests.Event(
                key: $0, value: Int64($1), flag: $2, time: 1_000_000_020_000 + Int64($3) * 1000)
        }

    @Test(arguments: [nil, false, true] as [Bool?]) func clearedAtTheNextClose(restoredFromSnapshot: Bool?)
        throws
    {
        let spec = try AbandonedAlertTests.spec(Self.step, AbandonedAlertTests.close)
        var run = try AbandonedAlertTests.Run(spec, Self.events)
        run.process(2)
        #expect(try run.commit().map { $0["state"] as? String } == ["raised"])
        if let fromSnapshot = restoredFromSnapshot {
            run = try AbandonedAlertTests.Run(spec, Self.events, after: run, fromSnapshot: fromSnapshot)
        }
        run.process(1)
        let cleared = try run.commit()
        #expect(cleared.map { $0["state"] as? String } == ["cleared"])
        #expect(cleared.first?["event_time"] as? String == "2001-09-09T01:49:00Z", "\(cleared)")
        run.process(1)
        #expect(try run.commit().isEmpty)
    }
}
