import Base
import Records
import Topology

@testable import Operators

/// A generator that many hands share.
final class Dice {
    private var generator: SplitMix64
    init(seed: UInt64) { generator = SplitMix64(seed: seed) }
    func next() -> UInt64 { generator.next() }
}

extension RandomAccessCollection where Index == Int {
    func pick(_ dice: Dice) -> Element? {
        isEmpty ? nil : self[startIndex + Int(dice.next() % UInt64(count))]
    }
}

/// Columns of random values and the rows of them that take part.
final class Table {
    let columns: [Column]
    let arena = Arena(capacity: 1 << 16)
    let selected: [Int]
    private let selection: SelectionBuffer

    init(_ types: [ValueType], rows: Int, _ random: Dice) {
        columns = types.map { Column($0, capacity: rows) }
        for column in columns {
            for row in 0..<rows {
                // What stands behind a null is anything.
                let kind = random.next() % 6
                column.valid[row] = kind == 0 || kind == 1 ? 0 : 1
                column.values[row] = Self.value(column.type, arena, random)
            }
        }
        let share = random.next() % 4
        let chosen = (0..<rows).filter { _ in share == 0 || random.next() % 4 < share }
        selected = rows == 1 ? [0] : chosen
        selection = SelectionBuffer(capacity: rows)
        for (index, row) in selected.enumerated() { selection.rows[index] = Int32(row) }
        selection.count = selected.count
    }

    func run(_ program: Program) -> Column { program.run(columns, arena: arena, rows: selection.selection) }

    func run(_ condition: Condition) -> [Int] {
        let rows = condition.run(columns, arena: arena, rows: selection.selection)
        return rows.indices.map { rows[$0] }
    }

    func cells(_ row: Int) -> [Cell] { columns.map { cell($0, row, $0.type) } }

    func cell(_ column: Column, _ row: Int, _ type: ValueType) -> Cell {
        if column.valid[row] == 2 { return .overflow }
        if column.valid[row] == 0 { return .null }
        if type != .text { return .number(column.values[row]) }
        let text = TextReference(packed: column.values[row])
        return .text(Array(UnsafeBufferPointer(start: arena.base + text.offset, count: text.count)))
    }

    static let texts = [
        "", "a", "ab", "aB c", " x ", "é", "Ωmega", "🙂", "12.50", "-3", "0", "1.", "9223372036854775807",
        "1.005",
    ]

    static func value(_ type: ValueType, _ arena: Arena, _ random: Dice) -> Int64 {
        switch type {
        case .bool: Int64(random.next() % 2)
        case .text: arena.append(texts.pick(random) ?? "").packed
        default: number(random)
        }
    }

    static func number(_ random: Dice) -> Int64 {
        switch random.next() % 8 {
        case 0: [Int64.min, .min + 1, .max, .max - 1].pick(random) ?? 0
        case 1: Int64(bitPattern: random.next())
        case 2: Int64(bitPattern: random.next()) >> Int64(random.next() % 64)
        case 3: 0
        default: Int64(random.next() % 41) - 20
        }
    }
}

/// Typed expressions as the checker makes them.
enum RandomExpression {
    static func make(_ type: ValueType, depth: Int, _ types: [ValueType], _ random: Dice) -> Expression {
        let columns = types.indices.filter { types[$0] == type }
        if depth == 0 || random.next() % 8 == 0 {
            if let column = columns.pick(random), random.next() % 4 != 0 {
                return expression(.column(column), type)
            }
            return expression(.literal(literal(type, random)), type)
        }
        func any(_ type: ValueType) -> Expression { make(type, depth: depth - 1, types, random) }
        switch random.next() % 6 {
        case 0: return expression(.conditional(any(.bool), branch(type), branch(type)), type)
        case 1: return expression(.call(.coalesce, [branch(type), branch(type), branch(type)]), type)
        default: break
        }
        /// Numbers of a result may come from smaller scales.
        func branch(_ type: ValueType) -> Expression {
            guard case .decimal(let scale) = type, random.next() % 2 == 0 else { return any(type) }
            return any(.number(scale: [0, 2, 5].filter { $0 < scale }.pick(random) ?? 0))
        }
        switch type {
        case .bool: return condition(any, random)
        case .int: return whole(any, random)
        case .decimal(let scale): return decimal(scale, any, branch, random)
        case .text: return text(any, random)
        case .timestamp:
            return expression(
                .binary(random.next() % 2 == 0 ? .add : .subtract, any(.timestamp), any(.duration)), type)
        case .duration:
            switch random.next() % 8 {
            case 5: return expression(.binary(.multiply, any(.duration), any(.decimal(scale: 5))), type)
            case 6: return expression(.binary(.divide, any(.duration), any(.decimal(scale: 2))), type)
            case 7: return expression(.binary(.remainder, any(.duration), any(.duration)), type)
            case 0: return expression(.binary(.subtract, any(.timestamp), any(.timestamp)), type)
            case 1: return expression(.binary(.multiply, any(.duration), any(.int)), type)
            case 2: return expression(.binary(.divide, any(.duration), any(.int)), type)
            case 3: return expression(.call(.abs, [any(.duration)]), type)
            default: return expression(.binary(.add, any(.duration), any(.duration)), type)
            }
        }
    }

    private static func expression(_ node: Expression.Node, _ type: ValueType) -> Expression {
        Expression(node, type, at: Position(line: 1, column: 1))
    }

    private static func literal(_ type: ValueType, _ random: Dice) -> Value {
        if random.next() % 8 == 0 { return .null }
        return constant(type, random)
    }

    private static func constant(_ type: ValueType, _ random: Dice) -> Value {
        switch type {
        case .bool: .bool(random.next() % 2 == 0)
        case .text: .text(Table.texts.pick(random) ?? "")
        case .timestamp: .timestamp(Table.number(random))
        case .duration: .duration(Table.number(random))
        case .int, .decimal: .number(Table.number(random), scale: type.scale)
        }
    }

    private static let numbers: [ValueType] = [
        .int, .decimal(scale: 2), .decimal(scale: 5), .decimal(scale: 9),
    ]

    private static func condition(_ any: (ValueType) -> Expression, _ random: Dice) -> Expression {
        let comparisons: [BinaryOperator] = [
            .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual,
        ]
        let comparison = comparisons.pick(random) ?? .equal
        let number = numbers.pick(random) ?? .int
        let other = numbers.pick(random) ?? .int
        switch random.next() % 11 {
        case 0: return expression(.not(any(.bool)), .bool)
        case 1: return expression(.binary(.and, any(.bool), any(.bool)), .bool)
        case 2: return expression(.binary(.or, any(.bool), any(.bool)), .bool)
        case 3: return expression(.binary(comparison, any(number), any(other)), .bool)
        case 4: return expression(.binary(comparison, any(.text), any(.text)), .bool)
        case 5: return expression(.binary(comparison, any(.timestamp), any(.timestamp)), .bool)
        case 6: return expression(.inList(any(number), (0..<3).map { _ in constant(other, random) }), .bool)
        case 7: return expression(.inList(any(.text), (0..<3).map { _ in constant(.text, random) }), .bool)
        case 8: return expression(.inRange(any(number), any(other), any(number)), .bool)
        case 9: return expression(.isNull(any([number, .text, .bool].pick(random) ?? .bool)), .bool)
        default:
            let function = [Function.startsWith, .endsWith, .contains].pick(random) ?? .contains
            return expression(.call(function, [any(.text), any(.text)]), .bool)
        }
    }

    private static func whole(_ any: (ValueType) -> Expression, _ random: Dice) -> Expression {
        let number = numbers.pick(random) ?? .int
        let operation = [BinaryOperator.add, .subtract, .multiply, .remainder].pick(random) ?? .add
        switch random.next() % 9 {
        case 8: return expression(.call(.position, [any(.text), any(.text)]), .int)
        case 0: return expression(.call(.floor, [any(number)]), .int)
        case 1: return expression(.call(.ceil, [any(number)]), .int)
        case 2: return expression(.call(.length, [any(.text)]), .int)
        case 3:
            let unit = [Function.milliseconds, .seconds, .minutes, .hours].pick(random) ?? .hours
            return expression(.call(unit, [any(.duration)]), .int)
        case 4: return expression(.call(.round(places: 0), [any(number)]), .int)
        case 5: return expression(.negate(any(.int)), .int)
        case 6: return expression(.call(.number(scale: 0), [any(.text)]), .int)
        default: return expression(.binary(operation, any(.int), any(.int)), .int)
        }
    }

    private static func decimal(
        _ scale: Int,
        _ any: (ValueType) -> Expression,
        _ branch: (ValueType) -> Expression,
        _ random: Dice
    ) -> Expression {
        let type = ValueType.decimal(scale: scale)
        switch random.next() % 9 {
        case 8: return expression(.binary(.remainder, any(type), branch(type)), type)
        case 0: return expression(.binary(.add, any(type), branch(type)), type)
        case 1: return expression(.binary(.subtract, branch(type), any(type)), type)
        case 2: return expression(.binary(.multiply, any(type), any(.int)), type)
        case 3: return expression(.binary(.divide, any(type), any(.int)), type)
        case 4:
            let extreme: Function = random.next() % 2 == 0 ? .least : .greatest
            return expression(.call(extreme, [any(type), branch(type), branch(type)]), type)
        case 5:
            // Any other division has six places.
            let (a, b) = (numbers.pick(random) ?? .int, numbers[1 + Int(random.next() % 3)])
            let quotient = expression(.binary(.divide, any(a), any(b)), .decimal(scale: 6))
            return expression(.call(.round(places: scale), [quotient]), type)
        case 6: return expression(.call(.number(scale: scale), [any(.text)]), type)
        default: return expression(.call(.abs, [any(type)]), type)
        }
    }

    private static func text(_ any: (ValueType) -> Expression, _ random: Dice) -> Expression {
        switch random.next() % 9 {
        case 6: return expression(.call(.replace, [any(.text), any(.text), any(.text)]), .text)
        case 7:
            let place = expression(.literal(.number(Int64(random.next() % 4) - 1, scale: 0)), .int)
            return expression(.call(.split, [any(.text), any(.text), place]), .text)
        case 8:
            return expression(
                .call(random.next() % 2 == 0 ? .least : .greatest, [any(.text), any(.text), any(.text)]),
                .text)
        case 0: return expression(.call(.concat, [any(.text), any(.text)]), .text)
        case 1: return expression(.call(.lower, [any(.text)]), .text)
        case 2: return expression(.call(.upper, [any(.text)]), .text)
        case 3: return expression(.call(.trim, [any(.text)]), .text)
        case 4:
            let start = expression(.literal(.number(Int64(random.next() % 5), scale: 0)), .int)
            return expression(.call(.substring, [any(.text), start, any(.int)]), .text)
        default:
            let type = (numbers + [.bool, .text]).pick(random) ?? .int
            return expression(.call(.text, [any(type)]), .text)
        }
    }
}
