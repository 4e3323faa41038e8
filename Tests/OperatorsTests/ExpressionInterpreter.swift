import Records
import Topology

/// One value of one row, as plainly as can be.
enum Cell: Equatable, CustomStringConvertible {
    case null
    /// Null because a number does not fit in 64 bits.
    case overflow
    case number(Int64)
    case text([UInt8])

    var description: String {
        switch self {
        case .null: "null"
        case .overflow: "overflow"
        case .number(let value): "\(value)"
        case .text(let bytes): "'\(String(decoding: bytes, as: UTF8.self))'"
        }
    }

    var isTrue: Bool { self == .number(1) }
    var isFalse: Bool { self == .number(0) }
    var wide: Int128 { if case .number(let value) = self { Int128(value) } else { 0 } }
    var bytes: [UInt8] { if case .text(let bytes) = self { bytes } else { [] } }

    init(_ value: Bool) { self = .number(value ? 1 : 0) }
    /// A number computed exactly.
    init(exact value: Int128) { self = Int64(exactly: value).map { .number($0) } ?? .overflow }
}

/// Walks a typed expression for a single row: what the compiled loops have to agree with.
enum Interpreter {
    static func value(_ expression: Expression, _ row: [Cell]) -> Cell {
        switch expression.node {
        case .column(let index): return row[index]
        case .literal(let value): return literal(value)
        case .not(let operand): return strict([operand], row) { Cell($0[0].isFalse) }
        case .negate(let operand): return strict([operand], row) { Cell(exact: -$0[0].wide) }
        case .isNull(let operand):
            let found = value(operand, row)
            return found == .overflow ? .overflow : Cell(found == .null)
        case .binary(let operation, let left, let right):
            return binary(operation, left, right, expression.type, row)
        case .inList(let operand, let members):
            return strict([operand], row) { found in
                Cell(members.contains { same(found[0], operand.type.scale, $0) })
            }
        case .inRange(let operand, let low, let high):
            func end(_ end: Expression, _ isFit: @escaping (Int128, Int128) -> Bool) -> Cell {
                strict([operand, end], row) { found in
                    Cell(
                        isFit(
                            found[0].wide * power(9 - operand.type.scale),
                            found[1].wide * power(9 - end.type.scale)))
                }
            }
            // As `x >= low and x <= high`.
            let ends = [end(low, { $0 >= $1 }), end(high, { $0 <= $1 })]
            if ends.contains(where: \.isFalse) { return Cell(false) }
            return ends.contains(.overflow) ? .overflow : ends.contains(.null) ? .null : Cell(true)
        case .conditional(let condition, let yes, let no):
            let found = value(condition, row)
            if found == .overflow { return .overflow }
            let branch = found.isTrue ? yes : no
            return scaled(value(branch, row), branch.type, expression.type)
        case .call(let function, let arguments): return call(function, arguments, expression.type, row)
        }
    }

    static func power(_ exponent: Int) -> Int128 {
        (0..<exponent).reduce(Int128(1)) { value, _ in value * 10 }
    }

    /// Half to even, by adding and comparing only.
    static func divide(_ numerator: Int128, _ denominator: Int128) -> Int128 {
        let isNegative = (numerator < 0) != (denominator < 0)
        let (n, d) = (numerator.magnitude, denominator.magnitude)
        let (floor, rest) = (n / d, n % d)
        let isUp = rest * 2 > d || (rest * 2 == d && floor % 2 == 1)
        let magnitude = Int128(floor) + (isUp ? 1 : 0)
        return isNegative ? -magnitude : magnitude
    }

    static func floor(_ numerator: Int128, _ denominator: Int128) -> Int128 {
        var quotient = numerator / denominator
        while quotient * denominator > numerator { quotient -= 1 }
        return quotient
    }

    private static func literal(_ value: Value) -> Cell {
        switch value {
        case .null: .null
        case .bool(let truth): Cell(truth)
        case .number(let number, _), .timestamp(let number), .duration(let number): .number(number)
        case .text(let text): .text(Array(text.utf8))
        }
    }

    private static func same(_ cell: Cell, _ scale: Int, _ member: Value) -> Bool {
        switch member {
        case .number(let number, let places):
            cell.wide * power(9 - scale) == Int128(number) * power(9 - places)
        default: cell == literal(member)
        }
    }

    /// Overflow in, overflow out; null in, null out.
    private static func strict(_ operands: [Expression], _ row: [Cell], _ body: ([Cell]) -> Cell) -> Cell {
        let found = operands.map { value($0, row) }
        if found.contains(.overflow) { return .overflow }
        return found.contains(.null) ? .null : body(found)
    }

    private static func scaled(_ cell: Cell, _ from: ValueType, _ to: ValueType) -> Cell {
        guard case .number(let value) = cell, to.scale > from.scale else { return cell }
        return Cell(exact: Int128(value) * power(to.scale - from.scale))
    }

    private static func binary(
        _ operation: BinaryOperator,
        _ left: Expression,
        _ right: Expression,
        _ type: ValueType,
        _ row: [Cell]
    ) -> Cell {
        let (scaleA, scaleB) = (left.type.scale, right.type.scale)
        let common = max(scaleA, scaleB)
        if operation == .and || operation == .or {
            let found = [value(left, row), value(right, row)]
            let winner = Cell(operation == .or)
            if found.contains(winner) { return winner }
            return strict([left, right], row) { _ in Cell(operation == .and) }
        }
        return strict([left, right], row) { found in
            let (x, y) = (found[0].wide * power(common - scaleA), found[1].wide * power(common - scaleB))
            switch operation {
            case .add: return Cell(exact: x + y)
            case .subtract: return Cell(exact: x - y)
            case .multiply where type == .duration:
                return Cell(exact: divide(found[0].wide * found[1].wide, power(scaleA + scaleB)))
            case .multiply:
                let (product, overflow) = found[0].wide.multipliedReportingOverflow(by: found[1].wide)
                return overflow ? .overflow : Cell(exact: product)
            case .divide:
                if found[1].wide == 0 { return .null }
                // x / 10^a / (y / 10^b), in units of 10^-scale.
                let up = type.scale + scaleB - scaleA
                return Cell(
                    exact: divide(found[0].wide * power(max(0, up)), found[1].wide * power(max(0, -up))))
            case .remainder: return found[1].wide == 0 ? .null : Cell(exact: x % y)
            default:
                if left.type == .text {
                    let (a, b) = (found[0].bytes, found[1].bytes)
                    let order: Int128 = a == b ? 0 : a.lexicographicallyPrecedes(b) ? -1 : 1
                    return compare(operation, order, 0)
                }
                return compare(operation, x, y)
            }
        }
    }

    private static func compare(_ operation: BinaryOperator, _ x: Int128, _ y: Int128) -> Cell {
        switch operation {
        case .equal: Cell(x == y)
        case .notEqual: Cell(x != y)
        case .less: Cell(x < y)
        case .lessOrEqual: Cell(x <= y)
        case .greater: Cell(x > y)
        default: Cell(x >= y)
        }
    }

    private static func call(
        _ function: Function, _ arguments: [Expression], _ type: ValueType, _ row: [Cell]
    ) -> Cell {
        if function == .coalesce {
            for argument in arguments {
                let found = value(argument, row)
                if found != .null { return scaled(found, argument.type, type) }
            }
            return .null
        }
        let first = arguments[0].type
        if type == .text, function == .least || function == .greatest {
            return strict(arguments, row) { found in
                let sorted = found.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
                return (function == .least ? sorted.first : sorted.last) ?? .null
            }
        }
        return strict(arguments, row) { found in
            switch function {
            case .abs: return Cell(exact: Int128(found[0].wide.magnitude))
            case .least, .greatest:
                let values = zip(found, arguments).map { $0.wide * power(type.scale - $1.type.scale) }
                return Cell(exact: (function == .least ? values.min() : values.max()) ?? 0)
            case .round(let places):
                let up = places - first.scale
                return Cell(exact: up >= 0 ? found[0].wide * power(up) : divide(found[0].wide, power(-up)))
            case .floor: return Cell(exact: floor(found[0].wide, power(first.scale)))
            case .ceil: return Cell(exact: -floor(-found[0].wide, power(first.scale)))
            case .milliseconds: return found[0]
            case .seconds: return Cell(exact: floor(found[0].wide, 1000))
            case .minutes: return Cell(exact: floor(found[0].wide, 60_000))
            case .hours: return Cell(exact: floor(found[0].wide, 3_600_000))
            default: return text(function, found, first)
            }
        }
    }

    private static func text(_ function: Function, _ found: [Cell], _ type: ValueType) -> Cell {
        let content = found[0].bytes
        let string = String(decoding: content, as: UTF8.self)
        let scalars = Array(string.unicodeScalars)
        func cell(_ text: String) -> Cell { .text(Array(text.utf8)) }
        switch function {
        case .length: return .number(Int64(scalars.count))
        case .lower: return cell(string.lowercased())
        case .upper: return cell(string.uppercased())
        case .trim:
            var rest = content[...]
            let spaces: Set<UInt8> = [9, 10, 11, 12, 13, 32]
            while let byte = rest.first, spaces.contains(byte) { rest = rest.dropFirst() }
            while let byte = rest.last, spaces.contains(byte) { rest = rest.dropLast() }
            return .text(Array(rest))
        case .startsWith: return Cell(content.starts(with: found[1].bytes))
        case .endsWith: return Cell(content.reversed().starts(with: found[1].bytes.reversed()))
        case .contains:
            let part = found[1].bytes
            return Cell((0...content.count).contains { content[$0...].starts(with: part) })
        case .concat: return .text(found.flatMap(\.bytes))
        case .replace: return .text(Array(parts(content, found[1].bytes).joined(separator: found[2].bytes)))
        case .split:
            let (parts, place) = (parts(content, found[1].bytes), found[2].wide)
            return place >= 0 && place < Int128(parts.count) ? .text(parts[Int(place)]) : .null
        case .position:
            let part = found[1].bytes
            let place = (0...content.count).first { content[$0...].starts(with: part) }
            return place.map {
                .number(Int64(String(decoding: content[..<$0], as: UTF8.self).unicodeScalars.count))
            } ?? .null
        case .substring:
            let kept = scalars.enumerated().filter { index, _ in
                Int128(index) >= found[1].wide
                    && Int128(index) < max(0, found[1].wide) + max(0, found[2].wide)
            }
            return .text(kept.flatMap { Array(String($0.element).utf8) })
        case .text:
            if type == .text { return found[0] }
            if type == .bool { return cell(found[0].isTrue ? "true" : "false") }
            return cell(digits(found[0].wide, type.scale))
        case .number(let places): return number(string, places)
        default: return .null
        }
    }

    /// What stands between the places of `mark`, found from the left.
    private static func parts(_ text: [UInt8], _ mark: [UInt8]) -> [[UInt8]] {
        guard !mark.isEmpty else { return [text] }
        var parts: [[UInt8]] = [[]]
        var rest = text[...]
        while let byte = rest.first {
            if rest.starts(with: mark) {
                parts.append([])
                rest = rest.dropFirst(mark.count)
            } else {
                parts[parts.count - 1].append(byte)
                rest = rest.dropFirst()
            }
        }
        return parts
    }

    private static func digits(_ value: Int128, _ scale: Int) -> String {
        if scale == 0 { return "\(value)" }
        let (whole, part) = value.magnitude.quotientAndRemainder(dividingBy: power(scale).magnitude)
        return "\(value < 0 ? "-" : "")\(whole).\("\(power(scale) + Int128(part))".dropFirst())"
    }

    /// For texts of digits with at most one point and no exponent.
    private static func number(_ text: String, _ places: Int) -> Cell {
        let body = text.hasPrefix("-") ? text.dropFirst() : text[...]
        let parts = body.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2,
            parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy { "0123456789".contains($0) } })
        else {
            return .null
        }
        var fraction = parts.count == 2 ? String(parts[1]) : ""
        while fraction.count > places, fraction.hasSuffix("0") { fraction.removeLast() }
        guard fraction.count <= places, let value = Int128(parts[0] + fraction) else { return .null }
        let (exact, overflow) = (text.hasPrefix("-") ? -value : value)
            .multipliedReportingOverflow(by: power(places - fraction.count))
        if overflow { return .null }
        return Int64(exactly: exact).map { .number($0) } ?? .null
    }
}
