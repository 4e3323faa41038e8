import Base

/// Counts in buckets that stay the same for the life of the program.
package struct Histogram: Sendable {
    /// Upper bounds, seconds.
    package static let bounds: [Double] = [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60,
    ]

    package private(set) var counts = [Int64](repeating: 0, count: bounds.count + 1)
    package private(set) var sum: Double = 0
    package private(set) var count: Int64 = 0
    package private(set) var greatest: Double = 0

    package init() {}

    package mutating func record(seconds: Double) {
        let bucket = Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count
        counts[bucket] += 1
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
}

/// What a lane tells about itself, copied out once in a while so that other threads can read it.
package struct LaneStatus: Sendable {
    package struct Partition: Sendable {
        package var source: Int
        package var partition: Int32
        package var records: Int64 = 0
        /// Milliseconds; nil before the first record.
        package var watermark: Int64?
        package var lagRecords: Int64?
        package var isCaughtUp = false

        package init(source: Int, partition: Int32) {
            self.source = source
            self.partition = partition
        }
    }

    package var partitions: [Partition] = []
    package var records: Int64 = 0
    package var alerts: Int64 = 0
    package var results: Int64 = 0
    package var late: Int64 = 0
    /// By reason.
    package var dead: [String: Int64] = [:]
    package var outputs: Int64 = 0
    package var commits: Int64 = 0
    package var commitSeconds = Histogram()
    package var alertSeconds = Histogram()
    package var keys = 0
    package var stateBytes = 0
    /// When the lane last read or committed something, monotonic nanoseconds.
    package var progressedAt: Int64 = 0
    package var isReady = false

    package init() {}
}
