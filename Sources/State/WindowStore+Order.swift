import Base
import Records

/// What `WindowStore.findOutOfOrder` has seen of a key: its newest pane, and in which call.
struct OrderMark {
    var call: Int64
    var pane: Int64
}

/// Rows that change, or are to be read in, other windows than the newest of their key.
extension WindowStore {
    /// True if a row is to be looked at more closely: it lies before a pane that any key has had, before the
    /// window that is open or behind a row before it, or it runs ahead. Most rows lie in the pane of the row
    /// before.
    package func mayBeOutOfOrder(_ rows: Selection, times: UnsafePointer<Int64>) -> Bool {
        let limit = aheadFrom
        var start = greatest == Int64.min ? Int64.min : clock.startOfPane(greatest)
        if open != Self.none { start = max(start, clock.startOfPane(open)) }
        var end = start == .min ? .min : clock.startOfPane(max(greatest, open) + 1)
        for index in rows.indices {
            let time = times[rows[index]]
            if time < start || time >= limit { return true }
            if time < end { continue }
            let pane = clock.pane(of: time)
            (start, end) = (clock.startOfPane(pane), clock.startOfPane(pane + 1))
        }
        return false
    }

    /// Sets `flags[row]` for rows that lie before the key's newest pane, as it is after the rows before them,
    /// or before the window that is open, and for those that run ahead. Rows that are late count if
    /// `takesLate`. True: there are some.
    package func findOutOfOrder(
        _ rows: Selection, ids: UnsafePointer<UInt32>, times: UnsafePointer<Int64>, takesLate: Bool,
        flags: UnsafeMutablePointer<UInt8>
    ) -> Bool {
        markCall += 1
        let call = markCall
        let (open, reach) = (open, options.mayRunAhead ? reach : .max)
        var isFound = false
        for index in rows.indices {
            let row = rows[index]
            let id = Int(ids[row])
            let pane = clock.pane(of: times[row])
            if pane < open, !takesLate, lastAnchor(covering: pane) < open { continue }
            if id >= marks.count { growMarks(to: id + 1) }
            var newest = marks[id].call == call ? marks[id].pane : .min
            if newest < pane, pane < greatest { newest = max(newest, self.newest(of: ids[row])) }
            if pane < newest || pane < open || pane > reach {
                flags[row] = 1
                isFound = true
            }
            marks[id] = OrderMark(call: call, pane: max(newest, pane))
        }
        return isFound
    }

    private func growMarks(to count: Int) {
        let larger = UnsafeMutableBufferPointer<OrderMark>.allocate(capacity: count + count / 2)
        larger.initialize(repeating: OrderMark(call: 0, pane: 0))
        _ = larger.update(fromContentsOf: marks)
        marks.deallocate()
        marks = larger
    }
}
