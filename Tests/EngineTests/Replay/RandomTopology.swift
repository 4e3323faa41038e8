import Base
import Engine
import Foundation
import Records
import Topology

/// A topology with several sources, steps of every kind, rules and sinks, and records for it, all from a
/// seed. Parts can be left out one by one, so that a failure can be made small.
struct RandomTopology {
    /// A step, rule or sink of the file.
    struct Part {
        enum Kind: String {
            case source = "sources"
            case step = "steps"
            case rule = "rules"
            case sink = "sinks"
        }

        var kind: Kind
        var name: String
        var text: String
        /// Names of sources and steps without which it makes no sense.
        var needs: [String]
    }

    private(set) var parts: [Part] = []
    private(set) var inputs: [(source: String, lines: [String])] = []
    private var random: SplitMix64
    /// By source or step: the fields that its readers see.
    private var fields: [String: [Field]] = [:]
    /// Those that can be read as records, and those with a window.
    private var relations: [String] = []
    private var windows: [(name: String, key: [String])] = []
    private var tables: [String] = []

    /// Some seeds that failed once did so without unions.
    private let hasUnions: Bool

    init(seed: UInt64, hasUnions: Bool = true) {
        self.hasUnions = hasUnions
        random = SplitMix64(seed: seed &* 0x9E37_79B9 &+ 11)
        let count = roll(3) + 1
        for index in 0..<count { addSource("in\(index)") }
        if chance(25) { addTable() }
        for index in 0..<(2 + roll(7)) { addStep("s\(index)") }
        for index in 0..<(1 + roll(5)) { addRule("r\(index)") }
        addSinks()
    }

    // MARK: Text

    var text: String { Self.text(parts) }

    static func text(_ parts: [Part]) -> String {
        var lines = ["topology: t", "latency: 1000d"]
        for kind in [Part.Kind.source, .step, .rule, .sink] {
            let own = parts.filter { $0.kind == kind }
            if own.isEmpty { continue }
            lines.append("\(kind.rawValue):")
            lines += own.map { "  \($0.name): \($0.text)" }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Without one part and all that need it.
    func without(_ part: Int) -> RandomTopology {
        var copy = self
        var gone: Set<String> = [parts[part].name]
        copy.parts.remove(at: part)
        // Parts need what stands before them.
        copy.parts.removeAll { part in
            guard part.needs.contains(where: { gone.contains($0) }) else { return false }
            gone.insert(part.name)
            return true
        }
        copy.inputs.removeAll { gone.contains($0.source) }
        return copy
    }

    func with(_ lines: [String], of input: Int) -> RandomTopology {
        var copy = self
        copy.inputs[input].lines = lines
        return copy
    }

    // MARK: Choices

    private mutating func roll(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }
    private mutating func chance(_ percent: Int) -> Bool { roll(100) < percent }
    private mutating func any<T>(_ all: [T]) -> T { all[roll(all.count)] }

    private static let sourceFields = [
        Field(name: "k", type: .text, isOptional: true), Field(name: "g", type: .text, isOptional: true),
        Field(name: "id", type: .int), Field(name: "v", type: .int, isOptional: true),
        Field(name: "amount", type: .decimal(scale: 2)), Field(name: "flag", type: .bool),
        Field(name: "note", type: .text, isOptional: true), Field(name: "at", type: .timestamp),
    ]

    // MARK: Sources

    private mutating func addSource(_ name: String) {
        var own = Self.sourceFields
        var schema = own.map { "\($0.name): \"\($0.type)\($0.isOptional ? "?" : "")\"" }
        if chance(20) {
            schema.append("w: { type: \"int?\", from: v * 4000000000 }")
            own.append(Field(name: "w", type: .int, isOptional: true))
        }
        let disorder = any([0, 1000, 5000, 30_000])
        parts.append(
            Part(
                kind: .source, name: name,
                text:
                    "{ kafka: { topic: \(name) }, time: { field: at, out_of_order: \(disorder)ms }, schema: { "
                    + schema.joined(separator: ", ") + " } }",
                needs: []))
        fields[name] = own
        relations.append(name)
        let gap = any([50, 500, 3000, 20_000])
        let shape = (gap: gap, disorder: disorder, keys: 1 + roll(6), spoiled: any([0, 0, 5, 20]))
        inputs.append((name, (0..<(20 + roll(120))).map { _ in "" }))
        var time = 1_700_000_000_000 + Int64(roll(60_000))
        for line in inputs[inputs.count - 1].lines.indices {
            time += Int64(roll(2 * shape.gap))
            if chance(1) { time += 600_000 }
            var at = time
            if shape.disorder > 0, chance(40) { at -= Int64(roll(shape.disorder)) }
            // Late.
            if chance(6) { at -= Int64(roll(120_000)) }
            inputs[inputs.count - 1].lines[line] = record(line, at, shape.keys, shape.spoiled)
        }
    }

    private mutating func record(_ id: Int, _ at: Int64, _ keys: Int, _ spoiled: Int) -> String {
        func text(_ value: String?) -> String { value.map { "\"\($0)\"" } ?? "null" }
        if chance(spoiled) {
            return any([
                "{", "[]", "{\"k\":\"a\"}", "{\"k\":1,\"at\":\(at)}",
                "{\"id\":\(id),\"amount\":1.001,\"flag\":true,\"at\":\(at)}",
            ])
        }
        let key = chance(max(3, spoiled)) ? nil : "k\(roll(keys))"
        let group = chance(max(3, spoiled)) ? nil : "g\(roll(3))"
        let value = chance(spoiled) ? "4000000000" : chance(5) ? "null" : "\(roll(20) - 5)"
        let note = chance(10) ? nil : any(["", "n", "a longer note \(id)", "\u{4e2d}\u{6587}\(id)"])
        return
            "{\"k\":\(text(key)),\"g\":\(text(group)),\"id\":\(id),\"v\":\(value),\"amount\":\(roll(1000)).\(roll(10)),"
            + "\"flag\":\(chance(50)),\"note\":\(text(note)),\"at\":\(at)}"
    }

    private mutating func addTable() {
        parts.append(
            Part(
                kind: .source, name: "tab",
                text: "{ kafka: { topic: tab }, time: { field: at }, table: { key: k, versions: 1d }, "
                    + "schema: { k: text, city: \"text?\", grade: \"int?\", at: timestamp } }",
                needs: []))
        tables.append("tab")
        var time: Int64 = 1_700_000_000_000
        var lines: [String] = []
        for id in 0..<(5 + roll(30)) {
            time += Int64(roll(20_000))
            let grade = chance(20) ? "null" : "\(roll(9))"
            lines.append("{\"k\":\"k\(roll(6))\",\"city\":\"city \(id)\",\"grade\":\(grade),\"at\":\(time)}")
        }
        inputs.append(("tab", lines))
    }

    // MARK: Steps

    private mutating func addStep(_ name: String) {
        for _ in 0..<8 {
            let before = random
            let (text, needs, isWindow, key) = step(name)
            // The reader of topologies knows which fields the step has.
            let part = Part(kind: .step, name: name, text: text, needs: needs)
            let probe = Part(
                kind: .sink, name: "probe", text: "{ kafka: { topic: probe }, from: \(name) }", needs: [])
            let all =
                parts + [part]
                + relations.filter { $0.hasPrefix("s") }.map {
                    Part(
                        kind: .sink, name: "p-\($0)", text: "{ kafka: { topic: p-\($0) }, from: \($0) }",
                        needs: [])
                }
            guard let spec = TopologyReader.read(Self.text(all + [probe]), file: "t.yaml").spec,
                let found = spec.steps.last(where: { $0.name == name })
            else {
                random = before
                _ = random.next()
                continue
            }
            parts.append(part)
            relations.append(name)
            if isWindow {
                windows.append((name, key))
                let times = ["window_start", "window_end", "window_time"].map {
                    Field(name: $0, type: .timestamp)
                }
                fields[name] =
                    found.key.map { found.schema.fields[$0] }
                    + found.outputs.map { Field(name: $0.name, type: $0.expression.type, isOptional: true) }
                    + times
            } else {
                fields[name] = found.schema.fields
            }
            return
        }
    }

    /// What stands behind the step's name, what it reads, and whether it has a window with which key.
    private mutating func step(_ name: String) -> (
        text: String, needs: [String], isWindow: Bool, key: [String]
    ) {
        // Later steps are read more: chains.
        let input =
            chance(50) ? relations[relations.count - 1 - roll(min(3, relations.count))] : any(relations)
        var needs = [input]
        var items: [String] = []
        var from = input
        let kind = roll(100)
        if kind < 12, hasUnions,
            let other = relations.first(where: { $0 != input && fields[$0] == fields[input] })
        {
            from = "[\(input), \(other)]"
            needs.append(other)
        }
        items.append("from: \(from)")
        var own = fields[input] ?? []
        if kind >= 88, let table = tables.first, let on = own.first(where: { $0.name == "k" }) {
            items.append("join: { table: \(table), on: \(on.name), kind: \(any(["left", "inner"])) }")
            own.append(Field(name: "tab.grade", type: .int))
            needs.append(table)
        }
        let condition = chance(30) ? condition(own) : nil
        if let condition { items.append("where: \(quoted(condition))") }
        if chance(30) {
            let derived = (0..<(1 + roll(2))).map { "\(name)f\($0): \(quoted(value(own)))" }
            items.append("fields: { \(derived.joined(separator: ", ")) }")
        }
        switch kind {
        case 12..<40:
            let key = key(own)
            items.append("key: \(list(key))")
            items.append("window: \(window())")
            items.append("aggregate: { \(aggregates(own)) }")
            return (braces(items), needs, true, key)
        case 40..<50:
            let other = any(relations)
            needs.append(other)
            let both = own.filter { field in
                fields[other]?.contains { $0.name == field.name && $0.type == field.type } ?? false
            }
            let on = both.filter { ["k", "g", "id"].contains($0.name) }.map(\.name)
            guard !on.isEmpty else { return ("{ }", needs, false, []) }
            items.append(
                "join: { stream: \(other), on: \(any(on)), within: \(any(["1s", "10s", "60s"])), kind: \(any(["left", "inner"])), as: j\(name) }"
            )
        case 50..<58:
            items.append("key: \(list(key(own)))")
            let within = "within: \(any(["5s", "30s"]))"
            let (a, b) = (self.condition(own), self.condition(own))
            items.append(
                "sequence: "
                    + any([
                        "{ repeat: \(quoted(a)), times: 2, \(within) }",
                        "{ first: \(quoted(a)), then: \(quoted(b)), \(within) }",
                        "{ first: \(quoted(a)), without: \(quoted(b)), \(within) }",
                    ]))
        case 58..<64:
            items.append("key: \(list(key(own)))")
            items.append("window: { gap: \(any(["3s", "15s"])), max: \(any(["20s", "60s"])) }")
            items.append("aggregate: { \(aggregates(own)) }")
        case 64..<70:
            items.append("key: \(list(key(own)))")
            let numbers = own.filter { $0.type == .int }
            guard !numbers.isEmpty else { return ("{ }", needs, false, []) }
            items.append("top: { count: \(1 + roll(3)), by: \(any(numbers).name) }")
        case 70..<76:
            items.append("deduplicate: { by: \(list(key(own))), within: \(any(["1s", "20s"])) }")
        case 76..<80:
            items.append("key: \(list(key(own)))")
            let texts = own.filter { $0.type == .text }
            guard !texts.isEmpty else { return ("{ }", needs, false, []) }
            items.append(
                "levels: { item: \(any(texts).name), active: \(quoted(self.condition(own))), weight: 1, expire: 60s, "
                    + "steps: { low: { at: 1, below: 1, hold: 5s }, high: { at: 3, below: 2, hold: 10s } } }")
        default:
            if chance(60) { items.append("key: \(list(key(own)))") }
        }
        return (braces(items), needs, false, [])
    }

    private func braces(_ items: [String]) -> String { "{ \(items.joined(separator: ", ")) }" }
    private func quoted(_ expression: String) -> String {
        "\"\(expression.replacingOccurrences(of: "\"", with: "\\\""))\""
    }
    private func list(_ names: [String]) -> String {
        names.count == 1 ? names[0] : "[\(names.joined(separator: ", "))]"
    }

    private mutating func key(_ own: [Field]) -> [String] {
        let usual = own.filter { ["k", "g"].contains($0.name) }
        if !usual.isEmpty, chance(85) { return chance(20) ? usual.map(\.name) : [any(usual).name] }
        return [any(own.filter { $0.type != .timestamp }).name]
    }

    private mutating func window() -> String {
        any([
            "{ size: 10s }", "{ size: 1s }", "{ size: 30s, slide: 10s }", "{ size: 60s, slide: 5s }",
            "{ size: 1d, zone: Asia/Shanghai }",
            "{ size: 20s, slide: 10s, until: previous }", "{ size: 1h }",
        ])
    }

    private mutating func aggregates(_ own: [Field]) -> String {
        var calls = ["n: count()"]
        let numbers = own.filter { $0.type == .int }.map(\.name)
        let texts = own.filter { $0.type == .text }.map(\.name)
        let truths = own.filter { $0.type == .bool }.map(\.name)
        if !numbers.isEmpty {
            if chance(60) { calls.append("s: sum(\(any(numbers)))") }
            if chance(30) { calls.append("hi: max(\(any(numbers)))") }
            if chance(30) { calls.append("lo: min(\(any(numbers)))") }
            if chance(15) { calls.append("a: avg(\(any(numbers)))") }
            if chance(10) { calls.append("q: quantile(\(any(numbers)), 0.9)") }
            if chance(10) { calls.append("b: sum(\(any(numbers)) * \(any(numbers)))") }
        }
        if !texts.isEmpty {
            if chance(40) { calls.append("fi: first(\(any(texts)))") }
            if chance(40) { calls.append("la: last(\(any(texts)))") }
            if chance(15) { calls.append("lt: min(\(any(texts)))") }
            if chance(15) { calls.append("gt: max(\(any(texts)))") }
            if chance(20) { calls.append("d: distinct(\(any(texts)))") }
        }
        if !truths.isEmpty, chance(30) { calls.append("y: count(\(any(truths)))") }
        return calls.joined(separator: ", ")
    }

    // MARK: Expressions

    private mutating func condition(_ own: [Field]) -> String {
        if chance(20) { return "\(simple(own)) \(any(["and", "or"])) \(simple(own))" }
        return simple(own)
    }

    private mutating func simple(_ own: [Field]) -> String {
        let field = any(own)
        switch field.type {
        case .int: return "\(field.name) \(any([">", "<", "==", ">="])) \(roll(8))"
        case .decimal: return "\(field.name) > \(roll(900)).50"
        case .bool: return chance(50) ? field.name : "not \(field.name)"
        case .text:
            return any([
                "\(field.name) is null", "\(field.name) == \"k1\"", "length(\(field.name)) > 1",
                "\(field.name) is not null",
            ])
        case .timestamp, .duration: return "\(field.name) is not null"
        }
    }

    private mutating func value(_ own: [Field]) -> String {
        let numbers = own.filter { $0.type == .int }.map(\.name)
        let texts = own.filter { $0.type == .text }.map(\.name)
        if !numbers.isEmpty, chance(60) {
            return "\(any(numbers)) \(any(["+", "*", "-", "%"])) \(any(numbers))"
        }
        if texts.isEmpty { return "1" }
        return chance(50) ? "concat(\(any(texts)), \"x\")" : "upper(\(any(texts)))"
    }

    // MARK: Rules and sinks

    private mutating func addRule(_ name: String) {
        for _ in 0..<6 {
            let before = random
            let (text, needs) = rule()
            let part = Part(kind: .rule, name: name, text: text, needs: needs)
            let sink = Part(kind: .sink, name: "probe", text: "{ kafka: { topic: probe } }", needs: [])
            if TopologyReader.read(Self.text(parts + [part, sink]), file: "t.yaml").spec != nil {
                parts.append(part)
                return
            }
            random = before
            _ = random.next()
        }
    }

    private mutating func rule() -> (text: String, needs: [String]) {
        let tail = "risk: r, severity: low"
        if let first = windows.isEmpty || chance(30) ? nil : any(windows) {
            let others = windows.filter { $0.name != first.name && $0.key == first.key }
            let at = chance(40) ? ", at: close" : ""
            if !others.isEmpty, chance(50) {
                let other = any(others)
                let clear = chance(50) ? ", clear: \(quoted("\(first.name).n < \(other.name).n"))" : ""
                return (
                    "{ on: { \(first.name), \(other.name) }, when: \(quoted("\(first.name).n > \(other.name).n"))\(clear)\(at), \(tail), "
                        + "message: \"{\(first.name).n} {\(other.name).n}\" }",
                    [first.name, other.name]
                )
            }
            let outputs = (fields[first.name] ?? []).filter {
                !$0.name.hasPrefix("window_") && !first.key.contains($0.name)
            }
            let clear = chance(50) ? ", clear: \(quoted(condition(outputs)))" : ""
            return (
                "{ on: \(first.name), when: \(quoted(condition(outputs)))\(clear)\(at), \(tail), message: \"{n}\" }",
                [first.name]
            )
        }
        let step = any(relations.filter { $0.hasPrefix("s") } + ["s0"])
        return (
            "{ on: \(step), when: \(quoted(condition(fields[step] ?? Self.sourceFields))), \(tail) }", [step]
        )
    }

    private mutating func addSinks() {
        let steps = parts.filter { $0.kind == .step }.map(\.name)
        let rules = parts.filter { $0.kind == .rule }.map(\.name)
        // One by one and together: an order among steps, and none.
        for step in steps where chance(60) {
            parts.append(
                Part(
                    kind: .sink, name: "of-\(step)", text: "{ kafka: { topic: of-\(step) }, from: \(step) }",
                    needs: [step]))
        }
        if !steps.isEmpty {
            let some = steps.filter { _ in chance(60) } + [any(steps)]
            var seen: Set<String> = []
            let from = some.shuffled(using: &random).filter { seen.insert($0).inserted }
            parts.append(
                Part(
                    kind: .sink, name: "many",
                    text: "{ kafka: { topic: many }, from: [\(from.joined(separator: ", "))] }", needs: from))
        }
        if !rules.isEmpty {
            parts.append(Part(kind: .sink, name: "alerts", text: "{ kafka: { topic: alerts } }", needs: []))
        }
    }
}
