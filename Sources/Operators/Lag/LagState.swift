import Base
import Records
import State

/// By key, the last records as bytes. They come in event-time order.
package final class LagState: OperatorState {
    private struct Record {
        var time: Int64 = 0
        var bytes: [UInt8] = []
    }

    private struct Entry {
        /// A ring, which grows to `recordsMax` records; the oldest is at `first`.
        var records: [Record] = []
        var first = 0
        var isDirty = false
        /// A changelog has it.
        var isStored = false
    }

    private let recordsMax: Int
    private let within: Int64?
    private let keys = KeyTable(rowsMax: 1)
    private var entries: ContiguousArray<Entry> = []
    /// Keys by their last records, where they are forgotten.
    private var byLast = AgeList()
    private var dirty: [UInt32] = []
    /// Keys that a changelog has and that are no more.
    private var gone: [[UInt8]] = []
    private var recordBytes = 0
    private let tracksChanges: Bool

    /// `within`: milliseconds after which a record counts no longer; nil: never.
    init(count: Int, within: Int64?, tracksChanges: Bool) {
        (recordsMax, self.within, self.tracksChanges) = (count, within, tracksChanges)
    }

    /// The records of a key that count at `time`, the newest first; their bytes are valid in `body`.
    func forEach(
        before time: Int64, of key: UnsafeBufferPointer<UInt8>, _ body: (UnsafeBufferPointer<UInt8>) -> Void
    ) {
        guard let id = keys.find(key) else { return }
        let count = entries[Int(id)].records.count
        for back in stride(from: 1, through: count, by: 1) {
            let place = (entries[Int(id)].first + count - back) % count
            if let within, time - entries[Int(id)].records[place].time > within { return }
            entries[Int(id)].records[place].bytes.withUnsafeBufferPointer(body)
        }
    }

    func add(_ record: UnsafeBufferPointer<UInt8>, to key: UnsafeBufferPointer<UInt8>, at time: Int64) {
        let id = intern(key)
        let index = Int(id)
        if !entries[index].records.isEmpty { byLast.remove(id) }
        byLast.append(id)
        if entries[index].records.count < recordsMax {
            put(Record(time: time, bytes: Array(record)), index)
        } else {
            // The oldest makes room, and its memory serves again.
            let place = entries[index].first
            recordBytes -= entries[index].records[place].bytes.capacity
            entries[index].records[place].time = time
            entries[index].records[place].bytes.removeAll(keepingCapacity: true)
            entries[index].records[place].bytes.append(contentsOf: record)
            recordBytes += entries[index].records[place].bytes.capacity
            entries[index].first = (place + 1) % recordsMax
        }
        guard tracksChanges, !entries[index].isDirty else { return }
        entries[index].isDirty = true
        dirty.append(id)
    }

    /// Forgets keys of which no record counts at `time` or later.
    func advance(to time: Int64) {
        guard let within else { return }
        while byLast.oldest >= 0, last(UInt32(byLast.oldest)) < time - within {
            remove(UInt32(byLast.oldest))
        }
    }

    private func last(_ id: UInt32) -> Int64 {
        let entry = entries[Int(id)]
        return entry.records[(entry.first + entry.records.count - 1) % entry.records.count].time
    }

    private func put(_ record: Record, _ index: Int) {
        recordBytes += MemoryLayout<Record>.stride + record.bytes.capacity
        entries[index].records.append(record)
    }

    private func clear(_ index: Int) {
        for record in entries[index].records {
            recordBytes -= MemoryLayout<Record>.stride + record.bytes.capacity
        }
        entries[index] = Entry()
    }

    private func intern(_ key: UnsafeBufferPointer<UInt8>) -> UInt32 {
        let id = keys.intern(key)
        if Int(id) >= entries.count {
            entries.append(
                contentsOf: repeatElement(Entry(), count: Int(id) + 1 - entries.count + entries.count / 2))
        }
        return id
    }

    private func remove(_ id: UInt32) {
        if entries[Int(id)].isStored { gone.append(Array(keys.key(of: id))) }
        byLast.remove(id)
        clear(Int(id))
        keys.remove(id)
    }

    // MARK: Changes

    package func drainChanges(into out: Arena, _ body: (Range<Int>, Range<Int>?) -> Void) {
        // A key that was forgotten and came again is written after.
        for key in gone {
            let start = out.count
            for byte in key { out.appendByte(byte) }
            body(start..<out.count, nil)
        }
        gone.removeAll(keepingCapacity: true)
        for id in dirty where entries[Int(id)].isDirty {
            (entries[Int(id)].isDirty, entries[Int(id)].isStored) = (false, true)
            write(id, to: out) { body($0, $1) }
        }
        dirty.removeAll(keepingCapacity: true)
    }

    package func forEach(into out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        keys.forEach { write($0, to: out, body) }
    }

    /// The key; its records, the oldest first.
    private func write(_ id: UInt32, to out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        let start = out.count
        let key = keys.key(of: id)
        out.reserve(key.count)
        if let base = key.baseAddress { _ = out.append(base, key.count) }
        let value = out.count
        let entry = entries[Int(id)]
        out.appendVarint(UInt64(entry.records.count))
        for place in entry.records.indices {
            let record = entry.records[(entry.first + place) % entry.records.count]
            out.appendZigzag(record.time)
            record.bytes.withUnsafeBufferPointer { out.appendBlob($0) }
        }
        body(start..<value, value..<out.count)
    }

    package func restore(key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?) -> Bool {
        let id = intern(key)
        clear(Int(id))
        guard let value else { return true }
        var reader = BinaryReader(value)
        let count = reader.count(below: recordsMax + 1)
        for _ in 0..<count {
            put(Record(time: reader.zigzag(), bytes: Array(reader.blob())), Int(id))
        }
        entries[Int(id)].isStored = tracksChanges
        return reader.isValid && reader.isAtEnd && count > 0
    }

    package func finishRestore() {
        var ids: [UInt32] = []
        var nothing: [UInt32] = []
        keys.forEach { if entries[Int($0)].records.isEmpty { nothing.append($0) } else { ids.append($0) } }
        for id in nothing { keys.remove(id) }
        byLast.removeAll()
        for id in ids.sorted(by: { last($0) < last($1) }) { byLast.append(id) }
    }

    package var keyCount: Int { keys.count }
    package var memoryBytes: Int {
        keys.memoryBytes + byLast.memoryBytes + entries.capacity * MemoryLayout<Entry>.stride + recordBytes
    }
    /// Its time brings about no row.
    package var lastDue: Int64 { .min }
}
