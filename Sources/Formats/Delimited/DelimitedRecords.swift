import Base
import Dataflow
import Records

/// Records of fields side by side to columns, whatever cuts them into fields. A record is one row of a file
/// without its line end. A decoder has one as its only property and hands everything on: that is compiled for
/// its cutter, which a generic class behind `any RecordDecoder` would not be.
struct DelimitedRecords<Cutter: FieldCutter>: ~Copyable {
    private let readers: [ColumnReader]
    /// By wanted column: a text of no bytes is null.
    private let isEmptyNull: [Bool]
    private let tokens: UnsafeMutablePointer<Token>
    private let capacity: Int
    private let fields: Cutter
    private let encoding: String?
    /// The names of the records' fields.
    private var names: [String]
    /// Which wanted column each field of the file is, -1 for none.
    private var targets: [Int]
    /// Of `targets`, these last ones may be missing.
    private var spare = 0
    private let takesShort: Bool
    private let takesLong: Bool
    private let scratch = Arena(capacity: 1 << 16)

    /// - Parameters:
    ///   - header: the names of all fields in the order of the record, wanted or not; nil: the wanted
    ///     columns.
    ///   - optionalColumn: a field that may stand behind those of `header`, or be missing with its delimiter.
    ///   - encoding: of which the records were made UTF-8, for dead letters.
    init(
        _ columns: [WireColumn], _ fields: Cutter, header: [String]?, optionalColumn: String?,
        encoding: String?, capacity: Int, options: ColumnOptions = ColumnOptions()
    ) {
        takesShort = options.takesShort
        takesLong = options.takesLong
        readers = columns.enumerated().map { ColumnReader(column: $1, index: $0) }
        isEmptyNull = columns.map { $0.field.type != .text }
        self.capacity = capacity
        self.encoding = encoding
        self.fields = fields
        tokens = .allocate(capacity: max(1, capacity * columns.count))
        names = (header ?? columns.map(\.name)) + (optionalColumn.map { [$0] } ?? [])
        targets = Self.targets(names, readers)
        spare = optionalColumn == nil ? 0 : 1
    }

    deinit {
        tokens.deallocate()
        fields.free()
    }

    /// The names of the fields of the records that follow. A wanted column that is not among them is
    /// missing in every record.
    mutating func setHeader(_ names: [String]) {
        self.names = names
        targets = Self.targets(names, readers)
        spare = 0
    }

    private static func targets(_ names: [String], _ readers: [ColumnReader]) -> [Int] {
        names.map { name in readers.firstIndex { $0.column.name == name } ?? -1 }
    }

    func decode(_ raw: RawRecords, into batch: Batch) {
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
            reader.read(tokens + reader.index, stride: readers.count, into: batch)
        }
    }

    private func split(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ row: Int) -> RowStatus {
        let width = readers.count
        let tokens = tokens + row * width
        for index in 0..<width { tokens[index] = Token(start: nil, count: 0, kind: 0) }
        var mistake: Cutter.Mistake?
        let (begin, end) = Self.trimmed(bytes, count)
        let fieldCount = targets.withUnsafeBufferPointer { targets in
            isEmptyNull.withUnsafeBufferPointer { isEmptyNull in
                forEachField(bytes, begin, end, scratch, &mistake) { field, token in
                    guard field < targets.count else { return }
                    let target = targets[field]
                    guard target >= 0 else { return }
                    tokens[target] = token
                    if token.count == 0, isEmptyNull[target] {
                        tokens[target].kind = Token.Kind.null.rawValue
                    }
                }
            }
        }
        let isWide =
            (fieldCount <= targets.count || takesLong) && (fieldCount >= targets.count - spare || takesShort)
        guard mistake == nil, isWide else { return .malformed }
        return isUtf8(bytes, count) ? .good : .malformed
    }

    /// Calls `body` for every field and returns their number, of what comes before a mistake.
    @inline(__always)
    private func forEachField(
        _ bytes: UnsafePointer<UInt8>, _ begin: Int, _ end: Int, _ scratch: Arena,
        _ mistake: inout Cutter.Mistake?, _ body: (Int, Token) -> Void
    ) -> Int {
        var at = begin
        var field = 0
        while true {
            let token = fields.next(bytes, end, &at, scratch, &mistake)
            if mistake != nil { return field }
            body(field, token)
            field += 1
            if at >= end { return field }
            // At a delimiter; behind the last one there is a field as well, an empty one.
            at += 1
        }
    }

    /// Where a record begins and ends, without a byte order mark before it and a line end behind it, which
    /// some who publish lines leave there.
    @inline(__always)
    private static func trimmed(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> (begin: Int, end: Int) {
        let begin = count >= 3 && bytes[0] == 0xEF && bytes[1] == 0xBB && bytes[2] == 0xBF ? 3 : 0
        var end = count
        if end > begin, bytes[end - 1] == 0x0A { end -= 1 }
        if end > begin, bytes[end - 1] == 0x0D { end -= 1 }
        return (begin, end)
    }

    // MARK: Dead letters

    func explain(_ row: Int, of batch: Batch, into text: Arena) {
        let notation = "\(Cutter.notation) record of \(targets.count - spare) fields"
        let explanation = Explanation(
            batch: batch, row: row, readers: readers, notation: notation, encoding: encoding, text: text)
        explanation.write(
            token: { tokens[row * readers.count + $0] },
            appendWhy: { appendWhy($0, to: text) },
            appendMissing: { appendMissing($0, to: text) })
    }

    private func appendWhy(_ record: UnsafeBufferPointer<UInt8>, to text: Arena) {
        guard let bytes = record.baseAddress, record.count <= Limits.recordBytesMax else { return }
        // Not `scratch`, which tokens of other rows point into.
        let scratch = Arena(capacity: record.count)
        var mistake: Cutter.Mistake?
        let (begin, end) = Self.trimmed(bytes, record.count)
        let count = forEachField(bytes, begin, end, scratch, &mistake) { _, _ in }
        if let mistake {
            text.appendText("; \(mistake.text) (field \(count + 1))")
        } else {
            text.appendText("; it has \(count)")
            if count > targets.count { text.appendText("; long: cut passes over what is too much") }
            if count < targets.count, count > 1 {
                text.appendText("; short: fill takes what is missing as null")
            }
        }
    }

    private func appendMissing(_ column: Int, to text: Arena) {
        guard readers.indices.contains(column), !names.contains(readers[column].column.name) else { return }
        text.appendText("; there is no such column")
    }
}
