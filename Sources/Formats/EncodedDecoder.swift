import Base
import Dataflow
import Records

/// Records of another encoding than UTF-8, made UTF-8 one by one for a decoder that reads it.
package final class EncodedDecoder: RecordDecoder {
    private let inner: any RecordDecoder
    private let transcoder: Transcoder
    private let bytes = Arena(capacity: 1 << 16)
    private let storage: RawRecordStorage
    /// Where each record begins in `bytes`.
    private var places: [Int]

    /// Readable bytes behind a record that a parser may touch.
    private static let padding = 64

    package init(_ inner: any RecordDecoder, _ transcoder: Transcoder, capacity: Int = Limits.rowsPerBatchMax)
    {
        self.inner = inner
        self.transcoder = transcoder
        storage = RawRecordStorage(capacity: capacity)
        places = Array(repeating: 0, count: capacity)
    }

    package func decode(_ raw: RawRecords, into batch: Batch) {
        bytes.removeAll()
        for row in 0..<raw.count {
            places[row] = bytes.count
            let count = raw.valueCounts[row]
            storage.valueCounts[row] = count
            // What is too long or is not there stays so.
            guard let value = raw.values[row], count >= 0, count <= Limits.recordBytesMax else { continue }
            transcoder.reset()
            transcoder.convert(value, Int(count), isLast: true, into: bytes)
            storage.valueCounts[row] = Int32(bytes.count - places[row])
            bytes.reserve(Self.padding)
            (bytes.base + bytes.count).update(repeating: 0, count: Self.padding)
            bytes.count += Self.padding
        }
        for row in 0..<raw.count {
            storage.values[row] = raw.values[row] == nil ? nil : UnsafePointer(bytes.base + places[row])
        }
        inner.decode(converted(raw), into: batch)
    }

    package func prepare(_ raw: RawRecords) throws(Fault) { try inner.prepare(raw) }

    package func setHeader(_ names: [String]) { inner.setHeader(names) }

    private func converted(_ raw: RawRecords) -> RawRecords {
        var records = raw
        records.values = storage.values
        records.valueCounts = storage.valueCounts
        return records
    }

    package func explain(_ row: Int, of batch: Batch, into text: Arena) {
        let raw = batch.raw
        batch.raw = converted(raw)
        inner.explain(row, of: batch, into: text)
        batch.raw = raw
    }
}
