import Base
import Dataflow
import Records

/// Makes the rows of a record that are not the record itself: one for each element of an array, or what an
/// envelope holds.
package protocol RecordShaper: AnyObject {
    /// Appends the rows of a record, each a JSON object.
    func shape(_ record: UnsafeBufferPointer<UInt8>, into rows: ShapedRows)
    /// Dead letters have the row, which can be read in the record's place, and not the record.
    var rowsAreRecords: Bool { get }
    /// Records without a value say nothing.
    var skipsTombstones: Bool { get }
}

/// The rows of the records of a batch, side by side.
package final class ShapedRows {
    package let bytes = Arena(capacity: 1 << 16)
    /// By row: where it begins in `bytes` (-1: it is the record as it stands), its bytes, and which record it
    /// is of.
    fileprivate(set) var rows: [(offset: Int, count: Int, record: Int)] = []
    fileprivate var record = 0
    private var firstRow = 0
    private var firstByte = 0

    package init() {}

    fileprivate func removeAll() {
        bytes.removeAll()
        rows.removeAll(keepingCapacity: true)
    }

    fileprivate func begin(_ record: Int) {
        self.record = record
        firstRow = rows.count
        firstByte = bytes.count
    }

    /// What was appended to `bytes` from `offset` on is a row.
    package func add(from offset: Int) { rows.append((offset, bytes.count - offset, record)) }

    /// The record is a row as it stands, whatever was added of it.
    package func keep(_ count: Int) {
        drop()
        rows.append((-1, count, record))
    }

    /// The record makes more than there may be: it is refused, as one of so many bytes.
    package func refuse(bytes count: Int) {
        drop()
        rows.append((-1, max(count, Limits.recordBytesMax + 1), record))
    }

    /// The record has no rows and is refused.
    package func reject() {
        drop()
        rows.append((bytes.count, 0, record))
    }

    /// Bytes of the rows of the record that is under way.
    package var bytesOfRecord: Int { bytes.count - firstByte }

    private func drop() {
        rows.removeSubrange(firstRow...)
        bytes.count = firstByte
    }
}

/// Takes records through a shaper, in batches that are as large as batches may be.
package final class RecordShaping {
    private let shaper: any RecordShaper
    private let rowsMax: Int
    private let shaped = ShapedRows()
    private let storage: RawRecordStorage
    private let letters: RawRecordStorage
    private var records: [Int] = []

    /// Some rows: what is decoded, what stands in dead letters, and by row which record it is of.
    package struct Rows {
        package var decoded: RawRecords
        package var letters: RawRecords
        package var records: [Int]
    }

    /// Readable bytes behind the last row.
    private static let padding = 64

    package init(_ shaper: any RecordShaper, rowsMax: Int) {
        self.shaper = shaper
        self.rowsMax = rowsMax
        storage = RawRecordStorage(capacity: rowsMax)
        letters = RawRecordStorage(capacity: rowsMax)
    }

    /// Hands over all rows of `raw`, those of one record one after the other.
    package func forEach(_ raw: RawRecords, _ body: (Rows) -> Void) {
        shaped.removeAll()
        for row in 0..<raw.count {
            shaped.begin(row)
            let count = Int(raw.valueCounts[row])
            guard let value = raw.values[row], count >= 0 else {
                if !shaper.skipsTombstones { shaped.keep(-1) }
                continue
            }
            if count > Limits.recordBytesMax {
                shaped.keep(count)
            } else {
                shaper.shape(UnsafeBufferPointer(start: value, count: count), into: shaped)
            }
            if shaped.rows.count >= rowsMax || shaped.bytes.count >= Limits.shapedBytesAtOnce {
                flush(raw, body)
            }
        }
        flush(raw, body)
    }

    /// The time of each record, which is that of its first row that has one, by those of rows; `.min`: none
    /// has.
    package func times(_ raw: RawRecords, _ timesOfRows: (RawRecords) -> [Int64]) -> [Int64] {
        var times = [Int64](repeating: .min, count: raw.count)
        forEach(raw) { rows in
            for (row, time) in timesOfRows(rows.decoded).enumerated() where times[rows.records[row]] == .min {
                times[rows.records[row]] = time
            }
        }
        return times
    }

    private func flush(_ raw: RawRecords, _ body: (Rows) -> Void) {
        shaped.bytes.reserve(Self.padding)
        (shaped.bytes.base + shaped.bytes.count).update(repeating: 0, count: Self.padding)
        var first = 0
        while first < shaped.rows.count {
            let count = min(rowsMax, shaped.rows.count - first)
            records.removeAll(keepingCapacity: true)
            for place in 0..<count {
                let row = shaped.rows[first + place]
                records.append(row.record)
                copy(raw, row.record, to: storage, place)
                copy(raw, row.record, to: letters, place)
                storage.valueCounts[place] = Int32(clamping: row.count)
                guard row.offset >= 0 else {
                    letters.valueCounts[place] = storage.valueCounts[place]
                    continue
                }
                storage.values[place] = UnsafePointer(shaped.bytes.base + row.offset)
            }
            var decoded = RawRecords(at: storage, from: 0, count: count)
            decoded.findHeader = raw.findHeader
            let kept = shaper.rowsAreRecords ? decoded : RawRecords(at: letters, from: 0, count: count)
            body(Rows(decoded: decoded, letters: kept, records: records))
            first += count
        }
        shaped.removeAll()
    }

    private func copy(_ raw: RawRecords, _ row: Int, to storage: RawRecordStorage, _ place: Int) {
        storage.values[place] = raw.values[row]
        storage.valueCounts[place] = raw.valueCounts[row]
        storage.keys[place] = raw.keys[row]
        storage.keyCounts[place] = raw.keyCounts[row]
        storage.offsets[place] = raw.offsets[row]
        storage.timestamps[place] = raw.timestamps[row]
        storage.holders[place] = raw.holders[row]
    }
}

/// A decoder of rows, with what makes them of the records.
package final class ShapedDecoder: RecordDecoder {
    private let inner: any RecordDecoder
    package let shaping: RecordShaping

    package init(_ inner: any RecordDecoder, _ shaper: any RecordShaper, rowsMax: Int) {
        self.inner = inner
        shaping = RecordShaping(shaper, rowsMax: rowsMax)
    }

    package func prepare(_ raw: RawRecords) throws(Fault) { try inner.prepare(raw) }
    package func setHeader(_ names: [String]) { inner.setHeader(names) }
    package func decode(_ raw: RawRecords, into batch: Batch) { inner.decode(raw, into: batch) }
    package func explain(_ row: Int, of batch: Batch, into text: Arena) {
        inner.explain(row, of: batch, into: text)
    }
}
