import Base
import Records

/// Rows of the two sides of a join that may still find a partner, by key. A row is bytes that only the operator can
/// read; every row has an entry of its own in the changelog.
package final class JoinState: OperatorState {
    struct Row {
        var time: Int64
        var sequence: UInt64
        var offset = 0
        var count: Int32 = 0
        /// The next younger row of the same key and side; -1: none.
        var next: Int32 = -1
        var key: UInt32
        var isRight: Bool
        var isMatched = false
        var isDirty = false
        var isStored = false
        /// It has left, and its slot waits for its timer.
        var isGone = false
    }

    /// The rows of a key on one side, oldest first.
    struct List {
        var head: Int32 = -1
        var tail: Int32 = -1
        var count: Int32 = 0
    }

    private let before: Int64
    private let after: Int64
    private let rowsPerKey: Int
    private let isTimed: Bool
    private let tracksChanges: Bool
    private let keys = KeyTable(rowsMax: 1)
    /// By key, left then right.
    private var lists: [List] = []
    private var rows: ContiguousArray<Row> = []
    private var free: [Int32] = []
    private var bytes = Arena(capacity: 1 << 12)
    private var live = 0
    private var timers = TimerQueue()
    private var next: UInt64 = 0
    private var dirty: [Int32] = []
    private var gone: [UInt64] = []
    private var restored: [UInt64: (key: [UInt8], value: [UInt8])] = [:]
    /// Rows that left before their time since a key had too many.
    package private(set) var displaced = 0

    /// `before`, `after`: of a right row's time, from a left row's. `isTimed` false: rows stay until they are removed.
    package init(
        before: Int64, after: Int64, rowsPerKey: Int = Limits.joinRowsPerKeyMax, isTimed: Bool = true, tracksChanges: Bool
    ) {
        self.isTimed = isTimed
        self.before = before
        self.after = after
        self.rowsPerKey = rowsPerKey
        self.tracksChanges = tracksChanges
    }

    // MARK: Rows

    /// Adds a row; gives the slot of an older one that has to leave for it, which the caller removes.
    package func insert(
        _ key: UnsafeBufferPointer<UInt8>, _ row: UnsafeBufferPointer<UInt8>, isRight: Bool, isMatched: Bool, time: Int64
    ) -> Int32? {
        let slot = add(key, row, isRight: isRight, isMatched: isMatched, time: time, sequence: next)
        next += 1
        markDirty(slot)
        let list = lists[listIndex(rows[Int(slot)])]
        return Int(list.count) > rowsPerKey ? list.head : nil
    }

    private func add(
        _ key: UnsafeBufferPointer<UInt8>, _ row: UnsafeBufferPointer<UInt8>, isRight: Bool, isMatched: Bool, time: Int64,
        sequence: UInt64
    ) -> Int32 {
        compact()
        let id = withBytes(key) { keys.intern($0, $1) }
        if 2 * Int(id) + 1 >= lists.count {
            lists.append(contentsOf: repeatElement(List(), count: 2 * Int(id) + 2 - lists.count + lists.count / 2))
        }
        var entry = Row(time: time, sequence: sequence, key: id, isRight: isRight)
        entry.isMatched = isMatched
        entry.count = Int32(row.count)
        entry.offset = bytes.count
        if let start = row.baseAddress { entry.offset = bytes.append(start, row.count).offset }
        live += row.count
        let slot: Int32
        if let unused = free.popLast() {
            slot = unused
            rows[Int(slot)] = entry
        } else {
            slot = Int32(rows.count)
            rows.append(entry)
        }
        let index = listIndex(entry)
        if lists[index].tail >= 0 { rows[Int(lists[index].tail)].next = slot } else { lists[index].head = slot }
        lists[index].tail = slot
        lists[index].count += 1
        if isTimed { timers.add(end(of: entry), UInt32(slot)) }
        return slot
    }

    /// The last event time at which a partner may come.
    private func end(of row: Row) -> Int64 { row.time + (row.isRight ? before : after) }

    private func listIndex(_ row: Row) -> Int { 2 * Int(row.key) + (row.isRight ? 1 : 0) }

    /// Calls `body` with each row of a side, oldest first, whose time is `since` or later.
    package func forEach(
        _ key: UnsafeBufferPointer<UInt8>, isRight: Bool, since: Int64, _ body: (_ slot: Int32) -> Void
    ) {
        guard let id = withBytes(key, { keys.find($0, $1) }), 2 * Int(id) + 1 < lists.count else { return }
        var slot = lists[2 * Int(id) + (isRight ? 1 : 0)].head
        while slot >= 0 {
            // The body may make rows, but takes none away.
            if rows[Int(slot)].time >= since { body(slot) }
            slot = rows[Int(slot)].next
        }
    }

    package func key(of slot: Int32) -> UnsafeBufferPointer<UInt8> { keys.key(of: rows[Int(slot)].key) }
    package func key(ofId id: UInt32) -> UnsafeBufferPointer<UInt8> { keys.key(of: id) }
    package func keyId(of slot: Int32) -> UInt32 { rows[Int(slot)].key }
    package func find(_ key: UnsafeBufferPointer<UInt8>) -> UInt32? { withBytes(key) { keys.find($0, $1) } }

    /// A key's left rows, oldest first.
    package func slots(of id: UInt32) -> [Int32] {
        var slots: [Int32] = []
        var slot = lists[2 * Int(id)].head
        while slot >= 0 {
            slots.append(slot)
            slot = rows[Int(slot)].next
        }
        return slots
    }

    package func forEachSlot(_ body: (Int32) -> Void) {
        for index in stride(from: 0, to: lists.count, by: 2) where lists[index].count > 0 {
            for slot in slots(of: UInt32(index / 2)) { body(slot) }
        }
    }

    package func time(of slot: Int32) -> Int64 { rows[Int(slot)].time }
    package func isMatched(_ slot: Int32) -> Bool { rows[Int(slot)].isMatched }
    package func isRight(_ slot: Int32) -> Bool { rows[Int(slot)].isRight }

    package func setMatched(_ slot: Int32) {
        if rows[Int(slot)].isMatched { return }
        rows[Int(slot)].isMatched = true
        markDirty(slot)
    }

    /// In place, until the next `insert`.
    package func bytes(of slot: Int32) -> UnsafeBufferPointer<UInt8> {
        let row = rows[Int(slot)]
        return UnsafeBufferPointer(start: bytes.base + row.offset, count: Int(row.count))
    }

    // MARK: Leaving

    /// The oldest row whose time is over before `time`, and the last moment that it had.
    package func nextOver(before time: Int64) -> (slot: Int32, due: Int64)? {
        while let timer = timers.removeFirst(before: time) {
            let slot = Int32(timer.id)
            if !rows[Int(slot)].isGone { return (slot, timer.time) }
            free.append(slot)
        }
        return nil
    }

    /// Takes away the row that `nextOver` gave.
    package func removeOver(_ slot: Int32) {
        unlink(slot)
        free.append(slot)
    }

    /// Takes away a row that `insert` gave, before its time.
    package func removeEarly(_ slot: Int32) {
        displaced += 1
        unlink(slot)
    }

    private func unlink(_ slot: Int32) {
        let row = rows[Int(slot)]
        rows[Int(slot)].isGone = true
        live -= Int(row.count)
        if tracksChanges, row.isStored { gone.append(row.sequence) }
        let index = listIndex(row)
        // Rows leave oldest first, but for those of one instant.
        if lists[index].head == slot {
            lists[index].head = row.next
        } else {
            var before = lists[index].head
            while rows[Int(before)].next != slot { before = rows[Int(before)].next }
            rows[Int(before)].next = row.next
            if lists[index].tail == slot { lists[index].tail = before }
        }
        if lists[index].head < 0 { lists[index].tail = -1 }
        lists[index].count -= 1
        let first = 2 * Int(row.key)
        if lists[first].count == 0, lists[first + 1].count == 0 { keys.remove(row.key) }
    }

    /// Gives back the room of rows that are gone, once they are most of it.
    private func compact() {
        guard bytes.count > 1 << 16, live < bytes.count / 2 else { return }
        let copy = Arena(capacity: live + 1)
        for list in lists {
            var slot = list.head
            while slot >= 0 {
                let row = rows[Int(slot)]
                rows[Int(slot)].offset = copy.append(bytes.base + row.offset, Int(row.count)).offset
                slot = row.next
            }
        }
        bytes = copy
    }

    private func withBytes<T>(_ key: UnsafeBufferPointer<UInt8>, _ body: (UnsafePointer<UInt8>, Int) -> T) -> T {
        if let start = key.baseAddress { return body(start, key.count) }
        var nothing: UInt8 = 0
        return body(&nothing, 0)
    }

    // MARK: Changes

    private func markDirty(_ slot: Int32) {
        guard tracksChanges, !rows[Int(slot)].isDirty else { return }
        rows[Int(slot)].isDirty = true
        dirty.append(slot)
    }

    package func drainChanges(into out: Arena, _ body: (Range<Int>, Range<Int>?) -> Void) {
        for sequence in gone { body(Self.appendKey(sequence, to: out), nil) }
        gone.removeAll(keepingCapacity: true)
        for slot in dirty where rows[Int(slot)].isDirty && !rows[Int(slot)].isGone {
            rows[Int(slot)].isDirty = false
            rows[Int(slot)].isStored = true
            let key = Self.appendKey(rows[Int(slot)].sequence, to: out)
            body(key, append(rows[Int(slot)], to: out))
        }
        dirty.removeAll(keepingCapacity: true)
    }

    package func forEach(into out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        for list in lists {
            var slot = list.head
            while slot >= 0 {
                let row = rows[Int(slot)]
                let key = Self.appendKey(row.sequence, to: out)
                body(key, append(row, to: out))
                slot = row.next
            }
        }
    }

    private static func appendKey(_ sequence: UInt64, to out: Arena) -> Range<Int> {
        let start = out.count
        out.appendVarint(sequence)
        return start..<out.count
    }

    private func append(_ row: Row, to out: Arena) -> Range<Int> {
        let start = out.count
        out.appendByte((row.isRight ? 1 : 0) | (row.isMatched ? 2 : 0))
        out.appendZigzag(row.time)
        out.appendBlob(keys.key(of: row.key))
        out.appendBlob(UnsafeBufferPointer(start: bytes.base + row.offset, count: Int(row.count)))
        return start..<out.count
    }

    package func restore(key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?) -> Bool {
        var reader = BinaryReader(key)
        let sequence = reader.varint()
        guard reader.isValid, reader.isAtEnd else { return false }
        next = max(next, sequence + 1)
        restored[sequence] = value.map { (Array(key), Array($0)) }
        return true
    }

    package func finishRestore() {
        for (sequence, entry) in restored.sorted(by: { $0.key < $1.key }) {
            entry.value.withUnsafeBufferPointer { value in
                var reader = BinaryReader(value)
                let flags = reader.byte()
                let time = reader.zigzag()
                let key = reader.blob()
                let row = reader.blob()
                guard reader.isValid else { return }
                let slot = add(
                    key, row, isRight: flags & 1 != 0, isMatched: flags & 2 != 0, time: time, sequence: sequence)
                rows[Int(slot)].isStored = true
            }
        }
        restored.removeAll()
    }

    package var keyCount: Int { keys.count }
    package var rowCount: Int { rows.count - free.count }

    package var memoryBytes: Int {
        keys.memoryBytes + lists.capacity * MemoryLayout<List>.stride + rows.capacity * MemoryLayout<Row>.stride
            + bytes.capacity + timers.memoryBytes
    }

    package var lastDue: Int64 { timers.last }
}
