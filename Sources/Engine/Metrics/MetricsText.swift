import Base
import Dataflow
import Glibc
import Topology

/// The state of a worker in Prometheus' text format 0.0.4. Labels are bounded: sources, partitions and
/// reasons, never keys.
struct MetricsText {
    private var text = ""

    static func render(
        _ spec: TopologySpec,
        lanes: [LaneStatus],
        sinks: [(sink: String, report: SinkReport)],
        isReady: Bool,
        now: Int64
    ) -> String {
        var metrics = MetricsText()
        metrics.head(
            "millrace_ready", "gauge",
            "1 while every lane has its partitions and processes them, as /ready says.")
        metrics.line("millrace_ready", isReady ? 1 : 0)
        metrics.counters(lanes, sinks)
        metrics.partitions(spec, lanes, now)
        metrics.steps(lanes.flatMap(\.steps))
        metrics.rules(spec.name, lanes)
        metrics.stepRows(spec.name, lanes)
        var alerts = Histogram()
        var commits = Histogram()
        for lane in lanes {
            alerts.add(lane.alertSeconds)
            commits.add(lane.commitSeconds)
        }
        metrics.histogram(
            "millrace_alert_latency_seconds",
            "From the append of a record to the acknowledgement of its alert.", alerts)
        metrics.histogram("millrace_commit_latency_seconds", "Time of a commit cycle.", commits)
        metrics.sinks(sinks.map { ($0.sink, $0.report.figures) })
        metrics.head("millrace_state_bytes", "gauge", "Memory of keys and windows.")
        metrics.line("millrace_state_bytes", lanes.reduce(0) { $0 + $1.stateBytes })
        metrics.head("millrace_state_keys", "gauge", "Keys with windows.")
        metrics.line("millrace_state_keys", lanes.reduce(0) { $0 + $1.keys })
        metrics.head("millrace_resident_memory_bytes", "gauge", "Resident memory of the process.")
        metrics.line("millrace_resident_memory_bytes", residentBytes())
        return metrics.text
    }

    private mutating func counters(_ lanes: [LaneStatus], _ sinks: [(sink: String, report: SinkReport)]) {
        func sum(_ value: (LaneStatus) -> Int64) -> Int64 { lanes.reduce(0) { $0 + value($1) } }
        counter("millrace_records_in_total", "Records read.", sum(\.records))
        counter(
            "millrace_records_out_total",
            "Records published: alerts, results, dead letters and late records.", sum(\.outputs))
        counter("millrace_alerts_total", "Alerts raised and cleared.", sum(\.alerts))
        counter("millrace_results_total", "Results of steps published.", sum(\.results))
        counter(
            "millrace_late_records_total", "Records that came after their windows had closed.", sum(\.late))
        counter(
            "millrace_tombstones_total", "Records without a value that their source says to pass over.",
            sum(\.tombstones))
        counter("millrace_commits_total", "Commit cycles that moved a position.", sum(\.commits))
        head("millrace_dead_letters_total", "counter", "Records refused, by reason.")
        var dead: [String: Int64] = [:]
        for lane in lanes { dead.merge(lane.dead, uniquingKeysWith: +) }
        for (reason, count) in dead.sorted(by: { $0.key < $1.key }) {
            line("millrace_dead_letters_total{reason=\"\(reason)\"}", count)
        }
        limits(lanes, sinks)
        var unmatched: [String: Int64] = [:]
        for lane in lanes { unmatched.merge(lane.unmatched, uniquingKeysWith: +) }
        if !unmatched.isEmpty {
            head(
                "millrace_rows_without_partner_total", "counter",
                "Rows that an inner join with a table dropped, by step.")
        }
        for (step, count) in unmatched.sorted(by: { $0.key < $1.key }) {
            line("millrace_rows_without_partner_total{step=\"\(step)\"}", count)
        }
        var overflows: [String: Int64] = [:]
        for lane in lanes { overflows.merge(lane.overflows, uniquingKeysWith: +) }
        if !overflows.isEmpty {
            head(
                "millrace_overflows_total", "counter",
                "Results and conditions with a number that does not fit in 64 bits, by step or rule.")
        }
        for (label, count) in overflows.sorted(by: { $0.key < $1.key }) {
            line("millrace_overflows_total{\(label)}", count)
        }
        var lookups: [String: (asked: Int64, unanswered: Int64)] = [:]
        for lane in lanes {
            lookups.merge(lane.lookups) { ($0.asked + $1.asked, $0.unanswered + $1.unanswered) }
        }
        if !lookups.isEmpty {
            head("millrace_table_lookups_total", "counter", "Keys that Redis was asked for, by table.")
        }
        for (table, counts) in lookups.sorted(by: { $0.key < $1.key }) {
            line("millrace_table_lookups_total{table=\"\(table)\"}", counts.asked)
        }
        if !lookups.isEmpty {
            head("millrace_table_lookups_unanswered_total", "counter", "Those that got no answer in time.")
        }
        for (table, counts) in lookups.sorted(by: { $0.key < $1.key }) {
            line("millrace_table_lookups_unanswered_total{table=\"\(table)\"}", counts.unanswered)
        }
        head("millrace_lanes", "gauge", "Lanes that report.")
        line("millrace_lanes", lanes.count)
    }

    /// Limits that were hit; `millrace docs limits` says what each of them does.
    private mutating func limits(_ lanes: [LaneStatus], _ sinks: [(sink: String, report: SinkReport)]) {
        var limits: [LimitHits.Place: Int64] = [:]
        for lane in lanes { limits.merge(lane.limits, uniquingKeysWith: +) }
        for (sink, report) in sinks {
            for (limit, count) in report.limits { limits[LimitHits.Place(limit, sink), default: 0] += count }
        }
        head("millrace_limit_hits_total", "counter", "Times that a limit was hit, by limit and step.")
        let sorted = limits.sorted {
            ($0.key.limit.rawValue, $0.key.step) < ($1.key.limit.rawValue, $1.key.step)
        }
        for (place, count) in sorted {
            line("millrace_limit_hits_total{limit=\"\(place.limit.rawValue)\",step=\"\(place.step)\"}", count)
        }
    }

    private mutating func partitions(_ spec: TopologySpec, _ lanes: [LaneStatus], _ now: Int64) {
        let all = lanes.flatMap(\.partitions).sorted { ($0.source, $0.partition) < ($1.source, $1.partition) }
        func labels(_ partition: LaneStatus.Partition) -> String {
            "{source=\"\(spec.sources[partition.source].name)\",partition=\"\(partition.partition)\"}"
        }
        head(
            "millrace_consumer_lag_records", "gauge",
            "Records of the partition that were not processed: not read yet, or read and waiting for another input or for event time."
        )
        for entry in all {
            if let lag = entry.lagRecords { line("millrace_consumer_lag_records\(labels(entry))", lag) }
        }
        head(
            "millrace_consumer_lag_seconds", "gauge",
            "How far the event time of what was processed lies behind the clock; 0 once a partition is read to its end and nothing of it waits."
        )
        for entry in all {
            guard let watermark = entry.watermark else { continue }
            let isDone = entry.isCaughtUp && entry.waiting == 0
            let behind = isDone ? 0 : max(0, now - (entry.reached ?? watermark))
            line("millrace_consumer_lag_seconds\(labels(entry))", seconds(behind))
        }
        head(
            "millrace_watermark_seconds", "gauge", "Event time reached by each partition, seconds since 1970."
        )
        for entry in all {
            if let watermark = entry.watermark {
                line("millrace_watermark_seconds\(labels(entry))", seconds(watermark))
            }
        }
        head(
            "millrace_watermark_holder", "gauge",
            "1 for the partition that holds event time back, of each source.")
        for source in spec.sources.indices {
            let candidates = all.filter { $0.source == source && $0.watermark != nil }
            guard let holder = candidates.min(by: { ($0.watermark ?? 0) < ($1.watermark ?? 0) }) else {
                continue
            }
            line("millrace_watermark_holder\(labels(holder))", 1)
        }
    }

    private mutating func steps(_ all: [LaneStatus.Step]) {
        let steps = Dictionary(grouping: all, by: \.name).sorted { $0.key < $1.key }
        head(
            "millrace_step_event_time_seconds", "gauge",
            "Event time reached by each step, seconds since 1970: the least of its tasks that have something to do, or else the greatest."
        )
        for (name, tasks) in steps {
            let time =
                tasks.filter(\.isBusy).compactMap(\.eventTime).min() ?? tasks.compactMap(\.eventTime).max()
            if let time { line("millrace_step_event_time_seconds{step=\"\(name)\"}", seconds(time)) }
        }
        head(
            "millrace_step_waiting_rows", "gauge",
            "Rows before each step that wait for event time, its own or that of another input.")
        for (name, tasks) in steps {
            line("millrace_step_waiting_rows{step=\"\(name)\"}", tasks.reduce(0) { $0 + $1.waiting })
        }
    }

    /// What each rule does and costs.
    private mutating func rules(_ topology: String, _ lanes: [LaneStatus]) {
        var rules: [String: RuleCounts] = [:]
        var raised: [String: Int] = [:]
        for lane in lanes {
            for (rule, counts) in lane.rules { rules[rule, default: RuleCounts()].add(counts) }
            raised.merge(lane.raisedKeys, uniquingKeysWith: +)
        }
        func series(_ name: String, _ help: String, _ value: (RuleCounts) -> Int64) {
            head(name, "counter", help)
            for (rule, counts) in rules.sorted(by: { $0.key < $1.key }) {
                line("\(name){topology=\"\(topology)\",rule=\"\(rule)\"}", value(counts))
            }
        }
        series(
            "millrace_rule_evaluations_total", "Rows and keys that the rule's condition was computed for.",
            \.evaluations)
        series("millrace_rule_raised_total", "Alerts that the rule has raised.", \.raised)
        series("millrace_rule_cleared_total", "Alerts of the rule that were cleared.", \.cleared)
        series(
            "millrace_rule_nanoseconds_total",
            "Time spent on the rule, estimated from one batch in \(RuleCounts.timedBatches).", \.nanoseconds)
        head("millrace_rule_raised_keys", "gauge", "Keys whose alert of the rule is raised.")
        for (rule, keys) in raised.sorted(by: { $0.key < $1.key }) {
            line("millrace_rule_raised_keys{topology=\"\(topology)\",rule=\"\(rule)\"}", keys)
        }
    }

    /// What goes through each step.
    private mutating func stepRows(_ topology: String, _ lanes: [LaneStatus]) {
        var rows: [String: StepCounts] = [:]
        var keys: [String: Int] = [:]
        for lane in lanes {
            for (step, counts) in lane.stepRows { rows[step, default: StepCounts()].add(counts) }
            for step in lane.steps { if let count = step.keys { keys[step.name, default: 0] += count } }
        }
        func series(_ name: String, _ help: String, _ value: (StepCounts) -> Int64) {
            head(name, "counter", help)
            for (step, counts) in rows.sorted(by: { $0.key < $1.key }) {
                line("\(name){topology=\"\(topology)\",step=\"\(step)\"}", value(counts))
            }
        }
        series("millrace_step_rows_in_total", "Rows that came to the step.", \.taken)
        series(
            "millrace_step_rows_out_total",
            "Rows that the step gave on: what its conditions and lookups left, or its window or operator made.",
            \.given)
        head("millrace_step_keys", "gauge", "Keys of the step's window or operator.")
        for (step, count) in keys.sorted(by: { $0.key < $1.key }) {
            line("millrace_step_keys{topology=\"\(topology)\",step=\"\(step)\"}", count)
        }
    }

    /// What sinks behind the commit tell of themselves, those of one name together.
    private mutating func sinks(_ sinks: [(sink: String, figures: [SinkReport.Figure])]) {
        var told: Set<String> = []
        for figure in sinks.flatMap(\.figures) where told.insert(figure.name).inserted {
            head(figure.name, figure.type, figure.help)
            for (sink, figures) in sinks {
                for same in figures where same.name == figure.name {
                    line("\(same.name){sink=\"\(sink)\"}", same.value)
                }
            }
        }
    }

    private func seconds(_ milliseconds: Int64) -> String {
        let fraction = "\(milliseconds % 1000 + 1000)".dropFirst()
        return "\(milliseconds / 1000).\(fraction)"
    }

    private mutating func head(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    private mutating func line(_ series: String, _ value: some CustomStringConvertible) {
        text += "\(series) \(value)\n"
    }

    private mutating func counter(_ name: String, _ help: String, _ value: Int64) {
        head(name, "counter", help)
        line(name, value)
    }

    private mutating func histogram(_ name: String, _ help: String, _ histogram: Histogram) {
        head(name, "histogram", help)
        for bound in Histogram.bounds {
            line("\(name)_bucket{le=\"\(bound)\"}", histogram.count(upTo: bound))
        }
        line("\(name)_bucket{le=\"+Inf\"}", histogram.count)
        line("\(name)_sum", histogram.sum)
        line("\(name)_count", histogram.count)
    }
}

/// Resident memory of this process from /proc; 0 where it cannot be read.
package func residentBytes() -> Int {
    guard let text = try? FileText.read("/proc/self/statm") else { return 0 }
    let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
}
