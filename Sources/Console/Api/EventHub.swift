import Base
import Glibc
import Http
import Models
import Synchronization

/// Tells every stream what happens. Alerts and dispositions come from the index, in its order, each stream
/// from the place that it has seen; the rest as it comes.
package final class EventHub: Sendable {
    package static let happeningsMax = 5000

    final class Listener: Sendable {
        let stream: EventStream
        let caller: Caller
        let topologies: Set<String>
        /// What it has seen.
        let seen: Atomic<Int64>
        /// The number of the last popup.
        let popup = Atomic<Int>(0)

        init(_ stream: EventStream, _ caller: Caller, _ topologies: Set<String>, seen: Int64) {
            (self.stream, self.caller, self.topologies) = (stream, caller, topologies)
            self.seen = Atomic(seen)
        }

        func wants(_ topology: String) -> Bool { topologies.isEmpty || topologies.contains(topology) }
    }

    private let index: AlertIndex
    private let sessions: Sessions
    private let popups: PopupBoard
    private let now: @Sendable () -> Int64
    private let listeners = Mutex<[Listener]>([])
    private let isAwake = Atomic<Bool>(false)
    /// One at a time, so that a stream's events keep their order.
    private let pushing = Mutex<Void>(())

    package init(
        _ index: AlertIndex, _ sessions: Sessions, _ popups: PopupBoard, now: @escaping @Sendable () -> Int64
    ) {
        (self.index, self.sessions, self.popups, self.now) = (index, sessions, popups, now)
    }

    /// Adds a stream that goes on behind `last`, an id of an event as it was sent.
    package func add(_ stream: EventStream, _ caller: Caller, topologies: Set<String>, last: String?) {
        var seen = index.lastSequence
        var isResumed = false
        if let parts = last?.split(separator: "."), parts.count == 2, parts[0] == index.name,
            let number = Int64(parts[1]), number <= seen
        {
            (seen, isResumed) = (number, true)
        }
        stream.send(
            event: "hello", data: Json.object([("at", .time(now())), ("resumed", .bool(isResumed))]).string)
        if last != nil, !isResumed { stream.send(event: "reset", data: "{}") }
        let listener = Listener(stream, caller, topologies, seen: seen)
        listeners.withLock { $0.append(listener) }
        push(listener)
    }

    private func push(_ listener: Listener) {
        pushing.withLock { _ in
            let seen = listener.seen.load(ordering: .relaxed)
            let found: [(sequence: Int64, what: AlertIndex.Happening)]?
            do throws(Fault) {
                found = try index.happenings(after: seen, limit: Self.happeningsMax, now: now())
            } catch { return }
            guard let found else {
                listener.seen.store(index.lastSequence, ordering: .relaxed)
                listener.stream.send(event: "reset", data: "{}")
                return
            }
            for (sequence, what) in found {
                let id = "\(index.name).\(sequence)"
                switch what {
                case .alert(let row):
                    if listener.wants(row.topology) {
                        listener.stream.send(
                            event: "alert", id: id, data: row.json(masked: listener.caller.seesMasked).string)
                    }
                case .disposition(let json, _):
                    listener.stream.send(
                        event: "disposition", id: id,
                        data: listener.caller.seesMasked ? Self.withoutNote(json) : json)
                }
                listener.seen.store(sequence, ordering: .relaxed)
            }
            pushPopups(listener)
        }
    }

    private static let popupsAtOnce = 20

    /// Those of the last hour that this browser has not shown yet, but for what somebody looks after by now.
    private func pushPopups(_ listener: Listener) {
        guard listener.caller.session != nil else { return }
        let time = now()
        let found = popups.popups(
            for: listener.caller.name, after: listener.popup.load(ordering: .relaxed), now: time)
        listener.popup.store(found.newest, ordering: .relaxed)
        let unseen = found.popups.filter {
            listener.wants($0.topology) && !sessions.hasSeen($0.id, listener.caller)
        }
        // Nobody reads more at once; the rest stands in the list of alerts.
        for popup in unseen.suffix(Self.popupsAtOnce) {
            let rows = popup.alerts.prefix(20).compactMap { try? index.alert($0, now: time) }
            let isOver = rows.allSatisfy { $0.status != "open" || (popup.kind != "cleared" && !$0.isRaised) }
            if isOver, rows.count == popup.alerts.count { continue }
            listener.stream.send(
                event: "popup", data: Self.json(popup, rows, masked: listener.caller.seesMasked).string)
        }
    }

    private static func json(_ popup: PopupBoard.Popup, _ rows: [AlertRow], masked: Bool) -> Json {
        let worst = rows.max { $0.severity < $1.severity }
        return .object([
            ("id", .text(popup.id)), ("topology", .text(popup.topology)), ("kind", .text(popup.kind)),
            ("severity", .text(popup.severity)), ("at", .time(popup.at)),
            ("customer", .text(masked ? Mask.text(popup.customer) : popup.customer)),
            ("count", .int(Int64(popup.alerts.count))), ("alerts", .texts(popup.alerts.prefix(20))),
            ("alert", worst?.json(masked: masked) ?? .null),
        ])
    }

    private static func withoutNote(_ json: String) -> String {
        guard let value = try? JsonDocument.read(Array(json.utf8)), case .object(let members) = value else {
            return "{}"
        }
        return Json.object(members.map { ($0.name, $0.name == "note" ? .null : Json($0.value)) }).string
    }

    /// Something new is in the index.
    package func wake() { isAwake.store(true, ordering: .releasing) }

    /// Until it is stopped; on a thread of its own.
    package func run(stopping: StopSignal, eachSecond: () -> Void) {
        var turn = 0
        while !stopping.isSet {
            usleep(20_000)
            turn += 1
            if isAwake.exchange(false, ordering: .acquiringAndReleasing) {
                for listener in listeners.withLock({ $0 }) { push(listener) }
            }
            guard turn % 50 == 0 else { continue }
            eachSecond()
            for listener in listeners.withLock({ $0 }) {
                if let session = listener.caller.session, !sessions.isAlive(session),
                    !listener.stream.isClosed
                {
                    listener.stream.send(event: "end", data: #"{"reason":"session-ended"}"#)
                    listener.stream.end()
                }
            }
            let gone = listeners.withLock { listeners in
                defer { listeners.removeAll { $0.stream.isClosed } }
                return listeners.filter { $0.stream.isClosed }
            }
            for listener in gone {
                if let session = listener.caller.session { _ = sessions.addStream(session, -1) }
            }
        }
        for listener in listeners.withLock({ $0 }) { listener.stream.end() }
    }

    package var count: Int { listeners.withLock { $0.count } }

    func tell(_ event: String, _ json: Json, topology: String? = nil) {
        let all = listeners.withLock { $0 }
        if all.isEmpty { return }
        let data = json.string
        for listener in all where topology.map({ listener.wants($0) }) ?? true {
            listener.stream.send(event: event, data: data)
        }
    }

    func tellProgress(_ progress: (done: Int64, total: Int64), isReady: Bool) {
        tell(
            "index",
            .object([
                ("ready", .bool(isReady)), ("done", .int(progress.done)), ("total", .int(progress.total)),
            ]))
        if isReady { wake() }
    }

    func tellActivation(_ topology: String, _ board: TopologyBoard) {
        if let state = board[topology] { tell("activation", state.activationJson(), topology: topology) }
    }

    func tellAcknowledgement(_ topology: String, _ json: String, _ board: TopologyBoard) {
        guard let state = board[topology], let value = try? JsonDocument.read(Array(json.utf8)),
            case .object(let members) = value
        else { return }
        let own = members.map { ($0.name, Json($0.value)) }
        tell(
            "acknowledgement",
            .object(
                [
                    ("topology", .text(topology)), ("tasks", .int(Int64(state.tasks))),
                    ("acknowledged", .int(Int64(state.acknowledged))),
                ] + own),
            topology: topology)
    }
}
