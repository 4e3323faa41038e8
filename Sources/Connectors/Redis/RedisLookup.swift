import Base
import Dataflow
import Glibc
import Records
import Synchronization

/// Reads fields of hashes, many at once, within a fixed time. A connection is made on a thread of its own,
/// since looking a host's name up may take as long as it likes. After a failure nothing is asked for a while,
/// longer each time.
package final class RedisLookup: TableLookup {
    private let address: RedisAddress
    private let fields: [String]
    private let timeoutNanoseconds: Int64
    private var session: RedisSession?
    private var connecting: Connecting?
    /// A `fetch` has waited for the connection under way as long as it might.
    private var hasWaited = false
    private let backoffMilliseconds: ClosedRange<Int64>
    private var backoff: Int64
    /// Monotonic nanoseconds; until then nothing is tried.
    private var closedUntil: Int64 = 0
    private var isSignalBlocked = false

    /// A connection under way.
    private final class Connecting: Sendable {
        let isDone = Atomic<Bool>(false)
        /// Written by the thread that connects, before `isDone`, and read by the lane's after it.
        nonisolated(unsafe) var session: RedisSession?
        nonisolated(unsafe) var problem = ""
        let address: RedisAddress
        let milliseconds: Int

        init(_ address: RedisAddress, milliseconds: Int) {
            self.address = address
            self.milliseconds = milliseconds
        }

        func run() {
            do throws(Fault) {
                let made = RedisSession(
                    address, connectMilliseconds: milliseconds, commandMilliseconds: milliseconds)
                try made.open()
                session = made
            } catch {
                problem = error.detail
            }
            isDone.store(true, ordering: .releasing)
        }
    }

    /// `timeoutMilliseconds`: of one `fetch`, whatever happens. Connects with the first.
    package init(
        _ address: RedisAddress, fields: [String], timeoutMilliseconds: Int64,
        backoffMilliseconds: ClosedRange<Int64> = 100...5000
    ) {
        self.address = address
        self.fields = fields
        timeoutNanoseconds = timeoutMilliseconds * 1_000_000
        self.backoffMilliseconds = backoffMilliseconds
        backoff = backoffMilliseconds.lowerBound
    }

    package func fetch(
        _ keys: [TextReference], in arena: Arena,
        _ body: (_ index: Int, _ fields: UnsafeBufferPointer<UnsafeBufferPointer<UInt8>?>) -> Void
    ) -> Bool {
        let deadline = monotonicNanoseconds() + timeoutNanoseconds
        guard let session = connect(until: deadline) else { return false }
        do throws(Fault) {
            try fetch(keys, arena, session, until: deadline, body)
            backoff = backoffMilliseconds.lowerBound
            return true
        } catch {
            fail(error.detail)
            return false
        }
    }

    /// Server by server. After a throw the session is of no more use.
    private func fetch(
        _ keys: [TextReference], _ arena: Arena, _ session: RedisSession, until deadline: Int64,
        _ body: (_ index: Int, _ fields: UnsafeBufferPointer<UnsafeBufferPointer<UInt8>?>) -> Void
    ) throws(Fault) {
        var groups: [(connection: RedisConnection, keys: [Int])] = []
        if !session.isCluster, let connection = session.place(of: "").flatMap({ session.known($0) }) {
            groups = [(connection, Array(keys.indices))]
        } else {
            var places: [RedisAddress.Place: Int] = [:]
            for (index, key) in keys.enumerated() {
                let bytes = UnsafeBufferPointer(
                    start: UnsafePointer(arena.base + key.offset), count: key.count)
                guard let place = session.place(of: bytes), let connection = session.known(place) else {
                    throw Fault(.external, "Redis at \(address): a node does not answer", retry: .withBackoff)
                }
                let group = places[place] ?? groups.count
                if group == groups.count { groups.append((connection, [])) }
                places[place] = group
                groups[group].keys.append(index)
            }
        }
        let nothing = [UnsafeBufferPointer<UInt8>?](repeating: nil, count: fields.count)
        var problem: String?
        for group in groups {
            group.connection.begin()
            for index in group.keys {
                group.connection.append(fields.count + 2)
                group.connection.append("HMGET")
                group.connection.append(
                    UnsafeBufferPointer(start: arena.base + keys[index].offset, count: keys[index].count))
                for field in fields { group.connection.append(field) }
            }
            try group.connection.exchange(group.keys.count, until: deadline) { index, texts, error in
                // A key of another type is none of ours; whatever else is refused is no answer.
                if let error, !error.hasPrefix("WRONGTYPE") {
                    problem = problem ?? "Redis at \(group.connection.address): \(error)"
                    return
                }
                if let texts, texts.count == fields.count {
                    body(group.keys[index], texts)
                } else {
                    nothing.withUnsafeBufferPointer { body(group.keys[index], $0) }
                }
            }
        }
        if let problem { throw Fault(.external, problem, retry: .withBackoff) }
    }

    /// The connection, if there is one by then.
    private func connect(until deadline: Int64) -> RedisSession? {
        if !isSignalBlocked {
            RedisConnection.blockPipeSignal()
            isSignalBlocked = true
        }
        if let session { return session }
        if connecting == nil {
            guard monotonicNanoseconds() >= closedUntil else { return nil }
            start()
            hasWaited = false
        }
        guard let connecting else { return nil }
        while !connecting.isDone.load(ordering: .acquiring) {
            // One waits for it; whoever comes next only looks.
            if hasWaited || monotonicNanoseconds() >= deadline {
                hasWaited = true
                return nil
            }
            usleep(200)
        }
        self.connecting = nil
        session = connecting.session
        if session == nil { fail(connecting.problem) }
        return session
    }

    private func start() {
        let connecting = Connecting(address, milliseconds: 1000)
        let argument = Unmanaged.passRetained(connecting)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Connecting>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, argument.toOpaque())
        guard code == 0 else {
            argument.release()
            return fail("no thread for Redis: \(String(cString: strerror(code)))")
        }
        pthread_detach(thread)
        self.connecting = connecting
    }

    private func fail(_ problem: String) {
        Log.warning("table: \(problem); nothing is asked for \(backoff) ms")
        session = nil
        closedUntil = monotonicNanoseconds() + backoff * 1_000_000
        backoff = min(backoff * 2, backoffMilliseconds.upperBound)
    }
}
