/// By key, the newest pane that one call of `OutOfOrderFinder.find` has seen: a new call begins without
/// touching the keys of the last.
final class OrderMarks {
    private struct Mark {
        var call: Int64
        var pane: Int64
    }

    private var marks = UnsafeMutableBufferPointer<Mark>.allocate(capacity: 0)
    private var call: Int64 = 0

    deinit { marks.deallocate() }

    var memoryBytes: Int { marks.count * MemoryLayout<Mark>.stride }

    /// Forgets what was seen.
    func begin() { call += 1 }

    /// `.min`: nothing yet.
    @inline(__always)
    subscript(id: UInt32) -> Int64 {
        get {
            let id = Int(id)
            return id < marks.count && marks[id].call == call ? marks[id].pane : .min
        }
        set {
            let id = Int(id)
            if id >= marks.count { grow(to: id + 1) }
            marks[id] = Mark(call: call, pane: newValue)
        }
    }

    private func grow(to count: Int) {
        let larger = UnsafeMutableBufferPointer<Mark>.allocate(capacity: count + count / 2)
        larger.initialize(repeating: Mark(call: 0, pane: 0))
        _ = larger.update(fromContentsOf: marks)
        marks.deallocate()
        marks = larger
    }
}
