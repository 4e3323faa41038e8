import Base
import Dataflow
import Records
import Synchronization
import Testing

@testable import Runtime

/// Goal: a sink behind the commit gets its own records, in their order, each once, when their commit has
/// succeeded and not before; what was not committed it never gets.
@Suite struct FollowedSinkTests {
    /// A sink whose commits may fail.
    private final class Base: LaneSink {
        var sent = 0
        var fails = false

        func send(_ outbox: borrowing Outbox) throws(Fault) { sent += outbox.records.count }
        func commit(
            _ changes: borrowing Outbox, _ positions: [SourcePartition: Int64], sequences: [Int32: UInt64]
        ) throws(Fault) {
            if fails { throw Fault(.external, "no commit", retry: .withBackoff) }
        }
        func changelogEnd(of task: Int32) -> Int64? { 7 }
        func close() {}
    }

    private final class Follower: RecordsSink {
        let commits = Mutex<[[String]]>([])
        let fails = Atomic<Bool>(false)

        func write(_ records: borrowing Outbox) throws(Fault) {
            if fails.load(ordering: .relaxed) { throw Fault(.external, "closed") }
            var texts: [String] = []
            for record in records.records {
                let key = records.key(of: record).map { String(decoding: $0, as: UTF8.self) } ?? "-"
                texts.append(
                    "\(key)=\(records.value(of: record).map { String(decoding: $0, as: UTF8.self) } ?? "-")")
            }
            commits.withLock { $0.append(texts) }
        }
        func close() {}
    }

    private static func outbox(_ records: (Destination, String, String)...) -> Outbox {
        var outbox = Outbox()
        for (destination, key, value) in records {
            var record = outbox.begin(destination, timestamp: 1)
            Array(key.utf8).withUnsafeBufferPointer { outbox.setKey($0.baseAddress, $0.count, of: &record) }
            Array(value.utf8).withUnsafeBufferPointer {
                outbox.setValue($0.baseAddress, $0.count, of: &record)
            }
            outbox.end(record)
        }
        return outbox
    }

    @Test func handsOnWhatIsCommitted() throws {
        let (base, first, third) = (Base(), Follower(), Follower())
        let sink = FollowedSink(base, followers: [0: first, 2: third])
        try sink.send(
            Self.outbox((.sink(0), "a", "1"), (.sink(1), "b", "2"), (.late, "c", "3"), (.sink(2), "d", "4")))
        // The lane empties its outbox in between.
        try sink.send(Self.outbox((.sink(0), "e", "5"), (.changelog, "f", "6")))
        #expect(base.sent == 6 && first.commits.withLock { $0.isEmpty })
        try sink.commit(Outbox(), [:], sequences: [:])
        #expect(
            first.commits.withLock { $0 } == [["a=1", "e=5"]] && third.commits.withLock { $0 } == [["d=4"]])
        // Nothing twice, and no call for nothing.
        try sink.send(Self.outbox((.sink(2), "g", "7")))
        try sink.commit(Outbox(), [:], sequences: [:])
        #expect(
            first.commits.withLock { $0.count } == 1 && third.commits.withLock { $0 } == [["d=4"], ["g=7"]])
        #expect(sink.changelogEnd(of: 0) == 7)
    }

    @Test func keepsWhatIsNot() throws {
        let (base, follower) = (Base(), Follower())
        let sink = FollowedSink(base, followers: [0: follower])
        try sink.send(Self.outbox((.sink(0), "a", "1")))
        base.fails = true
        #expect(throws: Fault.self) { try sink.commit(Outbox(), [:], sequences: [:]) }
        sink.close()
        #expect(follower.commits.withLock { $0.isEmpty })
    }

    @Test func failsWithItsFollower() throws {
        let (base, follower) = (Base(), Follower())
        let sink = FollowedSink(base, followers: [0: follower])
        try sink.send(Self.outbox((.sink(0), "a", "1")))
        follower.fails.store(true, ordering: .relaxed)
        #expect(throws: Fault(.external, "closed")) { try sink.commit(Outbox(), [:], sequences: [:]) }
    }

    @Test func asksForACommitWhenMuchIsHeld() throws {
        let sink = FollowedSink(Base(), followers: [0: Follower()], heldBytesMax: 10)
        try sink.send(Self.outbox((.sink(1), "not held", "and long enough")))
        #expect(!sink.needsCommit)
        try sink.send(Self.outbox((.sink(0), "held", "12345678")))
        #expect(sink.needsCommit)
        try sink.commit(Outbox(), [:], sequences: [:])
        #expect(!sink.needsCommit)
    }
}
