import Base
import Records

/// Why a row cannot wait: what its key, or its step, may keep is used up.
package enum RowLimit: Sendable { case rowsPerKey, memory }

/// How much may wait in one step and task. Counted by content, not by what the allocator gave, so that it is
/// reached at the same row in every run, and again after a restore.
package struct RowLimits: Sendable {
    /// Rows of one key on one side.
    package var rowsPerKey: Int
    /// `WaitingRows.cost` of all rows.
    package var bytes: Int

    package init(rowsPerKey: Int = Limits.rowsPerKeyDefault, bytes: Int = Limits.stepMemoryBytes) {
        self.rowsPerKey = rowsPerKey
        self.bytes = bytes
    }
}

/// Rows that wait for another one of their key, each for the same time, so that they leave in the order in
/// which they came. A row is bytes that only the operator can read; every row has an entry of its own in the
/// changelog.
///
/// Rows come in event-time order. A key's oldest row leaves first, whether it is taken or its time is over,
/// so a list of all and one for each key are enough: a row comes, goes and is found at once however many
/// there are, and nothing is kept of a row that has left.
package final class WaitingRows {
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
        var isMatched = false
    }

    private struct Key {
        var oldest: Int32 = -1
        var youngest: Int32 = -1
        var count: Int32 = 0
    }

    private let within: Int64
    /// Before every key of an entry.
    private let tag: UInt8
    private let tracksChanges: Bool
    private let keyTable = KeyTable(rowsMax: 1)
    private var keys: ContiguousArray<Key> = []
    private var rows: ContiguousArray<Row> = []
    private var free: [Int32] = []
    private var oldest: Int32 = -1
    private var youngest: Int32 = -1
    private var bytes = Arena(capacity: 1 << 12)
    private var live = 0
    /// The `cost` of all rows.
    package private(set) var usedBytes = 0
    /// At least the rows of the key that has the most.
    package private(set) var rowsOfKeyMost = 0
    private var next: UInt64 = 0
    /// Rows before this one have been drained.
    private var drained: UInt64 = 0
    /// Rows that were drained and have left since.
    private var gone: [UInt64] = []
    /// Rows that were drained and have been matched since; they may have left.
    private var remarked: [(slot: Int32, sequence: UInt64)] = []
    private var restored: [UInt64: [UInt8]] = [:]

    package init(within: Int64, tag: UInt8, tracksChanges: Bool) {
        self.within = within
        self.tag = tag
        self.tracksChanges = tracksChanges
    }

    /// What a row counts for: its bytes, its key's, and about what is kept around them.
    package static func cost(key: Int, row: Int) -> Int { key + row + RowCost.waiting }

    // MARK: Rows

    /// Adds a row, which is not older than any, unless a limit does not let it; then nothing has changed.
    /// `other`: what of the memory is used elsewhere.
    package func add(
        _ key: UnsafeBufferPointer<UInt8>, _ row: UnsafeBufferPointer<UInt8>, at time: Int64,
        isMatched: Bool = false,
        _ limits: RowLimits, other: Int = 0
    ) -> RowLimit? {
        if usedBytes + other + Self.cost(key: key.count, row: row.count) > limits.bytes { return .memory }
        let id = intern(key)
        // A key that has none is within every limit.
        if Int(keys[id].count) >= limits.rowsPerKey { return .rowsPerKey }
        insert(id, row, time, next, keyCount: key.count, isMatched: isMatched)
        next += 1
        return nil
    }

    private func intern(_ key: UnsafeBufferPointer<UInt8>) -> Int {
        let id = Int(keyTable.intern(key))
        if id >= keys.count {
            keys.append(contentsOf: repeatElement(Key(), count: id + 1 - keys.count + keys.count / 2))
        }
        return id
    }

    private func insert(
        _ id: Int, _ row: UnsafeBufferPointer<UInt8>, _ time: Int64, _ sequence: UInt64, keyCount: Int,
        isMatched: Bool
    ) {
        compact()
        var entry = Row(
            time: time, sequence: sequence, offset: bytes.count, count: Int32(row.count), key: UInt32(id))
        entry.isMatched = isMatched
        if let start = row.baseAddress { _ = bytes.append(start, row.count) }
        live += row.count
        usedBytes += Self.cost(key: keyCount, row: row.count)
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
        if keys[id].youngest >= 0 {
            rows[Int(keys[id].youngest)].nextOfKey = slot
        } else {
            keys[id].oldest = slot
        }
        keys[id].youngest = slot
        keys[id].count += 1
        rowsOfKeyMost = max(rowsOfKeyMost, Int(keys[id].count))
    }

    /// The oldest row of a key, if it is older than `time`; its bytes stay in place until the next `add`.
    package func oldest(of key: UnsafeBufferPointer<UInt8>, before time: Int64)
        -> (slot: Int32, row: UnsafeBufferPointer<UInt8>)?
    {
        guard let id = keyTable.find(key) else { return nil }
        let slot = keys[Int(id)].oldest
        guard rows[Int(slot)].time < time else { return nil }
        return (slot, row(slot))
    }

    /// Calls `body` with each row of a key, oldest first. It may add rows elsewhere, but takes none away.
    package func forEach(of key: UnsafeBufferPointer<UInt8>, _ body: (_ slot: Int32) -> Void) {
        guard let id = keyTable.find(key) else { return }
        var slot = keys[Int(id)].oldest
        while slot >= 0 {
            body(slot)
            slot = rows[Int(slot)].nextOfKey
        }
    }

    /// The row whose time is over first, if that is before `time`, and the last moment that it had.
    package func nextOver(before time: Int64) -> (slot: Int32, due: Int64)? {
        guard oldest >= 0, rows[Int(oldest)].time + within < time else { return nil }
        return (oldest, rows[Int(oldest)].time + within)
    }

    package func row(_ slot: Int32) -> UnsafeBufferPointer<UInt8> {
        let row = rows[Int(slot)]
        return UnsafeBufferPointer(start: bytes.base + row.offset, count: Int(row.count))
    }

    package func key(of slot: Int32) -> UnsafeBufferPointer<UInt8> { keyTable.key(of: rows[Int(slot)].key) }
    package func time(of slot: Int32) -> Int64 { rows[Int(slot)].time }
    package func isMatched(_ slot: Int32) -> Bool { rows[Int(slot)].isMatched }

    package func setMatched(_ slot: Int32) {
        if rows[Int(slot)].isMatched { return }
        rows[Int(slot)].isMatched = true
        if tracksChanges, rows[Int(slot)].sequence < drained {
            remarked.append((slot, rows[Int(slot)].sequence))
        }
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
        usedBytes -= Self.cost(key: keyTable.key(of: row.key).count, row: Int(row.count))
        if row.nextOfKey < 0 {
            keys[id].youngest = -1
            keyTable.remove(row.key)
        }
        live -= Int(row.count)
        if tracksChanges, row.sequence < drained { gone.append(row.sequence) }
        rows[Int(slot)].sequence = .max
        free.append(slot)
        if oldest < 0 { rowsOfKeyMost = 0 }
    }

    /// Gives back the room of rows that have left, once they are most of it.
    private func compact() {
        guard bytes.count > 1 << 16, live < bytes.count / 2 else { return }
        let copy = Arena(capacity: live + 1)
        var slot = oldest
        while slot >= 0 {
            let row = rows[Int(slot)]
            // Not that of a text, which has 32 bits.
            rows[Int(slot)].offset = copy.count
            _ = copy.append(bytes.base + row.offset, Int(row.count))
            slot = row.younger
        }
        bytes = copy
    }

    // MARK: Changes

    package func drainChanges(into out: Arena, _ body: (Range<Int>, Range<Int>?) -> Void) {
        for sequence in gone { body(appendKey(sequence, to: out), nil) }
        gone.removeAll(keepingCapacity: true)
        for (slot, sequence) in remarked where rows[Int(slot)].sequence == sequence {
            write(slot, to: out) { body($0, $1) }
        }
        remarked.removeAll(keepingCapacity: true)
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

    private func appendKey(_ sequence: UInt64, to out: Arena) -> Range<Int> {
        let start = out.count
        out.appendByte(tag)
        out.appendVarint(sequence)
        return start..<out.count
    }

    private func write(_ slot: Int32, to out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        let row = rows[Int(slot)]
        let key = appendKey(row.sequence, to: out)
        out.appendByte(row.isMatched ? 1 : 0)
        out.appendZigzag(row.time)
        out.appendBlob(keyTable.key(of: row.key))
        out.appendBlob(self.row(slot))
        body(key, key.upperBound..<out.count)
    }

    /// `key`: what follows the tag.
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
                let (mark, time, key, row) = (reader.byte(), reader.zigzag(), reader.blob(), reader.blob())
                guard reader.isValid else { return }
                insert(intern(key), row, time, sequence, keyCount: key.count, isMatched: mark != 0)
            }
        }
        restored.removeAll()
        drained = next
    }

    package var keyCount: Int { keyTable.count }
    package var rowCount: Int { rows.count - free.count }

    package var memoryBytes: Int {
        keyTable.memoryBytes + keys.capacity * MemoryLayout<Key>.stride + rows.capacity
            * MemoryLayout<Row>.stride
            + free.capacity * 4 + bytes.capacity
    }

    package var lastDue: Int64 { youngest >= 0 ? rows[Int(youngest)].time + within : .min }
}
