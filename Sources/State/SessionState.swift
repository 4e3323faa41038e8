import Base
import Records

/// The open sessions of a task and their records, as bytes that only the operator can read.
package final class SessionState: OperatorState {
    package struct Session {
        package init() {}

        package var start: Int64 = 0
        package var last: Int64 = 0
        package var count = 0
    }

    private let gap: Int64
    private let rows: JoinState
    private var sessions: [Session] = []
    private var timers = TimerQueue()

    package init(gap: Int64, tracksChanges: Bool) {
        self.gap = gap
        rows = JoinState(before: 0, after: 0, rowsPerKey: .max, isTimed: false, tracksChanges: tracksChanges)
    }

    /// The open session of a key.
    package func session(_ key: UnsafeBufferPointer<UInt8>) -> (id: UInt32, session: Session)? {
        guard let id = rows.find(key), sessions[Int(id)].count > 0 else { return nil }
        return (id, sessions[Int(id)])
    }

    package func add(_ key: UnsafeBufferPointer<UInt8>, _ row: UnsafeBufferPointer<UInt8>, at time: Int64) {
        _ = rows.insert(key, row, isRight: false, isMatched: false, time: time)
        if let id = rows.find(key) { note(id, time) }
    }

    private func note(_ id: UInt32, _ time: Int64) {
        if Int(id) >= sessions.count {
            sessions.append(contentsOf: repeatElement(Session(), count: Int(id) + 1 - sessions.count + sessions.count / 2))
        }
        if sessions[Int(id)].count == 0 {
            sessions[Int(id)].start = time
            timers.add(time + gap, id)
        }
        sessions[Int(id)].last = time
        sessions[Int(id)].count += 1
    }

    /// The session that is over first before `time`, and the last moment that it had.
    package func nextOver(before time: Int64) -> (id: UInt32, due: Int64)? {
        while let timer = timers.removeFirst(before: time) {
            let session = sessions[Int(timer.id)]
            guard session.count > 0 else { continue }
            if session.last + gap < time, session.last + gap <= timer.time { return (timer.id, session.last + gap) }
            timers.add(session.last + gap, timer.id)
        }
        return nil
    }

    /// Calls `body` with each record of a session, in order, then forgets it.
    package func close(_ id: UInt32, _ body: (UnsafeBufferPointer<UInt8>, Int64) -> Void) {
        for slot in rows.slots(of: id) { body(rows.bytes(of: slot), rows.time(of: slot)) }
        for slot in rows.slots(of: id) { rows.removeOver(slot) }
        sessions[Int(id)] = Session()
    }

    package func key(of id: UInt32) -> UnsafeBufferPointer<UInt8> { rows.key(ofId: id) }

    package func drainChanges(into out: Arena, _ body: (Range<Int>, Range<Int>?) -> Void) {
        rows.drainChanges(into: out, body)
    }

    package func forEach(into out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) { rows.forEach(into: out, body) }

    package func restore(key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?) -> Bool {
        rows.restore(key: key, value: value)
    }

    package func finishRestore() {
        rows.finishRestore()
        rows.forEachSlot { slot in note(rows.keyId(of: slot), rows.time(of: slot)) }
    }

    package var keyCount: Int { rows.keyCount }
    package var memoryBytes: Int { rows.memoryBytes + sessions.capacity * MemoryLayout<Session>.stride + timers.memoryBytes }
    package var lastDue: Int64 { sessions.reduce(.min) { $1.count > 0 ? max($0, $1.last + gap) : $0 } }
}
