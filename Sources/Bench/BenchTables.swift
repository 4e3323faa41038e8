import Base
import Dataflow
import Engine
import Operators
import Records
import Topology

/// What a table join costs a step: the same rows through the same step with and without it, decoding left
/// out.
package enum BenchTables {
    package static func run(records: Int = 4_000_000, keys: Int = 100_000) throws(Fault) -> BenchReport {
        let columns = BenchOperators.Columns(
            records: records, keys: keys, perSecond: max(1, Int64(records) / 3600))
        var report = BenchReport("tables: \(records) records, \(keys) keys, two columns joined")
        for (name, window) in [
            ("filter", ""),
            ("window", "window: { size: 300s, slide: 10s }, aggregate: { n: count(), amount: sum(amount) }"),
        ] {
            let without = try measure(columns, join: "", window)
            let with = try measure(
                columns,
                join: "join: { table: registry, on: merchant_id, kind: left, select: [city, most] },", window)
            guard with.found == Int64(records), without.found == 0 else {
                throw Fault(.defect, "bench tables: \(with.found) of \(records) rows found a partner")
            }
            report.add("\(name), without join", Double(records) / without.seconds, "records/s on one core")
            report.add("\(name), with join", Double(records) / with.seconds, "records/s on one core")
            report.add(
                "\(name), the join", (with.seconds - without.seconds) * 1e9 / Double(records), "ns a record")
            if window.isEmpty { report.add("table bytes per key", Double(with.bytes) / Double(keys), "B") }
        }
        report.add("checked", "every row found the city of its merchant")
        return report
    }

    private static func measure(
        _ columns: BenchOperators.Columns, join: String, _ window: String
    ) throws(Fault) -> (seconds: Double, found: Int64, bytes: Int) {
        let text = """
            topology: bench
            sources:
              orders:
                kafka: { topic: orders }
                time: { field: event_time }
                schema: { merchant_id: text, amount: decimal(2), event_time: timestamp }
              registry:
                kafka: { topic: registry }
                time: { field: since }
                table: { key: merchant_id }
                schema: { merchant_id: text, city: text, most: decimal(2), since: timestamp }
            steps:
              placed: { from: orders, key: merchant_id, \(join) where: \(join.isEmpty ? "amount >= 0" : "registry.found and registry.most >= amount"), \(window) }
            rules:
              high: { on: placed, when: \(window.isEmpty ? "amount < 0" : "n < 0"), risk: bench, severity: low }
            sinks:
              alerts: { kafka: { topic: alerts } }
            """
        let (found, diagnostics) = TopologyReader.read(text, file: "bench")
        guard let spec = found else {
            throw Fault(.defect, diagnostics.map(\.description).joined(separator: "; "))
        }
        let decoder = BenchOperators.ColumnDecoder(columns)
        let registry = Registry(columns.names)
        let pipeline = Pipeline(
            spec, decoders: [decoder, registry], zones: ZoneTables([:]), options: Pipeline.Options(clock: nil)
        )
        let task = pipeline.makeTask(partition: 0)
        var outbox = Outbox()
        let storage = RawRecordStorage(capacity: Limits.rowsPerBatchMax)
        func feed(_ records: Int, source: Int) {
            var done = 0
            while done < records {
                let count = min(Limits.rowsPerBatchMax, records - done)
                for row in 0..<count { storage.offsets[row] = Int64(done + row) }
                pipeline.process(
                    RawRecords(at: storage, from: 0, count: count), source: source, task: task,
                    outbox: &outbox)
                outbox.removeAll()
                done += count
            }
        }
        feed(columns.names.count, source: 1)
        let bytes = task.memoryBytes
        let begin = monotonicNanoseconds()
        feed(columns.merchants.count, source: 0)
        let seconds = Double(monotonicNanoseconds() - begin) / 1e9
        guard pipeline.counters.deadTotal == 0, pipeline.counters.alerts == 0 else {
            throw Fault(
                .defect,
                "bench tables: \(pipeline.counters.deadTotal) refused, \(pipeline.counters.alerts) alerts")
        }
        return (seconds, pipeline.foundCount(step: 0), bytes)
    }

    /// One record for each merchant.
    private final class Registry: RecordDecoder {
        let names: [[UInt8]]

        init(_ names: [[UInt8]]) { self.names = names }

        func decode(_ raw: RawRecords, into batch: Batch) {
            batch.arena.removeAll()
            batch.count = raw.count
            for row in 0..<raw.count {
                let number = Int(raw.offsets[row])
                batch.status[row] = 0
                for column in batch.columns { column.valid[row] = 1 }
                batch.columns[0].values[row] = batch.arena.append(names[number], names[number].count).packed
                batch.columns[1].values[row] = batch.arena.append("city \(number % 100)").packed
                batch.columns[2].values[row] = .max / 2
                batch.columns[3].values[row] = 0
                batch.columns[4].valid[row] = 0
            }
        }

        func explain(_ row: Int, of batch: Batch, into text: Arena) {}
    }
}
