import Base
import Records

/// Rows that wait for another one of their key, each for the same time, so that they leave in the order in which they
/// came. A row is bytes that only the operator can read; every row has an entry of its own in the changelog.
///
/// Rows come in event-time order. A key's oldest row leaves first, whether it is taken, displaced or its time is over,
/// so a list of all and one for each key are enough, and nothing is kept of a row that has left.
package final class WaitingRows: OperatorState {
    struct Row {
        var time: Int64
        var sequence: UInt64
        var offset: Int
        var count: Int32
        var key: UInt32
        /// The next younger row of the key; -1: none.
        var nextOfKey: Int32 = -1
        /// Neighbours among all rows, older and younger; -1: none.
        var older: Int32 = -1
        var younger: Int32 = -1
    }

    private struct Key {
        var oldest: Int32 = -1
        var youngest: Int32 = -1
        var count: Int32 = 0
    }

    private let within: Int64
    private let rowsPerKey: Int
    private let tracksChanges: Bool
    private let keyTable = KeyTable(rowsMax: 1)
    private var keys: ContiguousArray<Key> = []
    private var rows: ContiguousArray<Row> = []
    private var free: [Int32] = []
    private var oldest: Int32 = -1
    private var youngest: Int32 = -1
    private var bytes = Arena(capacity: 1 << 12)
    private var live = 0
    private var next: UInt64 = 0
    /// Rows before this one have been drained.
    private var drained: UInt64 = 0
    /// Rows that were drained and have left since.
    private var gone: [UInt64] = []
    private var restored: [UInt64: [UInt8]] = [:]
    /// Rows that left for a younger one since their key had too many.
    package private(set) var displaced = 0

    package init(within: Int64, rowsPerKey: Int = Limits.sequenceRowsPerKeyMax, tracksChanges: Bool) {
        self.within = within
        self.rowsPerKey = rowsPerKey
        self.tracksChanges = tracksChanges
    }

    // MARK: Rows

    /// Adds a row, which is not older than any. True: the key now has one too many, and its oldest has to leave.
    package func add(_ key: UnsafeBufferPointer<UInt8>, _ row: UnsafeBufferPointer<UInt8>, at time: Int64) -> Bool {
        let id = insert(key, row, time, next)
        next += 1
        return Int(keys[id].count) > rowsPerKey
    }

    private func insert(
        _ key: UnsafeBufferPointer<UInt8>, _ row: UnsafeBufferPointer<UInt8>, _ time: Int64, _ sequence: UInt64
    ) -> Int {
        compact()
        let id = Int(withBytes(key) { keyTable.intern($0, $1) })
        if id >= keys.count { keys.append(contentsOf: repeatElement(Key(), count: id + 1 - keys.count + keys.count / 2)) }
        var entry = Row(time: time, sequence: sequence, offset: bytes.count, count: Int32(row.count), key: UInt32(id))
        if let start = row.baseAddress { _ = bytes.append(start, row.count) }
        live += row.count
        entry.older = youngest
        let slot: Int32
        if let unused = free.popLast() {
            slot = unused
            rows[Int(slot)] = entry
        } else {
            slot = Int32(rows.count)
            rows.append(entry)
        }
        if youngest >= 0 { rows[Int(youngest)].younger = slot } else { oldest = slot }
        youngest = slot
        if keys[id].youngest >= 0 { rows[Int(keys[id].youngest)].nextOfKey = slot } else { keys[id].oldest = slot }
        keys[id].youngest = slot
        keys[id].count += 1
        return id
    }

    /// The oldest row of a key, if it is older than `time`; its bytes stay in place until the next `add`.
    package func oldest(of key: UnsafeBufferPointer<UInt8>, before time: Int64)
        -> (slot: Int32, row: UnsafeBufferPointer<UInt8>)?
    {
        guard let id = withBytes(key, { keyTable.find($0, $1) }) else { return nil }
        let slot = keys[Int(id)].oldest
        guard rows[Int(slot)].time < time else { return nil }
        return (slot, row(slot))
    }

    /// The row whose time is over first, if that is before `time`, and the last moment that it had.
    package func nextOver(before time: Int64) -> (slot: Int32, due: Int64, row: UnsafeBufferPointer<UInt8>)? {
        guard oldest >= 0, rows[Int(oldest)].time + within < time else { return nil }
        return (oldest, rows[Int(oldest)].time + within, row(oldest))
    }

    private func row(_ slot: Int32) -> UnsafeBufferPointer<UInt8> {
        let row = rows[Int(slot)]
        return UnsafeBufferPointer(start: bytes.base + row.offset, count: Int(row.count))
    }

    /// Takes away a row that is the oldest of its key.
    package func remove(_ slot: Int32) {
        let row = rows[Int(slot)]
        let id = Int(row.key)
        require(keys[id].oldest == slot, "a row that leaves before an older one of its key")
        if row.older >= 0 { rows[Int(row.older)].younger = row.younger } else { oldest = row.younger }
        if row.younger >= 0 { rows[Int(row.younger)].older = row.older } else { youngest = row.older }
        keys[id].oldest = row.nextOfKey
        keys[id].count -= 1
        if row.nextOfKey < 0 {
            keys[id].youngest = -1
            keyTable.remove(row.key)
        }
        live -= Int(row.count)
        if tracksChanges, row.sequence < drained { gone.append(row.sequence) }
        free.append(slot)
    }

    /// Takes away the oldest row of a key for which `add` was true.
    package func displace(_ slot: Int32) {
        displaced += 1
        remove(slot)
    }

    /// Gives back the room of rows that have left, once they are most of it.
    private func compact() {
        guard bytes.count > 1 << 16, live < bytes.count / 2 else { return }
        let copy = Arena(capacity: live + 1)
        var slot = oldest
        while slot >= 0 {
            let row = rows[Int(slot)]
            rows[Int(slot)].offset = copy.append(bytes.base + row.offset, Int(row.count)).offset
            slot = row.younger
        }
        bytes = copy
    }

    private func withBytes<T>(_ key: UnsafeBufferPointer<UInt8>, _ body: (UnsafePointer<UInt8>, Int) -> T) -> T {
        if let start = key.baseAddress { return body(start, key.count) }
        var nothing: UInt8 = 0
        return body(&nothing, 0)
    }

    // MARK: Changes

    package func drainChanges(into out: Arena, _ body: (Range<Int>, Range<Int>?) -> Void) {
        for sequence in gone {
            let start = out.count
            out.appendVarint(sequence)
            body(start..<out.count, nil)
        }
        gone.removeAll(keepingCapacity: true)
        // The youngest are those that came since.
        var slot = youngest
        while slot >= 0, rows[Int(slot)].sequence >= drained {
            write(slot, to: out) { body($0, $1) }
            slot = rows[Int(slot)].older
        }
        drained = next
    }

    package func forEach(into out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        var slot = oldest
        while slot >= 0 {
            let younger = rows[Int(slot)].younger
            write(slot, to: out, body)
            slot = younger
        }
    }

    private func write(_ slot: Int32, to out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        let row = rows[Int(slot)]
        let start = out.count
        out.appendVarint(row.sequence)
        let value = out.count
        out.appendZigzag(row.time)
        out.appendBlob(keyTable.key(of: row.key))
        out.appendBlob(self.row(slot))
        body(start..<value, value..<out.count)
    }

    package func restore(key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?) -> Bool {
        var reader = BinaryReader(key)
        let sequence = reader.varint()
        guard reader.isValid, reader.isAtEnd, sequence < .max else { return false }
        next = max(next, sequence + 1)
        restored[sequence] = value.map { Array($0) }
        return true
    }

    package func finishRestore() {
        for (sequence, value) in restored.sorted(by: { $0.key < $1.key }) {
            value.withUnsafeBufferPointer { value in
                var reader = BinaryReader(value)
                let (time, key, row) = (reader.zigzag(), reader.blob(), reader.blob())
                if reader.isValid { _ = insert(key, row, time, sequence) }
            }
        }
        restored.removeAll()
        drained = next
    }

    package var keyCount: Int { keyTable.count }
    package var rowCount: Int { rows.count - free.count }

    package var memoryBytes: Int {
        keyTable.memoryBytes + keys.capacity * MemoryLayout<Key>.stride + rows.capacity * MemoryLayout<Row>.stride
            + free.capacity * 4 + bytes.capacity
    }

    package var lastDue: Int64 { youngest >= 0 ? rows[Int(youngest)].time + within : .min }
}
