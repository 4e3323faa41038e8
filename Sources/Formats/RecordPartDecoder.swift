import Base
import Dataflow
import Records

/// Adds to the columns that stand in a record's value those that stand beside it: its key, partition, offset,
/// time, topic and headers.
package final class RecordPartDecoder: RecordDecoder {
    private let inner: any RecordDecoder
    /// The columns that stand beside the value, behind all others.
    private let readers: [ColumnReader]
    private let tokens: UnsafeMutablePointer<Token>
    private let topic: [UInt8]
    /// By reader: the header's name, which ends with a zero byte; empty: it reads none.
    private let headers: [[CChar]]

    /// What decodes `columns`, of which those that stand beside the value are the last ones.
    package static func wrap(
        _ columns: [WireColumn], topic: String, capacity: Int,
        _ inner: ([WireColumn]) -> any RecordDecoder
    ) -> any RecordDecoder {
        let first = columns.firstIndex { $0.part != nil } ?? columns.count
        let decoder = inner(Array(columns[..<first]))
        return first == columns.count
            ? decoder : RecordPartDecoder(decoder, columns, from: first, topic, capacity)
    }

    private init(
        _ inner: any RecordDecoder, _ columns: [WireColumn], from first: Int, _ topic: String, _ capacity: Int
    ) {
        self.inner = inner
        self.topic = Array(topic.utf8)
        headers = columns[first...].map { column in
            if case .header(let name) = column.part {
                name.utf8.map { CChar(bitPattern: $0) } + [0]
            } else {
                []
            }
        }
        readers = columns.indices[first...].map { ColumnReader(column: columns[$0], index: $0) }
        tokens = .allocate(capacity: max(1, capacity))
    }

    deinit { tokens.deallocate() }

    package func prepare(_ raw: RawRecords) throws(Fault) { try inner.prepare(raw) }

    package func setHeader(_ names: [String]) { inner.setHeader(names) }

    package func decode(_ raw: RawRecords, into batch: Batch) {
        inner.decode(raw, into: batch)
        for (place, reader) in readers.enumerated() {
            switch reader.column.part {
            case .partition: fill(reader, raw, batch) { _ in Int64(batch.partition) }
            case .offset: fill(reader, raw, batch) { raw.offsets[$0] }
            case .timestamp: fill(reader, raw, batch) { raw.timestamps[$0] >= 0 ? raw.timestamps[$0] : nil }
            case .key, nil:
                readTexts(reader, raw, batch) { row in
                    raw.keys[row].map { ($0, Int(max(0, raw.keyCounts[row]))) }
                }
            case .topic: fillTopic(reader, raw, batch)
            case .header: readHeaders(reader, headers[place], raw, batch)
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

    /// The topic is the same text in every row.
    private func fillTopic(_ reader: ColumnReader, _ raw: RawRecords, _ batch: Batch) {
        let text = topic.withUnsafeBufferPointer { bytes in
            bytes.baseAddress.map { batch.arena.append($0, bytes.count).packed } ?? 0
        }
        fill(reader, raw, batch) { _ in text }
    }

    private func readHeaders(_ reader: ColumnReader, _ name: [CChar], _ raw: RawRecords, _ batch: Batch) {
        guard let find = raw.findHeader else { return readTexts(reader, raw, batch) { _ in nil } }
        name.withUnsafeBufferPointer { name in
            guard let name = name.baseAddress else { return }
            readTexts(reader, raw, batch) { row in
                guard let holder = raw.holders[row] else { return nil }
                var start: UnsafePointer<UInt8>?
                let count = find(holder, name, &start)
                return start.flatMap { count < 0 ? nil : ($0, count) }
            }
        }
    }

    /// What is a text of bytes; nil: the record does not have it.
    private func readTexts(
        _ reader: ColumnReader, _ raw: RawRecords, _ batch: Batch,
        _ text: (Int) -> (start: UnsafePointer<UInt8>, count: Int)?
    ) {
        for row in 0..<raw.count {
            let found = text(row)
            if let found, batch.status[row] == 0, !isUtf8(found.start, found.count) {
                batch.status[row] = RowStatus.wrongType.rawValue
                batch.statusField[row] = Int16(reader.index)
            }
            tokens[row] = Token(
                start: found?.start, count: UInt32(clamping: found?.count ?? 0),
                kind: (found == nil ? Token.Kind.missing : .string).rawValue)
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
            appendFound(part, row, batch, to: text)
            text.appendText("; \(Explanation.expectation(of: reader.column)) was expected")
        }
    }

    private func appendFound(_ part: RecordPart, _ row: Int, _ batch: Batch, to text: Arena) {
        var (start, count) = (batch.raw.keys[row], Int(batch.raw.keyCounts[row]))
        if case .header(let name) = part, let find = batch.raw.findHeader, let holder = batch.raw.holders[row]
        {
            count = name.withCString { find(holder, $0, &start) }
        }
        appendExcerpt(start, max(0, count), to: text)
    }
}
