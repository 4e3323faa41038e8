import Base
import Connectors
import Dataflow
import Engine
import Glibc
import Records
import Synchronization
import Topology

/// A worker with much state is killed (SIGKILL) and started again: how long until an order that is sent after
/// the kill has its alert, read as committed. From the machine's snapshots, and from the changelog alone.
package enum BenchRestart {
    private static let partitions = 4
    /// Far enough apart in event time that every pane of a key's ring holds records.
    private static let rounds = 30

    /// `keys`: merchants, each with a full ring of 30 panes. `program`: path of this program.
    package static func run(_ settings: KafkaSettings, keys: Int, program: String) throws(Fault)
        -> BenchReport
    {
        let stamp = SystemClock().nowMilliseconds
        let name = "restart-\(stamp)"
        let folder = "/tmp/millrace-\(name)"
        guard mkdir(folder, 0o700) == 0 else {
            throw Fault(.external, "\(folder): \(String(cString: strerror(errno)))")
        }
        defer { remove(folder, name) }
        let admin = try KafkaAdmin(settings)
        try admin.checkReachable()
        try admin.create(
            ["\(name)-orders", "\(name)-alerts"].map { KafkaTopicPlan(name: $0, partitions: partitions) })
        let (spec, path) = try topology(name, folder)
        let feed = try Feed(settings, topic: "\(name)-orders", alerts: "\(name)-alerts", keys: keys)
        var process = try worker(program, path, settings, folder)
        defer { process.kill() }
        try feed.fill(rounds: rounds)
        try feed.awaitMarks(try feed.mark(), seconds: 600)
        // Every task's snapshot is of the end, give or take what the marks changed.
        try awaitSnapshots("\(folder)/state/\(name)/0", since: SystemClock().nowMilliseconds)
        var group = settings
        group.group = name
        let stores = try StateInspector(spec, snapshots: "\(folder)/state").stores
        let bytes = stores.reduce(0) { $0 + $1.summary.bytes }
        let held = stores.reduce(0) { $0 + $1.summary.keys }
        guard held == keys else { throw Fault(.defect, "bench restart: \(held) keys are kept of \(keys)") }

        var fromSnapshots: [Double] = []
        for _ in 0..<3 {
            process.kill()
            let begin = monotonicNanoseconds()
            process = try worker(program, path, settings, folder)
            fromSnapshots.append(try feed.firstAlert(since: begin))
        }
        process.kill()
        remove("\(folder)/state", name)
        let begin = monotonicNanoseconds()
        process = try worker(program, path, settings, folder)
        let fromChangelog = try feed.firstAlert(since: begin)
        var report = BenchReport("restart: kill -9 of a worker with \(keys) merchants, 30 panes each")
        report.add("state", Double(bytes) / 1e6, "MB in memory")
        report.add("bytes per key", Double(bytes) / Double(keys), "with its ring of panes")
        report.add(
            "bytes per pane", Double(bytes) / Double(keys) / Double(stores.first?.summary.panes ?? 1),
            "of records, sum, least, largest")
        report.add(
            "from snapshots", median(fromSnapshots), "s from the kill to the first new alert, median of 3")
        report.add("from the changelog", fromChangelog, "s, without the disk, under the same --instance-id")
        report.add(
            "checked", "each alert carried the count of all records of its merchant from before the kill")
        return report
    }

    private static func worker(
        _ program: String, _ topology: String, _ settings: KafkaSettings, _ folder: String
    ) throws(Fault) -> BenchProcess {
        try BenchProcess([
            program, "run", topology, "--bootstrap-server", settings.bootstrapServers, "--state",
            "\(folder)/state",
            "--snapshot-interval", "2", "--instance-id", "bench",
        ])
    }

    private static func topology(_ name: String, _ folder: String) throws(Fault) -> (TopologySpec, String) {
        let text = """
            topology: \(name)
            sources:
              orders:
                kafka: { topic: \(name)-orders }
                time: { field: event_time, out_of_order: 1s, idle: 600s }
                schema: { merchant_id: text, kind: text, amount: decimal(2), event_time: timestamp }
            steps:
              turnover:
                from: orders
                key: merchant_id
                window: { size: 5m, slide: 10s }
                aggregate:
                  n: count()
                  amount: sum(amount)
                  least: min(amount)
                  largest: max(amount)
                  marks: count(kind == "marked")
            rules:
              marked: { on: turnover, when: marks > 0 and n > 0 and amount > 0.00 and least <= largest, risk: bench, severity: low }
            sinks:
              alerts: { kafka: { topic: \(name)-alerts } }
            """
        let path = "\(folder)/topology.yaml"
        guard let file = fopen(path, "wb") else {
            throw Fault(.external, "\(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        guard fputs(text, file) >= 0, let spec = TopologyReader.read(text, file: path).spec else {
            throw Fault(.defect, "bench topology")
        }
        return (spec, path)
    }

    private static func awaitSnapshots(_ folder: String, since: Int64) throws(Fault) {
        let deadline = monotonicNanoseconds() + 300_000_000_000
        for task in 0..<Int32(partitions) {
            while true {
                var status = stat()
                let path = SnapshotFiles.path(folder, task)
                if stat(path, &status) == 0, Int64(status.st_mtim.tv_sec) * 1000 > since - 1000 { break }
                guard monotonicNanoseconds() < deadline else {
                    throw Fault(.external, "\(path) is not written")
                }
                usleep(20_000)
            }
        }
    }

    /// Removes the folder that this benchmark made.
    private static func remove(_ path: String, _ name: String) {
        require(path.contains(name), "a folder of this benchmark")
        _ = try? BenchProcess.runToEnd(["/bin/rm", "-rf", path])
    }

    /// Orders on their way in, and alerts on their way out.
    private final class Feed {
        private let feeder: KafkaFeeder
        private let target: KafkaFeeder.Topic
        private let reader: KafkaReader
        private let keys: Int
        private var json = JsonWriter()
        private var next = 0
        /// Orders that each merchant has.
        private var sent: [Int32]
        private var marked: Set<String> = []
        private var last: Int64 = 0

        init(_ settings: KafkaSettings, topic: String, alerts: String, keys: Int) throws(Fault) {
            feeder = try KafkaFeeder(settings)
            target = try feeder.topic(topic)
            reader = try KafkaReader(settings, topic: alerts)
            self.keys = keys
            sent = Array(repeating: 0, count: keys)
        }

        func fill(rounds: Int) throws(Fault) {
            for round in 0..<rounds {
                last = BenchOrders.start + Int64(round) * 10_000
                for key in 0..<keys { try send(key, "paid") }
            }
            try feeder.flush()
        }

        private func send(_ key: Int, _ kind: String) throws(Fault) {
            sent[key] += 1
            json.removeAll()
            json.beginObject()
            json.member("merchant_id", BenchOrders.merchant(key))
            json.member("kind", kind)
            json.name("amount")
            json.number(Int128(key + 1), scale: 2)
            json.name("event_time")
            json.timestamp(last)
            json.endObject()
            try feeder.send(to: target, key: BenchOrders.merchant(key), value: json.string)
        }

        /// One order of each of the next merchants, enough that every partition has some; the number of them.
        func mark() throws(Fault) -> Int {
            let count = 32
            for _ in 0..<count {
                try send(next, "marked")
                marked.insert(BenchOrders.merchant(next))
                next += 1
            }
            try feeder.flush()
            return count
        }

        func awaitMarks(_ count: Int, seconds: Int64) throws(Fault) {
            let deadline = monotonicNanoseconds() + seconds * 1_000_000_000
            var seen = 0
            while seen < count {
                guard monotonicNanoseconds() < deadline else {
                    throw Fault(.external, "bench restart: \(seen) alerts of \(count)")
                }
                seen += try poll()
            }
        }

        /// Sends marked orders until the first one's alert is there; the seconds since `begin`. Then waits
        /// for the rest.
        func firstAlert(since begin: Int64) throws(Fault) -> Double {
            var waiting = try mark()
            while true {
                let seen = try poll()
                waiting -= seen
                if seen > 0 { break }
                guard monotonicNanoseconds() - begin < 600_000_000_000 else {
                    throw Fault(.external, "bench restart: no alert")
                }
            }
            let seconds = Double(monotonicNanoseconds() - begin) / 1e9
            try awaitMarks(waiting, seconds: 60)
            return seconds
        }

        /// Alerts of marked orders that came; each must know all of its merchant's orders.
        private func poll() throws(Fault) -> Int {
            var seen = 0
            var fault: Fault?
            try reader.poll(timeoutMilliseconds: 2) { record in
                guard let text = record.valueText, let name = record.keyText, let key = Int(name.dropFirst())
                else { return }
                seen += 1
                if !text.contains("\"turnover.n\":\(self.sent[key])") || self.marked.remove(name) == nil {
                    fault = Fault(
                        .defect, "bench restart: \(name) has \(self.sent[key]) orders; its alert: \(text)")
                }
            }
            if let fault { throw fault }
            return seen
        }
    }
}
