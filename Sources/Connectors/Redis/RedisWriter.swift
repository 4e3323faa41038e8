import Base

/// The thread behind a `RedisSink`: connects, writes pipelines, and holds off while Redis is away.
final class RedisWriter: @unchecked Sendable {
    private let address: RedisAddress
    private let options: RedisSink.Options
    private let shared: RedisShared
    /// nil: not connected.
    private var session: RedisSession?
    /// Numbers of connections that were given up with commands under way.
    private var abandoned: [RedisAddress.Place: Int64] = [:]
    /// Nodes of a cluster that do not answer, and until when they are left alone (monotonic nanoseconds).
    private var down: [RedisAddress.Place: Int64] = [:]
    private static let downNanoseconds: Int64 = 1_000_000_000
    /// Turns in which nodes only pointed at each other.
    private var turnsMoved = 0
    private var hasWarned = false
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
            if session == nil, !connect() { continue }
            shared.gather(options.keysPerPipeline, options.gatherMilliseconds)
            write(shared.take(options.keysPerPipeline))
        }
        session = nil
    }

    private func connect() -> Bool {
        let session = RedisSession(
            address, connectMilliseconds: options.connectMilliseconds,
            commandMilliseconds: options.commandMilliseconds)
        session.onConnect = { [unowned self] made in
            // A server that was stopped would go through the old connection's commands now, and could put
            // their old values over new ones. A refusal (no such connection, not allowed) does no harm.
            guard let old = abandoned[made.address.place], old != 0 else { return }
            if (try? made.command(["CLIENT", "KILL", "ID", "\(old)"])) != nil {
                abandoned[made.address.place] = nil
            }
        }
        do throws(Fault) {
            try session.open()
            down = [:]
            self.session = session
            return true
        } catch {
            open(error)
            return false
        }
    }

    private func warn(_ fault: Fault) {
        if !hasWarned {
            Log.warning("redis: \(fault.detail); its newest values will be written when it is back")
        }
        hasWarned = true
    }

    /// Opens the circuit, and returns when it is time for the next attempt.
    private func open(_ fault: Fault) {
        warn(fault)
        shared.setBreaker(.open)
        shared.backOff(backoff)
        backoff = min(backoff * 2, options.backoffMilliseconds.upperBound)
        shared.setBreaker(.halfOpen)
    }

    private func closeCircuit() {
        backoff = options.backoffMilliseconds.lowerBound
        shared.setBreaker(.closed)
        guard hasWarned, down.isEmpty else { return }
        Log.info("redis: \(address) is back")
        hasWarned = false
    }

    private func write(_ entries: [RedisPending.Entry]) {
        guard let session, !entries.isEmpty else { return }
        var outcome = Outcome()
        var groups: [RedisAddress.Place: [RedisPending.Entry]] = [:]
        for entry in entries {
            if let place = session.place(of: entry.key) {
                groups[place, default: []].append(entry)
            } else {
                outcome.again.append(entry)
                outcome.busy = Fault(
                    .external, "Redis at \(address): no node has the slot of key '\(entry.key)'",
                    retry: .withBackoff)
            }
        }
        for (place, group) in groups { write(group, to: place, session, &outcome) }
        shared.finish(
            written: outcome.written, refused: outcome.refused, again: outcome.again, atEnd: session.isCluster
        )
        finish(session, outcome)
    }

    private func write(
        _ group: [RedisPending.Entry], to place: RedisAddress.Place, _ session: RedisSession,
        _ outcome: inout Outcome
    ) {
        if let until = down[place], monotonicNanoseconds() < until {
            outcome.again += group
            return
        }
        let before = outcome
        do throws(Fault) {
            let connection = try session.connection(at: place)
            try pipeline(group, connection, session, &outcome)
            down[place] = nil
        } catch {
            // Nobody knows which of them were carried out; doing them again does no harm.
            outcome = before
            outcome.again += group
            outcome.broken = error
            if let lost = session.known(place) { abandoned[place] = lost.identifier }
            session.close(place)
            if session.isCluster { down[place] = monotonicNanoseconds() + Self.downNanoseconds }
        }
    }

    /// What a turn's outcome means for the next one.
    private func finish(_ session: RedisSession, _ outcome: Outcome) {
        turnsMoved = outcome.moved > 0 && outcome.written == 0 ? turnsMoved + 1 : 0
        guard session.isCluster else {
            guard let fault = outcome.broken ?? outcome.busy else { return closeCircuit() }
            // Where the master is has to be asked again.
            if outcome.broken != nil || outcome.isReadOnly { self.session = nil }
            return open(fault)
        }
        var fault = outcome.broken ?? outcome.busy
        if fault != nil || outcome.moved > 0 {
            do throws(Fault) {
                try session.findSlots()
                let known = Set(session.places)
                down = down.filter { known.contains($0.key) }
            } catch { fault = error }
        }
        if let fault { warn(fault) }
        // While other nodes take their keys nothing is held up.
        if outcome.written > 0 || fault == nil && down.isEmpty && turnsMoved < 5 { return closeCircuit() }
        open(
            fault
                ?? Fault(
                    .external,
                    "Redis at \(address): \(down.isEmpty ? "nodes point at each other" : "a node does not answer")"
                ))
    }

    private struct Outcome {
        var written = 0
        var refused = 0
        var again: [RedisPending.Entry] = []
        /// Entries of `again` that another node has.
        var moved = 0
        /// Why `again` may succeed later.
        var busy: Fault?
        var isReadOnly = false
        /// Why a connection is gone.
        var broken: Fault?
    }

    /// Sets first, and times to live in a second round for the keys that took them: a key of another type
    /// belongs to somebody else and must not be made to expire.
    private func pipeline(
        _ entries: [RedisPending.Entry],
        _ connection: RedisConnection,
        _ session: RedisSession,
        _ outcome: inout Outcome
    ) throws(Fault) {
        connection.begin()
        for entry in entries { Self.appendSet(entry, connection) }
        try connection.send()
        var set: [RedisPending.Entry] = []
        var redirected: [(RedisPending.Entry, RedisRedirection)] = []
        set.reserveCapacity(entries.count)
        for entry in entries {
            if let reason = try connection.answerError() {
                if let redirection = RedisRedirection(reason, asked: connection.address.place) {
                    redirected.append((entry, redirection))
                } else {
                    note(reason, entry, connection, &outcome)
                }
            } else {
                set.append(entry)
            }
        }
        connection.begin()
        for entry in set { Self.appendExpiry(entry, connection) }
        try connection.send()
        for entry in set {
            if let reason = try connection.answerError() {
                if let redirection = RedisRedirection(reason, asked: connection.address.place) {
                    redirected.append((entry, redirection))
                } else {
                    note(reason, entry, connection, &outcome)
                }
            } else {
                outcome.written += 1
            }
        }
        for (entry, redirection) in redirected { try follow(redirection, entry, session, &outcome) }
    }

    private static func appendSet(_ entry: RedisPending.Entry, _ connection: RedisConnection) {
        connection.append(2 + 2 * entry.fields.count)
        connection.append("HSET")
        connection.append(entry.key)
        for field in entry.fields {
            connection.append(field.name)
            connection.append(field.value)
        }
    }

    private static func appendExpiry(_ entry: RedisPending.Entry, _ connection: RedisConnection) {
        connection.append(3)
        connection.append("PEXPIRE")
        connection.append(entry.key)
        connection.append("\(entry.ttlMilliseconds)")
    }

    /// A slot that has moved is remembered, and its keys go there with the next turn; one that is on its way
    /// is asked for at its new place, key by key.
    private func follow(
        _ redirection: RedisRedirection, _ entry: RedisPending.Entry, _ session: RedisSession,
        _ outcome: inout Outcome
    ) throws(Fault) {
        guard session.isCluster else {
            outcome.again.append(entry)
            outcome.busy = Fault(
                .user,
                "Redis at \(address) is a node of a cluster, which 'cluster: [host:port]' names in place of 'url'",
                retry: .withBackoff)
            return
        }
        guard redirection.isAsk else {
            session.move(redirection)
            outcome.moved += 1
            outcome.again.append(entry)
            return
        }
        let other: RedisConnection
        do throws(Fault) { other = try session.connection(at: redirection.place) } catch {
            outcome.again.append(entry)
            outcome.busy = error
            return
        }
        do throws(Fault) {
            for append in [Self.appendSet, Self.appendExpiry] {
                other.begin()
                other.append(1)
                other.append("ASKING")
                append(entry, other)
                try other.send()
                _ = try other.answerError()
                if let reason = try other.answerError() { return note(reason, entry, other, &outcome) }
            }
            outcome.written += 1
        } catch {
            session.close(redirection.place)
            outcome.again.append(entry)
            outcome.busy = error
        }
    }

    private func note(
        _ reason: String, _ entry: RedisPending.Entry, _ connection: RedisConnection, _ outcome: inout Outcome
    ) {
        let passing = [
            "OOM", "MISCONF", "LOADING", "READONLY", "MASTERDOWN", "NOREPLICAS", "BUSY", "TRYAGAIN",
            "CLUSTERDOWN", "NOAUTH", "MOVED", "ASK",
        ]
        if passing.contains(where: { reason.hasPrefix($0) }) {
            outcome.again.append(entry)
            outcome.busy = Fault(.external, "Redis at \(connection.address): \(reason)", retry: .withBackoff)
            if reason.hasPrefix("READONLY") { outcome.isReadOnly = true }
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
