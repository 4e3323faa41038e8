import Base
import Dataflow
import Records

/// Takes the zero byte and the schema's id off records that a decoder reads without them. Rows that a shaper
/// has made have none.
final class FramedDecoder: RecordDecoder {
    private let inner: any RecordDecoder
    private let isShaped: Bool
    private let storage: RawRecordStorage

    init(_ inner: any RecordDecoder, isShaped: Bool, capacity: Int) {
        self.inner = inner
        self.isShaped = isShaped
        storage = RawRecordStorage(capacity: capacity)
    }

    /// False: it should have a frame and has none.
    private func hasFrame(_ raw: RawRecords, _ row: Int) -> Bool? {
        guard let value = raw.values[row], raw.valueCounts[row] >= 0 else { return nil }
        if ConfluentFrame.id(value, Int(raw.valueCounts[row])) != nil { return true }
        return isShaped ? nil : false
    }

    private func unframed(_ raw: RawRecords) -> RawRecords {
        for row in 0..<raw.count {
            let frame = hasFrame(raw, row) == true ? ConfluentFrame.bytes : 0
            storage.values[row] = raw.values[row].map { $0 + frame }
            storage.valueCounts[row] = raw.valueCounts[row] - Int32(frame)
        }
        var records = raw
        records.values = storage.values
        records.valueCounts = storage.valueCounts
        return records
    }

    func decode(_ raw: RawRecords, into batch: Batch) {
        inner.decode(unframed(raw), into: batch)
        for row in 0..<raw.count where hasFrame(raw, row) == false {
            batch.status[row] = RowStatus.malformed.rawValue
            batch.statusField[row] = -1
        }
    }

    func explain(_ row: Int, of batch: Batch, into text: Arena) {
        // What stands here is the record, also where the row is one of several that were made of it.
        if let value = batch.raw.values[row], batch.raw.valueCounts[row] >= 0,
            ConfluentFrame.id(value, Int(batch.raw.valueCounts[row])) == nil
        {
            text.appendText("the record does not begin with a zero byte and the id of a schema: ")
            appendExcerpt(value, Int(batch.raw.valueCounts[row]), to: text)
            return text.appendText("; framing: none reads records without them")
        }
        let raw = batch.raw
        batch.raw = unframed(raw)
        inner.explain(row, of: batch, into: text)
        batch.raw = raw
    }
}

/// The same before records become rows.
final class FramedShaper: RecordShaper {
    private let inner: any RecordShaper

    /// A row cannot be read in the place of a record that has a frame.
    let rowsAreRecords = false
    var skipsTombstones: Bool { inner.skipsTombstones }

    init(_ inner: any RecordShaper) { self.inner = inner }

    func shape(_ record: UnsafeBufferPointer<UInt8>, into rows: ShapedRows) {
        guard let start = record.baseAddress, ConfluentFrame.id(start, record.count) != nil else {
            return rows.reject()
        }
        let frame = ConfluentFrame.bytes
        inner.shape(UnsafeBufferPointer(start: start + frame, count: record.count - frame), into: rows)
    }
}
