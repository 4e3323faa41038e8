import CMicrohttpd
import Synchronization

/// An answer that goes on, by Server-Sent Events: what is sent waits here until the other side has taken it.
/// Who takes too slowly is cut off, and comes again with what it has seen last.
package final class EventStream: Sendable {
    package static let bytesMax = 4 << 20

    private struct State {
        var bytes: [UInt8] = []
        var taken = 0
        var isEnded = false
        /// Of libmicrohttpd; 0: none, or it is gone.
        var connection: UInt = 0
        var isSuspended = false
        var isGone = false
    }

    private let state = Mutex(State())

    package init() {}

    /// Nobody takes anything from it any more.
    package var isClosed: Bool { state.withLock { $0.isGone || $0.isEnded } }

    /// An event; false: it is closed, or was cut off just now.
    @discardableResult
    package func send(event: String, id: String? = nil, data: String) -> Bool {
        var text = ""
        if let id { text += "id: \(id)\n" }
        text += "event: \(event)\n"
        for line in data.split(separator: "\n", omittingEmptySubsequences: false) {
            text += "data: \(line)\n"
        }
        return send(text + "\n")
    }

    /// Keeps the connection open, and finds out whether somebody is there.
    package func beat() { _ = send(": \n\n") }

    /// Sends what is there, then ends.
    package func end() {
        state.withLock { state in
            state.isEnded = true
            Self.wake(&state)
        }
    }

    private func send(_ text: String) -> Bool {
        state.withLock { state in
            guard !state.isEnded, !state.isGone else { return false }
            guard state.bytes.count - state.taken + text.utf8.count <= Self.bytesMax else {
                state.isEnded = true
                state.bytes = []
                state.taken = 0
                Self.wake(&state)
                return false
            }
            state.bytes += Array(text.utf8)
            Self.wake(&state)
            return true
        }
    }

    private static func wake(_ state: inout State) {
        guard state.isSuspended else { return }
        state.isSuspended = false
        MHD_resume_connection(OpaquePointer(bitPattern: state.connection))
    }

    // MARK: By the server's thread

    func attach(_ connection: OpaquePointer) {
        state.withLock { $0.connection = UInt(bitPattern: connection) }
    }

    /// The connection is gone.
    func detach() {
        state.withLock { state in
            state.connection = 0
            state.isSuspended = false
            state.isGone = true
            state.bytes = []
        }
    }

    func read(into buffer: UnsafeMutablePointer<CChar>, _ max: Int) -> Int {
        state.withLock { state in
            let count = min(max, state.bytes.count - state.taken)
            if count == 0 {
                if state.isEnded || state.connection == 0 { return Int(mr_mhd_end_of_stream) }
                // Asked again, libmicrohttpd would turn round and round.
                state.isSuspended = true
                MHD_suspend_connection(OpaquePointer(bitPattern: state.connection))
                return 0
            }
            state.bytes.withUnsafeBytes { bytes in
                UnsafeMutableRawPointer(buffer).copyMemory(
                    from: bytes.baseAddress! + state.taken, byteCount: count)
            }
            state.taken += count
            if state.taken == state.bytes.count {
                state.bytes.removeAll(keepingCapacity: true)
                state.taken = 0
            }
            return count
        }
    }
}
