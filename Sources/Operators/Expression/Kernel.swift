import Base
import Records
import Topology

/// One loop over columns. `valid` of the result: 1 a value, 0 null, 2 a number that did not fit. What reads
/// one that did not fit does not fit either, whatever it would make of a null, unless the result does not
/// depend on it: an `and` of which another part is false, an `or` of which another is true, a branch that is
/// not taken.
enum Kernel {
    case not, negate, isNull, abs
    case and, or
    case compare(BinaryOperator, ScalePair)
    case compareText(BinaryOperator)
    case add(ScalePair)
    case subtract(ScalePair)
    case multiply
    case divide(shift: Int)
    case remainder(ScalePair)
    /// The product without so many places.
    case multiplyRounded(Int)
    case inNumbers([Int64])
    case inTexts([[UInt8]])
    case inRange(ScalePair, ScalePair)
    /// Factors that bring both branches to the scale of the result.
    case conditional(Int64, Int64)
    case extreme([Int64], isLeast: Bool)
    case coalesce([Int64])
    case round(from: Int, to: Int)
    case floor(scale: Int)
    case ceil(scale: Int)
    case length, lower, upper, trim, startsWith, endsWith, contains, substring, concat
    case replace, split, position
    case extremeText(isLeast: Bool)
    case matches(PatternMatcher)
    case extract(PatternMatcher, group: Int)
    case rounded(RoundedFunction, scale: Int, places: Int)
    case power(scale: Int, exponentScale: Int, places: Int)
    /// The scales of latitude, longitude, latitude, longitude.
    case distance([Int])
    case text(ValueType)
    case parseNumber(scale: Int)
    case timePart(TimePart, TimeZoneTable)
    case date(TimeZoneTable)
    case parseTime(TimeProgram, TimeZoneTable?)
    case timeText(TimePattern, TimeZoneTable)
    case durationIn(Int64)

    enum TimePart {
        case hour, minute, second, weekday, day, week, month, quarter, year, startOfDay, startOfWeek,
            startOfMonth
    }
    enum RoundedFunction { case squareRoot, ln, log10, exp }
}

/// The two states of `valid` that are not a value: plain null and overflow, which wins.
@inline(__always)
func both(_ a: UInt8, _ b: UInt8) -> UInt8 { a & b & 1 != 0 ? 1 : (a | b) & 2 }

/// True if all operands of a row have a value; else the state of the result is set.
@inline(__always)
func haveValues(_ operands: [Column], _ row: Int, else output: Column) -> Bool {
    let state = operands.reduce(1) { both($0, $1.valid[row]) }
    if state != 1 { output.valid[row] = state }
    return state == 1
}

extension Kernel {
    /// False if it fits wherever its operands do.
    var mayOverflow: Bool {
        switch self {
        case .negate, .abs, .add, .subtract, .multiply, .divide, .round, .concat, .timePart, .date, .timeText,
            .multiplyRounded, .replace, .rounded, .power:
            true
        case .conditional(let yes, let no): yes != 1 || no != 1
        case .extreme(let factors, _), .coalesce(let factors): factors.contains { $0 != 1 }
        default: false
        }
    }

    func run(_ a: Column, into output: Column, arena: Arena, rows: Selection) {
        switch self {
        case .not: map(a, output, rows) { ($0 ^ 1, 1) }
        case .negate:
            map(a, output, rows) {
                let (value, overflow) = Int64(0).subtractingReportingOverflow($0)
                return (value, overflow ? 2 : 1)
            }
        case .abs:
            map(a, output, rows) { $0 == .min ? (0, 2) : (Swift.abs($0), 1) }
        case .isNull:
            for index in 0..<rows.count {
                let row = rows[index]
                output.values[row] = a.valid[row] == 1 ? 0 : 1
                output.valid[row] = a.valid[row] == 2 ? 2 : 1
            }
        case .inNumbers(let members):
            members.withUnsafeBufferPointer { members in
                map(a, output, rows) { value in (members.contains(value) ? 1 : 0, 1) }
            }
        case .round(let from, let to):
            map(a, output, rows) {
                guard let value = Decimal.rescale($0, from: from, to: to) else { return (0, 2) }
                return (value, 1)
            }
        case .floor(let scale):
            let unit = Decimal.powerOfTen(scale)
            map(a, output, rows) { (floorDivide($0, unit), 1) }
        case .ceil(let scale):
            let unit = Decimal.powerOfTen(scale)
            map(a, output, rows) { (floorDivide($0, unit) + ($0 % unit == 0 ? 0 : 1), 1) }
        case .durationIn(let unit): map(a, output, rows) { (floorDivide($0, unit), 1) }
        case .timePart(let part, let zone): timePart(part, zone, a, output, rows)
        case .rounded(let function, let scale, let places): rounded(function, scale, places, a, output, rows)
        case .inTexts, .length, .lower, .upper, .trim, .text, .parseNumber, .date, .parseTime, .timeText,
            .matches, .extract:
            runText(a, into: output, arena: arena, rows: rows)
        case .extreme, .coalesce, .concat:
            run([a], into: output, arena: arena, rows: rows)
        default: unreachable("kernel \(self) with one operand")
        }
    }

    func run(_ a: Column, _ b: Column, into output: Column, arena: Arena, rows: Selection) {
        switch self {
        case .and: and(a, b, output, rows)
        case .or: or(a, b, output, rows)
        case .compare(let operation, let scales): compare(operation, scales, a, b, output, rows)
        case .add(let scales):
            arithmetic(a, b, output, rows, scales, { $0.addingReportingOverflow($1) }, { $0 + $1 })
        case .subtract(let scales):
            arithmetic(a, b, output, rows, scales, { $0.subtractingReportingOverflow($1) }, { $0 - $1 })
        case .multiply:
            map(a, b, output, rows) {
                let (value, overflow) = $0.multipliedReportingOverflow(by: $1)
                return (value, overflow ? 2 : 1)
            }
        case .divide(let shift):
            let up = Int128(Decimal.powerOfTen(max(0, shift)))
            let down = Int128(Decimal.powerOfTen(max(0, -shift)))
            map(a, b, output, rows) {
                if $1 == 0 { return (0, 0) }
                let quotient = Decimal.divideHalfEven(Int128($0) * up, Int128($1) * down)
                guard let value = Int64(exactly: quotient) else { return (0, 2) }
                return (value, 1)
            }
        case .multiplyRounded(let places):
            let unit = Int128(Decimal.powerOfTen(places))
            map(a, b, output, rows) {
                guard let value = Int64(exactly: Decimal.divideHalfEven(Int128($0) * Int128($1), unit)) else {
                    return (0, 2)
                }
                return (value, 1)
            }
        case .remainder(let scales) where scales.isSame:
            map(a, b, output, rows) {
                if $1 == 0 { return (0, 0) }
                // Int64.min % -1 would trap.
                return ($1 == -1 ? 0 : $0 % $1, 1)
            }
        case .remainder(let scales):
            // It is less than both, of which one has its scale: it fits.
            let (left, right) = (Int128(scales.left), Int128(scales.right))
            map(a, b, output, rows) {
                $1 == 0 ? (0, 0) : (Int64(truncatingIfNeeded: (Int128($0) * left) % (Int128($1) * right)), 1)
            }
        case .power(let scale, let exponentScale, let places):
            map(a, b, output, rows) {
                Self.state(
                    DecimalFunctions.power($0, scale: scale, $1, exponentScale: exponentScale, places: places)
                )
            }
        case .compareText, .startsWith, .endsWith, .contains, .position:
            runText(a, b, into: output, arena: arena, rows: rows)
        default: run([a, b], into: output, arena: arena, rows: rows)
        }
    }

    func run(_ operands: [Column], into output: Column, arena: Arena, rows: Selection) {
        switch self {
        case .inRange(let low, let high):
            let (a, lower, upper) = (operands[0], operands[1], operands[2])
            for index in 0..<rows.count {
                let row = rows[index]
                // As `x >= low and x <= high`: outside of one end it is false, whatever the other is.
                let value = Int128(a.values[row])
                let above = both(a.valid[row], lower.valid[row])
                let below = both(a.valid[row], upper.valid[row])
                let isBelow = Int128(lower.values[row]) * Int128(low.right) > value * Int128(low.left)
                let isAbove = value * Int128(high.left) > Int128(upper.values[row]) * Int128(high.right)
                let isOutside = (above == 1 && isBelow) || (below == 1 && isAbove)
                output.values[row] = isOutside ? 0 : 1
                output.valid[row] = isOutside ? 1 : both(above, below)
            }
        case .conditional(let yesFactor, let noFactor):
            let (condition, yes, no) = (operands[0], operands[1], operands[2])
            for index in 0..<rows.count {
                let row = rows[index]
                let isYes = condition.valid[row] == 1 && condition.values[row] != 0
                let branch = isYes ? yes : no
                let (value, overflow) = branch.values[row]
                    .multipliedReportingOverflow(by: isYes ? yesFactor : noFactor)
                let state = condition.valid[row] == 2 ? 2 : branch.valid[row]
                output.values[row] = value
                output.valid[row] = state == 1 && overflow ? 2 : state
            }
        case .extreme(let factors, let isLeast):
            extreme(operands, factors, isLeast: isLeast, output, rows)
        case .coalesce(let factors):
            for index in 0..<rows.count {
                let row = rows[index]
                output.valid[row] = 0
                for (operand, factor) in zip(operands, factors) where operand.valid[row] != 0 {
                    let (value, overflow) = operand.values[row].multipliedReportingOverflow(by: factor)
                    output.values[row] = value
                    output.valid[row] = overflow ? 2 : operand.valid[row]
                    break
                }
            }
        case .distance(let scales): distance(operands, scales, output, rows)
        case .substring, .concat, .replace, .split, .extremeText:
            runText(operands, into: output, arena: arena, rows: rows)
        default: unreachable("kernel \(self) with \(operands.count) operands")
        }
    }

    static func state(_ result: DecimalFunctions.Result) -> (Int64, UInt8) {
        switch result {
        case .value(let value): (value, 1)
        case .none: (0, 0)
        case .overflow: (0, 2)
        }
    }

    private func rounded(
        _ function: RoundedFunction, _ scale: Int, _ places: Int, _ a: Column, _ output: Column,
        _ rows: Selection
    ) {
        map(a, output, rows) { value in
            switch function {
            case .squareRoot: Self.state(DecimalFunctions.squareRoot(value, scale: scale, places: places))
            case .ln: Self.state(DecimalFunctions.ln(value, scale: scale, places: places))
            case .log10: Self.state(DecimalFunctions.log10(value, scale: scale, places: places))
            case .exp: Self.state(DecimalFunctions.exp(value, scale: scale, places: places))
            }
        }
    }

    private func distance(_ operands: [Column], _ scales: [Int], _ output: Column, _ rows: Selection) {
        for index in 0..<rows.count {
            let row = rows[index]
            guard haveValues(operands, row, else: output) else { continue }
            (output.values[row], output.valid[row]) = Self.state(
                DecimalFunctions.distance(
                    latitude: (operands[0].values[row], operands[2].values[row]),
                    longitude: (operands[1].values[row], operands[3].values[row]),
                    scales: ((scales[0], scales[2]), (scales[1], scales[3]))))
        }
    }

    // MARK: Loops

    @inline(__always)
    func map(_ a: Column, _ output: Column, _ rows: Selection, _ body: (Int64) -> (Int64, UInt8)) {
        let (values, valid) = (a.values, a.valid)
        let (out, outValid) = (output.values, output.valid)
        for index in 0..<rows.count {
            let row = rows[index]
            let state = valid[row]
            if state == 1 {
                let (value, valid) = body(values[row])
                out[row] = value
                outValid[row] = valid
            } else {
                outValid[row] = state
            }
        }
    }

    @inline(__always)
    func map(
        _ a: Column,
        _ b: Column,
        _ output: Column,
        _ rows: Selection,
        _ body: (Int64, Int64) -> (Int64, UInt8)
    ) {
        let (aValues, aValid) = (a.values, a.valid)
        let (bValues, bValid) = (b.values, b.valid)
        let (out, outValid) = (output.values, output.valid)
        for index in 0..<rows.count {
            let row = rows[index]
            let state = both(aValid[row], bValid[row])
            if state == 1 {
                let (value, valid) = body(aValues[row], bValues[row])
                out[row] = value
                outValid[row] = valid
            } else {
                outValid[row] = state
            }
        }
    }

    @inline(__always)
    private func arithmetic(
        _ a: Column,
        _ b: Column,
        _ output: Column,
        _ rows: Selection,
        _ scales: ScalePair,
        _ narrow: (Int64, Int64) -> (partialValue: Int64, overflow: Bool),
        _ wide: (Int128, Int128) -> Int128
    ) {
        if scales.isSame {
            map(a, b, output, rows) { x, y in
                let (value, overflow) = narrow(x, y)
                return (value, overflow ? 2 : 1)
            }
            return
        }
        // 128 bits: an operand may not fit at the common scale where the result does.
        let (left, right) = (Int128(scales.left), Int128(scales.right))
        map(a, b, output, rows) { x, y in
            guard let value = Int64(exactly: wide(Int128(x) * left, Int128(y) * right)) else { return (0, 2) }
            return (value, 1)
        }
    }

    private func compare(
        _ operation: BinaryOperator,
        _ scales: ScalePair,
        _ a: Column,
        _ b: Column,
        _ output: Column,
        _ rows: Selection
    ) {
        if scales.isSame {
            switch operation {
            case .equal: map(a, b, output, rows) { ($0 == $1 ? 1 : 0, 1) }
            case .notEqual: map(a, b, output, rows) { ($0 != $1 ? 1 : 0, 1) }
            case .less: map(a, b, output, rows) { ($0 < $1 ? 1 : 0, 1) }
            case .lessOrEqual: map(a, b, output, rows) { ($0 <= $1 ? 1 : 0, 1) }
            case .greater: map(a, b, output, rows) { ($0 > $1 ? 1 : 0, 1) }
            default: map(a, b, output, rows) { ($0 >= $1 ? 1 : 0, 1) }
            }
            return
        }
        // 128 bits, so that two numbers of different scale always compare.
        let (left, right) = (scales.left, scales.right)
        map(a, b, output, rows) { x, y in
            let (scaledX, scaledY) = (Int128(x) * Int128(left), Int128(y) * Int128(right))
            let order = scaledX < scaledY ? -1 : (scaledX == scaledY ? 0 : 1)
            return (holds(operation, order) ? 1 : 0, 1)
        }
    }

    /// Three-valued: false wins over null.
    private func and(_ a: Column, _ b: Column, _ output: Column, _ rows: Selection) {
        for index in 0..<rows.count {
            let row = rows[index]
            let isFalse =
                (a.valid[row] == 1 && a.values[row] == 0) || (b.valid[row] == 1 && b.values[row] == 0)
            let state = both(a.valid[row], b.valid[row])
            output.values[row] = isFalse ? 0 : 1
            output.valid[row] = isFalse ? 1 : state
        }
    }

    /// Three-valued: true wins over null.
    private func or(_ a: Column, _ b: Column, _ output: Column, _ rows: Selection) {
        for index in 0..<rows.count {
            let row = rows[index]
            let isTrue =
                (a.valid[row] == 1 && a.values[row] != 0) || (b.valid[row] == 1 && b.values[row] != 0)
            let state = both(a.valid[row], b.valid[row])
            output.values[row] = isTrue ? 1 : 0
            output.valid[row] = isTrue ? 1 : state
        }
    }

    private func extreme(
        _ operands: [Column],
        _ factors: [Int64],
        isLeast: Bool,
        _ output: Column,
        _ rows: Selection
    ) {
        for index in 0..<rows.count {
            let row = rows[index]
            var state: UInt8 = 1
            var best: Int128 = 0
            for (position, operand) in operands.enumerated() {
                state = both(state, operand.valid[row])
                // 128 bits: only the one that wins must fit, and what stands behind a null is anything.
                let value = Int128(operand.values[row]) * Int128(factors[position])
                if position == 0 || (isLeast ? value < best : value > best) { best = value }
            }
            output.values[row] = Int64(truncatingIfNeeded: best)
            output.valid[row] = state == 1 && Int64(exactly: best) == nil ? 2 : state
        }
    }
}

/// Whether `operation` holds for operands that compare as `order` (-1, 0, 1).
@inline(__always)
func holds(_ operation: BinaryOperator, _ order: Int) -> Bool {
    switch operation {
    case .equal: order == 0
    case .notEqual: order != 0
    case .less: order < 0
    case .lessOrEqual: order <= 0
    case .greater: order > 0
    default: order >= 0
    }
}
