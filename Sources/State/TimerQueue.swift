/// Event times at which something is due for somebody, least first; a binary heap. What is due no more stays
/// in it: its owner knows, when it comes out, whether it still counts.
package struct TimerQueue {
    package struct Timer {
        package var time: Int64
        package var id: UInt32
    }

    private var heap: [Timer] = []

    package init() {}

    package var count: Int { heap.count }
    package var memoryBytes: Int { heap.capacity * MemoryLayout<Timer>.stride }
    package var first: Timer? { heap.first }
    /// The greatest time, found by looking at each; `.min`: empty.
    package var last: Int64 { heap.reduce(.min) { max($0, $1.time) } }

    package mutating func removeAll() { heap.removeAll(keepingCapacity: true) }

    package mutating func add(_ time: Int64, _ id: UInt32) {
        heap.append(Timer(time: time, id: id))
        var at = heap.count - 1
        while at > 0, precedes(at, (at - 1) / 2) {
            heap.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    /// Takes out the first timer whose time is before `time`; of equal times the one with the least id.
    package mutating func removeFirst(before time: Int64) -> Timer? {
        guard let first = heap.first, first.time < time else { return nil }
        let last = heap.removeLast()
        if heap.isEmpty { return first }
        heap[0] = last
        var at = 0
        while true {
            var least = at
            for child in [2 * at + 1, 2 * at + 2] where child < heap.count && precedes(child, least) {
                least = child
            }
            if least == at { return first }
            heap.swapAt(at, least)
            at = least
        }
    }

    private func precedes(_ a: Int, _ b: Int) -> Bool {
        heap[a].time != heap[b].time ? heap[a].time < heap[b].time : heap[a].id < heap[b].id
    }
}
