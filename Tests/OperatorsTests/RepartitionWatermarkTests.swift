import Base
import Dataflow
import Engine
import Formats
import Foundation
import Records
import Testing
import Topology

@testable import Operators

/// Goal: event time behind a repartition topic is that of the slowest partition before it, and nobody waits
/// for a partition that is empty. Method: a few events, told by hand, in two or three partitions.
@Suite struct RepartitionWatermarkTests {
    typealias Event = RepartitionBroker.Event

    static let start: Int64 = 86_400_000

    /// Seconds after the start, in the partition that the shop is named for.
    static func events(_ list: [(shop: Int, second: Int64, isTaken: Bool)]) -> [Event] {
        list.enumerated().map { index, event in
            Event(
                shop: "\(event.shop)", buyer: "b", value: 1, flag: event.isTaken,
                time: start + event.second * 1000,
                index: index)
        }
    }

    static func broker(
        _ events: [Event], partitions: Int, window: String = "{ size: 10s }", at: String = "close",
        aheadBytesMax: Int = Limits.aheadBytesMax
    ) throws -> RepartitionBroker {
        let text = """
            topology: t
            sources:
              in:
                kafka: { topic: in }
                key: shop
                time: { field: time, out_of_order: 0s }
                schema: { shop: text, buyer: text, value: int?, flag: bool, time: timestamp }
            steps:
              buyers: { from: in, where: flag, key: buyer, window: \(window), aggregate: { n: count() } }
            rules:
              any: { on: buyers, when: n > 0, at: \(at), risk: r, severity: low }
            sinks:
              alerts: { kafka: { topic: alerts } }
              results: { kafka: { topic: results }, from: buyers }

            """
        let (spec, diagnostics) = TopologyReader.read(text, file: "t.yaml")
        return RepartitionBroker(
            try #require(spec, "\(diagnostics)"), events, partitions: partitions,
            aheadBytesMax: aheadBytesMax,
            place: { Int($0.shop) ?? 0 })
    }

    /// Results of windows, by the task that has the only key.
    static func results(_ broker: RepartitionBroker) -> [String] {
        for task in 0..<broker.partitions { broker.readTopic(0, task) }
        return broker.outputs.filter { $0.sink == 1 }.compactMap { WindowOracleTests.member($0.text, "n") }
    }

    static func task(_ broker: RepartitionBroker) -> TaskState {
        broker.tasks[RepartitionBroker.partition(of: Array("b".utf8), among: broker.partitions)]
    }

    @Test func aRowCarriesItsWatermark() throws {
        let broker = try Self.broker(Self.events([(0, 1, true), (0, 9, true), (0, 30, true)]), partitions: 1)
        broker.read(0, 2)
        #expect(Self.results(broker) == [])
        broker.read(0, 1)
        #expect(Self.results(broker) == ["2"])
    }

    /// What no window takes in moves event time all the same, and only marks can say so.
    @Test func marksCarryTheWatermarkOfRowsThatDoNotGoThrough() throws {
        let broker = try Self.broker(
            Self.events([(0, 1, true), (1, 2, true), (0, 50, false), (1, 60, false)]), partitions: 2)
        for task in 0..<2 { broker.read(task, .max) }
        #expect(Self.results(broker) == [])
        #expect(Self.task(broker).watermarks[1] == Self.start + 1000)
        broker.carry(0)
        #expect(Self.results(broker) == [])
        broker.carry(1)
        #expect(Self.results(broker) == ["2"])
        #expect(Self.task(broker).watermarks[1] == Self.start + 50_000)
        // Nothing has moved, so nothing is said.
        let records = broker.topics[0].map(\.count)
        for task in 0..<2 { broker.carry(task) }
        #expect(broker.topics[0].map(\.count) == records)
        // To every partition, also those that got no row.
        #expect(records.allSatisfy { $0 >= 2 })
        #expect(broker.pipeline.counters.records == 6)
    }

    /// A partition ahead closes nothing while another has not been heard of, and its rows wait for it,
    /// however far ahead they are.
    @Test func thePartitionAheadWaits() throws {
        let ahead = (0..<50).map { (shop: 0, second: 5 + Int64($0) * 600, isTaken: true) }
        let behind = (0..<50).map { (shop: 1, second: 1 + Int64($0) * 600, isTaken: true) }
        let broker = try Self.broker(Self.events(ahead + behind), partitions: 2)
        broker.read(0, .max)
        broker.carry(0)
        #expect(Self.results(broker) == [])
        #expect(Self.task(broker).watermarks[1] == .min)
        broker.read(1, 25)
        broker.carry(1)
        #expect(Self.results(broker) == Array(repeating: "2", count: 24))
        broker.read(1, .max)
        #expect(Self.results(broker) == Array(repeating: "2", count: 49))
        broker.finish(at: Self.start * 2)
        #expect(Self.results(broker) == Array(repeating: "2", count: 50))
        #expect(broker.late.isEmpty && broker.dead.isEmpty)
    }

    @Test func anEmptyPartitionIsNotWaitedForUntilItHasSomething() throws {
        let broker = try Self.broker(
            Self.events([
                (0, 1, true), (0, 11, true), (0, 21, true), (1, 25, true), (0, 60, true), (0, 100, true),
                (1, 65, true),
            ]), partitions: 2)
        broker.read(0, 2)
        broker.carry(0)
        #expect(Self.results(broker) == [])
        // Not quiet for long enough.
        broker.carry(1)
        #expect(Self.results(broker) == [])
        broker.carry(1, isQuiet: true)
        #expect(Self.results(broker) == ["1"])
        broker.read(0, 1)
        broker.carry(0)
        #expect(Self.results(broker) == ["1", "1"])
        // Now it has something, and holds the others back.
        broker.read(1, 1)
        broker.carry(1)
        broker.read(0, 2)
        broker.carry(0)
        #expect(Self.results(broker) == ["1", "1"])
        #expect(Self.task(broker).watermarks[1] == Self.start + 25_000)
        broker.read(1, 1)
        #expect(Self.results(broker) == ["1", "1", "2"])
    }

    /// A partition whose last record is old, and that is quiet, is left out like one that never had any; what
    /// it brings when it speaks again may be late, and from then on it counts.
    @Test func aQuietPartitionDoesNotHoldWindowsBackByItsLastRecord() throws {
        let broker = try Self.broker(
            Self.events([
                (1, 1, true), (0, 600, true), (0, 615, true), (0, 640, true), (1, 602, true), (1, 641, true),
                (0, 700, true),
                (1, 655, true),
            ]), partitions: 2)
        broker.read(1, 1)
        broker.carry(1)
        broker.read(0, 2)
        broker.carry(0)
        #expect(Self.results(broker) == [])
        #expect(Self.task(broker).watermarks[1] == Self.start + 1000)
        broker.carry(1, isQuiet: true)
        #expect(Self.results(broker) == ["1", "1"])
        broker.read(0, 1)
        #expect(Self.results(broker) == ["1", "1", "1"])
        #expect(broker.late.isEmpty)
        // It wakes up behind, and then with the others.
        broker.read(1, 1)
        _ = Self.results(broker)
        #expect(broker.late.count == 1)
        #expect(Self.task(broker).watermarks[1] == Self.start + 640_000)
        broker.read(1, 1)
        broker.read(0, 1)
        broker.carry(0)
        _ = Self.results(broker)
        #expect(Self.task(broker).watermarks[1] == Self.start + 641_000)
        broker.read(1, 1)
        #expect(Self.results(broker) == ["1", "1", "1", "2"])
        #expect(broker.late.count == 1)
    }

    /// Where all are quiet, time goes on with the clock of the one that is ahead.
    @Test func allPartitionsQuiet() throws {
        let broker = try Self.broker(Self.events([(1, 1, true), (0, 600, true)]), partitions: 2)
        for task in 0..<2 {
            broker.read(task, .max)
            broker.carry(task, isQuiet: true)
        }
        #expect(Self.results(broker) == ["1"])
        #expect(Self.task(broker).watermarks[1] == Self.start + 600_000)
        for task in 0..<2 {
            broker.idle(task, milliseconds: 9000)
            broker.carry(task, isQuiet: true)
        }
        #expect(Self.results(broker) == ["1"])
        broker.idle(0, milliseconds: 10_000)
        broker.carry(0, isQuiet: true)
        #expect(Self.results(broker) == ["1", "1"])
    }

    @Test func allPartitionsEmpty() throws {
        let broker = try Self.broker(Self.events([(0, 1, true), (0, 15, true)]), partitions: 3)
        for task in 0..<3 { broker.carry(task, isQuiet: true) }
        #expect(Self.results(broker) == [])
        #expect(Self.task(broker).watermarks[1] == .min)
        broker.read(0, .max)
        #expect(Self.results(broker) == ["1"])
    }

    /// A task that comes back with nothing in mind does not turn event time back.
    @Test func theWatermarkNeverGoesBack() throws {
        let broker = try Self.broker(
            Self.events([(0, 20, true), (1, 21, true), (1, 30, true), (1, 2, true)]), partitions: 2)
        broker.read(0, 1)
        broker.carry(0)
        broker.carry(1, isQuiet: true)
        _ = Self.results(broker)
        #expect(Self.task(broker).watermarks[1] == Self.start + 20_000)
        broker.tasks[1].times[0] = .min
        broker.read(1, .max)
        _ = Self.results(broker)
        #expect(Self.task(broker).watermarks[1] == Self.start + 20_000)
        #expect(Self.task(broker).upstream[1].map(\.watermark) == [Self.start + 20_000, Self.start + 30_000])
        // The last event lies behind the window that is closed.
        #expect(broker.late.count == 1)
        #expect(broker.late.first?.headers["__streams.errors.topic"] == "in")
        #expect(broker.late.first?.headers["__streams.errors.partition"] == "1")
        #expect(broker.late.first?.headers["__streams.errors.offset"] == "3")
        #expect(broker.late.first?.value == "{\"buyer\":\"b\",\"time\":\"1970-01-02T00:00:02Z\"}")
    }

    /// The broker of this test gives rows their index as offset and 5,000,000 + index as append time.
    @Test func alertsNameTheOriginalRecord() throws {
        let broker = try Self.broker(
            Self.events([(2, 1, true), (2, 2, false), (1, 3, true)]), partitions: 3, at: "record")
        for task in 0..<3 { broker.read(task, .max) }
        _ = Self.results(broker)
        let alert = try #require(broker.outputs.first { $0.sink == 0 })
        #expect(
            alert.text.contains("\"cause\":{\"topic\":\"in\",\"partition\":1,\"offset\":2}")
                || alert.text.contains("\"cause\":{\"topic\":\"in\",\"partition\":2,\"offset\":0}"))
        #expect(alert.causedAt == 5_000_000 + (alert.text.contains("\"offset\":2}") ? 2 : 0))
        #expect(broker.outputs.count { $0.sink == 0 } == 1)
    }

    /// Days ahead is no matter; panes ahead for which there is no memory are.
    @Test func whatNoMemoryIsLeftForIsADeadLetter() throws {
        let far: Int64 = 5_000_000
        let broker = try Self.broker(
            Self.events([
                (1, 0, true), (1, 1, true), (0, far, true), (0, far + 1, true), (0, far + 900, true),
                (1, far, true), (1, 5, true),
                (0, far + 901, true),
            ]),
            partitions: 2, window: "{ size: 1s }", aheadBytesMax: 500)
        broker.read(1, 2)
        broker.read(0, 2)
        #expect(Self.results(broker) == ["1"])
        #expect(broker.dead.isEmpty)
        broker.read(0, 1)
        _ = Self.results(broker)
        #expect(broker.dead.count == 1)
        #expect(
            broker.dead.first?.headers["__streams.errors.exception"]
                == "millrace.TooFarAheadOfOtherPartitions")
        #expect(broker.dead.first?.headers["__streams.errors.offset"] == "4")
        #expect(broker.dead.first?.headers["millrace.errors.step"] == "buyers")
        // When the others have come, the same time is nothing special.
        broker.read(1, 1)
        broker.carry(1)
        broker.read(0, 1)
        broker.carry(0)
        _ = Self.results(broker)
        #expect(broker.dead.count == 1)
        #expect(Self.task(broker).watermarks[1] == Self.start + far * 1000)
        broker.read(1, 1)
        broker.finish(at: Self.start + (far + 2000) * 1000)
        #expect(Self.results(broker) == ["1", "1", "2", "1", "1"])
    }

    /// Values that anybody may have put into the topic are dead letters, and the rest goes on.
    @Test func malformedValuesAreDeadLetters() throws {
        let broker = try Self.broker(Self.events([(0, 1, true), (0, 15, true)]), partitions: 1)
        broker.put(0, 0, key: "b", value: Array("{}".utf8))
        broker.put(0, 0, key: nil, value: [])
        broker.read(0, .max)
        #expect(Self.results(broker) == ["1"])
        #expect(
            broker.dead.map { $0.headers["__streams.errors.topic"] } == [
                "t-buyers-repartition", "t-buyers-repartition",
            ])
        #expect(broker.dead.map { $0.headers["__streams.errors.offset"] } == ["0", "1"])
        #expect(broker.dead[0].value == "{}")
    }
}
