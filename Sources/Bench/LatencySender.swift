import Base
import Connectors
import Engine
import Glibc
import Synchronization

/// Sends orders at a rate, each when it is due, or at once if that is past.
enum LatencySender {
    final class Progress: Sendable {
        struct State: Sendable {
            /// Wall clock, milliseconds.
            var begin: Int64 = 0
            var sent = 0
            var marked = 0
            /// Monotonic nanoseconds.
            var startedAt: Int64 = 0
            var finishedAt: Int64 = 0
            /// By second: how late the sender was at most, milliseconds.
            var behind: [Int64] = []
        }

        private let guarded = Mutex(State())
        var state: State { guarded.withLock { $0 } }
        fileprivate func change(_ body: (inout State) -> Void) { guarded.withLock { body(&$0) } }
    }

    static func run(_ settings: KafkaSettings, _ topic: String, _ load: LatencyLoad, _ progress: Progress)
        throws(Fault)
    {
        let feeder = try KafkaFeeder(settings)
        let target = try feeder.topic(topic)
        let writer = BenchWriter()
        var orders = BenchOrders(keys: 10_000, recordsPerSecond: 1000, seed: 5)
        let start = SystemClock().nowMilliseconds
        let begin = monotonicNanoseconds()
        progress.change {
            $0.begin = start
            $0.startedAt = begin
        }
        let markEvery = load.markEvery
        var marked = 0
        var behind: [Int64] = []
        for number in 0..<load.records {
            let due = Int64(number) * 1_000_000_000 / Int64(load.rate)
            var now = monotonicNanoseconds() - begin
            while now < due {
                feeder.poll()
                usleep(500)
                now = monotonicNanoseconds() - begin
            }
            let second = Int(due / 1_000_000_000)
            if second >= behind.count { behind.append(0) }
            behind[second] = max(behind[second], (now - due) / 1_000_000)
            var order = orders.next()
            order.time = start + due / 1_000_000
            // The last too: with its alert everything has gone through.
            let isMarked = number % markEvery == 0 || number == load.records - 1
            if isMarked {
                order.kind = .marked
                marked += 1
            } else {
                order.kind = .paid
            }
            writer.write(order, number: number)
            try feeder.send(to: target, key: writer.key, value: writer.value)
        }
        let finished = monotonicNanoseconds()
        try feeder.flush()
        progress.change { [behind, marked] in
            $0.sent = load.records
            $0.marked = marked
            $0.finishedAt = finished
            $0.behind = load.isFlatOut ? [] : behind
        }
    }
}
