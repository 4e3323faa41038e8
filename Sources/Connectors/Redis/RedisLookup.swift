import Base
import Dataflow
import Records
import Synchronization
import Glibc

/// Reads fields of hashes, many at once, within a fixed time. A connection is made on a thread of its own, since looking
/// a host's name up may take as long as it likes. After a failure nothing is asked for a while, longer each time.
package final class RedisLookup: TableLookup {
    private let address: RedisAddress
    private let fields: [String]
    private let timeoutNanoseconds: Int64
    private var connection: RedisConnection?
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
        nonisolated(unsafe) var connection: RedisConnection?
        nonisolated(unsafe) var problem = ""
        let address: RedisAddress
        let milliseconds: Int

        init(_ address: RedisAddress, milliseconds: Int) {
            self.address = address
            self.milliseconds = milliseconds
        }

        func run() {
            do throws(Fault) {
                connection = try RedisConnection(address, connectMilliseconds: milliseconds, commandMilliseconds: milliseconds)
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
        guard let connection = connect(until: deadline) else { return false }
        connection.begin()
        for key in keys {
            connection.append(fields.count + 2)
            connection.append("HMGET")
            connection.append(UnsafeBufferPointer(start: arena.base + key.offset, count: key.count))
            for field in fields { connection.append(field) }
        }
        do throws(Fault) {
            let nothing = [UnsafeBufferPointer<UInt8>?](repeating: nil, count: fields.count)
            try connection.exchange(keys.count, until: deadline) { index, texts in
                // A key of another type is none of ours.
                if let texts, texts.count == fields.count { body(index, texts) } else {
                    nothing.withUnsafeBufferPointer { body(index, $0) }
                }
            }
            backoff = backoffMilliseconds.lowerBound
            return true
        } catch {
            fail(error.detail)
            return false
        }
    }

    /// The connection, if there is one by then.
    private func connect(until deadline: Int64) -> RedisConnection? {
        if !isSignalBlocked {
            RedisConnection.blockPipeSignal()
            isSignalBlocked = true
        }
        if let connection { return connection }
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
        connection = connecting.connection
        if connection == nil { fail(connecting.problem) }
        return connection
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
        connection = nil
        closedUntil = monotonicNanoseconds() + backoff * 1_000_000
        backoff = min(backoff * 2, backoffMilliseconds.upperBound)
    }
}
