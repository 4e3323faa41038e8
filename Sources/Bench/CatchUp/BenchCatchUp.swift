import Base
import Connectors
import Engine
import Glibc
import Marketplace
import Records
import Synchronization
import Topology

/// The rule library over a generated month on Kafka, against a replay of the same month: what differs, and
/// how long it takes. Two workers of two lanes; the month is there before they start, or is sent at a rate
/// while they run; they may be killed meanwhile.
package enum BenchCatchUp {
    package struct Options: Sendable {
        /// The month's files, and `risk-alerts` and `response-control` if they are there; nil: one is
        /// generated.
        package var folder: String?
        package var topologies = "Topologies"
        package var names = [
            "before-the-loan", "during-the-loan", "fund-flow", "after-the-alert", "data-sources",
        ]
        /// So many months at once, each about other shops and accounts; of those that fund flow reads.
        package var copies = 1
        package var kills = 0
        /// Records a second; nil: all are there before the first worker starts.
        package var rate: Int?
        package var seed: UInt64 = 1
        package var program = "/proc/self/exe"

        package init() {}
    }

    private static let partitions = 4
    private static let workers = 2

    /// Also false if something differed.
    package static func run(_ settings: KafkaSettings, _ options: Options) throws(Fault) -> (
        report: BenchReport, isRight: Bool
    ) {
        let scratch = "/tmp/millrace-catchup-\(getpid())"
        guard mkdir(scratch, 0o700) == 0 else { throw Fault(.external, "\(scratch) cannot be made") }
        var isRight = false
        defer { if isRight { BenchFolder.delete(scratch) } else { Log.info("kept: \(scratch)") } }
        var month = "\(scratch)/month"
        try FileWriter.makeFolder(month)
        if let folder = options.folder {
            try link(folder, month)
        } else {
            var library = LibraryOptions()
            library.seed = options.seed
            _ = try LibraryMonth.write(library, to: month)
        }
        if options.copies > 1 {
            let copied = "\(scratch)/copies"
            try FileWriter.makeFolder(copied)
            for name in ["loans", "transfers", "accounts"] {
                let lines = try CatchUpLines("\(month)/\(name).jsonl")
                try CatchUpCopies.write(lines, copies: options.copies, to: "\(copied)/\(name).jsonl")
            }
            month = copied
        }
        let how = options.rate.map { "sent at \($0) records/s" } ?? "preloaded"
        var report = BenchReport("catch-up: a month \(how), \(options.kills) x kill -9, against its replay")
        if options.names.contains("after-the-alert"), access("\(month)/risk-alerts.jsonl", F_OK) != 0 {
            try alerts(options, month, scratch)
        }
        var isEqual = true
        for (number, name) in options.names.enumerated() {
            let prefix = "c\(SystemClock().nowMilliseconds % 1_000_000_000)-"
            let test = try CatchUpCase(
                name, topologies: options.topologies, folder: month, scratch: scratch, prefix: prefix)
            isEqual = try run(settings, test, options, number, scratch, &report) && isEqual
        }
        isRight = isEqual
        return (report, isRight)
    }

    /// A folder of links: what is derived from the month is not written beside it.
    private static func link(_ folder: String, _ month: String) throws(Fault) {
        guard let listing = opendir(folder) else {
            throw Fault(.user, "\(folder): \(String(cString: strerror(errno)))")
        }
        defer { closedir(listing) }
        let base =
            folder.hasPrefix("/")
            ? folder : (getcwd(nil, 0).map { String(cString: $0) } ?? ".") + "/" + folder
        while let entry = readdir(listing) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".jsonl") { symlink("\(base)/\(name)", "\(month)/\(name)") }
        }
    }

    /// What `after-the-alert` reads: the alerts of the others, and what people decide about some of them.
    private static func alerts(_ options: Options, _ month: String, _ scratch: String) throws(Fault) {
        var alerts: [(time: Int64, text: String)] = []
        for name in options.names.isEmpty
            ? [] : ["before-the-loan", "during-the-loan", "fund-flow", "data-sources"]
        {
            let test = try CatchUpCase(
                name, topologies: options.topologies, folder: month, scratch: scratch, prefix: "x-")
            alerts += test.alerts.map { (CatchUpCase.time(of: $0) ?? 0, $0) }
        }
        alerts.sort { ($0.time, $0.text) < ($1.time, $1.text) }
        try write(alerts.map(\.text) + closing(alerts.last?.time ?? 0), to: "\(month)/risk-alerts.jsonl")
        var decisions: [String] = []
        for (number, alert) in alerts.enumerated() where number % 5 == 2 {
            guard let node = YamlText.read(alert.text)?.mapping,
                let customer = node.first(where: { $0.key == "customer" })?.value.scalar?.text,
                let rule = node.first(where: { $0.key == "rule" })?.value.scalar?.text
            else { continue }
            let action = ["snooze", "suppress", "resume"][number / 5 % 3]
            var json = JsonWriter()
            json.beginObject()
            json.member("customer", customer)
            json.member("action", action)
            json.member("item", rule)
            json.name("until")
            json.timestamp(alert.time + 86_400_000)
            json.member("reason", "known")
            json.member("owner", "ann")
            json.name("decided_at")
            json.timestamp(alert.time + 600_000)
            json.endObject()
            decisions.append(json.string)
        }
        try write(decisions, to: "\(month)/response-control.jsonl")
    }

    /// Alerts about customers in each partition, at the end: event time of a partition goes on with the clock
    /// from its last record, while a replay has one event time, so what time alone brings about would come
    /// later in some.
    private static func closing(_ time: Int64) -> [String] {
        (0..<16 * partitions).map { number in
            var json = JsonWriter()
            json.beginObject()
            json.member("customer", "closing-\(number)")
            json.member("rule", "closing")
            json.member("severity", "low")
            json.member("state", "raised")
            json.name("event_time")
            json.timestamp(time)
            json.endObject()
            return json.string
        }
    }

    private static func write(_ lines: [String], to path: String) throws(Fault) {
        let writer = try FileWriter(path: path)
        for line in lines { try writer.write(line + "\n") }
        try writer.flush()
    }

    // MARK: One topology

    private static func run(
        _ settings: KafkaSettings, _ test: CatchUpCase, _ options: Options, _ number: Int, _ scratch: String,
        _ report: inout BenchReport
    ) throws(Fault) -> Bool {
        var group = settings
        group.group = "\(test.inputs.first?.topic ?? "")-group"
        let admin = try KafkaAdmin(settings)
        let topics = Set(test.inputs.map(\.topic)).union(test.expected.keys)
        try admin.create(topics.sorted().map { KafkaTopicPlan(name: $0, partitions: partitions) })
        let sent = Share(options.rate == nil ? 1 : 0)
        var feeding: Background?
        if let rate = options.rate {
            feeding = Background { () throws(Fault) in
                var feed = try CatchUpFeed(settings, test.inputs)
                // Workers have their partitions by then.
                usleep(8_000_000)
                try feed.send(rate: rate) { sent.value = min(0.999, $0) }
                sent.value = 1
            }
        } else {
            var feed = try CatchUpFeed(settings, test.inputs)
            try feed.preload()
        }
        var results = try CatchUpResults(settings, test)
        let begin = monotonicNanoseconds()
        var processes: [BenchProcess] = []
        for worker in 0..<workers { processes.append(try start(worker, test, group, options, scratch)) }
        defer { for process in processes { process.kill() } }
        var random = SplitMix64(seed: options.seed &+ UInt64(number))
        var kills = 0
        var nextKill = begin + 3_000_000_000
        // When the last result came, a worker was killed, or something was sent.
        var movedAt = begin
        while true {
            if try results.poll() { movedAt = monotonicNanoseconds() }
            let now = monotonicNanoseconds()
            let share = sent.value
            if share < 1 { movedAt = now }
            if let fault = feeding?.fault { throw fault }
            if kills < options.kills, now > nextKill,
                options.rate == nil || share >= 0.9 * Double(kills + 1) / Double(options.kills + 1)
            {
                let victim = Int(random.next() % UInt64(workers))
                processes[victim].kill()
                processes[victim] = try start(victim, test, group, options, scratch)
                kills += 1
                movedAt = now
                nextKill = now + 700_000_000 + Int64(random.next() % 1_500_000_000)
            }
            for process in processes where process.hasEnded {
                throw Fault(.defect, "a worker ended; see \(scratch)/*.log")
            }
            guard share >= 1, kills >= options.kills else { continue }
            if results.isComplete, now - movedAt > 3_000_000_000 { break }
            if now - movedAt > 60_000_000_000 { break }
        }
        let seconds = Double(results.movedAt - begin) / 1e9
        if let fault = feeding?.join() { throw fault }
        let differences = results.differences
        report.add("\(test.name), records", Double(test.records), "records")
        report.add("\(test.name), replay", test.replaySeconds, "s")
        report.add("\(test.name), through", seconds, "s from the workers' start to the last result")
        report.add("\(test.name), rate of the replay's", test.replaySeconds / max(0.001, seconds), "")
        let count = test.expected.values.reduce(0) { $0 + $1.count }
        report.add(
            "\(test.name), results",
            "\(count) of the replay, \(differences.missing.count) missing, \(differences.strange.count) strange, \(differences.twice) twice"
        )
        for text in differences.missing.prefix(4) { report.add("\(test.name), missing", text) }
        for text in differences.strange.prefix(4) { report.add("\(test.name), strange", text) }
        return differences.missing.isEmpty && differences.strange.isEmpty && differences.twice == 0
    }

    private static func start(
        _ worker: Int, _ test: CatchUpCase, _ settings: KafkaSettings, _ options: Options, _ scratch: String
    ) throws(Fault) -> BenchProcess {
        try BenchProcess(
            [
                options.program, "run", test.path, "--bootstrap-server", settings.bootstrapServers, "--group",
                settings.group, "--state", "\(scratch)/state-\(worker)", "--instance-id", "worker-\(worker)",
                "--lanes", "2",
                "--snapshot-interval", "2",
            ], log: "\(scratch)/\(test.name)-\(worker).log")
    }

    /// The share of the input that is sent.
    private final class Share: Sendable {
        private let share: Mutex<Double>

        init(_ value: Double) { share = Mutex(value) }

        var value: Double {
            get { share.withLock { $0 } }
            set { share.withLock { $0 = newValue } }
        }
    }
}
