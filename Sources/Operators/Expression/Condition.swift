import Base
import Records
import Topology

/// A condition of which only the rows where it is true are wanted; false and null are the same. Its terms,
/// what `and` joins, run one after another, each on the rows that those before it left: most rules are false
/// nearly everywhere, so that all but the first cost nothing.
final class Condition {
    private enum Term {
        /// A column against a literal at the column's scale: compared and narrowed in one loop.
        case compare(column: Int, BinaryOperator, Int64)
        case program(Program)
    }

    private let terms: [Term]
    private let found: SelectionBuffer
    /// True if a number of some row did not fit in the last run; `overflowed` says which.
    private(set) var hasOverflowed = false
    /// The whole in one, which is needed only then.
    private lazy var whole = Program(expression, capacity: capacity, zones: zones)
    private let expression: Expression
    private let capacity: Int
    private let zones: ZoneTables

    init(_ expression: Expression, capacity: Int, zones: ZoneTables) {
        (self.expression, self.capacity, self.zones) = (expression, capacity, zones)
        let terms = Self.conjuncts(expression)
            .map { Self.comparison($0) ?? .program(Program($0, capacity: capacity, zones: zones)) }
        // The cheap ones first: no term has an effect, so their order does not matter.
        let isCheap = { (term: Term) in if case .compare = term { true } else { false } }
        self.terms = terms.filter(isCheap) + terms.filter { !isCheap($0) }
        found = SelectionBuffer(capacity: capacity)
    }

    /// The rows of `rows` where the condition is true; they stay as they are until the next run.
    func run(_ columns: [Column], arena: Arena, rows: Selection) -> Selection {
        hasOverflowed = false
        var left = rows
        for term in terms where left.count > 0 {
            switch term {
            case .compare(let column, let operation, let limit):
                compare(columns[column], operation, limit, left)
            case .program(let program):
                narrow(program.run(columns, arena: arena, rows: left), left) { $0 != 0 }
            }
            left = found.selection
        }
        return left
    }

    /// Those of `rows` of which it cannot be told whether the condition is true, since a number does not fit.
    func overflowed(_ columns: [Column], arena: Arena, rows: Selection) -> Set<Int> {
        let valid = whole.run(columns, arena: arena, rows: rows).valid
        return Set(rows.indices.lazy.map { rows[$0] }.filter { valid[$0] == 2 })
    }

    private func compare(_ column: Column, _ operation: BinaryOperator, _ limit: Int64, _ rows: Selection) {
        switch operation {
        case .equal: narrow(column, rows) { $0 == limit }
        case .notEqual: narrow(column, rows) { $0 != limit }
        case .less: narrow(column, rows) { $0 < limit }
        case .lessOrEqual: narrow(column, rows) { $0 <= limit }
        case .greater: narrow(column, rows) { $0 > limit }
        default: narrow(column, rows) { $0 >= limit }
        }
    }

    /// Writes every row and counts those that hold, without a branch. `rows` may be `found` itself: what is
    /// written lies behind what is still to be read.
    @inline(__always)
    private func narrow(_ column: Column, _ rows: Selection, _ holds: (Int64) -> Bool) {
        let (values, valid, out) = (column.values, column.valid, found.rows)
        var count = 0
        var states: UInt8 = 0
        for index in 0..<rows.count {
            let row = rows[index]
            states |= valid[row]
            out[count] = Int32(truncatingIfNeeded: row)
            // What stands behind a null may be anything, and is only compared.
            count += (valid[row] == 1) && holds(values[row]) ? 1 : 0
        }
        found.count = count
        if states & 2 != 0 { hasOverflowed = true }
    }

    // MARK: Compilation

    private static func conjuncts(_ expression: Expression) -> [Expression] {
        guard case .binary(.and, let left, let right) = expression.node else { return [expression] }
        return conjuncts(left) + conjuncts(right)
    }

    private static func comparison(_ expression: Expression) -> Term? {
        guard case .binary(let operation, let left, let right) = expression.node else { return nil }
        if case .column(let column) = left.node, let limit = limit(right, left.type) {
            return flipped(operation).map { _ in .compare(column: column, operation, limit) }
        }
        if case .column(let column) = right.node, let limit = limit(left, right.type) {
            return flipped(operation).map { .compare(column: column, $0, limit) }
        }
        return nil
    }

    /// A literal as a value of a column's type; nil if it has more decimals than the column or does not fit.
    private static func limit(_ expression: Expression, _ type: ValueType) -> Int64? {
        guard case .literal(let value) = expression.node else { return nil }
        switch value {
        case .number(let number, let scale):
            return scale <= type.scale ? Decimal.rescale(number, from: scale, to: type.scale) : nil
        case .timestamp(let number), .duration(let number): return number
        case .bool, .null, .text: return nil
        }
    }

    /// The comparison with its sides exchanged; nil if it is none.
    private static func flipped(_ operation: BinaryOperator) -> BinaryOperator? {
        switch operation {
        case .equal, .notEqual: operation
        case .less: .greater
        case .lessOrEqual: .greaterOrEqual
        case .greater: .less
        case .greaterOrEqual: .lessOrEqual
        default: nil
        }
    }
}
