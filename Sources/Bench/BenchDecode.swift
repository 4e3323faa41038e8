import Base
import Connectors
import Dataflow
import Engine
import Formats
import Records
import Topology

/// JSON and Avro to columns: what a source's decoder does with the records of a poll.
package enum BenchDecode {
    static let topology = """
        topology: bench
        guarantee: at-least-once
        sources:
          orders:
            kafka: { topic: orders }
            time: { field: event_time, out_of_order: 1s, idle: 1s }
            schema: { order_id: text, merchant_id: text, buyer_id: text, kind: text, amount: decimal(2), event_time: timestamp }
        steps:
          paid: { from: orders, where: kind == "paid", key: merchant_id }
        sinks:
          all: { kafka: { topic: all }, from: paid }
        """

    package static func run(records: Int) throws(Fault) -> BenchReport {
        let block = 4096
        let rounds = max(1, records / block)
        var orders = BenchOrders(keys: 10_000, recordsPerSecond: 1000, seed: 7)
        let writer = BenchWriter()
        let bytes = Arena(capacity: block * 256)
        var spans: [(offset: Int, count: Int)] = []
        var cents: Int64 = 0
        for number in 0..<block {
            let order = orders.next()
            cents += order.cents
            writer.write(order, number: number)
            guard let start = writer.value.baseAddress else { continue }
            spans.append((bytes.append(start, writer.value.count).offset, writer.value.count))
        }
        let storage = Self.storage(of: bytes, spans)
        guard let spec = TopologyReader.read(topology, file: "bench").spec else {
            throw Fault(.defect, "bench topology")
        }
        let columns = try Planner(spec).wireColumns(of: spec.sources[0])
        let decoder = JsonDecoder(columns)
        let batch = Batch(schema: Schema(spec.sources[0].wire.map(\.field)))
        guard let amount = spec.sources[0].schema.index(of: "amount") else {
            throw Fault(.defect, "bench topology")
        }
        var sum: Int64 = 0
        func pass(_ storage: RawRecordStorage, _ body: (RawRecords) -> Void) -> Double {
            let begin = BenchClock.cpuNanoseconds()
            for _ in 0..<rounds {
                for half in 0..<2 {
                    body(
                        RawRecords(
                            at: storage, from: half * Limits.rowsPerBatchMax, count: Limits.rowsPerBatchMax))
                }
            }
            return Double(BenchClock.cpuNanoseconds() - begin) / Double(rounds * block)
        }
        let avro = BenchDecodeAvro(columns)
        let avroBytes = Arena(capacity: block * 128)
        var avroSpans: [(offset: Int, count: Int)] = []
        for half in 0..<2 {
            decoder.decode(
                RawRecords(at: storage, from: half * Limits.rowsPerBatchMax, count: Limits.rowsPerBatchMax),
                into: batch)
            avro.append(batch, to: avroBytes, &avroSpans)
        }
        let avroStorage = Self.storage(of: avroBytes, avroSpans)
        let avroDecoder = avro.decoder
        var whole: [Double] = []
        var ofAvro: [Double] = []
        var locate: [Double] = []
        for _ in 0..<3 {
            locate.append(pass(storage) { decoder.locate($0) })
            for (decoder, storage) in [(decoder as any RecordDecoder, storage), (avroDecoder, avroStorage)] {
                sum = 0
                let nanoseconds = pass(storage) { raw in
                    decoder.decode(raw, into: batch)
                    for row in 0..<batch.count where batch.status[row] == 0 {
                        sum += batch.columns[amount].values[row]
                    }
                }
                if decoder === avroDecoder { ofAvro.append(nanoseconds) } else { whole.append(nanoseconds) }
                guard sum == cents * Int64(rounds) else {
                    throw Fault(
                        .defect, "bench decode: the amounts add up to \(sum), not \(cents * Int64(rounds))")
                }
            }
        }
        let length = spans.reduce(0) { $0 + $1.count } / block
        var report = BenchReport(
            "decode: \(rounds * block) orders of \(length) bytes into 6 columns, one core")
        report.add("records per second", 1e9 / median(whole), "records/s")
        report.add("nanoseconds per record", median(whole), "ns")
        report.add("locating alone", median(locate), "ns (simdjson finds the members; nothing is typed)")
        report.add("megabytes per second", Double(length) * 1000 / median(whole), "MB/s")
        let avroLength = avroSpans.reduce(0) { $0 + $1.count } / block
        report.add(
            "of Avro", 1e9 / median(ofAvro), "records/s (\(avroLength) bytes, framed, unions with null)")
        report.add("nanoseconds of Avro", median(ofAvro), "ns")
        report.add("checked", "the amounts add up exactly")
        return report
    }

    private static func storage(of bytes: Arena, _ spans: [(offset: Int, count: Int)]) -> RawRecordStorage {
        bytes.reserve(64)
        let storage = RawRecordStorage(capacity: spans.count)
        for (row, span) in spans.enumerated() {
            storage.values[row] = UnsafePointer(bytes.base + span.offset)
            storage.valueCounts[row] = Int32(span.count)
        }
        return storage
    }
}
