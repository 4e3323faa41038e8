import Base
import Connectors
import Engine
import Glibc
import Records
import Synchronization
import Topology

/// Workers are added, restarted in turn and taken away (SIGTERM where they come back with their folder, else
/// SIGUSR1) under a load: how long no alert of a partition can be read.
package enum BenchPlanned {
    private static let partitions = 8
    private static let merchants = 2000
    /// One order in so many has an alert of its own.
    private static let markEvery = 8
    /// A merchant's every so manyth order has an alert of its window.
    private static let roundEvery = 50

    package static func run(_ settings: KafkaSettings, rate: Int, program: String) throws(Fault)
        -> BenchReport
    {
        var report = BenchReport(
            "planned: 1 to 3 to 1 workers at \(rate) orders a second, each partition with an alert every "
                + "\(1000 * markEvery * partitions / rate) ms")
        for keepsFolders in [true, false] {
            let run = try Run(settings, rate: rate, program: program, keepsFolders: keepsFolders)
            try run.measure()
            let name = keepsFolders ? "with state folders" : "fresh folders"
            for (phase, silence, latency) in run.figures {
                report.add(
                    "\(name), \(phase)", silence,
                    "s without an alert of a partition; \(fixed(latency)) s from order to alert")
            }
            report.add("\(name), checked", "\(run.seen) alerts, each once and none missing")
        }
        return report
    }

    private static func fixed(_ seconds: Double) -> String { "\((seconds * 1000).rounded() / 1000)" }

    /// What happens to the workers.
    private final class Script: Sendable {
        struct State: Sendable {
            var phases: [(name: String, begin: Int64)] = []
            var isOver = false
            var isRead = false
        }
        let state = Mutex(State())

        func enter(_ name: String) { state.withLock { $0.phases.append((name, monotonicNanoseconds())) } }
    }

    private final class Run {
        private let settings: KafkaSettings
        private let rate: Int
        private let program: String
        private let keepsFolders: Bool
        private let name: String
        private let folder: String
        private let reader: KafkaReader
        /// Of orders that have an alert of their own, and of windows: what is still to come.
        private var numbers: Set<Int> = []
        private var rounds: Set<String> = []
        private(set) var seen = 0
        private(set) var figures: [(phase: String, silence: Double, latency: Double)] = []

        init(_ settings: KafkaSettings, rate: Int, program: String, keepsFolders: Bool) throws(Fault) {
            (self.settings, self.rate, self.program, self.keepsFolders) = (
                settings, rate, program, keepsFolders
            )
            name = "planned-\(SystemClock().nowMilliseconds)"
            folder = "/tmp/millrace-\(name)"
            guard mkdir(folder, 0o700) == 0 else {
                throw Fault(.external, "\(folder): \(String(cString: strerror(errno)))")
            }
            let admin = try KafkaAdmin(settings)
            try admin.checkReachable()
            try admin.create(
                ["\(name)-orders", "\(name)-alerts"].map { KafkaTopicPlan(name: $0, partitions: partitions) })
            reader = try KafkaReader(settings, topic: "\(name)-alerts")
            let text = """
                topology: \(name)
                sources:
                  orders:
                    kafka: { topic: \(name)-orders }
                    time: { field: event_time, out_of_order: 1s, idle: 1s }
                    schema: { merchant_id: text, number: int, is_marked: bool, event_time: timestamp }
                steps:
                  turnover: { from: orders, key: merchant_id, window: { size: 2h, slide: 1h }, aggregate: { n: count() } }
                  marked: { from: orders, where: is_marked, key: merchant_id }
                rules:
                  round: { on: turnover, when: n % \(roundEvery) == 0, risk: bench, severity: low }
                  marked: { on: marked, when: number >= 0, risk: bench, severity: low }
                sinks:
                  alerts: { kafka: { topic: \(name)-alerts } }
                """
            guard let file = fopen("\(folder)/topology.yaml", "wb") else {
                throw Fault(.external, "\(folder): no file")
            }
            defer { fclose(file) }
            guard fputs(text, file) >= 0 else { throw Fault(.external, "\(folder): no file") }
        }

        private func start(_ worker: Int, _ life: Int) throws(Fault) -> BenchProcess {
            let state = keepsFolders ? "\(folder)/\(worker)" : "\(folder)/\(worker)-\(life)"
            return try BenchProcess([
                program, "run", "\(folder)/topology.yaml", "--bootstrap-server", settings.bootstrapServers,
                "--state", state,
            ])
        }

        func measure() throws(Fault) {
            let script = Script()
            let box = Unchecked(self)
            let sending = Background { () throws(Fault) in try box.value.send(script) }
            let acting = Background { () throws(Fault) in try box.value.act(script) }
            defer {
                _ = sending.join()
                _ = acting.join()
                _ = try? BenchProcess.runToEnd(["/bin/rm", "-rf", folder])
            }
            let times = try read(script, sending, acting)
            if let fault = sending.fault ?? acting.fault { throw fault }
            guard numbers.isEmpty, rounds.isEmpty else {
                throw Fault(
                    .defect,
                    "bench planned: \(numbers.count) orders and \(rounds.count) windows have no alert, such as "
                        + "\(numbers.min().map { "order \($0)" } ?? rounds.min() ?? "")")
            }
            let phases = script.state.withLock { $0.phases }
            for (place, phase) in phases.enumerated() where phase.name != "end" {
                let end = place + 1 < phases.count ? phases[place + 1].begin : .max
                var (silence, latency): (Int64, Int64) = (0, 0)
                for partition in times {
                    var last: Int64?
                    for entry in partition {
                        if let last, last + Self.slack >= phase.begin, last + Self.slack < end {
                            silence = max(silence, entry.at - last)
                        }
                        let due = entry.at - entry.latency
                        if due >= phase.begin, due < end { latency = max(latency, entry.latency) }
                        last = entry.at
                    }
                }
                figures.append((phase.name, Double(silence) / 1e9, Double(latency) / 1e9))
            }
        }

        /// A way for threads that are joined before their owner goes on.
        private struct Unchecked: @unchecked Sendable {
            let value: Run
            init(_ value: Run) { self.value = value }
        }

        /// What the workers go through. A phase lasts until its commotion is over.
        private func act(_ script: Script) throws(Fault) {
            var workers = [try start(0, 0)]
            defer {
                for worker in workers { worker.kill() }
                script.state.withLock { $0.isOver = true }
            }
            sleep(10)
            script.enter("steady")
            sleep(5)
            script.enter("1 to 3 workers")
            for worker in 1...2 { workers.append(try start(worker, 0)) }
            sleep(12)
            script.enter("rolling restart of 3")
            for worker in 0...2 {
                workers[worker].end(with: keepsFolders ? SIGTERM : SIGUSR1)
                workers[worker] = try start(worker, 1)
                sleep(10)
            }
            script.enter("3 to 1 workers")
            for worker in 1...2 { workers[worker].end(with: SIGUSR1) }
            workers.removeLast(2)
            sleep(15)
            script.enter("restart of 1")
            workers[0].end(with: keepsFolders ? SIGTERM : SIGUSR1)
            workers[0] = try start(0, 2)
            sleep(10)
            script.enter("end")
            script.state.withLock { $0.isOver = true }
            // Until what was sent has gone through.
            while !script.state.withLock({ $0.isRead }) { usleep(20_000) }
            workers[0].end(with: SIGTERM)
            workers.removeAll()
        }

        private let plan = Mutex((sent: 0, isSent: false, start: Int64(0)))

        private func send(_ script: Script) throws(Fault) {
            let feeder = try KafkaFeeder(settings)
            let target = try feeder.topic("\(name)-orders")
            var json = JsonWriter()
            let begin = monotonicNanoseconds()
            let start = SystemClock().nowMilliseconds
            plan.withLock { $0.start = begin }
            var number = 0
            while true {
                let due = Int64(number) * 1_000_000_000 / Int64(rate)
                while monotonicNanoseconds() - begin < due {
                    feeder.poll()
                    usleep(500)
                }
                if number % 1000 == 0, script.state.withLock({ $0.isOver }) { break }
                json.removeAll()
                json.beginObject()
                let merchant = BenchOrders.merchant(BenchPlanned.merchant(of: number))
                json.member("merchant_id", merchant)
                json.name("number")
                json.number(Int128(number), scale: 0)
                json.name("is_marked")
                json.raw(number % markEvery == 0 ? "true" : "false")
                json.name("event_time")
                json.timestamp(start + due / 1_000_000)
                json.endObject()
                try feeder.send(to: target, key: merchant, value: json.string)
                number += 1
            }
            try feeder.flush()
            plan.withLock { ($0.sent, $0.isSent) = (number, true) }
        }

        /// What stops with a phase has its last alert a little before.
        private static let slack: Int64 = 50_000_000

        private struct Entry {
            var at: Int64
            var latency: Int64
        }

        /// Reads until all that must come has come; by partition, when alerts of marked orders were read.
        private func read(_ script: Script, _ sending: Background, _ acting: Background) throws(Fault)
            -> [[Entry]]
        {
            defer { script.state.withLock { ($0.isRead, $0.isOver) = (true, true) } }
            var times: [[Entry]] = Array(repeating: [], count: partitions)
            var early: Set<Int> = []
            var earlyRounds: Set<String> = []
            var isPlanned = false
            var movedAt = monotonicNanoseconds()
            while true {
                var twice: String?
                let count = try reader.poll(timeoutMilliseconds: 5) { record in
                    guard let text = record.valueText, let key = record.keyText,
                        text.contains("\"state\":\"raised\"")
                    else { return }
                    self.seen += 1
                    let now = monotonicNanoseconds()
                    if let number = Self.number("number", text) {
                        if !early.insert(number).inserted { twice = "order \(number)" }
                        let due =
                            self.plan.withLock { $0.start } + Int64(number) * 1_000_000_000 / Int64(self.rate)
                        times[Int(record.partition)].append(Entry(at: now, latency: now - due))
                    } else if let n = Self.number("turnover.n", text) {
                        if !earlyRounds.insert("\(key) at \(n)").inserted { twice = "\(key) at \(n)" }
                    }
                }
                if let twice { throw Fault(.defect, "bench planned: two alerts for \(twice)") }
                if let fault = sending.fault ?? acting.fault { throw fault }
                if count > 0 { movedAt = monotonicNanoseconds() }
                if !isPlanned, plan.withLock({ $0.isSent }) {
                    isPlanned = true
                    expect(plan.withLock { $0.sent })
                }
                if isPlanned, early.count + earlyRounds.count >= numbers.count + rounds.count { break }
                guard monotonicNanoseconds() - movedAt < 90_000_000_000 else { break }
            }
            let strange = early.subtracting(numbers).count + earlyRounds.subtracting(rounds).count
            guard strange == 0 else {
                throw Fault(.defect, "bench planned: \(strange) alerts that nobody expects")
            }
            numbers.subtract(early)
            rounds.subtract(earlyRounds)
            return times
        }

        /// What a plain computation gives.
        private func expect(_ sent: Int) {
            var counts = Array(repeating: 0, count: merchants)
            for number in 0..<sent {
                if number % markEvery == 0 { numbers.insert(number) }
                let merchant = BenchPlanned.merchant(of: number)
                counts[merchant] += 1
                if counts[merchant] % roundEvery == 0 {
                    rounds.insert("\(BenchOrders.merchant(merchant)) at \(counts[merchant])")
                }
            }
        }

        private static func number(_ name: String, _ text: String) -> Int? {
            guard let range = text.firstRange(of: "\"\(name)\":") else { return nil }
            return Int(text[range.upperBound...].prefix { $0.isNumber })
        }
    }

    /// Spread over merchants, and so over partitions.
    private static func merchant(of number: Int) -> Int {
        Int(truncatingIfNeeded: UInt64(number) &* 0x9E37_79B9 % UInt64(merchants))
    }
}
