/// Keys by when something is due for them, each once; a later word replaces an earlier one.
package struct DueQueue<Key: Hashable> {
    private struct Entry {
        var time: Int64
        /// Equal times come in the order in which they were set.
        var number: UInt64
        var key: Key
    }

    private var heap: [Entry] = []
    private var current: [Key: UInt64] = [:]
    private var last: UInt64 = 0

    package init() {}

    package var count: Int { current.count }

    package mutating func set(_ key: Key, at time: Int64) {
        last += 1
        current[key] = last
        heap.append(Entry(time: time, number: last, key: key))
        var child = heap.count - 1
        while child > 0, isBefore(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    package mutating func remove(_ key: Key) { current[key] = nil }

    /// The time of the first key; nil: there is none.
    package var nextTime: Int64? {
        mutating get {
            while let first = heap.first, current[first.key] != first.number { dropFirst() }
            return heap.first?.time
        }
    }

    /// Takes the first key that is due.
    package mutating func pop(until now: Int64) -> Key? {
        guard let time = nextTime, time <= now else { return nil }
        let key = heap[0].key
        current[key] = nil
        dropFirst()
        return key
    }

    private func isBefore(_ a: Int, _ b: Int) -> Bool {
        (heap[a].time, heap[a].number) < (heap[b].time, heap[b].number)
    }

    private mutating func dropFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isBefore(child, least) {
                least = child
            }
            if least == parent { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
