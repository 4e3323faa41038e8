import Records

/// Rows that any of several steps has selected.
final class RowUnion {
    private let flags: UnsafeMutablePointer<UInt8>
    private let buffer: SelectionBuffer

    init(capacity: Int) {
        flags = .allocate(capacity: capacity)
        flags.initialize(repeating: 0, count: capacity)
        buffer = SelectionBuffer(capacity: capacity)
    }

    deinit { flags.deallocate() }

    var none: Selection { Selection(buffer.rows, count: 0) }

    /// Of the stretch `rows`, ascending. Valid until the next call.
    func of(_ steps: [StepPlan], among rows: Selection) -> Selection {
        for index in rows.indices { flags[rows[index]] = 0 }
        for step in steps {
            let selection = step.selection.selection
            for index in selection.indices { flags[selection[index]] = 1 }
        }
        var count = 0
        for index in rows.indices {
            buffer.rows[count] = rows.rows[index]
            count += Int(flags[rows[index]])
        }
        buffer.count = count
        return buffer.selection
    }
}
