import Base
import Records

/// One column as it stands in a record: what it is called there and how its text is read.
package struct WireColumn {
    /// Names from the outside in; for CSV the whole path joined with dots is the column's name.
    package var path: [String]
    package var field: Field
    /// The zone of timestamps that are written without one; nil: such a timestamp is wrong.
    package var zone: TimeZoneTable?
    /// More places than the scale are rounded half to even instead of refused.
    package var isRounded: Bool

    package init(path: [String], field: Field, zone: TimeZoneTable?, isRounded: Bool) {
        self.path = path
        self.field = field
        self.zone = zone
        self.isRounded = isRounded
    }
}

/// A member of a record before its type is looked at. The same layout as the shim's `mr_token`.
struct Token {
    enum Kind: UInt32 {
        case missing = 0
        case null = 1
        case `false` = 2
        case `true` = 3
        case number = 4
        case string = 5
        case object = 6
        case array = 7
    }

    var start: UnsafePointer<UInt8>?
    var count: UInt32
    var kind: UInt32
}

/// Turns tokens into values, a column at a time.
struct ColumnReader {
    let column: WireColumn
    let index: Int
    /// For dead letters: what the column is called, and what was expected of it.
    let name: String
    let expectation: String

    init(column: WireColumn, index: Int) {
        self.column = column
        self.index = index
        name = "field '\(column.path.joined(separator: "."))'"
        expectation = Self.expectation(of: column)
    }

    /// Reads the tokens `stride` apart from `tokens` on into `batch`. A row that is bad already is skipped; a
    /// row whose token does not fit the column's type becomes bad.
    func read(_ tokens: UnsafePointer<Token>, stride: Int, into batch: Batch) {
        let output = batch.columns[index]
        switch column.field.type {
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
        case .timestamp: forEach(tokens, stride, batch, output) { timestamp($0) }
        }
    }

    @inline(__always)
    private func forEach(
        _ tokens: UnsafePointer<Token>,
        _ stride: Int,
        _ batch: Batch,
        _ output: Column,
        _ convert: (Token) -> Result<Int64, RowFailure>
    ) {
        let (values, valid) = (output.values, output.valid)
        for row in 0..<batch.count {
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
    private func texts(_ tokens: UnsafePointer<Token>, _ stride: Int, _ batch: Batch, _ output: Column) {
        var total = 0
        for row in 0..<batch.count where batch.status[row] == 0 {
            total &+= min(Int(tokens[row &* stride].count), Limits.textBytesMax)
        }
        batch.arena.reserve(total)
        let base = batch.arena.base
        var offset = batch.arena.count
        forEach(tokens, stride, batch, output) { token in
            guard token.kind == Token.Kind.string.rawValue, let start = token.start else {
                return .failure(.wrongType)
            }
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
        _ batch: Batch,
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
    private func plainDecimal(_ bytes: UnsafePointer<UInt8>, _ count: Int, scale: Int, factor: Int64) -> Int64? {
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
    private func number(_ token: Token, _ start: UnsafePointer<UInt8>, scale: Int) -> Result<Int64, RowFailure> {
        let count = Int(token.count)
        // JSON's numbers have no leading zeros; what stands in a text may.
        let first = count > 0 && start[0] == 0x2D ? 1 : 0
        if token.kind == Token.Kind.number.rawValue, count > first + 1, start[first] == 0x30, start[first + 1] &- 0x30 <= 9 {
            return .failure(.wrongType)
        }
        let parsed = column.isRounded
            ? Decimal.parseRounded(start, count, scale: scale) : Decimal.parse(start, count, scale: scale)
        switch parsed {
        case .success(let value): return .success(value)
        case .failure(.notANumber): return .failure(.wrongType)
        case .failure: return .failure(.outOfRange)
        }
    }

    private func truth(_ token: Token) -> Result<Int64, RowFailure> {
        let text = UnsafeBufferPointer(start: token.start, count: Int(token.count))
        if text.elementsEqual("true".utf8) { return .success(1) }
        if text.elementsEqual("false".utf8) { return .success(0) }
        return .failure(.wrongType)
    }

    private func timestamp(_ token: Token) -> Result<Int64, RowFailure> {
        guard let start = token.start else { return .failure(.wrongType) }
        let count = Int(token.count)
        if token.kind == Token.Kind.number.rawValue {
            let value = number(token, start, scale: 0)
            if case .success(let time) = value, time.magnitude > CivilTime.millisecondsMax.magnitude {
                return .failure(.outOfRange)
            }
            return value
        }
        guard token.kind == Token.Kind.string.rawValue, let parsed = CivilTime.parse(start, count) else {
            return .failure(.wrongType)
        }
        if parsed.hasZone { return .success(parsed.milliseconds) }
        guard let zone = column.zone else { return .failure(.wrongType) }
        return .success(zone.utc(local: parsed.milliseconds))
    }

    private func fail(_ status: RowStatus, _ row: Int, _ batch: Batch) {
        batch.status[row] = status.rawValue
        batch.statusField[row] = Int16(index)
    }

    private static func expectation(of column: WireColumn) -> String {
        switch column.field.type {
        case .text: "a text of at most \(Limits.textBytesMax) bytes"
        case .int: "a whole number"
        case .decimal(let scale): "a number with at most \(scale) places"
        case .bool: "true or false"
        case .duration: "a whole number of milliseconds"
        case .timestamp:
            column.zone == nil
                ? "a timestamp with a zone, like 2011-01-05T10:15:00Z, or epoch milliseconds"
                : "a timestamp like 2011-01-05 10:15:00, or epoch milliseconds"
        }
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
