import Base
import Dataflow
import Glibc
import Records

/// A marketplace as a lane's source: `generate: { rate: 1000 }` in a topology, for load without a platform.
/// Events come at the rate, event time is the clock's; nothing is remembered across runs.
package final class MarketplaceSource: LaneSource {
    private var marketplace: Marketplace
    private let partition: SourcePartition
    private let rate: Int
    private let events = MarketplaceEvents()
    private let storage = RawRecordStorage(capacity: Limits.rowsPerBatchMax)
    private let clock: any Clock
    private let begin = monotonicNanoseconds()
    private var made: Int64 = 0
    private var wasAssigned = false

    /// `rate`: events a second.
    package init(source: Int, rate: Int, merchants: Int, seed: UInt64, clock: any Clock) throws(Fault) {
        var options = MarketplaceOptions(seed: seed, merchants: merchants, ordersPerSecond: rate)
        options.startMilliseconds = clock.nowMilliseconds
        options.durationMilliseconds = nil
        marketplace = try Marketplace(options)
        partition = SourcePartition(source: source, partition: 0)
        self.rate = rate
        self.clock = clock
    }

    package func poll(
        timeoutMilliseconds: Int,
        _ body: (SourcePartition, RawRecords) -> Void,
        onEvent: (SourceEvent) -> Void
    ) {
        if !wasAssigned {
            wasAssigned = true
            onEvent(.assigned([partition]))
        }
        let due = (monotonicNanoseconds() - begin) / 1000 * Int64(rate) / 1_000_000 - made
        guard due > 0 else {
            usleep(UInt32(timeoutMilliseconds * 1000))
            return
        }
        events.removeAll()
        let count = marketplace.next(into: events, eventsMax: Int(min(due, Int64(storage.capacity))))
        // The parser may read past the last record.
        events.bytes.reserve(64)
        let now = clock.nowMilliseconds
        for row in 0..<count {
            let event = events.events[row]
            storage.values[row] = UnsafePointer(events.bytes.base + event.valueOffset)
            storage.valueCounts[row] = event.valueCount
            storage.keys[row] = UnsafePointer(events.bytes.base + event.keyOffset)
            storage.keyCounts[row] = event.keyCount
            storage.offsets[row] = made + Int64(row)
            storage.timestamps[row] = now
        }
        made += Int64(count)
        body(partition, RawRecords(at: storage, from: 0, count: count))
    }

    package func committed(_ partitions: [SourcePartition]) throws(Fault) -> [SourcePartition: Int64] { [:] }

    package func start(at positions: [SourcePartition: Int64]) throws(Fault) -> [SourcePartition: Int64] {
        [partition: 0]
    }

    package func lag(of partition: SourcePartition) -> Int64? { nil }

    package func close() {}
}
