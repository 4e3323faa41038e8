import Base
import Records
import Topology

/// An expression compiled to a list of loops over columns. Each instruction is one kernel that runs over
/// the whole selection, so the cost of choosing it is paid once a batch.
///
/// A value that does not fit in 64 bits is marked as overflowed (`valid` is 2), so that a record can be
/// refused for it; `Kernel` says what reads it.
final class Program {
    enum Operand {
        /// A column of the scope.
        case input(Int)
        case register(Int)
    }

    /// An object, since a kernel has parts that would be counted each time that it is copied.
    final class Instruction {
        let kernel: Kernel
        let operands: [Operand]
        let output: Column

        init(kernel: Kernel, operands: [Operand], output: Column) {
            (self.kernel, self.operands, self.output) = (kernel, operands, output)
        }
    }

    let type: ValueType
    private(set) var instructions: [Instruction] = []
    private(set) var registers: [Column] = []
    private(set) var result = Operand.input(0)
    /// Literal texts: their register is pointed at the batch's arena when the program runs.
    private var literals: [(register: Int, text: String)] = []
    private var free: [Int] = []
    private let capacity: Int
    private let zones: ZoneTables

    /// `scope[i]` is the type of the expression's column i.
    init(_ expression: Expression, capacity: Int, zones: ZoneTables) {
        type = expression.type
        self.capacity = capacity
        self.zones = zones
        result = compile(expression)
    }

    /// True if the program computes nothing: its result is a column as it is.
    var isColumn: Bool { instructions.isEmpty && literals.isEmpty }

    /// False if its result fits wherever the columns do.
    var mayOverflow: Bool { instructions.contains { $0.kernel.mayOverflow } }

    /// Runs over `rows` and returns the column that holds the result there. The column stays as it is
    /// until the next run.
    func run(_ columns: [Column], arena: Arena, rows: Selection) -> Column {
        if rows.count == 0 { return resolve(result, columns) }
        for (register, text) in literals {
            let reference = arena.append(text)
            let values = registers[register].values
            for index in 0..<rows.count { values[rows[index]] = reference.packed }
        }
        for instruction in instructions {
            let (operands, output) = (instruction.operands, instruction.output)
            switch operands.count {
            case 1:
                instruction.kernel.run(resolve(operands[0], columns), into: output, arena: arena, rows: rows)
            case 2:
                instruction.kernel.run(
                    resolve(operands[0], columns),
                    resolve(operands[1], columns),
                    into: output,
                    arena: arena,
                    rows: rows
                )
            default:
                instruction.kernel.run(
                    operands.map { resolve($0, columns) },
                    into: output,
                    arena: arena,
                    rows: rows
                )
            }
        }
        return resolve(result, columns)
    }

    /// The column that `run` will return for these columns: it is the same one every time.
    func resultColumn(_ columns: [Column]) -> Column { resolve(result, columns) }

    private func resolve(_ operand: Operand, _ columns: [Column]) -> Column {
        switch operand {
        case .input(let index): columns[index]
        case .register(let index): registers[index]
        }
    }

    // MARK: Compilation

    private func compile(_ expression: Expression) -> Operand {
        switch expression.node {
        case .column(let index):
            return .input(index)
        case .literal(let value):
            return literal(value, expression.type)
        case .not(let operand):
            return emit(.not, [operand], expression.type)
        case .negate(let operand):
            return emit(.negate, [operand], expression.type)
        case .isNull(let operand):
            return emit(.isNull, [operand], expression.type)
        case .binary(let operation, let left, let right):
            return emit(
                binary(operation, left.type, right.type, expression.type), [left, right], expression.type)
        case .inList(let operand, let members):
            return emit(membership(members, operand.type), [operand], expression.type)
        case .inRange(let operand, let low, let high):
            let kernel = Kernel.inRange(ScalePair(operand.type, low.type), ScalePair(operand.type, high.type))
            return emit(kernel, [operand, low, high], expression.type)
        case .conditional(let condition, let yes, let no):
            return emit(
                .conditional(rescale(yes.type, expression.type), rescale(no.type, expression.type)),
                [condition, yes, no],
                expression.type
            )
        case .call(let function, let arguments):
            return call(function, arguments, expression.type)
        }
    }

    private func literal(_ value: Value, _ type: ValueType) -> Operand {
        let register = allocate(type, isConstant: true)
        let column = registers[register]
        column.valid.update(repeating: 1, count: capacity)
        switch value {
        case .null: column.valid.update(repeating: 0, count: capacity)
        case .bool(let truth): column.values.update(repeating: truth ? 1 : 0, count: capacity)
        case .number(let number, let scale):
            let scaled = Decimal.rescale(number, from: scale, to: type.scale)
            require(scaled != nil, "literal does not fit its type")
            column.values.update(repeating: scaled ?? 0, count: capacity)
        case .timestamp(let number), .duration(let number):
            column.values.update(repeating: number, count: capacity)
        case .text(let text): literals.append((register, text))
        }
        return .register(register)
    }

    private func emit(_ kernel: Kernel, _ operands: [Expression], _ type: ValueType) -> Operand {
        emit(kernel, operands.map(compile), type)
    }

    private func emit(_ kernel: Kernel, _ operands: [Operand], _ type: ValueType) -> Operand {
        let output = allocate(type, isConstant: false)
        instructions.append(Instruction(kernel: kernel, operands: operands, output: registers[output]))
        for case .register(let register) in operands where !constants.contains(register) {
            free.append(register)
        }
        return .register(output)
    }

    private var constants: Set<Int> = []

    /// A register that no later instruction still reads. The output of an instruction is allocated before
    /// its operands are freed, so a kernel never writes what it reads.
    private func allocate(_ type: ValueType, isConstant: Bool) -> Int {
        if !isConstant, let index = free.firstIndex(where: { registers[$0].type == type }) {
            return free.remove(at: index)
        }
        registers.append(Column(type, capacity: capacity))
        if isConstant { constants.insert(registers.count - 1) }
        return registers.count - 1
    }

    private func binary(_ operation: BinaryOperator, _ left: ValueType, _ right: ValueType, _ type: ValueType)
        -> Kernel
    {
        switch operation {
        case .and: .and
        case .or: .or
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual:
            left == .text ? .compareText(operation) : .compare(operation, ScalePair(left, right))
        case .add: .add(ScalePair(left, right))
        case .subtract: .subtract(ScalePair(left, right))
        case .multiply:
            // Of a duration and a decimal the places are rounded off.
            type == .duration && left.scale + right.scale > 0
                ? .multiplyRounded(left.scale + right.scale) : .multiply
        case .divide:
            // numerator x 10^up / (denominator x 10^down) has the scale of the result.
            .divide(shift: type.scale + right.scale - left.scale)
        case .remainder: .remainder(ScalePair(left, right))
        }
    }

    private func rescale(_ from: ValueType, _ to: ValueType) -> Int64 {
        Decimal.powerOfTen(max(0, to.scale - from.scale))
    }

    private func membership(_ members: [Value], _ type: ValueType) -> Kernel {
        if type == .text {
            return .inTexts(
                members.compactMap { if case .text(let text) = $0 { Array(text.utf8) } else { nil } }
            )
        }
        let numbers = members.compactMap { member -> Int64? in
            switch member {
            case .number(let number, let scale):
                // A member with more places than the column has equals none of its values, unless they are
                // zeros.
                guard scale > type.scale else { return Decimal.rescale(number, from: scale, to: type.scale) }
                let factor = Decimal.powerOfTen(scale - type.scale)
                return number % factor == 0 ? number / factor : nil
            case .bool(let truth): return truth ? 1 : 0
            case .timestamp(let number), .duration(let number): return number
            case .null, .text: return nil
            }
        }
        return .inNumbers(numbers)
    }

    private func call(_ function: Function, _ arguments: [Expression], _ type: ValueType) -> Operand {
        let kernel: Kernel
        switch function {
        case .abs: kernel = .abs
        case .least where type == .text: kernel = .extremeText(isLeast: true)
        case .greatest where type == .text: kernel = .extremeText(isLeast: false)
        case .least: kernel = .extreme(arguments.map { rescale($0.type, type) }, isLeast: true)
        case .greatest: kernel = .extreme(arguments.map { rescale($0.type, type) }, isLeast: false)
        case .coalesce: kernel = .coalesce(arguments.map { rescale($0.type, type) })
        case .round(let places): kernel = .round(from: arguments[0].type.scale, to: places)
        case .floor: kernel = .floor(scale: arguments[0].type.scale)
        case .ceil: kernel = .ceil(scale: arguments[0].type.scale)
        case .length: kernel = .length
        case .lower: kernel = .lower
        case .upper: kernel = .upper
        case .trim: kernel = .trim
        case .startsWith: kernel = .startsWith
        case .endsWith: kernel = .endsWith
        case .contains: kernel = .contains
        case .substring: kernel = .substring
        case .concat: kernel = .concat
        case .replace: kernel = .replace
        case .split: kernel = .split
        case .position: kernel = .position
        case .matches(let pattern): kernel = .matches(PatternMatcher(pattern))
        case .extract(let pattern): kernel = .extract(PatternMatcher(pattern), group: pattern.groupCount)
        case .squareRoot(let places):
            kernel = .rounded(.squareRoot, scale: arguments[0].type.scale, places: places)
        case .naturalLogarithm(let places):
            kernel = .rounded(.ln, scale: arguments[0].type.scale, places: places)
        case .decimalLogarithm(let places):
            kernel = .rounded(.log10, scale: arguments[0].type.scale, places: places)
        case .exponential(let places): kernel = .rounded(.exp, scale: arguments[0].type.scale, places: places)
        case .power(let places):
            kernel = .power(
                scale: arguments[0].type.scale, exponentScale: arguments[1].type.scale, places: places)
        case .distance: kernel = .distance(arguments.map { $0.type.scale })
        case .text: kernel = .text(arguments[0].type)
        case .number(let scale): kernel = .parseNumber(scale: scale)
        case .timestamp(let patterns, let zone):
            let (program, zone) = (TimeProgram(patterns), zone.map { zones[$0] })
            if case .literal(.text(let text)) = arguments[0].node {
                let time = text.utf8.withContiguousStorageIfAvailable { bytes in
                    bytes.baseAddress.flatMap { readTime(program, zone, $0, bytes.count) }
                }
                return literal((time ?? nil).map { .timestamp($0) } ?? .null, type)
            }
            kernel = .parseTime(program, zone)
        case .timeText(let pattern, let zone): kernel = .timeText(pattern, zones[zone])
        case .hour(let zone): kernel = .timePart(.hour, zones[zone])
        case .minute(let zone): kernel = .timePart(.minute, zones[zone])
        case .weekday(let zone): kernel = .timePart(.weekday, zones[zone])
        case .day(let zone): kernel = .timePart(.day, zones[zone])
        case .month(let zone): kernel = .timePart(.month, zones[zone])
        case .year(let zone): kernel = .timePart(.year, zones[zone])
        case .second(let zone): kernel = .timePart(.second, zones[zone])
        case .week(let zone): kernel = .timePart(.week, zones[zone])
        case .quarter(let zone): kernel = .timePart(.quarter, zones[zone])
        case .startOfWeek(let zone): kernel = .timePart(.startOfWeek, zones[zone])
        case .startOfMonth(let zone): kernel = .timePart(.startOfMonth, zones[zone])
        case .startOfDay(let zone): kernel = .timePart(.startOfDay, zones[zone])
        case .date(let zone): kernel = .date(zones[zone])
        case .milliseconds: kernel = .durationIn(1)
        case .seconds: kernel = .durationIn(1000)
        case .minutes: kernel = .durationIn(60_000)
        case .hours: kernel = .durationIn(3_600_000)
        }
        return emit(kernel, arguments, type)
    }
}

/// What brings two numbers to one scale: each is multiplied by its factor.
struct ScalePair {
    var left: Int64 = 1
    var right: Int64 = 1

    init(_ left: ValueType, _ right: ValueType) {
        let scale = max(left.scale, right.scale)
        self.left = Decimal.powerOfTen(scale - left.scale)
        self.right = Decimal.powerOfTen(scale - right.scale)
    }

    var isSame: Bool { left == 1 && right == 1 }
}
