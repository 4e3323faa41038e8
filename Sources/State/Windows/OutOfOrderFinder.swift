import Records

/// Finds rows that change, or are to be read in, other windows than the newest of their key.
package struct OutOfOrderFinder {
    let store: WindowStore

    /// True if a row is to be looked at more closely: it lies before a pane that any key has had, before the
    /// window that is open or behind a row before it, or it runs ahead. Most rows lie in the pane of the row
    /// before.
    package func mayBeFound(_ rows: Selection, times: UnsafePointer<Int64>) -> Bool {
        let limit = store.aheadFrom
        let (open, greatest) = (store.open, store.greatest)
        // Finding a pane moves the clock on, which remembers the last.
        var clock = store.clock
        defer { store.clock = clock }
        var start = greatest == Int64.min ? Int64.min : clock.startOfPane(greatest)
        if open != PaneLayout.none { start = max(start, clock.startOfPane(open)) }
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
    package func find(
        _ rows: Selection, ids: UnsafePointer<UInt32>, times: UnsafePointer<Int64>, takesLate: Bool,
        flags: UnsafeMutablePointer<UInt8>
    ) -> Bool {
        let (marks, layout, view) = (store.marks, store.layout, store.view)
        let (open, greatest) = (store.open, store.greatest)
        let reach = store.options.mayRunAhead ? store.reach : .max
        marks.begin()
        var isFound = false
        for index in rows.indices {
            let row = rows[index]
            let id = ids[row]
            let pane = store.clock.pane(of: times[row])
            if pane < open, !takesLate, layout.lastAnchor(covering: pane) < open { continue }
            var newest = marks[id]
            if newest < pane, pane < greatest { newest = max(newest, view.newest(of: id)) }
            if pane < newest || pane < open || pane > reach {
                flags[row] = 1
                isFound = true
            }
            marks[id] = max(newest, pane)
        }
        return isFound
    }
}
