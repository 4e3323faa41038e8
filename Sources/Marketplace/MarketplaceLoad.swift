import Base
import Connectors
import Glibc
import Records

/// Sends a synthetic marketplace somewhere, paced by the clock or as fast as it is taken.
package struct MarketplaceLoad {
    package struct Summary: Sendable {
        package var events = 0
        package var milliseconds: Int64 = 0
    }

    private var marketplace: Marketplace
    private let eventsPerSecond: Int?
    private let batch = MarketplaceEvents()
    package private(set) var labels: [MarketplaceLabel] = []

    package init(_ options: MarketplaceOptions, eventsPerSecond: Int?) throws(Fault) {
        marketplace = try Marketplace(options)
        self.eventsPerSecond = eventsPerSecond
    }

    /// Runs to the end or until `shouldStop`. `take` gets each batch; its return is awaited: back pressure.
    package mutating func run(
        shouldStop: () -> Bool = { false },
        take: (MarketplaceEvents) throws(Fault) -> Void
    ) throws(Fault) -> Summary {
        let begin = monotonicNanoseconds()
        var summary = Summary()
        // Paced load goes out in small steps, so that it does not come in waves.
        let step = eventsPerSecond.map { max(1, min(1000, $0 / 200)) } ?? 1000
        while !shouldStop() {
            batch.removeAll()
            let count = marketplace.next(into: batch, eventsMax: step)
            labels += marketplace.takeLabels()
            if count == 0 { break }
            try take(batch)
            summary.events += count
            if let eventsPerSecond {
                let due = begin + Int64(summary.events) * 1_000_000_000 / Int64(eventsPerSecond)
                let wait = due - monotonicNanoseconds()
                if wait > 0 { usleep(UInt32(min(wait / 1000, 1_000_000))) }
            }
        }
        summary.milliseconds = (monotonicNanoseconds() - begin) / 1_000_000
        return summary
    }

    package mutating func runToStandardOutput() throws(Fault) -> Summary {
        let output = FileWriter.standardOutput()
        let summary = try run { events throws(Fault) in
            try output.write(UnsafeBufferPointer(start: events.bytes.base, count: events.bytes.count))
        }
        try output.flush()
        return summary
    }

    package mutating func run(
        to settings: KafkaSettings,
        topic name: String,
        shouldStop: () -> Bool = { false }
    ) throws(Fault) -> Summary {
        let feeder = try KafkaFeeder(settings)
        let topic = try feeder.topic(name)
        let summary = try run(shouldStop: shouldStop) { events throws(Fault) in
            for event in events.events {
                let key = UnsafeBufferPointer(
                    start: events.bytes.base + event.keyOffset, count: Int(event.keyCount))
                let value = UnsafeBufferPointer(
                    start: events.bytes.base + event.valueOffset, count: Int(event.valueCount))
                try feeder.send(to: topic, key: key, value: value)
            }
            feeder.poll()
        }
        try feeder.flush()
        return summary
    }

    /// What was planted, as JSON lines.
    package func writeLabels(to path: String) throws(Fault) {
        let bytes = Arena(capacity: 4096)
        Marketplace.write(labels, to: bytes)
        let writer = try FileWriter(path: path)
        try writer.write(UnsafeBufferPointer(start: bytes.base, count: bytes.count))
        try writer.close()
    }
}
