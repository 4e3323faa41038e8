import Base
import CSimdjson
import Dataflow
import Records

/// Adds to the columns that stand in a record's value those that stand beside it: its key, partition, offset
/// and time.
package final class RecordPartDecoder: RecordDecoder {
    private let inner: any RecordDecoder
    /// The columns that stand beside the value, behind all others.
    private let readers: [ColumnReader]
    private let tokens: UnsafeMutablePointer<Token>

    /// What decodes `columns`, of which those that stand beside the value are the last ones.
    package static func wrap(
        _ columns: [WireColumn], capacity: Int, _ inner: ([WireColumn]) -> any RecordDecoder
    ) -> any RecordDecoder {
        let first = columns.firstIndex { $0.part != nil } ?? columns.count
        let decoder = inner(Array(columns[..<first]))
        return first == columns.count ? decoder : RecordPartDecoder(decoder, columns, from: first, capacity)
    }

    private init(_ inner: any RecordDecoder, _ columns: [WireColumn], from first: Int, _ capacity: Int) {
        self.inner = inner
        readers = columns.indices[first...].map { ColumnReader(column: columns[$0], index: $0) }
        tokens = .allocate(capacity: max(1, capacity))
    }

    deinit { tokens.deallocate() }

    package func setHeader(_ names: [String]) { inner.setHeader(names) }

    package func decode(_ raw: RawRecords, into batch: Batch) {
        inner.decode(raw, into: batch)
        for reader in readers {
            switch reader.column.part {
            case .partition: fill(reader, raw, batch) { _ in Int64(batch.partition) }
            case .offset: fill(reader, raw, batch) { raw.offsets[$0] }
            case .timestamp: fill(reader, raw, batch) { raw.timestamps[$0] >= 0 ? raw.timestamps[$0] : nil }
            case .key, nil: readKeys(reader, raw, batch)
            }
        }
    }

    /// nil: the record does not have it.
    private func fill(_ reader: ColumnReader, _ raw: RawRecords, _ batch: Batch, _ value: (Int) -> Int64?) {
        let column = batch.columns[reader.index]
        for row in 0..<raw.count where batch.status[row] == RowStatus.good.rawValue {
            if let value = value(row) {
                column.values[row] = value
                column.valid[row] = 1
            } else {
                column.valid[row] = 0
                if !reader.column.field.isOptional {
                    batch.status[row] = RowStatus.missingField.rawValue
                    batch.statusField[row] = Int16(reader.index)
                }
            }
        }
    }

    private func readKeys(_ reader: ColumnReader, _ raw: RawRecords, _ batch: Batch) {
        for row in 0..<raw.count {
            let key = raw.keys[row]
            if let key, batch.status[row] == 0, mr_is_utf8(key, Int(max(0, raw.keyCounts[row]))) == 0 {
                batch.status[row] = RowStatus.wrongType.rawValue
                batch.statusField[row] = Int16(reader.index)
            }
            tokens[row] = Token(
                start: key, count: UInt32(max(0, raw.keyCounts[row])),
                kind: (key == nil ? Token.Kind.missing : .string).rawValue)
        }
        reader.read(tokens, stride: 1, into: batch)
    }

    package func explain(_ row: Int, of batch: Batch, into text: Arena) {
        guard let reader = readers.first(where: { $0.index == Int(batch.statusField[row]) }),
            let part = reader.column.part,
            batch.status[row] != RowStatus.futureTime.rawValue
        else { return inner.explain(row, of: batch, into: text) }
        text.appendText("field '\(reader.column.field.name)' is the record's \(part.text), ")
        if batch.status[row] == RowStatus.missingField.rawValue {
            text.appendText(
                batch.raw.timestamps[row] < 0 && part == .timestamp
                    ? "which it does not have; records of a file have none"
                    : "which it does not have; type: \(reader.column.field.type)? takes it as null")
        } else {
            appendExcerpt(batch.raw.keys[row], Int(max(0, batch.raw.keyCounts[row])), to: text)
            text.appendText("; \(Explanation.expectation(of: reader.column)) was expected")
        }
    }
}
