import Base
import Glibc
import Synchronization

/// Threads that send, some for each channel, so that a slow one holds no other back. Critical messages go
/// first, and some threads are theirs alone.
package final class SenderPool: Sendable {
    package struct Result: Sendable {
        package var id: String
        package var outcome: SendOutcome
        /// Milliseconds since 1970.
        package var finishedAt: Int64
    }

    private struct Queue: Sendable {
        /// By severity's rank.
        var waiting: [[NotifyMessage]] = Array(repeating: [], count: 4)
        var threads = 0
        var idle = 0
        /// Under way and not critical.
        var ordinary = 0

        var count: Int { waiting.reduce(0) { $0 + $1.count } }
    }

    private struct State: Sendable {
        var queues: [String: Queue] = [:]
        var results: [Result] = []
        var underWay = 0
        var isClosed = false
    }

    private let config: NotifyConfig
    private let state = Mutex(State())
    private nonisolated(unsafe) let clock: any Clock

    /// `clock` is asked by several threads at once.
    package init(_ config: NotifyConfig, clock: any Clock) { (self.config, self.clock) = (config, clock) }

    package func add(_ messages: [NotifyMessage]) {
        for message in messages {
            guard let channel = config.channels[message.contact.channel] else { continue }
            let needsThread = state.withLock { state in
                var queue = state.queues[channel.name] ?? Queue()
                queue.waiting[message.severity.rank].append(message)
                state.underWay += 1
                let needs = queue.idle < queue.count && queue.threads < channel.concurrency
                if needs { queue.threads += 1 }
                state.queues[channel.name] = queue
                return needs
            }
            if needsThread { _ = Background { [self] () throws(Fault) in work(channel) } }
        }
    }

    /// Messages that were added and whose results were not taken.
    package var underWay: Int { state.withLock { $0.underWay } }

    package func takeResults() -> [Result] {
        state.withLock { state in
            defer { state.results = [] }
            state.underWay -= state.results.count
            return state.results
        }
    }

    /// What waits is not sent any more; what is under way ends, and can be taken.
    package func closeQueues() {
        state.withLock { state in
            for name in state.queues.keys {
                state.underWay -= state.queues[name]?.count ?? 0
                state.queues[name]?.waiting = Array(repeating: [], count: 4)
            }
        }
    }

    /// Threads end as soon as what they do has ended.
    package func close() {
        closeQueues()
        state.withLock { $0.isClosed = true }
    }

    private enum Turn {
        case send(NotifyMessage)
        case wait, end
    }

    /// For how long a thread has had nothing to do, milliseconds, when it ends.
    private static let idleMax = 5_000

    private func next(_ channel: NotifyChannel, isIdle: Bool, idleFor: Int) -> Turn {
        state.withLock { state in
            if state.isClosed { return .end }
            guard var queue = state.queues[channel.name] else { return .wait }
            defer { state.queues[channel.name] = queue }
            if isIdle { queue.idle -= 1 }
            let reserved = channel.concurrency / 4
            for rank in queue.waiting.indices.reversed() where !queue.waiting[rank].isEmpty {
                let isCritical = rank == queue.waiting.count - 1
                if !isCritical, queue.ordinary >= channel.concurrency - reserved { break }
                if !isCritical { queue.ordinary += 1 }
                return .send(queue.waiting[rank].removeFirst())
            }
            if idleFor > Self.idleMax {
                queue.threads -= 1
                return .end
            }
            queue.idle += 1
            return .wait
        }
    }

    private func work(_ channel: NotifyChannel) {
        let sender = ChannelSender(config, channel, clock: clock)
        var isIdle = false
        var idleFor = 0
        while true {
            switch next(channel, isIdle: isIdle, idleFor: idleFor) {
            case .end: return
            case .wait:
                isIdle = true
                let milliseconds = idleFor < 200 ? 2 : 20
                usleep(UInt32(milliseconds) * 1000)
                idleFor += milliseconds
            case .send(let message):
                isIdle = false
                idleFor = 0
                let outcome = sender.send(message)
                let result = Result(id: message.id, outcome: outcome, finishedAt: clock.nowMilliseconds)
                state.withLock { state in
                    if message.severity != .critical { state.queues[channel.name]?.ordinary -= 1 }
                    state.results.append(result)
                }
            }
        }
    }
}
