import Base
import CSimdjson
import Records

/// What is wrong with a row of JSON or CSV, in one sentence that ends with the option that helps, if one
/// does.
struct Explanation {
    let batch: Batch
    let row: Int
    let readers: [ColumnReader]
    /// What a record is called that can be read.
    let notation: String
    /// Of the records before they were made UTF-8; nil: they came as UTF-8.
    let encoding: String?
    let text: Arena

    /// `token`: what stands in a column. `appendWhy`: appends what keeps a record from being well-formed;
    /// `appendMissing`: why a column may be missing.
    func write(
        token: (Int) -> Token, appendWhy: (_ record: UnsafeBufferPointer<UInt8>) -> Void,
        appendMissing: (Int) -> Void
    ) {
        let status = RowStatus(rawValue: batch.status[row]) ?? .malformed
        let index = Int(batch.statusField[row])
        let column = readers.indices.contains(index) ? readers[index].column : nil
        let name = column.map { "field '\($0.name)'" } ?? "the record"
        switch status {
        case .malformed: writeMalformed(appendWhy)
        case .nullValue:
            text.appendText("the record has no value")
            if batch.raw.keys[row] != nil {
                text.appendText(
                    "; where that says that its key is gone, kafka: { …, tombstones: skip } passes it over")
            }
        case .oversized: appendOversized(row, batch, to: text)
        case .missingField:
            text.appendText("\(name) is missing; \(column.map(Self.expectation) ?? "a value") was expected")
            appendMissing(index)
        case .outOfRange, .wrongType, .textTooLong:
            guard let column else { return text.appendText("\(name) is refused (\(status.name))") }
            writeRefused(column, name, token(index), status)
        default: text.appendText("\(name) is refused (\(status.name))")
        }
    }

    private func writeMalformed(_ appendWhy: (UnsafeBufferPointer<UInt8>) -> Void) {
        let count = max(0, Int(batch.raw.valueCounts[row]))
        let start = batch.raw.values[row]
        let record = UnsafeBufferPointer(start: start, count: start == nil ? 0 : count)
        if let start, mr_is_utf8(start, count) == 0 {
            text.appendText("not \(encoding ?? "UTF-8"): ")
            appendExcerpt(start, count, to: text)
            text.appendText(
                encoding == nil
                    ? "; if it is of another encoding, say which: format: { type: …, encoding: windows-1252 } "
                        + "(or gb18030, utf-16, …)"
                    : "; the encoding that format says does not have these bytes")
            return
        }
        text.appendText("not a well-formed \(notation): ")
        appendExcerpt(record.baseAddress, count, to: text)
        appendWhy(record)
    }

    private func writeRefused(_ column: WireColumn, _ name: String, _ token: Token, _ status: RowStatus) {
        if token.kind >= Token.Kind.throughArray.rawValue {
            let what =
                token.kind == Token.Kind.throughArray.rawValue ? "an array" : "a value that is no object"
            let place = column.path.prefix(Int(token.count)).joined(separator: ".")
            text.appendText("\(name) lies behind \(what), '\(place)'; a path leads through objects only")
            return
        }
        text.appendText("\(name) is ")
        appendFound(token)
        text.appendText("; \(Self.expectation(of: column)) was expected")
        guard let hint = hint(column, token, status) else { return }
        text.appendText("; \(hint)")
    }

    private func appendFound(_ token: Token) {
        switch token.kind {
        case Token.Kind.string.rawValue:
            text.appendText("\"")
            if token.count > 0 { appendExcerpt(token.start, Int(token.count), to: text) }
            text.appendText("\"")
        case Token.Kind.number.rawValue: appendExcerpt(token.start, Int(token.count), to: text)
        case Token.Kind.true.rawValue: text.appendText("true")
        case Token.Kind.false.rawValue: text.appendText("false")
        case Token.Kind.object.rawValue: text.appendText("an object")
        case Token.Kind.array.rawValue: text.appendText("an array")
        default: text.appendText("nothing")
        }
    }

    // MARK: What helps

    private func hint(_ column: WireColumn, _ token: Token, _ status: RowStatus) -> String? {
        let isString = token.kind == Token.Kind.string.rawValue
        let isTruth = token.kind == Token.Kind.true.rawValue || token.kind == Token.Kind.false.rawValue
        if isTruth, column.field.type == .text, !column.reading.takesNumbers {
            return "numbers: true takes numbers and booleans as they are written"
        }
        if isString, token.count == 0 { return "null: [\"\"] takes it as none" }
        let isNumber = token.kind == Token.Kind.number.rawValue
        guard isString || isNumber, let start = token.start else { return nil }
        let count = Int(token.count)
        switch column.field.type {
        case .text:
            let isOption = isNumber && !column.reading.takesNumbers
            return isOption ? "numbers: true takes numbers and booleans as they are written" : nil
        case .bool:
            return "say which texts are meant: true: [\"1\", Y], false: [\"0\", N]"
        case .timestamp: return timestampHint(column, start, count, status)
        case .int, .decimal:
            if column.reading.isBase64 { return nil }
            let scale = column.field.type.scale
            if status == .outOfRange {
                let parsed = Decimal.parse(start, count, scale: scale)
                if case .failure(.tooManyPlaces) = parsed { return "round: true rounds it" }
                let ids = scale == 0 ? "; an id can be read as { type: text, numbers: true }" : ""
                return "it does not fit in 64 bits\(ids)"
            }
            let text = String(
                decoding: UnsafeBufferPointer(start: start, count: min(count, 64)), as: UTF8.self)
            if isString, let hint = numberHint(text) { return hint }
            guard isString, count % 4 == 0, case .success = Base64.number(start, count) else { return nil }
            return "a decimal that is written as base64 of its bytes needs encoding: base64, without which "
                + "texts of digits are numbers"
        default: return nil
        }
    }

    /// How the text would have to be read to be a number, or none.
    private func numberHint(_ text: String) -> String? {
        if Self.nulls.contains(text.lowercased()) { return "null: [\"\(text)\"] takes it as none" }
        let options = NumeralGuess.options(of: [text]).prefix(2).map(\.option)
        if !options.isEmpty { return "say \(options.joined(separator: " or "))" }
        let isBlank = text.first == " " || text.first == "\t" || text.last == " " || text.last == "\t"
        return isBlank && notation.hasPrefix(CsvFields.notation)
            ? "it has blanks around it; format: { type: csv, trim: true } takes them off" : nil
    }

    private static let nulls: Set<String> = [
        "-", "--", "null", "n/a", "na", "nan", "none", "\\n", "#n/a", "inf", "-inf",
    ]

    private func timestampHint(
        _ column: WireColumn, _ start: UnsafePointer<UInt8>, _ count: Int, _ status: RowStatus
    ) -> String? {
        let text = String(decoding: UnsafeBufferPointer(start: start, count: min(count, 65)), as: UTF8.self)
        let reading = column.reading
        let program = reading.patterns.isEmpty ? nil : TimeProgram(reading.patterns)
        let parsed = program.map { $0.parse(start, count) } ?? CivilTime.parse(start, count)
        if let parsed, !parsed.hasZone, column.zone == nil {
            return "it has no zone; say zone: Asia/Shanghai"
        }
        if program != nil, CivilTime.parse(start, count) != nil {
            return "say format: [iso, …] to read it as well"
        }
        let patterns = TimeGuess.patterns(of: [text])
        let formats = patterns.map { "format: \"\($0.text)\"" }.joined(separator: " or ")
        let isDays = reading.unit == nil && Self.isSpreadsheetDay(start, count)
        if isDays {
            return "looks like the days of a spreadsheet; say unit: d, since: 1899-12-30 (of time: from)"
        }
        guard status == .outOfRange else { return patterns.isEmpty ? nil : "say \(formats)" }
        if let unit = EpochTime.likelyUnit(start, count, not: column.reading.unit) {
            return "looks like \(unit.name); say unit: \(unit.rawValue)"
        }
        if !patterns.isEmpty, reading.unit == nil {
            return "as milliseconds it lies before 1990 or after 2200; say \(formats)"
        }
        return column.reading.unit == nil
            ? "as milliseconds it lies before 1990 or after 2200; if it does, say unit: ms"
            : "it lies outside of the years 1 to 9999"
    }

    /// 1990 to 2063 as days since 1899-12-30.
    private static func isSpreadsheetDay(_ start: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        guard case .success(let days) = Decimal.parseCut(start, count, scale: 0) else { return false }
        return days >= 32_874 && days < 60_000
    }

    private static func written(_ reading: FieldReading) -> String {
        let samples = reading.patterns.prefix(3).map { "\"\($0.string(1_294_222_500_000, offset: 0))\"" }
        let unit = reading.unit.map { ", or a number of \($0.name)" } ?? ""
        return "a timestamp like \(samples.joined(separator: " or "))\(unit)"
    }

    static func expectation(of column: WireColumn) -> String {
        if column.reading.isBase64 { return "base64 of at most 8 bytes" }
        switch column.field.type {
        case .text: return "a text of at most \(Limits.textBytesMax) bytes"
        case .int: return "a whole number"
        case .decimal(let scale):
            return
                "a number with at most \(scale) places\(column.reading.numerals?.isPercent == true ? " and %" : "")"
        case .bool:
            let listed = column.reading.trues + column.reading.falses
            return listed.isEmpty ? "true or false" : "one of true, false, \(listed.joined(separator: ", "))"
        case .duration: return "a whole number of milliseconds"
        case .timestamp:
            if !column.reading.patterns.isEmpty { return Self.written(column.reading) }
            let since = column.reading.origin == nil ? "epoch " : ""
            let number = "\(since)\((column.reading.unit ?? .ms).name)"
            return column.zone == nil
                ? "a timestamp with a zone, like 2011-01-05T10:15:00Z, or \(number)"
                : "a timestamp like 2011-01-05 10:15:00, or \(number)"
        }
    }
}

func appendOversized(_ row: Int, _ batch: Batch, to text: Arena) {
    text.appendText(
        "the record has \(batch.raw.valueCounts[row]) bytes, at most \(Limits.recordBytesMax) are read")
}

/// Appends at most 80 bytes of a record, whole characters, with what a terminal would not show escaped.
func appendExcerpt(_ start: UnsafePointer<UInt8>?, _ count: Int, to text: Arena) {
    guard let start, count > 0 else { return text.appendText("nothing") }
    let shown = UnsafeBufferPointer(start: start, count: TextCut.wholeCharacters(start, count, atMost: 80))
    if shown.contains(where: { $0 >= 0x80 }) {
        // What is no UTF-8 becomes U+FFFD.
        var repaired = String(decoding: shown, as: UTF8.self)
        repaired.withUTF8 { appendEscaped($0, to: text) }
    } else {
        appendEscaped(shown, to: text)
    }
    if count > shown.count { text.appendText("…") }
}

private func appendEscaped(_ bytes: UnsafeBufferPointer<UInt8>, to text: Arena) {
    guard let start = bytes.baseAddress else { return }
    var clean = 0
    for (position, byte) in bytes.enumerated() where byte < 0x20 || byte == 0x7F {
        _ = text.append(start + clean, position - clean)
        text.appendText("\\u{\(String(byte, radix: 16))}")
        clean = position + 1
    }
    _ = text.append(start + clean, bytes.count - clean)
}
