import Base

/// Durations counted by the millisecond up to ten seconds.
package struct Histogram: Sendable {
    /// Upper bounds of the buckets that are shown, seconds.
    package static let bounds: [Double] = [
        0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10,
    ]
    private static let millisecondsMax = 10_000

    /// By milliseconds, rounded up; the last for everything longer.
    private var counts = [Int64](repeating: 0, count: millisecondsMax + 2)
    package private(set) var sum: Double = 0
    package private(set) var count: Int64 = 0
    package private(set) var greatest: Double = 0

    package init() {}

    package mutating func record(seconds: Double) {
        counts[min(max(0, Int((seconds * 1000).rounded(.up))), Self.millisecondsMax + 1)] += 1
        sum += seconds
        count += 1
        greatest = max(greatest, seconds)
    }

    package mutating func add(_ other: Histogram) {
        for index in counts.indices { counts[index] += other.counts[index] }
        sum += other.sum
        count += other.count
        greatest = max(greatest, other.greatest)
    }

    /// How many took at most so long; one of `bounds`.
    package func count(upTo bound: Double) -> Int64 {
        counts[...Int((bound * 1000).rounded())].reduce(0, +)
    }

    /// The duration that this share of all did not exceed, seconds; 0 of none.
    package func quantile(_ share: Double) -> Double {
        guard count > 0 else { return 0 }
        let rank = max(1, Int64((Double(count) * share).rounded(.up)))
        var seen: Int64 = 0
        for (milliseconds, number) in counts.enumerated() {
            seen += number
            if seen >= rank {
                return milliseconds > Self.millisecondsMax ? greatest : Double(milliseconds) / 1000
            }
        }
        return greatest
    }
}

/// What a lane tells about itself, copied out once in a while so that other threads can read it.
package struct LaneStatus: Sendable {
    package struct Partition: Sendable {
        package var source: Int
        package var partition: Int32
        package var records: Int64 = 0
        /// Milliseconds; nil before the first record.
        package var watermark: Int64?
        /// Records to read, and those that were read and wait.
        package var lagRecords: Int64?
        /// Those that wait: for another input of the task, or in an operator's buffer for event time.
        package var waiting: Int64 = 0
        /// Where some wait, the event time up to which all have gone on.
        package var reached: Int64?
        package var isCaughtUp = false
        /// The last record that was read.
        package var mark: LogMark?

        package init(source: Int, partition: Int32) {
            self.source = source
            self.partition = partition
        }
    }

    /// A step of one task.
    package struct Step: Sendable {
        package var name: String
        package var partition: Int32
        /// How far event time has come there, milliseconds; nil: nowhere yet.
        package var eventTime: Int64?
        /// Rows before the step that wait for event time, and the input that they wait for.
        package var waiting: Int64 = 0
        package var awaited: String?
        /// Keys of its window or operator.
        package var keys: Int?
        /// True if the task has records to read, or some that wait.
        package var isBusy = false

        package init(name: String, partition: Int32) {
            self.name = name
            self.partition = partition
        }

        /// Another step of the same name.
        package mutating func add(_ other: Step) {
            eventTime = eventTime.flatMap { own in other.eventTime.map { min(own, $0) } }
            waiting += other.waiting
            if let more = other.keys { keys = (keys ?? 0) + more }
            awaited = awaited ?? other.awaited
        }
    }

    package var partitions: [Partition] = []
    package var steps: [Step] = []
    // As of the last commit: what is rolled back was not counted.
    package var records: Int64 = 0
    package var alerts: Int64 = 0
    package var results: Int64 = 0
    package var late: Int64 = 0
    /// Records without a value that their source says to pass over.
    package var tombstones: Int64 = 0
    /// By source.
    package var reads: [String: ReadCounts] = [:]
    /// By reason.
    package var dead: [String: Int64] = [:]
    /// By step: rows that were dropped since a table has no partner for them.
    package var unmatched: [String: Int64] = [:]
    /// By step, and by rule, as the label of a metric: results and conditions with a number that does not fit
    /// in 64 bits.
    package var overflows: [String: Int64] = [:]
    /// By table that lies elsewhere: keys that were asked for, and those that got no answer in time.
    package var lookups: [String: (asked: Int64, unanswered: Int64)] = [:]
    /// By rule.
    package var rules: [String: RuleCounts] = [:]
    /// By step.
    package var stepRows: [String: StepCounts] = [:]
    package var limits: [LimitHits.Place: Int64] = [:]
    package var outputs: Int64 = 0
    package var commits: Int64 = 0
    package var commitSeconds = Histogram()
    package var alertSeconds = Histogram()
    /// By rule: keys whose alert is raised.
    package var raisedKeys: [String: Int] = [:]
    package var keys = 0
    package var stateBytes = 0
    /// When the lane last read or committed something, monotonic nanoseconds.
    package var progressedAt: Int64 = 0
    package var isReady = false

    package init() {}

    /// Adds all that only grows.
    package mutating func addCounts(of other: LaneStatus) {
        records += other.records
        alerts += other.alerts
        results += other.results
        late += other.late
        tombstones += other.tombstones
        for (source, counts) in other.reads { reads[source, default: ReadCounts()].add(counts) }
        dead.merge(other.dead, uniquingKeysWith: +)
        unmatched.merge(other.unmatched, uniquingKeysWith: +)
        overflows.merge(other.overflows, uniquingKeysWith: +)
        lookups.merge(other.lookups) { ($0.asked + $1.asked, $0.unanswered + $1.unanswered) }
        for (rule, counts) in other.rules { rules[rule, default: RuleCounts()].add(counts) }
        for (step, counts) in other.stepRows { stepRows[step, default: StepCounts()].add(counts) }
        limits.merge(other.limits, uniquingKeysWith: +)
        outputs += other.outputs
        commits += other.commits
        commitSeconds.add(other.commitSeconds)
        alertSeconds.add(other.alertSeconds)
    }
}
