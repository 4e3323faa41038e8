import Base

/// The thread behind a `RedisSink`: connects, writes pipelines, and holds off while Redis is away.
final class RedisWriter: @unchecked Sendable {
    private let address: RedisAddress
    private let options: RedisSink.Options
    private let shared: RedisShared
    private var connection: RedisConnection?
    /// Number of a connection that was given up with commands under way.
    private var abandoned: Int64 = 0
    private var backoff: Int64
    private var lastRefusal: Int64 = 0

    init(_ address: RedisAddress, _ options: RedisSink.Options, _ shared: RedisShared) {
        self.address = address
        self.options = options
        self.shared = shared
        backoff = options.backoffMilliseconds.lowerBound
    }

    func run() {
        while shared.waitForWork() {
            if connection == nil, !connect() { continue }
            shared.gather(options.keysPerPipeline, options.gatherMilliseconds)
            write(shared.take(options.keysPerPipeline))
        }
        connection = nil
    }

    private func connect() -> Bool {
        do throws(Fault) {
            let made = try RedisConnection(
                address,
                connectMilliseconds: options.connectMilliseconds,
                commandMilliseconds: options.commandMilliseconds
            )
            // A server that was stopped would go through the old connection's commands now, and could put
            // their old values over new ones. A refusal (no such connection, not allowed) does no harm.
            if abandoned != 0 { _ = try made.command(["CLIENT", "KILL", "ID", "\(abandoned)"]) }
            if case .error(let reason) = try made.command(["PING"]) {
                throw Fault(.external, "Redis at \(address): \(reason)", retry: .withBackoff)
            }
            abandoned = 0
            connection = made
            return true
        } catch {
            open(error)
            return false
        }
    }

    /// Opens the circuit, and returns when it is time for the next attempt.
    private func open(_ fault: Fault) {
        if backoff == options.backoffMilliseconds.lowerBound {
            Log.warning("redis: \(fault.detail); its newest values will be written when it is back")
        }
        shared.setBreaker(.open)
        shared.backOff(backoff)
        backoff = min(backoff * 2, options.backoffMilliseconds.upperBound)
        shared.setBreaker(.halfOpen)
    }

    private func closeCircuit() {
        if backoff != options.backoffMilliseconds.lowerBound { Log.info("redis: \(address) is back") }
        backoff = options.backoffMilliseconds.lowerBound
        shared.setBreaker(.closed)
    }

    private func write(_ entries: [RedisPending.Entry]) {
        guard let connection, !entries.isEmpty else { return }
        var outcome = Outcome()
        do throws(Fault) {
            try pipeline(entries, connection, &outcome)
        } catch {
            // Nobody knows which of them were carried out; doing them again does no harm.
            shared.finish(written: 0, refused: 0, again: entries)
            abandoned = connection.identifier
            self.connection = nil
            return open(error)
        }
        shared.finish(written: outcome.written, refused: outcome.refused, again: outcome.again)
        if let reason = outcome.busy {
            open(Fault(.external, "Redis at \(address): \(reason)", retry: .withBackoff))
        } else {
            closeCircuit()
        }
    }

    private struct Outcome {
        var written = 0
        var refused = 0
        var again: [RedisPending.Entry] = []
        /// Why `again` may succeed later.
        var busy: String?
    }

    /// Sets first, and times to live in a second round for the keys that took them: a key of another type
    /// belongs to somebody else and must not be made to expire.
    private func pipeline(
        _ entries: [RedisPending.Entry],
        _ connection: RedisConnection,
        _ outcome: inout Outcome
    ) throws(Fault) {
        connection.begin()
        for entry in entries {
            connection.append(2 + 2 * entry.fields.count)
            connection.append("HSET")
            connection.append(entry.key)
            for field in entry.fields {
                connection.append(field.name)
                connection.append(field.value)
            }
        }
        try connection.send()
        var set: [RedisPending.Entry] = []
        set.reserveCapacity(entries.count)
        for entry in entries {
            if let reason = try connection.answerError() {
                note(reason, entry, &outcome)
            } else {
                set.append(entry)
            }
        }
        connection.begin()
        for entry in set {
            connection.append(3)
            connection.append("PEXPIRE")
            connection.append(entry.key)
            connection.append("\(entry.ttlMilliseconds)")
        }
        try connection.send()
        for entry in set {
            if let reason = try connection.answerError() {
                note(reason, entry, &outcome)
            } else {
                outcome.written += 1
            }
        }
    }

    private func note(_ reason: String, _ entry: RedisPending.Entry, _ outcome: inout Outcome) {
        let passing = [
            "OOM", "MISCONF", "LOADING", "READONLY", "MASTERDOWN", "NOREPLICAS", "BUSY", "TRYAGAIN",
            "CLUSTERDOWN",
            "NOAUTH",
        ]
        if passing.contains(where: { reason.hasPrefix($0) }) {
            outcome.again.append(entry)
            outcome.busy = reason
            return
        }
        outcome.refused += 1
        let now = monotonicNanoseconds()
        if lastRefusal == 0 || now - lastRefusal > 10_000_000_000 {
            lastRefusal = now
            Log.error("redis: key '\(entry.key)' is left out: \(reason)")
        }
    }
}
