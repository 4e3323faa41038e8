import Base
import Connectors
import Dataflow
import Glibc
import Records
import Synchronization

/// Puts the records of a sink's topic into an HBase table, and commits its positions once they are there.
/// Keys and times of cells come of the records, so what is put twice is there once.
package final class HBaseOutlet: Outlet {
    package struct Options: Sendable {
        /// Of one request.
        package var rowsMax = 1000
        package var bytesMax = 4 << 20
        package var backoffMilliseconds: ClosedRange<Int64> = 100...10_000
        /// Attempts at a row that only the gateway's side of things (status 5xx) is against, while others are
        /// taken.
        package var attemptsMax = 10
        package var timeoutMilliseconds = 10_000

        package init() {}
    }

    private struct Figures {
        var lag: Int64 = 0
        var lost: Int64 = 0
        var delivered = 0
        var refused = 0
        var failures = 0
        var isAway = false
    }

    private let context: OutletContext
    private let topic: String
    private let row: HBaseRow
    private let table: HBaseTable
    private let options: Options
    private let figures = Mutex(Figures())

    package init(
        _ context: OutletContext, topic: String, row: HBaseRow, table: HBaseTable,
        _ options: Options = Options()
    ) {
        (self.context, self.topic, self.row, self.table, self.options) = (context, topic, row, table, options)
    }

    package var report: SinkReport {
        let figures = figures.withLock { $0 }
        return SinkReport(figures: [
            .init(
                "millrace_outlet_lag_records", "gauge",
                "Records of the outlet's topic that are not delivered yet.", Int(figures.lag)),
            .init(
                "millrace_outlet_delivered_total", "counter", "Records that the other side has taken.",
                figures.delivered),
            .init(
                "millrace_outlet_refused_total", "counter",
                "Records refused for good, which are dead letters.", figures.refused),
            .init(
                "millrace_outlet_failures_total", "counter", "Attempts that failed and are made again.",
                figures.failures),
            .init(
                "millrace_outlet_lost_total", "counter",
                "Records that the topic's retention deleted before they were delivered.",
                Int(figures.lost)),
            .init(
                "millrace_outlet_away", "gauge", "1 while the other side takes nothing.",
                figures.isAway ? 1 : 0),
        ])
    }

    /// Kafka that is away is waited for: rows are never a reason to end a worker.
    package func run() {
        var backoff: Int64 = 500
        while !context.stop.isSet {
            do throws(Fault) {
                let delivery = try Delivery(self)
                defer { delivery.close() }
                try delivery.run { backoff = 500 }
                return
            } catch {
                if error == .stopped || context.stop.isSet { return }
                Log.warning("sink '\(context.sink)': \(error.detail); it goes on in \(backoff) ms")
                let end = monotonicNanoseconds() + backoff * 1_000_000
                while !context.stop.isSet, monotonicNanoseconds() < end { usleep(20_000) }
                backoff = min(backoff * 2, 30_000)
            }
        }
    }

    /// One membership in the group.
    private final class Delivery {
        private let outlet: HBaseOutlet
        private let follower: KafkaFollower
        private let client: HBaseClient
        private var letters: DeadLetterWriter?
        private var options: Options { outlet.options }
        private var pending: [Pending] = []
        private var random = SplitMix64(seed: UInt64(monotonicNanoseconds()))

        private struct Pending {
            var row: Result<HBaseTable.Row, HBaseRow.Failure>
            var letter: DeadLetterWriter.Letter
        }

        init(_ outlet: HBaseOutlet) throws(Fault) {
            self.outlet = outlet
            client = try HBaseClient(outlet.table, timeoutMilliseconds: outlet.options.timeoutMilliseconds)
            var kafka = outlet.context.kafka
            kafka.stop = outlet.context.stop
            follower = try KafkaFollower(kafka, topic: outlet.topic, group: outlet.topic)
        }

        func close() { follower.close() }

        func run(_ isFine: () -> Void) throws(Fault) {
            while !outlet.context.stop.isSet {
                let generation = follower.generation
                follower.goOn()
                try follower.poll(timeoutMilliseconds: pending.isEmpty ? 200 : 0) { take($0) }
                if follower.generation != generation { pending.removeAll() }
                tell()
                guard !pending.isEmpty else { continue }
                guard try deliver() else {
                    pending.removeAll()
                    continue
                }
                // What came while HBase was away is taken first.
                guard pending.isEmpty else { continue }
                try follower.commit()
                tell()
                isFine()
            }
        }

        private func tell() {
            let (lag, lost) = (follower.lag, follower.lost)
            outlet.figures.withLock { ($0.lag, $0.lost) = (lag, lost) }
        }

        private func take(_ record: KafkaReader.Record) {
            // What the topic's own records never are.
            guard let value = record.value else { return }
            let row = outlet.row.make(value, timestamp: record.timestamp)
            pending.append(
                Pending(
                    row: row,
                    letter: DeadLetterWriter.Letter(
                        key: record.key.map { Array($0) }, value: Array(value), partition: record.partition,
                        offset: record.offset)))
        }

        /// Puts what is pending, in its order. False: the partitions are somebody else's by now, or it is
        /// time to stop.
        private func deliver() throws(Fault) -> Bool {
            let generation = follower.generation
            let all = pending
            var at = 0
            while at < all.count {
                var rows: [HBaseTable.Row] = []
                var places: [Int] = []
                var bytes = 0
                while at < all.count, rows.count < options.rowsMax, bytes < options.bytesMax {
                    switch all[at].row {
                    case .success(let row):
                        rows.append(row)
                        places.append(at)
                        bytes += row.bytes
                    case .failure(let failure): try refuse(all[at].letter, "HBaseRow", failure.description)
                    }
                    at += 1
                }
                guard try put(rows[...], places[...], all, generation) else { return false }
            }
            try letters?.flush()
            pending.removeFirst(all.count)
            return true
        }

        /// Until all of them are taken or refused, one by one where it must be.
        private func put(
            _ rows: ArraySlice<HBaseTable.Row>, _ places: ArraySlice<Int>, _ all: [Pending], _ generation: Int
        ) throws(Fault) -> Bool {
            if rows.isEmpty { return true }
            var attempt = 0
            let deliveredBefore = outlet.figures.withLock { $0.delivered }
            while true {
                switch client.put(rows) {
                case .accepted:
                    let wasAway = outlet.figures.withLock { figures in
                        figures.delivered += rows.count
                        defer { figures.isAway = false }
                        return figures.isAway
                    }
                    if wasAway {
                        Log.info(
                            "sink '\(outlet.context.sink)': HBase table '\(outlet.table.table)' takes rows again"
                        )
                    }
                    return true
                case .refused(let reason):
                    guard rows.count > 1 else {
                        try refuse(all[places[places.startIndex]].letter, "HBaseRefused", reason)
                        return true
                    }
                    return try halves(rows, places, all, generation)
                case .away(let reason):
                    attempt += 1
                    guard try wait(attempt, reason, generation) else { return false }
                    // A gateway says 500 to a row as well as to its own troubles: a smaller request tells
                    // which it is.
                    guard attempt >= 3, reason.contains("status 500") else { continue }
                    if rows.count > 1 { return try halves(rows, places, all, generation) }
                    let areOthersTaken = outlet.figures.withLock { $0.delivered } > deliveredBefore
                    if attempt >= options.attemptsMax, areOthersTaken || others() {
                        try refuse(all[places[places.startIndex]].letter, "HBaseRefused", reason)
                        return true
                    }
                }
            }
        }

        /// The table answers, so it is the row.
        private func others() -> Bool {
            do throws(Fault) {
                try client.check()
                return true
            } catch { return false }
        }

        private func halves(
            _ rows: ArraySlice<HBaseTable.Row>, _ places: ArraySlice<Int>, _ all: [Pending], _ generation: Int
        ) throws(Fault) -> Bool {
            let half = rows.count / 2
            guard try put(rows.prefix(half), places.prefix(half), all, generation) else { return false }
            return try put(rows.dropFirst(half), places.dropFirst(half), all, generation)
        }

        /// Full jitter: any time up to the bound, which doubles.
        private func wait(_ attempt: Int, _ reason: String, _ generation: Int) throws(Fault) -> Bool {
            let wasAway = outlet.figures.withLock { figures in
                figures.failures += 1
                defer { figures.isAway = true }
                return figures.isAway
            }
            if !wasAway {
                Log.warning(
                    "sink '\(outlet.context.sink)': HBase does not take rows: \(reason); they wait in topic '\(outlet.topic)', alerts go on"
                )
            }
            let bound = min(
                options.backoffMilliseconds.upperBound,
                options.backoffMilliseconds.lowerBound << min(Int64(attempt), 20))
            let end = monotonicNanoseconds() + Int64.random(in: bound / 2...bound, using: &random) * 1_000_000
            while monotonicNanoseconds() < end {
                if outlet.context.stop.isSet { return false }
                try follower.idle(milliseconds: 50) { take($0) }
                tell()
                if follower.generation != generation { return false }
            }
            return true
        }

        private func refuse(_ letter: DeadLetterWriter.Letter, _ exception: String, _ reason: String)
            throws(Fault)
        {
            if letters == nil {
                letters = try DeadLetterWriter(
                    outlet.context.kafka, topology: outlet.context.topology, step: outlet.context.sink,
                    of: outlet.topic)
            }
            try letters?.write(letter, exception: exception, message: reason)
            let count = outlet.figures.withLock { figures in
                figures.refused += 1
                return figures.refused
            }
            if count == 1 || count % 10_000 == 0 {
                Log.error(
                    "sink '\(outlet.context.sink)': HBase does not take a row (\(count) so far), it is a dead letter: \(reason)"
                )
            }
        }
    }
}
