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

    package init(_ columns: [WireColumn], capacity: Int = Limits.rowsPerBatchMax) {
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
        writeExplanation(row, batch, readers, notation: "JSON object", into: text) { index in
            let token = tokens[row * readers.count + index]
            switch token.kind {
            case UInt32(MR_STRING):
                text.appendText("\"")
                appendExcerpt(token.start, Int(token.count), to: text)
                text.appendText("\"")
            case UInt32(MR_NUMBER): appendExcerpt(token.start, Int(token.count), to: text)
            case UInt32(MR_TRUE): text.appendText("true")
            case UInt32(MR_FALSE): text.appendText("false")
            case UInt32(MR_OBJECT): text.appendText("an object")
            case UInt32(MR_ARRAY): text.appendText("an array")
            default: text.appendText("nothing")
            }
        }
    }
}
