import Base
import Dataflow
import Records

/// CSV records (RFC 4180) to columns. A record is one row of the file without its line end; quoted fields
/// may hold commas, line ends and doubled quotes. An empty field without quotes is null.
package final class CsvDecoder: RecordDecoder {
    private let readers: [ColumnReader]
    private let tokens: UnsafeMutablePointer<Token>
    private let capacity: Int
    /// Which wanted column each field of the file is, -1 for none.
    private var targets: [Int]
    /// What a dead letter says that it is not.
    private var notation = ""
    private let scratch = Arena(capacity: 1 << 16)

    /// `header`: the names in the order of the file; nil when every record has just the wanted columns.
    package init(_ columns: [WireColumn], header: [String]? = nil, capacity: Int = Limits.rowsPerBatchMax) {
        readers = columns.enumerated().map { ColumnReader(column: $1, index: $0) }
        self.capacity = capacity
        tokens = .allocate(capacity: max(1, capacity * columns.count))
        targets = Array(columns.indices)
        notation = Self.notation(of: targets)
        if let header { setHeader(header) }
    }

    deinit { tokens.deallocate() }

    /// The names of the fields of the records that follow. A wanted column that is not among them is
    /// missing in every record.
    package func setHeader(_ names: [String]) {
        targets = names.map { name in
            readers.firstIndex { $0.column.path.joined(separator: ".") == name } ?? -1
        }
        notation = Self.notation(of: targets)
    }

    private static func notation(of targets: [Int]) -> String { "CSV record of \(targets.count) fields" }

    package func decode(_ raw: RawRecords, into batch: Batch) {
        require(raw.count <= capacity && raw.count <= batch.capacity, "more records than a batch holds")
        batch.arena.removeAll()
        batch.count = raw.count
        // Room for every byte of the batch, so that unescaped texts do not move.
        scratch.removeAll()
        var bytes = 0
        for row in 0..<raw.count { bytes += max(0, Int(raw.valueCounts[row])) }
        scratch.reserve(min(bytes, capacity * Limits.recordBytesMax))
        for row in 0..<raw.count {
            batch.statusField[row] = -1
            let status: RowStatus
            if let value = raw.values[row], raw.valueCounts[row] >= 0 {
                let count = Int(raw.valueCounts[row])
                status = count > Limits.recordBytesMax ? .oversized : split(value, count, row)
            } else {
                status = .nullValue
            }
            batch.status[row] = status.rawValue
        }
        for reader in readers {
            reader.read(UnsafePointer(tokens) + reader.index, stride: readers.count, into: batch)
        }
    }

    package func explain(_ row: Int, of batch: Batch, into text: Arena) {
        writeExplanation(row, batch, readers, notation: notation, into: text) { index in
            let token = tokens[row * readers.count + index]
            text.appendText("\"")
            appendExcerpt(token.start, Int(token.count), to: text)
            text.appendText("\"")
        }
    }

    private func split(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ row: Int) -> RowStatus {
        let width = readers.count
        for index in 0..<width { tokens[row * width + index] = Token(start: nil, count: 0, kind: 0) }
        var at = 0
        var field = 0
        while true {
            guard field < targets.count, let token = readField(bytes, count, &at) else { return .malformed }
            let target = targets[field]
            if target >= 0 { tokens[row * width + target] = token }
            field += 1
            if at == count { break }
            // `readField` stops at a comma or the end.
            at += 1
            if at == count {
                guard field < targets.count else { return .malformed }
                let target = targets[field]
                if target >= 0 { tokens[row * width + target] = Token(start: bytes + at, count: 0, kind: Token.Kind.null.rawValue) }
                field += 1
                break
            }
        }
        return field == targets.count ? .good : .malformed
    }

    private func readField(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: inout Int) -> Token? {
        guard at < count, bytes[at] == 0x22 else {
            let start = at
            while at < count, bytes[at] != 0x2C {
                if bytes[at] == 0x22 { return nil }
                at += 1
            }
            let kind: Token.Kind = at == start ? .null : .string
            return Token(start: bytes + start, count: UInt32(at - start), kind: kind.rawValue)
        }
        at += 1
        let start = at
        var hasQuotes = false
        while at < count {
            if bytes[at] == 0x22 {
                guard at + 1 < count, bytes[at + 1] == 0x22 else { break }
                hasQuotes = true
                at += 1
            }
            at += 1
        }
        guard at < count else { return nil }
        let end = at
        at += 1
        guard at == count || bytes[at] == 0x2C else { return nil }
        if !hasQuotes {
            return Token(start: bytes + start, count: UInt32(end - start), kind: Token.Kind.string.rawValue)
        }
        let copy = scratch.count
        var position = start
        while position < end {
            scratch.base[scratch.count] = bytes[position]
            scratch.count += 1
            position += bytes[position] == 0x22 ? 2 : 1
        }
        return Token(
            start: scratch.base + copy, count: UInt32(scratch.count - copy), kind: Token.Kind.string.rawValue)
    }
}
