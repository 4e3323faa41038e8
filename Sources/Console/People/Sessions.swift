import Base
import Glibc
import Models
import Records
import Security
import Synchronization

/// Who asks, and what the roles allow.
package struct Caller: Sendable {
    package var name: String
    package var roles: Set<Role>
    package var language: String
    /// password, proxy or key
    package var method: String
    package var peer: String
    /// The public name of the session; nil: an API key.
    package var session: String?
    /// What unsafe requests must show; nil: an API key.
    package var token: String?
    package var expiresAt: Int64 = 0

    package init(
        name: String, roles: Set<Role>, language: String, method: String, peer: String,
        session: String? = nil, token: String? = nil,
        expiresAt: Int64 = 0
    ) {
        (self.name, self.roles, self.language, self.method, self.peer) = (name, roles, language, method, peer)
        (self.session, self.token, self.expiresAt) = (session, token, expiresAt)
    }

    package func has(_ allowed: Set<Role>) -> Bool { !roles.isDisjoint(with: allowed) }
    /// Names of customers and what is theirs stay hidden from those who only look on, or name people.
    package var seesMasked: Bool { roles.isSubset(of: [.viewer, .admin]) }
}

/// Sessions of browsers: an id of 256 random bits, of which only a hash is kept, in a file too, so that
/// nobody logs in again because the console was restarted.
package final class Sessions: Sendable {
    package static let idleMilliseconds: Int64 = 15 * 60_000
    package static let wholeMilliseconds: Int64 = 12 * 3_600_000
    package static let sessionsMax = 10_000

    package struct Session: Sendable {
        package var caller: Caller
        package var since: Int64
        package var lastSeen: Int64
        package var streams = 0
        /// Popups that this browser has shown, the newest last.
        package var popups: [String] = []
    }

    package static let popupsMax = PopupBoard.popupsMax
    /// A session that only goes on is written as often as this, milliseconds.
    private static let seenMilliseconds: Int64 = 10_000

    private struct State {
        /// By the hash of the id.
        var sessions: [String: Session] = [:]
        var number = 0
        var isChanged = false
        var savedAt: Int64 = 0
    }

    private let state = Mutex(State())
    private let file: String?
    private let now: @Sendable () -> Int64

    /// `now`: milliseconds since 1970. `file`: what they are kept in; nil: nothing.
    package init(file: String? = nil, now: @escaping @Sendable () -> Int64) {
        (self.file, self.now) = (file, now)
        if let file { read(file) }
    }

    /// A new session; returns its id, which is told to the browser and nowhere else.
    package func begin(_ person: UsersFile.Person, method: String, peer: String, language: String) -> (
        id: String, caller: Caller
    ) {
        let id = Secret.text(32)
        let time = now()
        let caller: Caller = state.withLock { state in
            state.sessions = state.sessions.filter { Self.isAlive($0.value, time) }
            if state.sessions.count >= Self.sessionsMax,
                let oldest = state.sessions.min(by: { $0.value.lastSeen < $1.value.lastSeen })
            {
                state.sessions[oldest.key] = nil
            }
            state.number += 1
            let caller = Caller(
                name: person.name, roles: person.roles, language: language, method: method, peer: peer,
                session: "s-\(state.number)",
                token: Secret.text(16), expiresAt: time + Self.wholeMilliseconds)
            state.sessions[Sha256.hex(Array(id.utf8))] = Session(caller: caller, since: time, lastSeen: time)
            state.isChanged = true
            return caller
        }
        save()
        return (id, caller)
    }

    /// nil: there is no such session any more. `counts`: it is a person's doing, and the session goes on by
    /// it.
    package func caller(_ id: String, counts: Bool = true) -> Caller? {
        let key = Sha256.hex(Array(id.utf8))
        let time = now()
        return state.withLock { state in
            guard let session = state.sessions[key] else { return nil }
            guard Self.isAlive(session, time) else {
                state.sessions[key] = nil
                return nil
            }
            if counts { state.sessions[key]?.lastSeen = time }
            return session.caller
        }
    }

    private static func isAlive(_ session: Session, _ time: Int64) -> Bool {
        time - session.lastSeen < idleMilliseconds && time - session.since < wholeMilliseconds
    }

    /// Whether a session by its public name goes on.
    package func isAlive(_ name: String) -> Bool {
        let time = now()
        return state.withLock {
            $0.sessions.values.contains { $0.caller.session == name && Self.isAlive($0, time) }
        }
    }

    /// Ends a session by its public name; false: there is none.
    package func end(_ name: String) -> Bool {
        let isEnded = state.withLock { state in
            guard let key = state.sessions.first(where: { $0.value.caller.session == name })?.key else {
                return false
            }
            state.sessions[key] = nil
            state.isChanged = true
            return true
        }
        if isEnded { save() }
        return isEnded
    }

    package func setLanguage(_ name: String, _ language: String) {
        change(name) { $0.caller.language = language }
    }

    /// A popup was shown, and is not shown again in this session.
    package func see(_ popup: String, _ caller: Caller) {
        guard let session = caller.session, popup.utf8.count <= 100 else { return }
        change(session) { session in
            guard !session.popups.contains(popup) else { return }
            if session.popups.count >= Self.popupsMax { session.popups.removeFirst() }
            session.popups.append(popup)
        }
    }

    package func hasSeen(_ popup: String, _ caller: Caller) -> Bool {
        state.withLock {
            $0.sessions.values.first { $0.caller.session == caller.session }?.popups.contains(popup) ?? false
        }
    }

    /// Begins or ends a stream of a session; false: it has `max` already.
    package func addStream(_ name: String, _ count: Int, max: Int = 4) -> Bool {
        var isTaken = false
        change(name) { session in
            guard count < 0 || session.streams < max else { return }
            session.streams += count
            isTaken = true
        }
        return isTaken
    }

    private func change(_ name: String, _ body: (inout Session) -> Void) {
        state.withLock { state in
            guard let key = state.sessions.first(where: { $0.value.caller.session == name })?.key,
                var session = state.sessions[key]
            else { return }
            body(&session)
            state.sessions[key] = session
            state.isChanged = true
        }
    }

    // MARK: The file

    private static let version: Int64 = 1

    /// Writes what has changed. A file that cannot be written costs people a log-in after a restart.
    package func save() {
        guard let file else { return }
        let time = now()
        let text: String? = state.withLock { state in
            guard state.isChanged || time - state.savedAt >= Self.seenMilliseconds else { return nil }
            (state.isChanged, state.savedAt) = (false, time)
            let rows = state.sessions.filter { Self.isAlive($0.value, time) }.map { key, session -> Json in
                let caller = session.caller
                return .object([
                    ("id", .text(key)), ("name", .text(caller.name)),
                    ("roles", .texts(caller.roles.map(\.rawValue).sorted())),
                    ("language", .text(caller.language)), ("method", .text(caller.method)),
                    ("peer", .text(caller.peer)), ("session", .optional(caller.session)),
                    ("token", .optional(caller.token)), ("expires", .int(caller.expiresAt)),
                    ("since", .int(session.since)), ("seen", .int(session.lastSeen)),
                    ("popups", .texts(session.popups)),
                ])
            }
            return Json.object([
                ("version", .int(Self.version)), ("number", .int(Int64(state.number))),
                ("sessions", .list(rows)),
            ]).string
        }
        guard let text, !Self.write(text, file) else { return }
        Log.warning("\(file): \(String(cString: strerror(errno))): sessions end with the console")
    }

    /// For its owner's eyes only: the tokens of sessions stand in it.
    private static func write(_ text: String, _ file: String) -> Bool {
        let aside = "\(file).new"
        let descriptor = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return false }
        let bytes = Array(text.utf8)
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress! + done, bytes.count - done)
            }
            if count <= 0 { break }
            done += count
        }
        return close(descriptor) == 0 && done == bytes.count && rename(aside, file) == 0
    }

    private func read(_ file: String) {
        guard access(file, F_OK) == 0 else { return }
        do throws(Fault) {
            let node = DocumentNode(try JsonDocument.read(try FileText.bytes(of: file, bytesMax: 256 << 20)))
            guard Int64(try node["version"].integer) == Self.version else {
                throw Fault(.user, "another version's")
            }
            var sessions: [String: Session] = [:]
            for row in try node["sessions"].list {
                var roles: Set<Role> = []
                for role in try row["roles"].texts {
                    if let role = Role(rawValue: role) { roles.insert(role) }
                }
                let caller = Caller(
                    name: try row["name"].text, roles: roles, language: try row["language"].text,
                    method: try row["method"].text, peer: try row["peer"].text,
                    session: try row["session"].text, token: try row["token"].text,
                    expiresAt: Int64(try row["expires"].integer))
                sessions[try row["id"].text] = Session(
                    caller: caller, since: Int64(try row["since"].integer),
                    lastSeen: Int64(try row["seen"].integer), popups: try row["popups"].texts)
            }
            let number = try node["number"].integer
            state.withLock { ($0.sessions, $0.number) = (sessions, number) }
        } catch {
            Log.warning("\(file): \(error.detail): people log in again")
        }
    }

    package var all: [Session] {
        let time = now()
        return state.withLock { $0.sessions.values.filter { Self.isAlive($0, time) } }.sorted {
            $0.since < $1.since
        }
    }
}

/// At most five failures within a minute, of one name or from one address.
package final class LoginLimiter: Sendable {
    package static let failuresMax = 5
    package static let milliseconds: Int64 = 60_000
    /// Of those who try names at random; the oldest are forgotten.
    package static let placesMax = 10_000

    private let failures = Mutex<[String: [Int64]]>([:])

    package init() {}

    /// Seconds to wait; nil: go on.
    package func wait(_ places: [String], at now: Int64) -> Int? {
        failures.withLock { failures in
            places.compactMap { place -> Int? in
                let recent = (failures[place] ?? []).filter { now - $0 < Self.milliseconds }
                guard recent.count >= Self.failuresMax, let first = recent.first else { return nil }
                return Int((first + Self.milliseconds - now + 999) / 1000)
            }.max()
        }
    }

    package func fail(_ places: [String], at now: Int64) {
        failures.withLock { failures in
            if failures.count > Self.placesMax {
                failures = failures.filter { now - ($0.value.last ?? 0) < Self.milliseconds }
            }
            if failures.count > Self.placesMax { failures = [:] }
            for place in places {
                failures[place] = Array(((failures[place] ?? []) + [now]).suffix(Self.failuresMax))
            }
        }
    }

    package func succeed(_ places: [String]) {
        failures.withLock { failures in for place in places { failures[place] = nil } }
    }
}
