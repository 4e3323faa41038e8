import Base
import Records

extension TopologyReader {
    // MARK: Rules

    mutating func readRules(_ node: YamlNode) {
        for member in mapping(node, "volume-spike: { on: today, when: …, risk: …, severity: high }") ?? [] {
            checkName(member)
            ruleNames.append(member.key)
            let before = diagnostics.count
            readRule(member)
            if diagnostics[before...].contains(where: { $0.severity == .error }) || rules.last?.name != member.key {
                brokenRules.insert(member.key)
            }
        }
    }

    private mutating func readRule(_ member: YamlNode.Member) {
        let what = "rule '\(member.key)'"
        let known = ["on", "when", "clear", "at", "risk", "severity", "measure", "message"]
        let fields = fields(member.value, known, of: what, required: ["on", "when", "risk", "severity"])
        let risk = fields["risk"].flatMap { scalar($0, "a risk, like fabricated-volume") }
        let severity: RuleSpec.Severity? = fields["severity"].flatMap { choice($0, RuleSpec.Severity.allCases) }
        let moment: RuleSpec.Moment? = fields["at"].map { choice($0, [.record, .close]) } ?? .record
        let measure = fields["measure"].map { scalar($0, "a text") } ?? ""
        guard let onNode = fields["on"], let on = readOn(onNode, what) else { return }
        let scope = ruleScope(on)
        let hasWindow = steps[on[0]].window != nil
        if !hasWindow {
            if let clear = fields["clear"] {
                fail(clear.position, "\(what) is on single records, each an alert of its own; 'clear' belongs to rules on windows")
            }
            if moment == .close, let at = fields["at"] { fail(at.position, "'at: close' belongs to rules on windows") }
            if steps[on[0]].key.isEmpty { fail(onNode.position, "step '\(steps[on[0]].name)' has no key; an alert is for a key, like key: merchant_id") }
        }
        let when = fields["when"].flatMap { expression($0, scope, "a condition", type: .bool) }
        let clear = hasWindow ? fields["clear"].map { expression($0, scope, "a condition", type: .bool) } ?? nil : nil
        var message: [RuleSpec.MessagePart]? = []
        if let node = fields["message"] { message = readMessage(node, scope) }
        guard let when, let risk, let severity, let moment, let measure, let message,
            let conditionNode = fields["when"], let condition = scalar(conditionNode, "a condition")
        else { return }
        var mentioned: [Int] = []
        for expression in [when] + (clear.map { [$0] } ?? []) {
            expression.forEachColumn { if !mentioned.contains($0) { mentioned.append($0) } }
        }
        if mentioned.isEmpty { warn(conditionNode.position, "the condition of \(what) is the same for every record") }
        rules.append(
            RuleSpec(
                name: member.key, on: on, scope: Schema(scope.columns), when: when, clear: clear, at: moment, risk: risk,
                severity: severity, measure: measure, message: message, condition: condition,
                mentioned: mentioned.sorted(), position: member.keyPosition))
    }

    private mutating func readOn(_ node: YamlNode, _ what: String) -> [Int]? {
        let nodes: [(name: String?, position: Position)]
        if let members = node.members {
            for member in members where !member.value.isNull {
                fail(member.value.position, "'on' is a step, a list or { today, baseline }, without values")
            }
            nodes = members.map { ($0.key, $0.keyPosition) }
        } else {
            nodes = (node.items ?? [node]).map { item in (scalar(item, "the name of a step"), item.position) }
        }
        var on: [Int] = []
        var isGood = true
        for (name, position) in nodes {
            guard let name else { return nil }
            if let index = steps.firstIndex(where: { $0.name == name }) {
                if on.contains(index) { fail(position, "step '\(name)' is named twice") }
                on.append(index)
                if brokenSteps.contains(name), steps[index].outputs.isEmpty, steps[index].window != nil { isGood = false }
            } else {
                isGood = false
                if brokenSteps.contains(name) { continue }
                let isSource = sources.contains { $0.name == name }
                let advice = isSource ? "; it is a source, a rule is on steps" : hint(name, among: steps.map(\.name))
                fail(position, "unknown step '\(name)'\(advice)")
            }
        }
        guard isGood, !on.isEmpty else {
            if nodes.isEmpty { fail(node.position, "\(what) is on no step") }
            return nil
        }
        guard on.count > 1 else { return on }
        let keys = on.map { index in steps[index].key.map { steps[index].fields[$0] } }
        for (index, key) in zip(on, keys) {
            if steps[index].window == nil {
                if !brokenSteps.contains(steps[index].name) {
                    fail(node.position, "step '\(steps[index].name)' has no window; a rule on several steps compares windows")
                }
                return nil
            }
            if key.map(\.name) != keys[0].map(\.name) || key.map(\.type) != keys[0].map(\.type) {
                let names = on.map { "\(steps[$0].name): \(steps[$0].key.map { steps[index].fields.indices.contains($0) ? steps[index].fields[$0].name : "" }.joined(separator: ", "))" }
                if !brokenSteps.contains(where: { name in on.contains { steps[$0].name == name } }) {
                    fail(node.position, "the steps of \(what) have different keys (\(names.joined(separator: "; ")))")
                }
                return nil
            }
        }
        return on
    }

    private func ruleScope(_ on: [Int]) -> Scope {
        let first = steps[on[0]]
        guard first.window != nil else {
            return Scope(columns: first.fields, broken: first.brokenNames, zone: zone)
        }
        var scope = Scope(columns: first.key.map { first.fields[$0] }, zone: zone, noun: "value")
        for index in on {
            let step = steps[index]
            for output in step.outputs {
                if on.count == 1 { scope.aliases[output.name] = scope.columns.count }
                scope.columns.append(Field(name: "\(step.name).\(output.name)", type: output.expression.type, isOptional: true))
            }
            for name in step.brokenNames {
                scope.broken.insert("\(step.name).\(name)")
                if on.count == 1 { scope.broken.insert(name) }
            }
        }
        return scope
    }

    /// `"{merchant_id} sold {today.amount}"`; `{{` is a brace.
    private mutating func readMessage(_ node: YamlNode, _ scope: Scope) -> [RuleSpec.MessagePart]? {
        guard let text = scalar(node, "a text") else { return nil }
        var parts: [RuleSpec.MessagePart] = []
        var plain = ""
        let characters = Array(text)
        var at = 0
        var isGood = true
        while at < characters.count {
            if characters[at] == "{", at + 1 < characters.count, characters[at + 1] == "{" {
                plain.append("{")
                at += 2
            } else if characters[at] == "{" {
                guard let end = characters[at...].firstIndex(of: "}") else {
                    let position = start(of: node)
                    fail(Position(line: position.line, column: position.column + at), "'{' has no closing '}'; a brace itself is written {{")
                    return nil
                }
                if !plain.isEmpty { parts.append(.text(plain)) }
                plain = ""
                let inner = YamlNode(
                    content: node.content,
                    position: Position(line: node.position.line, column: node.position.column + at + 1))
                if let value = expression(String(characters[at + 1..<end]), inner, scope, "a value") {
                    parts.append(.value(value))
                } else {
                    isGood = false
                }
                at = end + 1
            } else {
                plain.append(characters[at])
                at += characters[at] == "}" && at + 1 < characters.count && characters[at + 1] == "}" ? 2 : 1
            }
        }
        if !plain.isEmpty { parts.append(.text(plain)) }
        return isGood ? parts : nil
    }

    // MARK: Sinks

    mutating func readSinks(_ node: YamlNode) {
        for member in mapping(node, "alerts: { kafka: { topic: risk-alerts } }") ?? [] {
            checkName(member)
            readSink(member)
        }
    }

    private mutating func readSink(_ member: YamlNode.Member) {
        let what = "sink '\(member.key)'"
        let fields = fields(member.value, ["kafka", "redis", "file", "from", "rules"], of: what)
        let targets = ["kafka", "redis", "file"].filter { fields[$0] != nil }
        guard targets.count == 1 else {
            if member.value.members != nil {
                fail(member.keyPosition, "\(what) needs exactly one of kafka, redis and file, like kafka: { topic: risk-alerts }")
            }
            return
        }
        guard let input = readSinkInput(fields, what) else { return }
        var target: SinkSpec.Target?
        if let node = fields["kafka"] {
            let kafka = self.fields(node, ["topic"], of: "kafka of \(what)", required: ["topic"])
            target = kafka["topic"].flatMap { topic($0) }.map { .kafka(topic: $0) }
        } else if let node = fields["file"] {
            let file = self.fields(node, ["path"], of: "file of \(what)", required: ["path"])
            target = file["path"].flatMap { scalar($0, "a path") }.map { .file(path: $0) }
        } else if let node = fields["redis"] {
            target = readRedis(node, what, input, member.keyPosition)
        }
        guard let target else { return }
        sinks.append(SinkSpec(name: member.key, target: target, input: input, position: member.keyPosition))
    }

    private mutating func readSinkInput(_ fields: [String: YamlNode], _ what: String) -> SinkSpec.Input? {
        if let from = fields["from"] {
            if let rules = fields["rules"] { fail(rules.position, "\(what) takes either steps ('from') or alerts ('rules')") }
            var indices: [Int] = []
            for item in from.items ?? [from] {
                guard let name = scalar(item, "the name of a step") else { return nil }
                guard let index = steps.firstIndex(where: { $0.name == name }) else {
                    if !brokenSteps.contains(name) { fail(item.position, "unknown step '\(name)'\(hint(name, among: steps.map(\.name)))") }
                    return nil
                }
                indices.append(index)
            }
            return .steps(indices)
        }
        guard let list = fields["rules"] else { return .alerts(rules: Array(rules.indices)) }
        var indices: [Int] = []
        for item in list.items ?? [list] {
            guard let name = scalar(item, "the name of a rule") else { return nil }
            if let index = rules.firstIndex(where: { $0.name == name }) {
                indices.append(index)
            } else if !ruleNames.contains(name) {
                fail(item.position, "unknown rule '\(name)'\(hint(name, among: ruleNames))")
            }
        }
        return .alerts(rules: indices)
    }

    private mutating func readRedis(_ node: YamlNode, _ what: String, _ input: SinkSpec.Input, _ position: Position) -> SinkSpec.Target? {
        let redis = fields(node, ["key", "ttl", "url"], of: "redis of \(what)", required: ["key", "ttl"])
        guard case .steps(let indices) = input else {
            fail(position, "\(what) keeps metrics in Redis; say of which steps: from: [turnover, today]")
            return nil
        }
        for index in indices where steps[index].window == nil && !brokenSteps.contains(steps[index].name) {
            fail(position, "step '\(steps[index].name)' has no window; Redis keeps the values of windows")
        }
        let ttl = redis["ttl"].flatMap { duration($0) }
        var url: String?
        if let node = redis["url"] {
            url = scalar(node, "redis://host:port or unix:/path")
            if let url, !url.hasPrefix("redis://"), !url.hasPrefix("unix:") {
                fail(node.position, "a Redis address is written redis://host:port or unix:/path")
            }
        }
        guard let keyNode = redis["key"], let pattern = scalar(keyNode, "a key, like \"merchant:{merchant_id}\"") else { return nil }
        let names = Set(indices.flatMap { index in steps[index].key.map { steps[index].fields[$0].name } })
        var parts: [SinkSpec.KeyPart] = []
        var rest = Substring(pattern)
        while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
            if open > rest.startIndex { parts.append(.text(String(rest[..<open]))) }
            let name = String(rest[rest.index(after: open)..<close])
            if !names.contains(name) {
                fail(keyNode.position, "'\(name)' is no key field of the steps\(hint(name, among: Array(names)))")
            }
            parts.append(.field(name))
            rest = rest[rest.index(after: close)...]
        }
        if !rest.isEmpty { parts.append(.text(String(rest))) }
        if !parts.contains(where: { if case .field = $0 { true } else { false } }) {
            fail(keyNode.position, "the key is the same for everyone; put a key field in, like \"merchant:{merchant_id}\"")
        }
        return ttl.map { .redis(key: parts, ttl: $0, url: url) }
    }
}

extension Expression {
    /// Calls `body` with every column that the expression reads.
    func forEachColumn(_ body: (Int) -> Void) {
        if case .column(let index) = node { body(index) }
        for child in children { child.forEachColumn(body) }
    }

    /// The expression with other column indices.
    func mapColumns(_ map: (Int) -> Int) -> Expression {
        func mapped(_ expression: Expression) -> Expression { expression.mapColumns(map) }
        let node: Node =
            switch self.node {
            case .literal: self.node
            case .column(let index): .column(map(index))
            case .not(let a): .not(mapped(a))
            case .negate(let a): .negate(mapped(a))
            case .isNull(let a): .isNull(mapped(a))
            case .inList(let a, let members): .inList(mapped(a), members)
            case .binary(let operation, let a, let b): .binary(operation, mapped(a), mapped(b))
            case .inRange(let a, let b, let c): .inRange(mapped(a), mapped(b), mapped(c))
            case .conditional(let a, let b, let c): .conditional(mapped(a), mapped(b), mapped(c))
            case .call(let function, let arguments): .call(function, arguments.map(mapped))
            }
        return Expression(node, type, at: position)
    }
}
