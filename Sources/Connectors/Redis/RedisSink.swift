import Base
import Dataflow
import Glibc

/// Keeps hashes in Redis up to date. `put` only remembers; one thread writes. While Redis is slow or away a
/// circuit breaker opens, newer values replace older ones, and the newest are written when it is back.
package final class RedisSink: MetricsSink {
    /// Since the start, and now.
    package struct Counts: Equatable, Sendable {
        /// Keys written; keys replaced before they were written.
        package var written = 0
        package var coalesced = 0
        /// Keys given up: too many bytes waiting; refused by Redis for good (another type).
        package var dropped = 0
        package var refused = 0
        /// Pipelines that failed, as a whole or for keys that are tried again; and keys that were refused.
        package var failures = 0
        package var pendingKeys = 0
        package var pendingBytes = 0
        package var breaker = Breaker.closed
    }

    package enum Breaker: String, Sendable {
        case closed
        case open
        case halfOpen = "half-open"
    }

    package struct Options: Sendable {
        package var connectMilliseconds = 1000
        package var commandMilliseconds = 1000
        /// Bytes that may wait; beyond them the keys that waited longest are given up.
        package var pendingBytesMax = Limits.redisPendingBytesMax
        /// Keys in one pipeline.
        package var keysPerPipeline = 500
        /// How long after a first `put` the writer waits for others.
        package var gatherMilliseconds = 2
        package var backoffMilliseconds: ClosedRange<Int64> = 100...5000
        /// How long `close` goes on writing.
        package var closeMilliseconds: Int64 = 3000

        package init() {}
    }

    private let shared: RedisShared
    private let thread: pthread_t
    private var isOpen = true

    /// Connects later, so a Redis that is away is no error.
    package init(_ address: RedisAddress, _ options: Options = Options()) throws(Fault) {
        shared = RedisShared(options)
        let writer = Unmanaged.passRetained(RedisWriter(address, options, shared))
        var thread = pthread_t()
        let code = pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<RedisWriter>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            },
            writer.toOpaque()
        )
        guard code == 0 else {
            writer.release()
            throw Fault(.external, "no thread for Redis: \(String(cString: strerror(code)))")
        }
        self.thread = thread
    }

    deinit { close() }

    package func put(key: String, fields: [(name: String, value: String)], ttlMilliseconds: Int64) {
        guard !fields.isEmpty else { return }
        shared.put(RedisPending.Entry(key: key, fields: fields, ttlMilliseconds: ttlMilliseconds))
    }

    /// Goes on writing until nothing waits or `Options.closeMilliseconds` have passed.
    package func close() {
        guard isOpen else { return }
        isOpen = false
        shared.close()
        pthread_join(thread, nil)
        let left = shared.counts.pendingKeys
        if left > 0 { Log.warning("redis: \(left) keys were not written") }
    }

    package var counts: Counts { shared.counts }

    package var report: SinkReport {
        let counts = self.counts
        let breaker = counts.breaker == .closed ? 0 : counts.breaker == .open ? 2 : 1
        return SinkReport(
            figures: [
                .init(
                    "millrace_redis_state", "gauge", "Circuit breaker: 0 closed, 1 half open, 2 open.",
                    breaker),
                .init("millrace_redis_keys_written_total", "counter", "Keys written.", counts.written),
                .init(
                    "millrace_redis_failures_total", "counter", "Pipelines and replies that failed.",
                    counts.failures),
                .init(
                    "millrace_redis_pending_keys", "gauge", "Keys that wait to be written.",
                    counts.pendingKeys),
            ], limits: counts.dropped > 0 ? [(.redisPending, Int64(counts.dropped))] : [])
    }

    /// Waits until everything put before is written; false if that took longer.
    package func waitUntilWritten(deadlineMilliseconds: Int64) -> Bool {
        shared.waitUntilEmpty(deadlineMilliseconds)
    }
}

/// What the sink and its writer share, behind one lock that is never held while waiting for the network.
final class RedisShared: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    /// Signalled when there is something to write, when all is written, and at the close.
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var pending: RedisPending
    private var inFlight = 0
    private var tally = RedisSink.Counts()
    private var hits = LimitHits()
    private var closesAt: Int64?
    private let closeNanoseconds: Int64

    init(_ options: RedisSink.Options) {
        pending = RedisPending(bytesMax: options.pendingBytesMax)
        closeNanoseconds = options.closeMilliseconds * 1_000_000
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    private func locked<T>(_ body: () -> T) -> T {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    /// With the lock held: waits for a change, at most until `deadline` (monotonic nanoseconds).
    private func wait(until deadline: Int64?) {
        guard let deadline else {
            pthread_cond_wait(changed, mutex)
            return
        }
        var time = timespec(tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
        pthread_cond_timedwait(changed, mutex, &time)
    }

    func put(_ entry: RedisPending.Entry) {
        let lines = locked { () -> [String] in
            let wasEmpty = pending.keys == 0
            let dropped = pending.dropped
            pending.put(entry)
            if wasEmpty { pthread_cond_broadcast(changed) }
            guard pending.dropped > dropped else { return [] }
            hits.note(.redisPending, "redis", count: Int64(pending.dropped - dropped))
            return hits.lines(now: monotonicNanoseconds() / 1_000_000)
        }
        for line in lines { Log.warning(line) }
    }

    func close() {
        locked {
            closesAt = monotonicNanoseconds() + closeNanoseconds
            pthread_cond_broadcast(changed)
        }
    }

    var counts: RedisSink.Counts {
        locked {
            var counts = tally
            counts.coalesced = pending.coalesced
            counts.dropped = pending.dropped
            counts.pendingKeys = pending.keys + inFlight
            counts.pendingBytes = pending.bytes
            return counts
        }
    }

    func waitUntilEmpty(_ milliseconds: Int64) -> Bool {
        let deadline = monotonicNanoseconds() + milliseconds * 1_000_000
        return locked {
            while pending.keys + inFlight > 0 {
                if monotonicNanoseconds() >= deadline { return false }
                wait(until: deadline)
            }
            return true
        }
    }

    // MARK: For the writer

    /// Waits until there is something to write. False: closed, and nothing is left or the time is up.
    func waitForWork() -> Bool {
        locked {
            while pending.keys == 0 {
                if closesAt != nil { return false }
                wait(until: nil)
            }
            return closesAt.map { monotonicNanoseconds() < $0 } ?? true
        }
    }

    /// Waits up to `milliseconds` for `count` keys to come together.
    func gather(_ count: Int, _ milliseconds: Int) {
        let deadline = monotonicNanoseconds() + Int64(milliseconds) * 1_000_000
        locked {
            while closesAt == nil, pending.keys < count, monotonicNanoseconds() < deadline {
                wait(until: deadline)
            }
        }
    }

    /// Sleeps for `milliseconds`, but not past the close's deadline.
    func backOff(_ milliseconds: Int64) {
        let end = monotonicNanoseconds() + milliseconds * 1_000_000
        locked {
            while true {
                let until = min(end, closesAt ?? Int64.max)
                if monotonicNanoseconds() >= until { return }
                wait(until: until)
            }
        }
    }

    func take(_ count: Int) -> [RedisPending.Entry] {
        locked {
            let entries = pending.take(count)
            inFlight = entries.count
            return entries
        }
    }

    /// The taken entries are done, but for `again`, which will be tried again.
    func finish(written: Int, refused: Int, again: [RedisPending.Entry], atEnd: Bool) {
        locked {
            inFlight = 0
            pending.putBack(again, atEnd: atEnd)
            tally.written += written
            tally.refused += refused
            tally.failures += refused + (again.isEmpty ? 0 : 1)
            if pending.keys == 0 { pthread_cond_broadcast(changed) }
        }
    }

    func setBreaker(_ breaker: RedisSink.Breaker) {
        locked { tally.breaker = breaker }
    }
}
