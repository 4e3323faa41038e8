import Base
import Models
import Records
import Topology

/// A rule's condition, each of its parts with the value that it had for an alert, as far as the alert's
/// values say.
struct ConditionTree {
    private let rule: RuleSpec
    private let values: [String: String]

    init(rule: RuleSpec, values: [(name: String, node: DocumentNode)]) {
        self.rule = rule
        var texts: [String: String] = [:]
        for (name, node) in values {
            switch node.value {
            case .text(let text): texts[name] = text
            case .number(.numeral(let numeral)): texts[name] = numeral
            case .number(let number): texts[name] = number.integer.map { "\($0)" } ?? "\(number.double)"
            case .bool(let bool): texts[name] = bool ? "true" : "false"
            default: break
            }
        }
        self.values = texts
    }

    var json: Json { node(rule.when) }

    private func node(_ expression: Expression) -> Json {
        let text = expression.shown(rule.scope)
        func make(_ name: String, _ value: Bool?, _ children: [Json], _ more: [(String, Json)] = []) -> Json {
            .object(
                [
                    ("text", .text(text)), ("operator", .text(name)),
                    ("value", value.map { .text($0 ? "true" : "false") } ?? .null),
                ] + more
                    + [("children", .list(children))])
        }
        switch expression.node {
        case .binary(let kind, let left, let right):
            switch kind {
            case .and, .or:
                return make(kind.rawValue, truth(expression), parts(expression, kind).map(node))
            case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual:
                let (a, b) = (number(left), number(right))
                func side(_ expression: Expression, _ value: Exact?) -> Json {
                    .object([
                        ("text", .text(expression.shown(rule.scope))),
                        ("value", .optional(value?.text ?? self.text(expression))),
                    ])
                }
                var margin: Json = .null
                if let a, let b, let difference = a - b { margin = .text(difference.text) }
                return make(
                    kind.rawValue, truth(expression), [],
                    [("left", side(left, a)), ("right", side(right, b)), ("margin", margin)])
            default: return make(kind.rawValue, nil, [])
            }
        case .not(let inner): return make("not", truth(expression), [node(inner)])
        default: return make("value", truth(expression), [])
        }
    }

    private func parts(_ expression: Expression, _ kind: BinaryOperator) -> [Expression] {
        if case .binary(kind, let left, let right) = expression.node {
            return parts(left, kind) + parts(right, kind)
        }
        return [expression]
    }

    private func truth(_ expression: Expression) -> Bool? {
        switch expression.node {
        case .binary(.and, let a, let b):
            switch (truth(a), truth(b)) {
            case (false, _), (_, false): return false
            case (true, true): return true
            default: return nil
            }
        case .binary(.or, let a, let b):
            switch (truth(a), truth(b)) {
            case (true, _), (_, true): return true
            case (false, false): return false
            default: return nil
            }
        case .not(let inner): return truth(inner).map { !$0 }
        case .binary(let kind, let a, let b):
            if let x = number(a), let y = number(b), let difference = x - y {
                switch kind {
                case .equal: return difference.value == 0
                case .notEqual: return difference.value != 0
                case .less: return difference.value < 0
                case .lessOrEqual: return difference.value <= 0
                case .greater: return difference.value > 0
                case .greaterOrEqual: return difference.value >= 0
                default: return nil
                }
            }
            guard a.type == .text, let x = text(a), let y = text(b) else { return nil }
            return kind == .equal ? x == y : kind == .notEqual ? x != y : nil
        case .column: return text(expression).flatMap { $0 == "true" ? true : $0 == "false" ? false : nil }
        default: return nil
        }
    }

    private func text(_ expression: Expression) -> String? {
        guard case .column(let index) = expression.node, rule.scope.fields.indices.contains(index) else {
            if case .literal = expression.node {
                return expression.shown(rule.scope).split(separator: "\"").first.map(String.init)
            }
            return nil
        }
        return values[rule.scope.fields[index].name]
    }

    /// A number of any places; nil: not known, or not a number, or too large.
    private struct Exact {
        var value: Int128
        var scale: Int

        init(_ value: Int128, _ scale: Int) { (self.value, self.scale) = (value, scale) }

        init?(_ text: String) {
            let parts = text.split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count <= 2, let value = Int128(parts.joined()), text.utf8.count < 30 else {
                return nil
            }
            (self.value, scale) = (value, parts.count == 2 ? parts[1].count : 0)
        }

        var text: String {
            var digits = "\(value.magnitude)"
            while digits.count <= scale { digits = "0" + digits }
            let point = digits.index(digits.endIndex, offsetBy: -scale)
            return (value < 0 ? "-" : "") + digits[..<point] + (scale > 0 ? "." + digits[point...] : "")
        }

        private func scaled(_ other: Int) -> Int128? {
            var result = value
            for _ in scale..<max(scale, other) {
                let (next, isOver) = result.multipliedReportingOverflow(by: 10)
                if isOver { return nil }
                result = next
            }
            return result
        }

        static func combine(
            _ a: Exact, _ b: Exact, _ body: (Int128, Int128) -> (partialValue: Int128, overflow: Bool)
        ) -> Exact? {
            let scale = max(a.scale, b.scale)
            guard let x = a.scaled(scale), let y = b.scaled(scale) else { return nil }
            let (result, isOver) = body(x, y)
            return isOver ? nil : Exact(result, scale)
        }

        static func - (a: Exact, b: Exact) -> Exact? { combine(a, b) { $0.subtractingReportingOverflow($1) } }
    }

    private func number(_ expression: Expression) -> Exact? {
        guard expression.type.isNumber else { return nil }
        switch expression.node {
        case .column: return text(expression).flatMap { Exact($0) }
        case .literal: return Exact(expression.shown(rule.scope))
        case .negate(let inner): return number(inner).map { Exact(-$0.value, $0.scale) }
        case .binary(.add, let a, let b):
            guard let x = number(a), let y = number(b) else { return nil }
            return Exact.combine(x, y) { $0.addingReportingOverflow($1) }
        case .binary(.subtract, let a, let b):
            guard let x = number(a), let y = number(b) else { return nil }
            return x - y
        case .binary(.multiply, let a, let b):
            guard let x = number(a), let y = number(b) else { return nil }
            let (result, isOver) = x.value.multipliedReportingOverflow(by: y.value)
            return isOver ? nil : Exact(result, x.scale + y.scale)
        default: return nil
        }
    }
}

extension Expression {
    /// As a person would write it.
    fileprivate func shown(_ scope: Schema) -> String {
        func inner(_ expression: Expression) -> String {
            if case .binary = expression.node { return "(\(expression.shown(scope)))" }
            return expression.shown(scope)
        }
        switch node {
        case .literal(let value): return value.description
        case .column(let index): return scope.fields.indices.contains(index) ? scope.fields[index].name : "?"
        case .not(let operand): return "not \(inner(operand))"
        case .negate(let operand): return "-\(inner(operand))"
        case .binary(let kind, let left, let right):
            let isWord = kind == .and || kind == .or
            func side(_ expression: Expression) -> String {
                if case .binary(let own, _, _) = expression.node,
                    isWord ? own == .and || (own != .or) : own == .multiply || own == .divide
                {
                    return expression.shown(scope)
                }
                return inner(expression)
            }
            return "\(side(left)) \(kind.rawValue) \(side(right))"
        case .inList(let operand, let values):
            return "\(inner(operand)) in [\(values.map(\.description).joined(separator: ", "))]"
        case .inRange(let operand, let low, let high):
            return "\(inner(operand)) in \(low.shown(scope))..\(high.shown(scope))"
        case .isNull(let operand): return "\(inner(operand)) is null"
        case .conditional(let condition, let yes, let no):
            return "if \(condition.shown(scope)) then \(yes.shown(scope)) else \(no.shown(scope))"
        case .call(let function, let arguments):
            let name = "\(function)".prefix { $0 != "(" }
            return "\(name)(\(arguments.map { $0.shown(scope) }.joined(separator: ", ")))"
        }
    }
}
