import Base
import Glibc
import Records

/// Turns tokens into values, a column at a time.
struct ColumnReader {
    let column: WireColumn
    let index: Int
    private let nulls: [[UInt8]]
    /// What reads timestamps of declared patterns.
    private let times: TimeProgram?
    /// What reads numbers that are not written as JSON has them.
    private let numerals: NumeralReader?
    /// The same for texts that JSON's grammar does not know.
    private let lax: NumeralReader
    private let (strips, trues, falses): ([[UInt8]], [[UInt8]], [[UInt8]])

    init(column: WireColumn, index: Int) {
        self.column = column
        self.index = index
        nulls = column.reading.nulls.map { Array($0.utf8) }
        lax = NumeralReader(Numerals())
        numerals = column.reading.numerals.map { NumeralReader($0) }
        let lists = [column.reading.strips, column.reading.trues, column.reading.falses].map {
            $0.map { Array($0.utf8) }
        }
        (strips, trues, falses) = (lists[0], lists[1], lists[2])
        times = column.reading.patterns.isEmpty ? nil : TimeProgram(column.reading.patterns)
    }

    /// Reads the tokens `stride` apart from `tokens` on into `batch`. A row that is bad already is skipped; a
    /// row whose token does not fit the column's type becomes bad.
    /// `rows`: of the batch; nil: all.
    func read(
        _ tokens: UnsafeMutablePointer<Token>, stride: Int, rows: Range<Int>? = nil, into batch: Batch
    ) {
        let output = batch.columns[index]
        let batch = BatchRows(batch, rows ?? 0..<batch.count)
        if !nulls.isEmpty { findNulls(tokens, stride, batch) }
        if !strips.isEmpty { strip(tokens, stride, batch) }
        let tokens = UnsafePointer(tokens)
        switch column.field.type {
        case .int where column.reading.isBase64, .decimal where column.reading.isBase64:
            forEach(tokens, stride, batch, output) { base64Number($0) }
        case .int where numerals != nil, .duration where numerals != nil, .decimal where numerals != nil:
            forEach(tokens, stride, batch, output) { styledNumber($0) }
        case .bool where !trues.isEmpty || !falses.isEmpty:
            forEach(tokens, stride, batch, output) { listedTruth($0) }
        case .text: texts(tokens, stride, batch, output)
        case .int, .duration: numbers(scale: 0, tokens, stride, batch, output)
        case .decimal(let scale): numbers(scale: scale, tokens, stride, batch, output)
        case .bool:
            forEach(tokens, stride, batch, output) { token in
                switch token.kind {
                case Token.Kind.true.rawValue: .success(1)
                case Token.Kind.false.rawValue: .success(0)
                case Token.Kind.string.rawValue: truth(token)
                default: .failure(.wrongType)
                }
            }
        case .timestamp:
            if let times { return forEach(tokens, stride, batch, output) { written($0, times) } }
            forEach(tokens, stride, batch, output) { timestamp($0) }
        }
    }

    /// Texts that are declared to mean nothing become null.
    private func findNulls(_ tokens: UnsafeMutablePointer<Token>, _ stride: Int, _ batch: BatchRows) {
        for row in batch.rows where batch.status[row] == 0 {
            let token = tokens[row &* stride]
            guard token.kind == Token.Kind.string.rawValue else { continue }
            let count = Int(token.count)
            for null in nulls where null.count == count {
                guard count == 0 || token.start.map({ memcmp($0, null, count) == 0 }) == true else {
                    continue
                }
                tokens[row &* stride].kind = Token.Kind.null.rawValue
                break
            }
        }
    }

    /// Takes off what is declared to stand around texts, once before and once behind.
    private func strip(_ tokens: UnsafeMutablePointer<Token>, _ stride: Int, _ batch: BatchRows) {
        for row in batch.rows where batch.status[row] == 0 {
            let token = tokens[row &* stride]
            guard token.kind == Token.Kind.string.rawValue, var start = token.start else { continue }
            var count = Int(token.count)
            for part in strips where part.count <= count && memcmp(start, part, part.count) == 0 {
                start += part.count
                count -= part.count
                break
            }
            for part in strips
            where part.count <= count && memcmp(start + count - part.count, part, part.count) == 0 {
                count -= part.count
                break
            }
            tokens[row &* stride].start = start
            tokens[row &* stride].count = UInt32(count)
        }
    }

    @inline(__always)
    private func forEach(
        _ tokens: UnsafePointer<Token>,
        _ stride: Int,
        _ batch: BatchRows,
        _ output: Column,
        _ convert: (Token) -> Result<Int64, RowFailure>
    ) {
        let (values, valid) = (output.values, output.valid)
        for row in batch.rows {
            guard batch.status[row] == 0 else { continue }
            let token = tokens[row &* stride]
            if token.kind <= Token.Kind.null.rawValue {
                valid[row] = 0
                if !column.field.isOptional { fail(.missingField, row, batch) }
                continue
            }
            switch convert(token) {
            case .success(let value):
                values[row] = value
                valid[row] = 1
            case .failure(let failure):
                valid[row] = 0
                fail(failure.status, row, batch)
            }
        }
    }

    /// Copies the texts into the arena, with room made once: the arena is a class, and touching it for every
    /// row costs more than the copy.
    private func texts(_ tokens: UnsafePointer<Token>, _ stride: Int, _ batch: BatchRows, _ output: Column) {
        var total = 0
        for row in batch.rows where batch.status[row] == 0 {
            total &+= min(Int(tokens[row &* stride].count), Limits.textBytesMax)
        }
        batch.arena.reserve(total)
        let base = batch.arena.base
        var offset = batch.arena.count
        forEach(tokens, stride, batch, output) { token in
            guard token.kind == Token.Kind.string.rawValue || isNumberAsText(token), let start = token.start
            else { return .failure(.wrongType) }
            let count = Int(token.count)
            if count > Limits.textBytesMax { return .failure(.textTooLong) }
            (base + offset).update(from: start, count: count)
            defer { offset &+= count }
            return .success(TextReference(offset: offset, count: count).packed)
        }
        batch.arena.count = offset
    }

    private func numbers(
        scale: Int,
        _ tokens: UnsafePointer<Token>,
        _ stride: Int,
        _ batch: BatchRows,
        _ output: Column
    ) {
        let factor = Decimal.powerOfTen(scale)
        forEach(tokens, stride, batch, output) { token in
            guard token.kind == Token.Kind.number.rawValue || token.kind == Token.Kind.string.rawValue,
                let start = token.start
            else { return .failure(.wrongType) }
            if let value = plainDecimal(start, Int(token.count), scale: scale, factor: factor) {
                return .success(value)
            }
            return number(token, start, scale: scale)
        }
    }

    /// The common case: up to 17 digits with at most `scale` places and nothing else.
    @inline(__always)
    private func plainDecimal(_ bytes: UnsafePointer<UInt8>, _ count: Int, scale: Int, factor: Int64)
        -> Int64?
    {
        guard count > 0, count <= 17 else { return nil }
        var at = bytes[0] == 0x2D ? 1 : 0
        let first = at
        var value: Int64 = 0
        while at < count, bytes[at] &- 0x30 <= 9 {
            value = value &* 10 &+ Int64(bytes[at] &- 0x30)
            at &+= 1
        }
        if at == first || (bytes[first] == 0x30 && at > first + 1) { return nil }
        if at < count {
            guard bytes[at] == 0x2E else { return nil }
            let places = count &- at &- 1
            guard places >= 1, places <= scale, count &+ scale <= 18 else { return nil }
            at &+= 1
            while at < count {
                let digit = bytes[at] &- 0x30
                if digit > 9 { return nil }
                value = value &* 10 &+ Int64(digit)
                at &+= 1
            }
            var missing = scale &- places
            while missing > 0 {
                value = value &* 10
                missing &-= 1
            }
        } else {
            let (product, overflow) = value.multipliedReportingOverflow(by: factor)
            if overflow { return nil }
            value = product
        }
        return first == 1 ? 0 &- value : value
    }

    @inline(never)
    private func number(_ token: Token, _ start: UnsafePointer<UInt8>, scale: Int) -> Result<
        Int64, RowFailure
    > {
        let count = Int(token.count)
        if hasWrongZero(token) { return .failure(.wrongType) }
        let parsed =
            column.isRounded
            ? Decimal.parseRounded(start, count, scale: scale) : Decimal.parse(start, count, scale: scale)
        switch parsed {
        case .success(let value): return .success(value)
        case .failure(.notANumber):
            return token.kind == Token.Kind.string.rawValue
                ? laxNumber(start, count, scale) : .failure(.wrongType)
        case .failure: return .failure(.outOfRange)
        }
    }

    /// What texts have besides JSON's grammar and can mean one thing only: `+60`, `.5`, `60.`.
    private func laxNumber(_ start: UnsafePointer<UInt8>, _ count: Int, _ scale: Int) -> Result<
        Int64, RowFailure
    > {
        guard count > 0, start[0] != 0x20, start[0] != 0x09, start[count - 1] != 0x20,
            start[count - 1] != 0x09
        else {
            return .failure(.wrongType)
        }
        return Self.result(lax.parse(start, count, scale: scale, isRounded: column.isRounded))
    }

    private func styledNumber(_ token: Token) -> Result<Int64, RowFailure> {
        guard let numerals, let start = token.start else { return .failure(.wrongType) }
        let scale = column.field.type.scale
        if token.kind == Token.Kind.number.rawValue, column.reading.numerals?.isPercent == false {
            return number(token, start, scale: scale)
        }
        guard token.kind == Token.Kind.string.rawValue else { return .failure(.wrongType) }
        return Self.result(numerals.parse(start, Int(token.count), scale: scale, isRounded: column.isRounded))
    }

    private static func result(_ parsed: Result<Int64, Decimal.ParseFailure>) -> Result<Int64, RowFailure> {
        switch parsed {
        case .success(let value): .success(value)
        case .failure(.notANumber): .failure(.wrongType)
        case .failure: .failure(.outOfRange)
        }
    }

    private func listedTruth(_ token: Token) -> Result<Int64, RowFailure> {
        switch token.kind {
        case Token.Kind.true.rawValue: return .success(1)
        case Token.Kind.false.rawValue: return .success(0)
        case Token.Kind.string.rawValue, Token.Kind.number.rawValue:
            let text = UnsafeBufferPointer(start: token.start, count: Int(token.count))
            if trues.contains(where: { $0.elementsEqual(text) }) { return .success(1) }
            return falses.contains(where: { $0.elementsEqual(text) }) ? .success(0) : .failure(.wrongType)
        default: return .failure(.wrongType)
        }
    }

    /// JSON's numbers have no leading zeros; what stands in a text may.
    private func hasWrongZero(_ token: Token) -> Bool {
        guard token.kind == Token.Kind.number.rawValue, let start = token.start else { return false }
        let first = token.count > 0 && start[0] == 0x2D ? 1 : 0
        return Int(token.count) > first + 1 && start[first] == 0x30 && start[first + 1] &- 0x30 <= 9
    }

    @inline(never)
    private func isNumberAsText(_ token: Token) -> Bool {
        guard column.reading.takesNumbers, let start = token.start else { return false }
        if token.kind == Token.Kind.true.rawValue || token.kind == Token.Kind.false.rawValue { return true }
        guard token.kind == Token.Kind.number.rawValue, !hasWrongZero(token) else { return false }
        if case .failure(.notANumber) = Decimal.parse(start, Int(token.count), scale: 0) { return false }
        return true
    }

    private func base64Number(_ token: Token) -> Result<Int64, RowFailure> {
        guard token.kind == Token.Kind.string.rawValue, let start = token.start else {
            return .failure(.wrongType)
        }
        switch Base64.number(start, Int(token.count)) {
        case .success(let value): return .success(value)
        case .failure(.notBase64): return .failure(.wrongType)
        case .failure(.outOfRange): return .failure(.outOfRange)
        }
    }

    private func truth(_ token: Token) -> Result<Int64, RowFailure> {
        let text = UnsafeBufferPointer(start: token.start, count: Int(token.count))
        if text.lazy.map({ $0 | 0x20 }).elementsEqual("true".utf8) { return .success(1) }
        if text.lazy.map({ $0 | 0x20 }).elementsEqual("false".utf8) { return .success(0) }
        return .failure(.wrongType)
    }

    private func timestamp(_ token: Token) -> Result<Int64, RowFailure> {
        guard let start = token.start else { return .failure(.wrongType) }
        let count = Int(token.count)
        if token.kind == Token.Kind.number.rawValue { return epoch(token, start) }
        guard token.kind == Token.Kind.string.rawValue else { return .failure(.wrongType) }
        // A number in a text is read like one.
        guard let parsed = CivilTime.parse(start, count) else { return epoch(token, start) }
        if parsed.hasZone { return .success(parsed.milliseconds) }
        guard let zone = column.zone else { return .failure(.wrongType) }
        return .success(zone.utc(local: parsed.milliseconds))
    }

    /// A timestamp in a declared pattern, or a number of a declared unit. What is read as a number in JSON is
    /// a text too.
    private func written(_ token: Token, _ times: TimeProgram) -> Result<Int64, RowFailure> {
        guard let start = token.start,
            token.kind == Token.Kind.string.rawValue || token.kind == Token.Kind.number.rawValue
        else { return .failure(.wrongType) }
        guard let parsed = times.parse(start, Int(token.count)) else {
            return column.reading.unit == nil ? .failure(.wrongType) : epoch(token, start)
        }
        if parsed.hasZone { return .success(parsed.milliseconds) }
        guard let zone = column.zone else { return .failure(.wrongType) }
        return .success(zone.utc(local: parsed.milliseconds))
    }

    private func epoch(_ token: Token, _ start: UnsafePointer<UInt8>) -> Result<Int64, RowFailure> {
        if column.reading.unit == nil, let value = plainDecimal(start, Int(token.count), scale: 0, factor: 1),
            EpochTime.plausible.contains(value)
        {
            return .success(value)
        }
        if hasWrongZero(token) { return .failure(.wrongType) }
        let reading = column.reading
        let parsed =
            if let unit = reading.unit, let origin = reading.origin {
                EpochTime.parse(start, Int(token.count), unit: unit, since: origin, zone: column.zone)
            } else {
                EpochTime.parse(start, Int(token.count), unit: reading.unit)
            }
        switch parsed {
        case .success(let time): return .success(time)
        case .failure(.notANumber): return .failure(.wrongType)
        case .failure: return .failure(.outOfRange)
        }
    }

    private func fail(_ status: RowStatus, _ row: Int, _ batch: BatchRows) {
        batch.status[row] = status.rawValue
        batch.statusField[row] = Int16(index)
    }
}

enum RowFailure: Error {
    case wrongType, outOfRange, textTooLong

    var status: RowStatus {
        switch self {
        case .wrongType: .wrongType
        case .outOfRange: .outOfRange
        case .textTooLong: .textTooLong
        }
    }
}

/// Some rows of a batch.
struct BatchRows {
    let rows: Range<Int>
    let status: UnsafeMutablePointer<UInt8>
    let statusField: UnsafeMutablePointer<Int16>
    let arena: Arena

    @inline(__always)
    init(_ batch: Batch, _ rows: Range<Int>) {
        self.rows = rows
        (status, statusField, arena) = (batch.status, batch.statusField, batch.arena)
    }
}
