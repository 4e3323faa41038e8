import Base
import Records

/// Reads a topology file: every mistake in one go, each where it stands, or a spec without any.
package struct TopologyReader {
    let file: String
    let environment: ReaderEnvironment
    var diagnostics: [Diagnostic] = []
    var parameters: [String: String] = [:]
    var usedParameters: Set<String> = []

    // What was read so far, by name; a name without a value is broken and was complained about.
    var name = ""
    var latency: Int64 = 3000
    var zone: String?
    var keys = Limits.keysPerTaskDefault
    var sources: [SourceDraft] = []
    var steps: [StepDraft] = []
    var rules: [RuleSpec] = []
    var sinks: [SinkSpec] = []
    var brokenSteps: Set<String> = []
    var brokenRules: Set<String> = []
    var ruleNames: [String] = []

    static let sections = [
        "topology", "guarantee", "latency", "zone", "keys", "parameters", "kafka", "sources", "steps", "rules", "sinks",
    ]

    /// - Parameters:
    ///   - file: its name in diagnostics.
    ///   - parameters: what `--set` gives.
    /// - Returns: the spec, nil if any diagnostic is an error.
    package static func read(
        _ text: String,
        file: String,
        parameters: [String: String] = [:],
        environment: ReaderEnvironment = .system
    ) -> (spec: TopologySpec?, diagnostics: [Diagnostic]) {
        let (node, problems) = YamlReader.read(text, file: file)
        guard let node else { return (nil, problems) }
        var reader = TopologyReader(file: file, environment: environment)
        let spec = reader.read(node, given: parameters, text: text)
        let sorted = reader.diagnostics.sorted { $0.position < $1.position }
        let hasErrors = sorted.contains { $0.severity == .error }
        return (hasErrors ? nil : spec, Array(sorted.prefix(Limits.diagnosticsMax)))
    }

    init(file: String, environment: ReaderEnvironment) {
        self.file = file
        self.environment = environment
    }

    private mutating func read(_ root: YamlNode, given: [String: String], text: String) -> TopologySpec? {
        let members = fields(root, Self.sections, of: "the topology", required: ["topology", "sources"])
        readParameters(members["parameters"], given: given)
        if let node = members["topology"], let text = scalar(node, "a name, like merchant-risk") {
            name = text
            let isName = text.utf8.allSatisfy { ($0 >= 0x61 && $0 <= 0x7A) || ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x2D }
            if !isName || text.first?.isLetter != true || text.utf8.count > 200 {
                fail(node.position, "a topology's name has small letters, digits and '-' and begins with a letter, like merchant-risk")
            }
        }
        var guarantee = TopologySpec.Guarantee.exactlyOnce
        if let node = members["guarantee"] {
            guarantee = choice(node, [.exactlyOnce, .atLeastOnce]) ?? guarantee
        }
        if let node = members["latency"] { latency = duration(node) ?? latency }
        if let node = members["zone"] { zone = zone(node) }
        if let node = members["keys"] { keys = integer(node, in: 1...1_000_000_000).map(Int.init) ?? keys }
        let kafka = readKafka(members["kafka"])
        if let node = members["sources"] { readSources(node) }
        if let node = members["steps"] { readSteps(node) }
        if let node = members["rules"] { readRules(node) }
        if let node = members["sinks"] { readSinks(node) }
        warnAboutUnused(members["parameters"])
        guard !diagnostics.contains(where: { $0.severity == .error }) else { return nil }
        let effective = parameters.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: "\n")
        return assemble(guarantee: guarantee, kafka: kafka, ruleset: "sha256:" + Sha256.hexadecimal(text + "\n" + effective))
    }

    // MARK: Parameters

    private mutating func readParameters(_ node: YamlNode?, given: [String: String]) {
        var declared: [String] = []
        for member in node.flatMap({ mapping($0, "name: value") }) ?? [] {
            declared.append(member.key)
            var value = member.value
            if value.members != nil {
                let fields = fields(value, ["default", "description"], of: "parameter '\(member.key)'", required: ["default"])
                guard let standard = fields["default"] else { continue }
                value = standard
            }
            guard case .scalar(let text, _) = value.content else {
                fail(value.position, "a parameter's value is one number or text, not \(value.kind)")
                continue
            }
            parameters[member.key] = given[member.key] ?? text
        }
        for name in given.keys.sorted() where !declared.contains(name) {
            let near = hint(name, among: declared)
            fail(node?.position ?? Position(line: 1, column: 1), "--set \(name): the topology has no such parameter\(near)")
        }
    }

    /// The text with `${name}`, `${env:NAME}` and `${file:PATH}` replaced. Nil after a complaint.
    mutating func interpolated(_ text: String, at position: Position) -> String? {
        guard text.contains("${") else { return text }
        var result = ""
        var rest = Substring(text)
        while let start = rest.firstIndex(of: "$") {
            result += rest[..<start]
            rest = rest[start...]
            guard rest.hasPrefix("${") else {
                result += "$"
                rest = rest.dropFirst()
                continue
            }
            guard let end = rest.firstIndex(of: "}") else {
                fail(position, "'${' has no closing '}'")
                return nil
            }
            let name = String(rest[rest.index(start, offsetBy: 2)..<end])
            rest = rest[rest.index(after: end)...]
            guard let value = lookUp(name, at: position) else { return nil }
            result += value
        }
        return result + rest
    }

    private mutating func lookUp(_ name: String, at position: Position) -> String? {
        if name.hasPrefix("env:") {
            if let value = environment.variable(String(name.dropFirst(4))) { return value }
            fail(position, "the environment variable '\(name.dropFirst(4))' is not set")
            return nil
        }
        if name.hasPrefix("file:") {
            if let value = environment.file(String(name.dropFirst(5))) {
                return value.hasSuffix("\n") ? String(value.dropLast()) : value
            }
            fail(position, "the file '\(name.dropFirst(5))' cannot be read")
            return nil
        }
        usedParameters.insert(name)
        if let value = parameters[name] { return value }
        fail(position, "unknown parameter '\(name)'\(hint(name, among: Array(parameters.keys)))")
        return nil
    }

    private mutating func readKafka(_ node: YamlNode?) -> [String: String] {
        var settings: [String: String] = [:]
        for member in node.flatMap({ mapping($0, "librdkafka settings, like socket.timeout.ms: 10000") }) ?? [] {
            if let value = scalar(member.value, "a librdkafka setting's value") { settings[member.key] = value }
        }
        return settings
    }

    private mutating func warnAboutUnused(_ parameterNode: YamlNode?) {
        for member in parameterNode?.members ?? [] where !usedParameters.contains(member.key) {
            warn(member.keyPosition, "parameter '\(member.key)' is not used")
        }
        let read = Set(steps.compactMap { draft -> Int? in if case .source(let index) = draft.input { index } else { nil } })
        for (index, source) in sources.enumerated() where !read.contains(index) && !source.isBroken && brokenSteps.isEmpty {
            warn(source.position, "source '\(source.name)' is not used by any step")
        }
        var used = Set(rules.flatMap(\.on))
        for step in steps { if case .step(let index) = step.input { used.insert(index) } }
        for sink in sinks { if case .steps(let indices) = sink.input { used.formUnion(indices) } }
        for (index, step) in steps.enumerated() where !used.contains(index) && brokenRules.isEmpty {
            warn(step.position, "step '\(step.name)' is used by no rule, sink or other step")
        }
    }

    // MARK: Nodes

    mutating func fail(_ position: Position, _ message: String) {
        diagnostics.append(Diagnostic(file: file, at: position, message))
    }

    mutating func warn(_ position: Position, _ message: String) {
        diagnostics.append(Diagnostic(.warning, file: file, at: position, message))
    }

    mutating func mapping(_ node: YamlNode, _ example: String) -> [YamlNode.Member]? {
        if let members = node.members {
            guard members.count <= Limits.nodesMax else {
                fail(node.position, "more than \(Limits.nodesMax) entries")
                return nil
            }
            return members
        }
        fail(node.position, "a mapping was expected (\(example)), not \(node.kind)")
        return nil
    }

    /// The members of a mapping with fixed names; unknown and missing ones are complained about.
    mutating func fields(_ node: YamlNode, _ known: [String], of what: String, required: [String] = []) -> [String: YamlNode] {
        guard let members = mapping(node, "\(known[0]): …") else { return [:] }
        var result: [String: YamlNode] = [:]
        for member in members {
            if known.contains(member.key) {
                result[member.key] = member.value
            } else {
                fail(member.keyPosition, "unknown key '\(member.key)' in \(what)\(hint(member.key, among: known))")
            }
        }
        // A misspelt key stands for the missing one; one message is enough.
        let strangers = members.map(\.key).filter { !known.contains($0) }
        for key in required where result[key] == nil {
            if strangers.contains(where: { nearest($0, among: known) == key }) { continue }
            fail(node.position, "\(what) lacks '\(key)'")
        }
        return result
    }

    /// The text of a scalar with its parameters applied.
    mutating func scalar(_ node: YamlNode, _ what: String) -> String? {
        guard case .scalar(let text, _) = node.content, let value = node.scalar else {
            fail(node.position, "\(what) was expected, not \(node.kind)")
            return nil
        }
        _ = text
        return interpolated(value, at: node.position)
    }

    mutating func duration(_ node: YamlNode) -> Int64? {
        guard let text = scalar(node, "a duration, like 10s, 5m, 2h, 30d") else { return nil }
        switch DurationText.parse(text) {
        case .success(let value): return value
        case .failure(let failure):
            fail(node.position, failure.message)
            return nil
        }
    }

    mutating func integer(_ node: YamlNode, in range: ClosedRange<Int64>) -> Int64? {
        guard let text = scalar(node, "a whole number") else { return nil }
        if let value = Int64(text), range.contains(value) { return value }
        fail(node.position, "a whole number from \(range.lowerBound) to \(range.upperBound) was expected, not '\(text)'")
        return nil
    }

    mutating func zone(_ node: YamlNode) -> String? {
        guard let text = scalar(node, "a time zone, like Asia/Shanghai") else { return nil }
        if environment.isZone(text) { return text }
        fail(node.position, "unknown time zone '\(text)'\(environment.zoneHint(text))")
        return nil
    }

    mutating func choice<T: RawRepresentable>(_ node: YamlNode, _ choices: [T]) -> T? where T.RawValue == String {
        guard let text = scalar(node, "one of \(choices.map(\.rawValue).joined(separator: ", "))") else { return nil }
        if let value = T(rawValue: text), choices.contains(where: { $0.rawValue == text }) { return value }
        let near = nearest(text, among: choices.map(\.rawValue)).map { "; did you mean '\($0)'?" } ?? ""
        fail(node.position, "'\(text)' is not one of \(choices.map(\.rawValue).joined(separator: ", "))\(near)")
        return nil
    }

    /// Parses and checks an expression; nil after a complaint, or where a mistake elsewhere explains it.
    mutating func expression(_ node: YamlNode, _ scope: Scope, _ what: String, type: ValueType? = nil) -> Expression? {
        guard let text = scalar(node, what) else { return nil }
        return expression(text, node, scope, what, type: type)
    }

    mutating func expression(_ text: String, _ node: YamlNode, _ scope: Scope, _ what: String, type: ValueType? = nil) -> Expression? {
        let origin = start(of: node)
        var checker = Checker(scope, environment: environment, origin: origin)
        guard let result = run(text, node, { (syntax) throws(Checker.Failure) in try checker.check(syntax) }) else { return nil }
        if let type, result.type != type {
            fail(origin, "\(what) was expected, a \(type); this is a \(result.type)")
            return nil
        }
        return result
    }

    /// Where the text of a scalar begins: after its quotation mark if it has one.
    func start(of node: YamlNode) -> Position {
        guard case .scalar(_, true) = node.content else { return node.position }
        return Position(line: node.position.line, column: node.position.column + 1)
    }

    /// Complains about what `check` throws, at its place in the file.
    mutating func run(_ text: String, _ node: YamlNode, _ check: (Syntax) throws(Checker.Failure) -> Expression) -> Expression? {
        let origin = start(of: node)
        func at(_ offset: Int) -> Position { Position(line: origin.line, column: origin.column + offset) }
        let syntax: Syntax
        do throws(ExpressionFailure) {
            syntax = try Parser.parse(text)
        } catch {
            fail(at(error.offset), error.message)
            return nil
        }
        do throws(Checker.Failure) {
            return try check(syntax)
        } catch {
            if case .mistake(let failure) = error { fail(at(failure.offset), failure.message) }
            return nil
        }
    }
}
