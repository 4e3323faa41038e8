import Base
import Records

/// What `WindowStore.prepare` finds out about each selected row, for the passes over the aggregates.
/// Indexed by position in the selection. One per lane; every store uses it in turn.
package final class WindowScratch {
    let blocks: UnsafeMutablePointer<UnsafeMutablePointer<Int64>>
    let panes: UnsafeMutablePointer<UnsafeMutablePointer<Int64>>
    let slots: UnsafeMutablePointer<Int32>
    let actions: UnsafeMutablePointer<UInt8>
    /// 1 where the key's window has records after the row.
    let filled: UnsafeMutablePointer<UInt8>
    /// The key's newest and oldest pane after the row: a later row may have moved the block's own by the time
    /// a pass comes to this one.
    package let newest: UnsafeMutablePointer<Int64>
    let oldest: UnsafeMutablePointer<Int64>
    /// Stands for an argument or condition that an aggregate does not have.
    let always: Column

    enum Action {
        static let adds: UInt8 = 1
        static let inRunning: UInt8 = 2
        static let inClosed: UInt8 = 4
    }

    // Never read or written.
    nonisolated(unsafe) private static let nowhere = UnsafeMutablePointer<Int64>.allocate(capacity: 1)

    package init(capacity: Int) {
        blocks = .allocate(capacity: capacity)
        blocks.initialize(repeating: Self.nowhere, count: capacity)
        panes = .allocate(capacity: capacity)
        panes.initialize(repeating: Self.nowhere, count: capacity)
        slots = .allocate(capacity: capacity)
        slots.initialize(repeating: 0, count: capacity)
        actions = .allocate(capacity: capacity)
        actions.initialize(repeating: 0, count: capacity)
        filled = .allocate(capacity: capacity)
        filled.initialize(repeating: 0, count: capacity)
        newest = .allocate(capacity: capacity)
        newest.initialize(repeating: 0, count: capacity)
        oldest = .allocate(capacity: capacity)
        oldest.initialize(repeating: 0, count: capacity)
        always = Column(.bool, capacity: capacity)
        always.values.update(repeating: 1, count: capacity)
        always.valid.update(repeating: 1, count: capacity)
    }

    /// Says of a row that `prepare` does not see whether a window has taken it.
    package func setAdded(_ position: Int, _ isAdded: Bool) { actions[position] = isAdded ? Action.adds : 0 }

    /// True if `prepare`, or who called `setAdded`, took the row at this position of the selection into a
    /// window.
    package func isAdded(_ position: Int) -> Bool { actions[position] & Action.adds != 0 }

    deinit {
        blocks.deallocate()
        panes.deallocate()
        slots.deallocate()
        actions.deallocate()
        filled.deallocate()
        newest.deallocate()
        oldest.deallocate()
    }
}
