import Topology

/// A record that a sink was given, and its text as it came.
struct TestOutput {
    var members: YamlNode?
    var text: String

    init(_ json: String) {
        text = json
        // JSON of one line is YAML too, but for some characters that YAML wants to see as escapes.
        members = YamlText.read(
            json.unicodeScalars.reduce(into: "") { text, scalar in
                switch scalar.value {
                case 0x7F...0x9F, 0xFEFF, 0xFFFE, 0xFFFF:
                    let digits = String(scalar.value, radix: 16)
                    text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                default: text.unicodeScalars.append(scalar)
                }
            })
    }
}

/// Compares what a sink was given with what is expected of it.
///
/// `null` is null and nothing else; what stands in quotes is a text, and so is the text "null". A number is
/// compared digit by digit with a number, or with a decimal, which is a number in quotes in JSON; with a text
/// only if that is in quotes too.
struct RecordComparison {
    /// Paths of members that are texts, whatever they look like.
    private var texts: Set<String> = []

    init(_ spec: TopologySpec, sink: Int) {
        var types: [String: Bool] = [:]
        func add(_ path: String, _ isText: Bool) { types[path] = types[path] ?? true && isText }
        switch spec.sinks[sink].input {
        case .alerts(let rules):
            for rule in rules.map({ spec.rules[$0] }) {
                for field in rule.scope.fields { add("values.\(field.name)", field.type == .text) }
                let step = spec.steps[rule.on[0]]
                for key in step.key {
                    add("key.\(step.schema.fields[key].name)", step.schema.fields[key].type == .text)
                }
            }
        case .steps(let steps):
            for step in steps.map({ spec.steps[$0] }) {
                guard step.window != nil else {
                    for field in step.schema.fields { add(field.name, field.type == .text) }
                    continue
                }
                for key in step.key {
                    add("key.\(step.schema.fields[key].name)", step.schema.fields[key].type == .text)
                }
                for output in step.outputs { add("values.\(output.name)", output.expression.type == .text) }
            }
        }
        texts = Set(types.filter(\.value).keys)
    }

    /// What differs, a line each. `place` stands before what is told of no line of the file.
    func compare(_ expected: [ExpectedMembers], _ actual: [TestOutput], _ place: String) -> [String] {
        var differences: [String] = []
        for index in 0..<max(actual.count, expected.count) {
            guard index < expected.count else {
                differences.append("\(place)not expected: \(actual[index].text)")
                continue
            }
            let line = "line \(expected[index].position.line): "
            guard index < actual.count else {
                differences.append("\(line)missing: \(expected[index].members.json(replacing: 0))")
                continue
            }
            let found = mismatches(expected[index].members, actual[index].members, path: "")
            differences += found.map { line + $0 }
            if !found.isEmpty { differences.append("  in: \(actual[index].text)") }
        }
        return differences
    }

    /// Members of `expected` that `actual` lacks or has otherwise.
    private func mismatches(_ expected: YamlNode, _ actual: YamlNode?, path: String) -> [String] {
        if let entries = expected.mapping {
            return entries.flatMap { entry in
                mismatches(
                    entry.value, actual?.mapping?.first { $0.key == entry.key }?.value,
                    path: path.isEmpty ? entry.key : "\(path).\(entry.key)")
            }
        }
        if let nodes = expected.sequence, let found = actual?.sequence, nodes.count == found.count {
            return zip(nodes, found).enumerated().flatMap { mismatches($1.0, $1.1, path: "\(path)[\($0)]") }
        }
        guard let actual else { return ["\(path): expected \(Self.shown(expected)), found nothing"] }
        if isEqual(expected, actual, path) { return [] }
        let (wanted, found) = (Self.plain(expected), Self.plain(actual))
        // What looks the same is told apart by its quotes.
        if wanted != found { return ["\(path): expected \(wanted), found \(found)"] }
        let hint =
            actual.isNull || expected.isNull
            ? ""
            : actual.scalar?.isQuoted == true
                ? ", a text: put it in quotes" : ", which is no text: take the quotes away"
        return ["\(path): expected \(Self.shown(expected)), found \(Self.shown(actual))\(hint)"]
    }

    private func isEqual(_ expected: YamlNode, _ actual: YamlNode, _ path: String) -> Bool {
        guard let wanted = expected.scalar, let found = actual.scalar else { return false }
        if expected.isNull || actual.isNull { return expected.isNull && actual.isNull }
        guard wanted.text == found.text else { return false }
        if wanted.isQuoted { return found.isQuoted }
        // A number or truth as JSON has it is written without quotes, and a text that looks like one with
        // them.
        return !found.isQuoted || !texts.contains(path) || Self.shown(expected).hasPrefix("\"")
    }

    private static func plain(_ node: YamlNode) -> String {
        node.isNull ? "null" : node.scalar?.text ?? shown(node)
    }

    /// As JSON: texts in quotes.
    private static func shown(_ node: YamlNode) -> String { node.json(replacing: 0) }
}
