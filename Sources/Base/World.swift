import Glibc

/// Time as a parameter, so that a run can be repeated. Milliseconds since 1970, UTC.
package protocol Clock: AnyObject {
    var nowMilliseconds: Int64 { get }
}

package final class SystemClock: Clock {
    package init() {}
    package var nowMilliseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}

/// A clock that moves only when told to.
package final class ManualClock: Clock {
    package var nowMilliseconds: Int64
    package init(_ nowMilliseconds: Int64) { self.nowMilliseconds = nowMilliseconds }
}

/// Nanoseconds of a clock that never goes back; for durations only.
package func monotonicNanoseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, and the same on every machine.
package struct SplitMix64: RandomNumberGenerator, Sendable {
    @usableFromInline package var state: UInt64
    package init(seed: UInt64) { state = seed }

    @inlinable
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
