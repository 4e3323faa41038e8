import Base
import Glibc
import Records

/// Rows that wait until event time has passed them, and come out in the order of their event times, whatever
/// order they came in: by time, then input, then content, so that the partitions they came through make no
/// difference.
///
/// A row is bytes that only its owner can read. A binary heap over one block of memory.
package final class OrderedBuffer {
    package struct Entry {
        package var time: Int64
        /// In which order the rows came in; the name under which a changelog knows the row.
        package var sequence: UInt64
        /// The row's bytes; the first `keyCount` are its key, and those before `contentStart` do not take
        /// part in the order.
        package var offset: Int
        package var count: Int32
        package var contentStart: Int32
        package var keyCount: Int32
        package var input: Int32
    }

    package let bytes = Arena(capacity: 1 << 12)
    private var heap: [Entry] = []
    private var next: UInt64 = 0
    /// Rows before this one have been drained, or were there when that began.
    private var drained: UInt64 = 0
    /// Rows that were drained and have come out since.
    private var gone: [UInt64] = []
    private var live = 0
    /// Rows by input.
    private var counts: [Int] = []
    private var restored: [UInt64: Entry] = [:]
    private let tracksChanges: Bool

    package init(tracksChanges: Bool) { self.tracksChanges = tracksChanges }

    package var count: Int { heap.count }
    package func count(of input: Int) -> Int { input < counts.count ? counts[input] : 0 }
    /// What the rows count for: their bytes and about what is kept around them. By content, not by what the
    /// allocator gave.
    package var usedBytes: Int { live + heap.count * RowCost.buffered }
    package var memoryBytes: Int { bytes.capacity + heap.capacity * MemoryLayout<Entry>.stride }

    /// The least event time; nil: empty.
    package var first: Int64? { heap.first?.time }
    /// The greatest event time of all, found by looking at each; `.min`: empty.
    package var last: Int64 { heap.reduce(.min) { max($0, $1.time) } }

    /// Takes in a row whose bytes are key, then a part that does not take part in the order, then the rest.
    package func insert(
        time: Int64, input: Int, key: UnsafeBufferPointer<UInt8>, row: UnsafeBufferPointer<UInt8>,
        contentStart: Int
    ) {
        compact()
        let offset = bytes.count
        bytes.reserve(key.count + row.count)
        if let start = key.baseAddress { _ = bytes.append(start, key.count) }
        if let start = row.baseAddress { _ = bytes.append(start, row.count) }
        push(
            Entry(
                time: time, sequence: next, offset: offset, count: Int32(key.count + row.count),
                contentStart: Int32(key.count + contentStart), keyCount: Int32(key.count), input: Int32(input)
            ))
        next += 1
    }

    /// Takes out the first row if event time `watermark` has passed it. Its bytes stay until the next
    /// `insert`.
    package func removeFirst(before watermark: Int64) -> Entry? {
        guard let entry = heap.first, entry.time < watermark else { return nil }
        live -= Int(entry.count)
        counts[Int(entry.input)] -= 1
        if tracksChanges, entry.sequence < drained { gone.append(entry.sequence) }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink(0)
        }
        return entry
    }

    package func key(of entry: Entry) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: bytes.base + entry.offset, count: Int(entry.keyCount))
    }

    package func row(of entry: Entry) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(
            start: bytes.base + entry.offset + Int(entry.keyCount), count: Int(entry.count - entry.keyCount))
    }

    // MARK: The heap

    private func push(_ entry: Entry) {
        heap.append(entry)
        live += Int(entry.count)
        while counts.count <= Int(entry.input) { counts.append(0) }
        counts[Int(entry.input)] += 1
        var at = heap.count - 1
        while at > 0 {
            let parent = (at - 1) / 2
            guard precedes(heap[at], heap[parent]) else { break }
            heap.swapAt(at, parent)
            at = parent
        }
    }

    private func sink(_ start: Int) {
        var at = start
        while true {
            var least = at
            for child in [2 * at + 1, 2 * at + 2]
            where child < heap.count && precedes(heap[child], heap[least]) {
                least = child
            }
            if least == at { return }
            heap.swapAt(at, least)
            at = least
        }
    }

    private func precedes(_ a: Entry, _ b: Entry) -> Bool {
        if a.time != b.time { return a.time < b.time }
        if a.input != b.input { return a.input < b.input }
        let keys = compare(a.offset, Int(a.keyCount), b.offset, Int(b.keyCount))
        if keys != 0 { return keys < 0 }
        let rows = compare(
            a.offset + Int(a.contentStart), Int(a.count - a.contentStart), b.offset + Int(b.contentStart),
            Int(b.count - b.contentStart))
        return rows != 0 ? rows < 0 : a.sequence < b.sequence
    }

    private func compare(_ a: Int, _ aCount: Int, _ b: Int, _ bCount: Int) -> Int {
        let order = memcmp(bytes.base + a, bytes.base + b, min(aCount, bCount))
        return order != 0 ? Int(order) : aCount - bCount
    }

    /// Gives back the room of rows that are gone, once they are most of it.
    private func compact() {
        guard bytes.count > 1 << 16, live < bytes.count / 2 else { return }
        let copy = Arena(capacity: max(live, 1))
        for index in heap.indices {
            let offset = copy.count
            _ = copy.append(bytes.base + heap[index].offset, Int(heap[index].count))
            heap[index].offset = offset
        }
        bytes.removeAll()
        bytes.reserve(copy.count)
        _ = bytes.append(copy.base, copy.count)
    }

    // MARK: Changes

    /// Appends what changed since the last call to `out`: for each row that came and is still there, and for
    /// each that was drained and is gone, `body` gets its sequence number and where its bytes are (nil:
    /// gone).
    package func drainChanges(into out: Arena, _ body: (UInt64, Range<Int>?) -> Void) {
        for sequence in gone { body(sequence, nil) }
        gone.removeAll(keepingCapacity: true)
        guard drained < next else { return }
        for entry in heap where entry.sequence >= drained { write(entry, to: out, body) }
        drained = next
    }

    /// As `drainChanges`, but all rows.
    package func forEach(into out: Arena, _ body: (UInt64, Range<Int>?) -> Void) {
        for entry in heap { write(entry, to: out, body) }
    }

    private func write(_ entry: Entry, to out: Arena, _ body: (UInt64, Range<Int>?) -> Void) {
        let start = out.count
        out.appendZigzag(entry.time)
        out.appendVarint(UInt64(entry.input))
        out.appendVarint(UInt64(entry.keyCount))
        out.appendVarint(UInt64(entry.contentStart))
        _ = out.append(bytes.base + entry.offset, Int(entry.count))
        body(entry.sequence, start..<out.count)
    }

    /// Puts a drained row back, or takes it away; `finishRestore` comes after the last. False: the bytes are
    /// not a row.
    package func restore(_ sequence: UInt64, _ value: UnsafeBufferPointer<UInt8>?) -> Bool {
        next = max(next, sequence + 1)
        guard let value else {
            restored[sequence] = nil
            return true
        }
        var reader = BinaryReader(value)
        let (time, input) = (reader.zigzag(), reader.count(below: 1 << 16))
        let keyCount = reader.count(below: value.count)
        let contentStart = reader.count(below: value.count + 1)
        let row = reader.bytes(reader.left)
        guard reader.isValid, keyCount <= contentStart, contentStart <= row.count, let start = row.baseAddress
        else {
            return false
        }
        let offset = bytes.count
        _ = bytes.append(start, row.count)
        restored[sequence] = Entry(
            time: time, sequence: sequence, offset: offset, count: Int32(row.count),
            contentStart: Int32(contentStart), keyCount: Int32(keyCount), input: Int32(input))
        return true
    }

    package func finishRestore() {
        for entry in restored.values { push(entry) }
        restored.removeAll()
        drained = next
    }
}
