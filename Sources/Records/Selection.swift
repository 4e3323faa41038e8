/// Positions of rows of a batch, ascending.
@frozen
package struct Selection {
    package let rows: UnsafePointer<Int32>
    package let count: Int

    @inlinable @inline(__always)
    package init(_ rows: UnsafePointer<Int32>, count: Int) {
        self.rows = rows
        self.count = count
    }

    package var indices: Range<Int> { 0..<count }

    @inlinable @inline(__always)
    package subscript(index: Int) -> Int { Int(rows[index]) }
}

/// Owns the memory of one selection.
package final class SelectionBuffer {
    package let rows: UnsafeMutablePointer<Int32>
    package var count = 0

    package init(capacity: Int) {
        rows = .allocate(capacity: capacity)
        rows.initialize(repeating: 0, count: capacity)
    }

    deinit { rows.deallocate() }

    package var selection: Selection { Selection(rows, count: count) }
}
