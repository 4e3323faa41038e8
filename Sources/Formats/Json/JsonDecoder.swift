import Base
import CSimdjson
import Dataflow
import Records

/// JSON objects to columns. simdjson finds the wanted members of a whole batch in one call; their types are
/// read here, a column at a time. No allocation once the buffers have grown.
package final class JsonDecoder: RecordDecoder {
    private let readers: [ColumnReader]
    private let handle: OpaquePointer
    private let tokens: UnsafeMutablePointer<mr_token>
    private let capacity: Int
    private let encoding: String?
    private let notation: String

    /// `encoding`: of which the records were made UTF-8, for dead letters.
    package init(
        _ columns: [WireColumn], encoding: String? = nil, notation: String = "JSON object",
        capacity: Int = Limits.rowsPerBatchMax
    ) {
        self.notation = notation
        self.encoding = encoding
        readers = columns.enumerated().map { ColumnReader(column: $1, index: $0) }
        self.capacity = capacity
        var paths: [CChar] = []
        for column in columns {
            for name in column.path { paths += name.utf8.map { CChar(bitPattern: $0) } + [0] }
            paths.append(0)
        }
        paths.append(0)
        guard let handle = mr_decoder_new(paths, Int32(columns.count), Limits.recordBytesMax) else {
            unreachable("no memory for a JSON decoder")
        }
        self.handle = handle
        tokens = .allocate(capacity: max(1, capacity * columns.count))
    }

    deinit {
        mr_decoder_free(handle)
        tokens.deallocate()
    }

    package func decode(_ raw: RawRecords, into batch: Batch) {
        require(raw.count <= capacity && raw.count <= batch.capacity, "more records than a batch holds")
        batch.arena.removeAll()
        batch.count = raw.count
        mr_decode(handle, raw.values, raw.valueCounts, Int32(raw.count), tokens, batch.status)
        for row in 0..<raw.count {
            batch.statusField[row] = -1
            switch batch.status[row] {
            case UInt8(MR_GOOD): break
            case UInt8(MR_NULL_VALUE): batch.status[row] = RowStatus.nullValue.rawValue
            case UInt8(MR_OVERSIZED): batch.status[row] = RowStatus.oversized.rawValue
            default: batch.status[row] = RowStatus.malformed.rawValue
            }
        }
        tokens.withMemoryRebound(to: Token.self, capacity: raw.count * readers.count) { tokens in
            for reader in readers { reader.read(tokens + reader.index, stride: readers.count, into: batch) }
        }
    }

    /// The first half of `decode` alone, to be measured.
    package func locate(_ raw: RawRecords) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: max(1, raw.count)) { status in
            guard let status = status.baseAddress else { return }
            mr_decode(handle, raw.values, raw.valueCounts, Int32(raw.count), tokens, status)
        }
    }

    package func explain(_ row: Int, of batch: Batch, into text: Arena) {
        let explanation = Explanation(
            batch: batch, row: row, readers: readers, notation: notation, encoding: encoding, text: text)
        explanation.write(
            token: { index in
                let token = tokens[row * readers.count + index]
                return Token(start: token.start, count: token.count, kind: token.kind)
            },
            appendWhy: { Self.appendWhy($0, to: text) },
            appendMissing: { appendMissing($0, row, batch, to: text) })
    }

    private static func appendWhy(_ record: UnsafeBufferPointer<UInt8>, to text: Arena) {
        let letters = record.prefix(64).filter { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        switch letters.first {
        case 0x5B:
            text.appendText(
                "; a record is one object on one line, not an array of them; a file that is one is read with format: { type: json, layout: documents }"
            )
        case 0x7B where letters.count == 1:
            text.appendText(
                "; a record is one object on one line; layout: documents reads files of several lines")
        case 0 where record.count > 5 && record[5] == 0x7B:
            text.appendText(
                "; it begins with the five bytes of a schema registry; format: { type: json, framing: confluent } takes them off"
            )
        default: break
        }
    }

    /// A member whose name has dots is not what a path with dots says.
    private func appendMissing(_ column: Int, _ row: Int, _ batch: Batch, to text: Arena) {
        guard readers.indices.contains(column), readers[column].column.path.count > 1,
            let start = batch.raw.values[row]
        else { return }
        let name = readers[column].column.name
        let bytes = UnsafeBufferPointer(start: start, count: Int(batch.raw.valueCounts[row]))
        guard String(decoding: bytes, as: UTF8.self).contains("\"\(name)\"") else { return }
        text.appendText("; a member whose name has a dot is written from: \"`\(name)`\"")
    }
}
