import Base
import Dataflow
import Records

/// Records of a table to columns: as any others, but that a record that deletes its key needs no other field,
/// and that one without a value deletes what its Kafka key names.
package final class TableDecoder: RecordDecoder {
    /// Reads records with every field but the key optional.
    private let inner: any RecordDecoder
    private let columns: [WireColumn]
    private let key: [Int]
    private let deleted: Int
    private let keyColumns: [WireColumn]
    /// For dead letters.
    private let keyExpectation: String
    private let keyDecoder: JsonDecoder
    private let keyBatch: Batch
    private let keyRaw: RawRecordStorage
    private let keyTokens: UnsafeMutablePointer<Token>
    private let keyBytes = Arena(capacity: 1 << 12)
    private var keyRows: [Int] = []

    /// `inner` makes the record decoder for the columns that it is given; `key`, `deleted`: indices of
    /// `columns`.
    package init(
        _ columns: [WireColumn], key: [Int], deleted: Int, capacity: Int = Limits.rowsPerBatchMax,
        inner: ([WireColumn]) -> any RecordDecoder
    ) {
        self.columns = columns
        self.key = key
        self.deleted = deleted
        var optional = columns
        for index in columns.indices where !key.contains(index) { optional[index].field.isOptional = true }
        self.inner = inner(optional)
        keyColumns = key.map { columns[$0] }
        let names = keyColumns.map { $0.path.joined(separator: ".") }.joined(separator: ", ")
        keyExpectation =
            keyColumns.count == 1 ? "the table's key \(names)" : "a JSON object of the table's key \(names)"
        keyDecoder = JsonDecoder(keyColumns, capacity: capacity)
        keyBatch = Batch(schema: Schema(keyColumns.map(\.field)), capacity: capacity)
        keyRaw = RawRecordStorage(capacity: capacity)
        keyTokens = .allocate(capacity: capacity)
    }

    deinit { keyTokens.deallocate() }

    package func prepare(_ raw: RawRecords) throws(Fault) { try inner.prepare(raw) }

    package func setHeader(_ names: [String]) { inner.setHeader(names) }

    package func decode(_ raw: RawRecords, into batch: Batch) {
        inner.decode(raw, into: batch)
        let mark = batch.columns[deleted]
        keyRows.removeAll(keepingCapacity: true)
        for row in 0..<batch.count {
            if batch.status[row] == RowStatus.good.rawValue {
                if mark.valid[row] == 1, mark.values[row] != 0 { continue }
                if let missing = columns.indices.first(where: {
                    !columns[$0].field.isOptional && batch.columns[$0].valid[row] != 1
                }) {
                    batch.status[row] = RowStatus.missingField.rawValue
                    batch.statusField[row] = Int16(missing)
                }
            } else if batch.status[row] == RowStatus.nullValue.rawValue, raw.keys[row] != nil {
                keyRows.append(row)
            }
        }
        if !keyRows.isEmpty { decodeKeys(raw, batch) }
    }

    private func decodeKeys(_ raw: RawRecords, _ batch: Batch) {
        // With readable bytes behind each, as the JSON decoder needs them.
        keyBytes.removeAll()
        let padding = 64
        keyBytes.reserve(keyRows.reduce(0) { $0 + Int(max(0, raw.keyCounts[$1])) + padding })
        for (index, row) in keyRows.enumerated() {
            guard let start = raw.keys[row] else { continue }
            let text = keyBytes.append(start, Int(max(0, raw.keyCounts[row])))
            (keyBytes.base + keyBytes.count).update(repeating: 0, count: padding)
            keyBytes.count += padding
            keyRaw.values[index] = UnsafePointer(keyBytes.base + text.offset)
            keyRaw.valueCounts[index] = Int32(text.count)
            keyTokens[index] = Token(
                start: keyBytes.base + text.offset, count: UInt32(text.count),
                kind: Token.Kind.string.rawValue)
        }
        if keyColumns.count == 1 {
            keyBatch.arena.removeAll()
            keyBatch.count = keyRows.count
            for index in keyRows.indices { keyBatch.status[index] = 0 }
            ColumnReader(column: keyColumns[0], index: 0).read(keyTokens, stride: 1, into: keyBatch)
        } else {
            keyDecoder.decode(RawRecords(at: keyRaw, from: 0, count: keyRows.count), into: keyBatch)
        }
        for (index, row) in keyRows.enumerated() {
            batch.status[row] = keyBatch.status[index]
            batch.statusField[row] =
                keyBatch.statusField[index] < 0 ? -1 : Int16(key[Int(keyBatch.statusField[index])])
            guard keyBatch.status[index] == 0 else { continue }
            for column in batch.columns { column.valid[row] = 0 }
            for (place, column) in key.enumerated() {
                var value = keyBatch.columns[place].values[index]
                if columns[column].field.type == .text {
                    let text = TextReference(packed: value)
                    value = batch.arena.append(keyBatch.arena.base + text.offset, text.count).packed
                }
                batch.columns[column].values[row] = value
                batch.columns[column].valid[row] = 1
            }
            batch.columns[deleted].values[row] = 1
            batch.columns[deleted].valid[row] = 1
        }
    }

    package func explain(_ row: Int, of batch: Batch, into text: Arena) {
        guard batch.raw.values[row] == nil, let key = batch.raw.keys[row] else {
            return inner.explain(row, of: batch, into: text)
        }
        text.appendText("the record has no value, and its key is ")
        appendExcerpt(key, Int(batch.raw.keyCounts[row]), to: text)
        text.appendText(" instead of ")
        text.appendText(keyExpectation)
    }
}
