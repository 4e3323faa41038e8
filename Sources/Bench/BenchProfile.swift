import Base
import Connectors
import Engine
import Glibc
import Operators
import Runtime

/// Where each nanosecond of a record goes: the lane's thread by stage, and the client's threads by name,
/// while a full topic is drained.
package enum BenchProfile {
    /// One run's laps and the CPU time of all threads.
    final class Measure {
        private let clock = StageClock()
        private var threads: [String: Int64] = [:]
        private var beganAt: Int64 = 0
        private(set) var nanoseconds: [StageClock.Stage: Double] = [:]
        private(set) var clientNanoseconds: [(name: String, nanoseconds: Double)] = []
        private(set) var wallNanoseconds: Double = 0

        func begin(_ lane: Lane, _ pipeline: Pipeline) {
            lane.stages = clock
            pipeline.stages = clock
            threads = Self.cpuOfThreads()
            beganAt = monotonicNanoseconds()
            clock.reset()
        }

        func end(_ records: Int) {
            clock.lap(.polling)
            let count = Double(max(1, records))
            wallNanoseconds = Double(monotonicNanoseconds() - beganAt) / count
            for stage in StageClock.Stage.allCases { nanoseconds[stage] = Double(clock[stage]) / count }
            clientNanoseconds = Self.cpuOfThreads().map {
                ($0.key, Double($0.value - (threads[$0.key] ?? 0)) / count)
            }
            .filter { $0.nanoseconds >= 1 }.sorted { $0.nanoseconds > $1.nanoseconds }
        }

        /// CPU time of this process's threads but this one, by name; threads of one name together. A thread
        /// that has ended is not there any more.
        private static func cpuOfThreads() -> [String: Int64] {
            var result: [String: Int64] = [:]
            // Benches run on the first thread.
            let own = "\(getpid())"
            guard let folder = opendir("/proc/self/task") else { return result }
            defer { closedir(folder) }
            while let entry = readdir(folder) {
                let id = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                guard id != ".", id != "..", id != own else { continue }
                guard let stat = try? FileText.read("/proc/self/task/\(id)/schedstat"),
                    let name = try? FileText.read("/proc/self/task/\(id)/comm"),
                    let time = stat.split(separator: " ").first.flatMap({ Int64($0) })
                else { continue }
                // rdk:broker1, rdk:broker2: one kind of thread.
                var kind = name.filter { !$0.isWhitespace }
                while let last = kind.last, last.isNumber || last == "-" { kind.removeLast() }
                result[kind, default: 0] += time
            }
            return result
        }
    }

    /// `shape`: the name of one of `bench shapes`.
    package static func run(_ settings: KafkaSettings, records: Int, shape name: String) throws(Fault)
        -> BenchReport
    {
        let shape = try BenchShape.named(name)
        let topic = "bench-profile-\(SystemClock().nowMilliseconds)"
        let admin = try KafkaAdmin(settings)
        try admin.checkReachable()
        let answer = BenchAnswer(shape, records: records)
        defer { try? admin.delete([topic]) }
        let bytes = try BenchRecords.fill(settings, admin, topic: topic, shape.input, records: records)
        let drain = BenchDrain(
            settings: settings, admin: admin, shape: shape, answer: answer, topic: topic,
            records: records * shape.input.times)
        _ = try drain.engine(as: "\(topic)-warm")
        let measure = Measure()
        let speed = try drain.engine(as: "\(topic)-run", profile: measure)
        var report = BenchReport(
            "profile: \(shape.name), \(records) records of \(bytes) bytes, \(shape.text); ns a record")
        for stage in StageClock.Stage.allCases {
            report.add(text(of: stage), measure.nanoseconds[stage] ?? 0, "ns")
        }
        report.add("the lane's thread in all", measure.wallNanoseconds, "ns, by the clock")
        for thread in measure.clientNanoseconds {
            report.add("thread \(thread.name)", thread.nanoseconds, "ns CPU")
        }
        report.add("all threads", speed.cpuNanoseconds, "ns CPU")
        report.add("records per second", speed.recordsPerSecond, "records/s")
        report.add(
            "checked",
            "\(answer.alerts) alerts, \(answer.dead) dead, \(answer.late) late, as the plain loop finds")
        return report
    }

    private static func text(of stage: StageClock.Stage) -> String {
        switch stage {
        case .polling: "wait for records, take them over"
        case .decoding: "JSON to columns"
        case .timing: "event times, watermarks"
        case .selecting: "filters"
        case .keying: "keys to ids"
        case .aggregating: "panes, running aggregates"
        case .rules: "rules"
        case .closing: "closed windows, keys that leave"
        case .writing: "alerts, letters as bytes"
        case .sending: "outputs to the client"
        case .collecting: "changed panes as bytes"
        case .committing: "changes to the client, commit"
        }
    }
}
