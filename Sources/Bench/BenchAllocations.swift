import Base
import Dataflow
import Engine
import Glibc
import Operators
import Records
import Topology

/// Allocations per record once buffers and windows have grown: JSON to columns, filter, windows, rules.
package enum BenchAllocations {
    package static func run(records: Int) throws(Fault) -> BenchReport {
        guard let counter = counter() else { try restartWithCounter() }
        let text = """
            topology: bench
            guarantee: at-least-once
            sources:
              orders:
                kafka: { topic: orders }
                time: { field: event_time, out_of_order: 1s }
                schema: { order_id: text, merchant_id: text, kind: text, amount: decimal(2), event_time: timestamp }
            steps:
              paid: { from: orders, where: kind == "paid" }
              turnover: { from: paid, key: merchant_id, window: { size: 5m, slide: 10s }, aggregate: { n: count(), amount: sum(amount), least: min(amount), largest: max(amount) } }
              today: { from: paid, key: merchant_id, window: { size: 1d, zone: Asia/Shanghai }, aggregate: { amount: sum(amount), night: count(hour(event_time) in 0..5) } }
            rules:
              high: { on: [turnover, today], when: turnover.amount > 99999999.00 and today.night > 3, risk: bench, severity: low }
            sinks:
              alerts: { kafka: { topic: alerts } }
            """
        guard let spec = TopologyReader.read(text, file: "bench").spec else {
            throw Fault(.defect, "bench topology")
        }
        let (pipeline, _) = try Planner(spec).pipeline(Pipeline.Options(clock: nil))
        let task = pipeline.makeTask(partition: 0)
        var outbox = Outbox()
        let rows = Limits.rowsPerBatchMax
        let storage = RawRecordStorage(capacity: rows)
        let bytes = Arena(capacity: rows * 256)
        var orders = BenchOrders(keys: 1000, recordsPerSecond: 5000, seed: 3)
        let writer = BenchWriter()
        var paid = 0
        var done = 0
        var counted: UInt64 = 0
        var measured = 0
        // The first third warms up.
        while done < records {
            bytes.removeAll()
            for row in 0..<rows {
                let order = orders.next()
                paid += order.isPaid ? 1 : 0
                writer.write(order, number: done + row)
                guard let start = writer.value.baseAddress else { continue }
                let span = bytes.append(start, writer.value.count)
                storage.values[row] = UnsafePointer(bytes.base + span.offset)
                storage.valueCounts[row] = Int32(span.count)
                storage.keyCounts[row] = -1
            }
            bytes.reserve(64)
            let before = counter()
            pipeline.process(
                RawRecords(at: storage, from: 0, count: rows), source: 0, task: task, outbox: &outbox)
            if done > records / 3 {
                counted += counter() - before
                measured += rows
            }
            done += rows
        }
        guard pipeline.counters.records == Int64(done), pipeline.counters.deadTotal == 0, paid > 0 else {
            throw Fault(
                .defect,
                "bench allocations: \(pipeline.counters.records) of \(done) records, \(pipeline.counters.deadTotal) dead"
            )
        }
        var report = BenchReport(
            "allocations: \(measured) records after a warm-up, 1000 merchants, two windows, a rule, batches of \(rows)"
        )
        report.add("allocations per record", Double(counted) / Double(measured), "")
        report.add("allocations per batch", Double(counted) / Double(measured / rows), "")
        report.add("checked", "\(done) records went through, none was refused")
        return report
    }

    private static func counter() -> (() -> UInt64)? {
        guard let symbol = dlsym(nil, "mr_allocations") else { return nil }
        return unsafeBitCast(symbol, to: (@convention(c) () -> UInt64).self)
    }

    /// Starts this command again with the counting library loaded first.
    private static func restartWithCounter() throws(Fault) -> Never {
        var path = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &path, path.count - 1)
        guard count > 0 else { throw Fault(.external, "bench allocations: /proc is not there") }
        let program = String(decoding: path[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let folder = program.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
            separator: "/")
        let library = folder + "/libAllocationCount.so"
        guard access(library, R_OK) == 0 else {
            throw Fault(
                .user,
                "bench allocations needs \(library); make it with: swift build -c release --product AllocationCount"
            )
        }
        setenv("LD_PRELOAD", library, 1)
        var arguments: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) }
        arguments.append(nil)
        execv(program, &arguments)
        throw Fault(.external, "bench allocations: \(String(cString: strerror(errno)))")
    }
}
