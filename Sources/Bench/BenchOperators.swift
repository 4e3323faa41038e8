import Base
import Dataflow
import Engine
import Operators
import Records
import Topology

/// The operators alone: a 5-minute window, sum, count, min and max by key, closed at every slide, with a
/// rule.
package enum BenchOperators {
    /// - Parameters:
    ///   - keys: merchants.
    ///   - slideSeconds: of the 300-second window.
    package static func run(records: Int = 4_000_000, keys: Int = 10_000, slideSeconds: Int = 10)
        throws(Fault) -> BenchReport
    {
        // An hour of event time, whatever the count.
        let perSecond = max(1, Int64(records) / 3600)
        // Turnover of 5 minutes is about normal: four standard deviations above its mean is rare and occurs.
        let perWindow = Double(records) / Double(keys) / 12
        let limit = Int64(perWindow * 50_000 + 4 * (perWindow * 33e8).squareRoot())
        let columns = Columns(records: records, keys: keys, perSecond: perSecond)
        let spec = try spec(slideSeconds: slideSeconds, limit: limit)
        let decoder = ColumnDecoder(columns)
        let engine = Pipeline(
            spec, decoders: [decoder], zones: ZoneTables([:]), options: Pipeline.Options(clock: nil))
        let task = engine.makeTask(partition: 0)
        var outbox = Outbox()
        let storage = RawRecordStorage(capacity: Limits.rowsPerBatchMax)
        let begin = monotonicNanoseconds()
        var done = 0
        while done < records {
            let count = min(Limits.rowsPerBatchMax, records - done)
            for row in 0..<count { storage.offsets[row] = Int64(done + row) }
            engine.process(
                RawRecords(at: storage, from: 0, count: count), source: 0, task: task, outbox: &outbox)
            outbox.removeAll()
            done += count
        }
        let engineSeconds = Double(monotonicNanoseconds() - begin) / 1e9
        let plain = PlainWindows.run(columns, keys: keys, slide: Int64(slideSeconds) * 1000, limit: limit)
        guard engine.counters.alerts == Int64(plain.edges), plain.edges > 0 else {
            throw Fault(
                .defect,
                "bench operators: \(engine.counters.alerts) alerts, the plain loop finds \(plain.edges)")
        }
        var report = BenchReport(
            "operators: \(records) records, \(keys) keys, 5 min / \(slideSeconds) s, sum count min max, rule at close"
        )
        report.add("records per second", Double(records) / engineSeconds, "records/s on one core")
        report.add("nanoseconds per record", engineSeconds * 1e9 / Double(records), "ns")
        report.add(
            "plain loop records per second", Double(records) / plain.seconds,
            "records/s (keys are array indices, no text, no rules)")
        report.add("ratio", plain.seconds / engineSeconds, "engine / plain loop")
        report.add("state bytes per key", Double(task.memoryBytes) / Double(keys), "B")
        report.add("checked", "\(plain.edges) alerts, the same as the plain loop finds")
        return report
    }

    private static func spec(slideSeconds: Int, limit: Int64) throws(Fault) -> TopologySpec {
        let text = """
            topology: bench
            guarantee: at-least-once
            sources:
              orders:
                kafka: { topic: orders }
                time: { field: event_time }
                schema: { merchant_id: text, amount: decimal(2), event_time: timestamp }
            steps:
              turnover:
                from: orders
                key: merchant_id
                window: { size: 300s, slide: \(slideSeconds)s }
                aggregate: { n: count(), amount: sum(amount), least: min(amount), largest: max(amount) }
            rules:
              high:
                on: turnover
                at: close
                when: amount > \(Decimal.string(limit, scale: 2)) and n > 0 and least <= largest
                risk: bench
                severity: low
            sinks:
              alerts: { kafka: { topic: alerts } }
            """
        let (spec, diagnostics) = TopologyReader.read(text, file: "bench")
        guard let spec else { throw Fault(.defect, diagnostics.map(\.description).joined(separator: "; ")) }
        return spec
    }

    /// The input as columns, made before the clock starts.
    final class Columns {
        var merchants: [Int32] = []
        var cents: [Int64] = []
        var times: [Int64] = []
        var names: [[UInt8]] = []

        init(records: Int, keys: Int, perSecond: Int64) {
            var orders = BenchOrders(keys: keys, recordsPerSecond: perSecond, seed: 42)
            names = (0..<keys).map { Array(BenchOrders.merchant($0).utf8) }
            merchants.reserveCapacity(records)
            cents.reserveCapacity(records)
            times.reserveCapacity(records)
            for _ in 0..<records {
                let order = orders.next()
                merchants.append(Int32(order.merchant))
                cents.append(order.cents)
                times.append(order.time)
            }
        }
    }

    /// Hands the columns over as if a record had been decoded.
    final class ColumnDecoder: RecordDecoder {
        let columns: Columns
        let names: UnsafeMutablePointer<UInt8>

        init(_ columns: Columns) {
            self.columns = columns
            names = .allocate(capacity: columns.names.count * 8)
            for (index, name) in columns.names.enumerated() {
                for (position, byte) in name.enumerated() { names[index * 8 + position] = byte }
            }
        }

        deinit { names.deallocate() }

        func decode(_ raw: RawRecords, into batch: Batch) {
            batch.arena.removeAll()
            batch.count = raw.count
            let first = Int(raw.offsets[0])
            let (keys, amounts, times) = (batch.columns[0], batch.columns[1], batch.columns[2])
            columns.merchants.withUnsafeBufferPointer { merchants in
                columns.cents.withUnsafeBufferPointer { cents in
                    columns.times.withUnsafeBufferPointer { time in
                        for row in 0..<raw.count {
                            keys.values[row] =
                                batch.arena.append(names + Int(merchants[first + row]) * 8, 7).packed
                            keys.valid[row] = 1
                            amounts.values[row] = cents[first + row]
                            amounts.valid[row] = 1
                            times.values[row] = time[first + row]
                            times.valid[row] = 1
                            batch.status[row] = 0
                        }
                    }
                }
            }
        }

        func explain(_ row: Int, of batch: Batch, into text: Arena) {}
    }
}

/// The same windows by the plainest loop: a pane ring by array index, every window summed anew at its close.
enum PlainWindows {
    static func run(_ columns: BenchOperators.Columns, keys: Int, slide: Int64, limit: Int64) -> (
        edges: Int, seconds: Double
    ) {
        let span = Int(300_000 / slide)
        let ring = span + 1
        var sums = [Int64](repeating: 0, count: keys * ring)
        var counts = [Int64](repeating: 0, count: keys * ring)
        var least = [Int64](repeating: .max, count: keys * ring)
        var largest = [Int64](repeating: .min, count: keys * ring)
        var raised = [Bool](repeating: false, count: keys)
        var edges = 0
        let begin = monotonicNanoseconds()
        var current = columns.times[0] / slide
        for index in columns.times.indices {
            let pane = columns.times[index] / slide
            while current < pane {
                // Pane `current` has ended: its window is summed, and the slot of the next is emptied.
                for key in 0..<keys {
                    var (sum, n, low, high) = (Int64(0), Int64(0), Int64.max, Int64.min)
                    for back in 0..<span {
                        let slot = key * ring + Int((current - Int64(back)) % Int64(ring))
                        sum += sums[slot]
                        n += counts[slot]
                        low = min(low, least[slot])
                        high = max(high, largest[slot])
                    }
                    let isTrue = sum > limit && n > 0 && low <= high
                    if isTrue != raised[key] {
                        raised[key] = isTrue
                        edges += 1
                    }
                    let next = key * ring + Int((current + 1) % Int64(ring))
                    sums[next] = 0
                    counts[next] = 0
                    least[next] = .max
                    largest[next] = .min
                }
                current += 1
            }
            let slot = Int(columns.merchants[index]) * ring + Int(pane % Int64(ring))
            let value = columns.cents[index]
            sums[slot] += value
            counts[slot] += 1
            least[slot] = min(least[slot], value)
            largest[slot] = max(largest[slot], value)
        }
        return (edges, Double(monotonicNanoseconds() - begin) / 1e9)
    }
}
