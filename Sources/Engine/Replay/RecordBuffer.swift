import Base
import Records

/// Records of one input with their event times, in memory that they do not move in.
final class RecordBuffer {
    /// A record; `bytes` may be nil, for none.
    struct Entry {
        var time: Int64
        /// Its number in the input, from 0: where times are equal, it decides.
        var number: Int64
        var bytes: UnsafePointer<UInt8>?
        /// Bytes that are kept, and those that the record has, of which an oversized one keeps fewer.
        var keptCount: Int32
        var count: Int32
        /// Index of its header among those of the input, -1: none.
        var header: Int32

        static func isBefore(_ a: Entry, _ b: Entry) -> Bool {
            a.time != b.time ? a.time < b.time : a.number < b.number
        }

        /// Of a record of so many bytes.
        static func kept(_ count: Int32) -> Int32 {
            Int(count) > Limits.recordBytesMax ? Int32(Limits.deadLetterBytesMax) : count
        }
    }

    private(set) var entries: [Entry] = []
    private var chunks: [Arena] = []
    /// Chunks in use, the last of which is being filled.
    private var used = 0
    private var bytes = 0

    /// Bytes that the records take, with their entries.
    var byteCount: Int { bytes + entries.count * MemoryLayout<Entry>.stride }

    /// Readable bytes behind a record that a parser may touch.
    static let padding = 64

    func add(_ records: RawRecords, _ times: [Int64], header: Int) {
        for row in 0..<records.count {
            let count = records.valueCounts[row]
            let kept = Entry.kept(max(0, count))
            entries.append(
                Entry(
                    time: times[row], number: records.offsets[row],
                    bytes: records.values[row].map { keep($0, Int(kept)) },
                    keptCount: kept, count: count, header: Int32(header)))
        }
    }

    private func keep(_ record: UnsafePointer<UInt8>, _ count: Int) -> UnsafePointer<UInt8> {
        let needed = count + Self.padding
        if used == 0 || chunks[used - 1].capacity - chunks[used - 1].count < needed { nextChunk(needed) }
        let chunk = chunks[used - 1]
        let place = chunk.append(record, count).offset
        bytes += count
        return UnsafePointer(chunk.base + place)
    }

    private func nextChunk(_ needed: Int) {
        if used == chunks.count || chunks[used].capacity < needed {
            // Small inputs take little, large ones few pieces.
            chunks.insert(Arena(capacity: max(needed, min(8 << 20, 1 << (16 + min(used, 7))))), at: used)
        }
        used += 1
    }

    func sort() { entries.sort(by: Entry.isBefore) }

    /// What memory it has is kept for what comes next.
    func removeAll() {
        entries.removeAll(keepingCapacity: true)
        for chunk in chunks { chunk.removeAll() }
        used = 0
        bytes = 0
    }
}
