import Base
import Engine
import Topology

/// A topology's parameters as a form shows them, read from its text.
package struct ParameterList: Sendable {
    package struct Parameter: Sendable {
        package var name: String
        package var value: String
        package var standard: String
        package var description: String?
        package var limits: [String: String] = [:]
        /// By language.
        package var labels: [String: String] = [:]
        package var position: Position
        package var rules: [String] = []
        /// No step uses it.
        package var isHot = true

        var type: String {
            if value == "true" || value == "false" { return "boolean" }
            if Int64(value) != nil { return "integer" }
            if Double(value) != nil { return "decimal" }
            let digits = value.prefix { ("0"..."9").contains($0) }
            if !digits.isEmpty, ["ms", "s", "m", "h", "d"].contains(String(value.dropFirst(digits.count))) {
                return "duration"
            }
            return "text"
        }

        var json: Json {
            .object([
                ("name", .text(name)), ("type", .text(type)), ("value", .text(value)),
                ("default", .text(standard)),
                ("description", .optional(description)), ("min", .optional(limits["min"])),
                ("max", .optional(limits["max"])),
                ("step", .optional(limits["step"])), ("unit", .optional(limits["unit"])),
                (
                    "label",
                    labels.isEmpty
                        ? .null : .object(labels.sorted { $0.key < $1.key }.map { ($0.key, .text($0.value)) })
                ),
                ("line", .int(Int64(position.line))), ("column", .int(Int64(position.column))),
                ("rules", .texts(rules)),
                ("hot", .bool(isHot)),
            ])
        }
    }

    package private(set) var parameters: [Parameter] = []
    /// By rule, the line of its name and its last.
    package private(set) var ruleLines: [String: ClosedRange<Int>] = [:]
    /// By rule, what its members say, without quotes and line ends of the file.
    package private(set) var ruleMembers: [String: [String: String]] = [:]
    package private(set) var stepLines: [String: Int] = [:]

    package init(_ text: RuleSetText) {
        guard let root = YamlReader.read(text.text, file: text.file).root, let entries = root.mapping else {
            return
        }
        func section(_ name: String) -> [YamlEntry] { entries.first { $0.key == name }?.value.mapping ?? [] }
        for entry in section("parameters") {
            let members = entry.value.mapping ?? []
            func member(_ name: String) -> String? { members.first { $0.key == name }?.value.scalar?.text }
            let standard = entry.value.scalar?.text ?? member("default") ?? ""
            var parameter = Parameter(
                name: entry.key, value: text.parameters[entry.key] ?? standard, standard: standard,
                description: member("description"),
                position: entry.keyPosition)
            for name in ["min", "max", "step", "unit"] { parameter.limits[name] = member(name) }
            if let label = members.first(where: { $0.key == "label" })?.value {
                if let text = label.scalar?.text { parameter.labels["en"] = text }
                for entry in label.mapping ?? [] { parameter.labels[entry.key] = entry.value.scalar?.text }
            }
            let use = "${\(entry.key)}"
            for rule in section("rules") where Self.uses(rule.value, use) { parameter.rules.append(rule.key) }
            parameter.isHot = !entries.contains {
                !["rules", "parameters"].contains($0.key) && Self.uses($0.value, use)
            }
            parameters.append(parameter)
        }
        let lines = text.text.split(separator: "\n", omittingEmptySubsequences: false)
        for rule in section("rules") {
            let first = rule.keyPosition.line
            var last = first
            // Up to the next line that stands no deeper than the rule's name.
            for number in first..<max(first, lines.count) {
                let line = lines[number]
                let depth = line.prefix { $0 == " " }.count
                if !line.allSatisfy({ $0 == " " }), depth < rule.keyPosition.column { break }
                if !line.allSatisfy({ $0 == " " }) { last = number + 1 }
            }
            ruleLines[rule.key] = first...last
            for member in rule.value.mapping ?? [] {
                ruleMembers[rule.key, default: [:]][member.key] = member.value.scalar?.text
            }
        }
        for step in section("steps") + section("sources") { stepLines[step.key] = step.keyPosition.line }
    }

    private static func uses(_ node: YamlNode, _ text: String) -> Bool {
        switch node.content {
        case .scalar(let scalar): scalar.text.contains(text)
        case .mapping(let entries): entries.contains { uses($0.value, text) }
        case .sequence(let nodes): nodes.contains { uses($0, text) }
        }
    }

    var json: Json { .list(parameters.map(\.json)) }
}
