import Base
import Connectors
import Dataflow
import Testing
import Topology

/// Goal: a log is known again by the last record that was read of it, and what cannot be said is not said.
@Suite struct LogMarkTests {
    private let mark = LogMark(offset: 41, timestamp: 7, hash: 1)

    @Test func judges() {
        func judge(_ sight: LogSight, position: Int64 = 42) -> LogVerdict {
            .judge(mark, position: position, sight)
        }
        #expect(judge(LogSight(record: mark)) == .same)
        // Behind the position a transaction's marker may stand.
        #expect(judge(LogSight(record: mark), position: 43) == .same)
        for other in [LogMark(offset: 41, timestamp: 7, hash: 2), LogMark(offset: 41, timestamp: 8, hash: 1)]
        {
            guard case .other = judge(LogSight(record: other)) else {
                return #expect(Bool(false), "\(other)")
            }
        }
        let next = LogMark(offset: 50, timestamp: 9, hash: 3)
        #expect(
            judge(LogSight(record: next, range: 0..<60))
                == .other("the record at offset 41, which was read, is not there"))
        #expect(judge(LogSight(record: next, range: 0..<60, isCompacted: true)) == .unknown)
        #expect(judge(LogSight(record: nil, range: 0..<10)) == .other("it ends at offset 10"))
        #expect(
            judge(LogSight(record: nil, range: 0..<10, isCompacted: true)) == .other("it ends at offset 10"))
        #expect(judge(LogSight(record: next, range: 42..<60)) == .unknown)
        #expect(judge(LogSight(record: nil, range: 42..<42)) == .unknown)
        #expect(judge(LogSight(record: next, range: 50..<60)) == .cut(lost: 8, first: 50))
        #expect(LogVerdict.judge(nil, position: 42, LogSight(record: mark)) == .unknown)
        #expect(
            LogVerdict.judge(nil, position: 42, LogSight(record: nil, range: 0..<10))
                == .other("it ends at offset 10"))
    }

    @Test func nullsAndPlacesCount() {
        func mark(_ key: String?, _ value: String?) -> UInt64 {
            let (key, value) = (key.map { Array($0.utf8) }, value.map { Array($0.utf8) })
            var nothing: UInt8 = 0
            func at(_ bytes: [UInt8]?, _ body: (UnsafePointer<UInt8>?) -> UInt64) -> UInt64 {
                guard let bytes else { return body(nil) }
                return bytes.isEmpty ? body(&nothing) : bytes.withUnsafeBufferPointer { body($0.baseAddress) }
            }
            return at(key) { k in
                at(value) { v in
                    LogMark(offset: 0, timestamp: 0, key: k, key?.count ?? 0, value: v, value?.count ?? 0)
                        .hash
                }
            }
        }
        let records: [(String?, String?)] = [
            (nil, nil), (nil, ""), ("", nil), ("", ""), ("a", "b"), ("b", "a"), ("ab", ""), ("", "ab"),
            ("a", nil), (nil, "a"),
        ]
        #expect(Set(records.map { mark($0.0, $0.1) }).count == records.count)
        #expect(mark("a", "b") == mark("a", "b"))
    }

    @Test func looksAtRecords() throws {
        let broker = try MockBroker()
        for topic in ["orders", "others"] { try broker.createTopic(topic, partitions: 2) }
        let feeder = try KafkaFeeder(broker.settings())
        for topic in ["orders", "others"] {
            let target = try feeder.topic(topic)
            for index in 0..<20 {
                try feeder.send(
                    to: target, key: "k", value: "\(topic)-\(index)", timestamp: 1000,
                    partition: Int32(index % 2))
            }
        }
        try feeder.flush()
        func source(_ topic: String) throws -> KafkaSource {
            try KafkaSource(
                broker.settings(), topics: [KafkaSourceTopic(topic: topic, source: 0, start: .earliest)])
        }
        let (orders, others) = (try source("orders"), try source("others"))
        defer { for source in [orders, others] { source.close() } }
        let (first, second) = (
            SourcePartition(source: 0, partition: 0), SourcePartition(source: 0, partition: 1)
        )
        let seen = try orders.look(at: [first: 3, second: 9])
        let (three, nine) = (try #require(seen[first]?.record), try #require(seen[second]?.record))
        #expect(three.offset == 3 && nine.offset == 9 && three.timestamp == 1000)
        // Again, with the same client; an end has nothing to show.
        let again = try orders.look(at: [first: 3, second: 10])
        #expect(again[first] == LogSight(record: three))
        #expect(again[second] == LogSight(record: nil, range: 0..<10))
        #expect(try orders.look(at: [first: 400])[first] == LogSight(record: nil, range: 0..<10))
        let theirs = try others.look(at: [first: 3])[first]?.record
        #expect(theirs?.offset == 3 && theirs?.hash != three.hash)
    }
}
