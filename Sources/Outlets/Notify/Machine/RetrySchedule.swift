import Base

/// When a message is tried again.
package enum RetrySchedule {
    /// Milliseconds before each try.
    package static let standard: [Int64] = [0, 5_000, 30_000, 120_000, 600_000, 3_600_000, 4 * 3_600_000]

    /// How long to wait before the try after `tries`, milliseconds; nil: it was the last. A fifth more or
    /// less, the same for the same message and try, so that many that failed together do not come back
    /// together. `retryAfter`: what the other side asked for.
    package static func wait(_ schedule: [Int64], tries: Int, id: String, retryAfter: Int64?) -> Int64? {
        guard tries < schedule.count else { return nil }
        var random = SplitMix64(seed: id.utf8.reduce(UInt64(tries)) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 })
        let base = schedule[tries]
        let jittered = base <= 0 ? 0 : base - base / 5 + Int64(random.next() % UInt64(max(1, base * 2 / 5)))
        return max(jittered, retryAfter ?? 0)
    }
}
