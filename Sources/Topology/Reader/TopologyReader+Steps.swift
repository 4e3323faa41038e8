import Base
import Records

/// A step over the full schema of its source.
struct StepDraft {
    var name: String
    var input = StepSpec.Input.source(0)
    /// The source that it reads in the end.
    var source = 0
    var condition: Expression?
    var derived: [DerivedField] = []
    var key: [Int] = []
    var fields: [Field] = []
    var window: WindowSpec?
    var aggregates: [AggregateCall] = []
    var outputs: [DerivedField] = []
    var position: Position
    var brokenNames: Set<String> = []
}

extension TopologyReader {
    mutating func readSteps(_ node: YamlNode) {
        let members = mapping(node, "paid: { from: orders, where: kind == \"paid\" }") ?? []
        let names = members.map(\.key)
        var waiting = members
        for member in members {
            checkName(member)
            if sources.contains(where: { $0.name == member.key }) {
                fail(member.keyPosition, "'\(member.key)' is already a source")
            }
        }
        // Steps may stand in any order; each is read after the one it comes from.
        while !waiting.isEmpty {
            guard let next = waiting.firstIndex(where: { !isWaiting(for: $0, waiting) }) else {
                let circle = waiting.map { "'\($0.key)'" }.joined(separator: ", ")
                fail(waiting[0].keyPosition, "the steps \(circle) come from each other in a circle")
                brokenSteps.formUnion(waiting.map(\.key))
                return
            }
            readStep(waiting.remove(at: next), names: names)
        }
    }

    private func isWaiting(for member: YamlNode.Member, _ waiting: [YamlNode.Member]) -> Bool {
        guard let from = member.value["from"]?.scalar else { return false }
        return waiting.contains { $0.key == from }
    }

    private mutating func readStep(_ member: YamlNode.Member, names: [String]) {
        let what = "step '\(member.key)'"
        let known = ["from", "where", "fields", "key", "window", "aggregate"]
        let before = diagnostics.count
        var draft = StepDraft(name: member.key, position: member.keyPosition)
        let fields = fields(member.value, known, of: what, required: ["from"])
        guard let from = fields["from"], readInput(from, names, &draft) else {
            brokenSteps.insert(member.key)
            return
        }
        var zone = self.zone
        if let node = fields["window"], let zoneNode = node["zone"] { zone = zoneNode.scalar.flatMap { environment.isZone($0) ? $0 : nil } ?? zone }
        var scope: Scope { Scope(columns: draft.fields, broken: draft.brokenNames, zone: zone) }
        if let node = fields["where"] {
            draft.condition = expression(node, scope, "a condition", type: .bool)
        }
        for derived in fields["fields"].flatMap({ mapping($0, "net: amount - fee") }) ?? [] {
            checkName(derived)
            if draft.fields.contains(where: { $0.name == derived.key }) {
                fail(derived.keyPosition, "there is already a field '\(derived.key)'")
                continue
            }
            guard let expression = expression(derived.value, scope, "an expression") else {
                draft.brokenNames.insert(derived.key)
                continue
            }
            draft.fields.append(Field(name: derived.key, type: expression.type, isOptional: true))
            draft.derived.append(DerivedField(name: derived.key, expression: expression, isOptional: true))
        }
        if let node = fields["key"] { readKey(node, &draft) }
        readWindow(fields, member, what, zone, &draft)
        if diagnostics[before...].contains(where: { $0.severity == .error }) { brokenSteps.insert(member.key) }
        steps.append(draft)
    }

    private mutating func readInput(_ node: YamlNode, _ names: [String], _ draft: inout StepDraft) -> Bool {
        guard let from = scalar(node, "the name of a source or step") else { return false }
        if let index = sources.firstIndex(where: { $0.name == from }) {
            draft.input = .source(index)
            draft.source = index
            draft.fields = sources[index].fields
            draft.brokenNames = sources[index].brokenFields
            return !sources[index].isBroken || !draft.fields.isEmpty
        }
        if let index = steps.firstIndex(where: { $0.name == from }) {
            if steps[index].window != nil {
                fail(node.position, "step '\(from)' has a window; its results can be used by rules and sinks, not by other steps")
                return false
            }
            draft.input = .step(index)
            draft.source = steps[index].source
            draft.fields = steps[index].fields
            draft.brokenNames = steps[index].brokenNames
            return true
        }
        if brokenSteps.contains(from) || names.contains(from) { return false }
        fail(node.position, "unknown source or step '\(from)'\(hint(from, among: sources.map(\.name) + names))")
        return false
    }

    private mutating func readKey(_ node: YamlNode, _ draft: inout StepDraft) {
        for item in node.items ?? [node] {
            guard let name = scalar(item, "a field's name") else { continue }
            guard let index = draft.fields.firstIndex(where: { $0.name == name }) else {
                if !draft.brokenNames.contains(name) {
                    fail(item.position, "unknown field '\(name)'\(hint(name, among: draft.fields.map(\.name)))")
                }
                draft.brokenNames.insert(name)
                continue
            }
            if draft.key.contains(index) { fail(item.position, "field '\(name)' is in the key twice") }
            draft.key.append(index)
        }
    }

    // MARK: Windows

    private mutating func readWindow(
        _ fields: [String: YamlNode],
        _ member: YamlNode.Member,
        _ what: String,
        _ zone: String?,
        _ draft: inout StepDraft
    ) {
        guard let node = fields["window"] else {
            if let aggregate = fields["aggregate"] {
                fail(aggregate.position, "\(what) aggregates without a window; state must have a bound: window: { size: 5m, slide: 10s }")
            }
            return
        }
        if fields["key"] == nil { fail(member.keyPosition, "\(what) has a window but no key, like key: merchant_id") }
        let window = self.fields(node, ["size", "slide", "zone", "until"], of: "window of \(what)", required: ["size"])
        if let zoneNode = window["zone"] { _ = self.zone(zoneNode) }
        guard let length = readLength(window, node, zone) else { return }
        var spec = WindowSpec(length: length, excludesCurrent: false, position: node.position)
        if let until = window["until"], let text = scalar(until, "yesterday or previous") {
            let wanted: String
            if case .days = length { wanted = "yesterday" } else { wanted = "previous" }
            if text != wanted { fail(until.position, "'until' of this window is '\(wanted)', not '\(text)'") }
            spec.excludesCurrent = true
        }
        draft.window = spec
        guard let aggregate = fields["aggregate"] else {
            fail(member.keyPosition, "\(what) has a window but nothing to compute, like aggregate: { amount: sum(amount) }")
            return
        }
        readAggregates(aggregate, what, zone, spec, &draft)
    }

    private mutating func readLength(_ window: [String: YamlNode], _ node: YamlNode, _ zone: String?) -> WindowSpec.Length? {
        guard let sizeNode = window["size"], let size = duration(sizeNode), let sizeText = sizeNode.scalar else { return nil }
        var slide = size
        var slideNode = sizeNode
        if let node = window["slide"] {
            guard let value = duration(node) else { return nil }
            (slide, slideNode) = (value, node)
        }
        guard size > 0, slide > 0 else {
            fail(size > 0 ? slideNode.position : sizeNode.position, "a window's size and slide are longer than 0")
            return nil
        }
        guard slide <= size, size % slide == 0 else {
            fail(slideNode.position, "the slide (\(ValueText.duration(slide))) must divide the size (\(ValueText.duration(size)))")
            return nil
        }
        guard size / slide <= Int64(Limits.panesPerWindowMax) else {
            fail(
                slideNode.position,
                "the window would be cut into \(size / slide) panes, at most \(Limits.panesPerWindowMax) are kept; take a longer slide")
            return nil
        }
        let isDays = interpolatedUnit(sizeText) == "d"
        let slideIsDays = slideNode.scalar.map { interpolatedUnit($0) == "d" } ?? isDays
        guard isDays else {
            if let zoneNode = window["zone"] {
                fail(zoneNode.position, "a zone belongs to windows of calendar days, like size: 1d; this one is \(ValueText.duration(size)) long")
                return nil
            }
            return .milliseconds(size: size, slide: slide)
        }
        guard slideIsDays else {
            fail(slideNode.position, "a window of calendar days slides by days; for a sliding day write size: 24h")
            return nil
        }
        guard let zone else {
            if window["zone"] == nil {
                fail(node.position, "a window of calendar days names its zone, like zone: Asia/Shanghai; for 24 hours whatever the calendar write 24h")
            }
            return nil
        }
        let day = DurationText.units[4].milliseconds
        return .days(size: Int(size / day), slide: Int(slide / day), zone: zone)
    }

    private mutating func interpolatedUnit(_ text: String) -> String {
        String((interpolated(text, at: Position(line: 1, column: 1)) ?? text).drop { $0.isNumber })
    }

    private mutating func readAggregates(
        _ node: YamlNode,
        _ what: String,
        _ zone: String?,
        _ window: WindowSpec,
        _ draft: inout StepDraft
    ) {
        let members = mapping(node, "amount: sum(amount)") ?? []
        if members.isEmpty, node.members != nil { fail(node.position, "\(what) computes nothing; write aggregate: { amount: sum(amount) }") }
        for member in members {
            checkName(member)
            guard let text = scalar(member.value, "an aggregate, like sum(amount)") else { continue }
            let scope = Scope(columns: draft.fields, broken: draft.brokenNames, zone: zone)
            var checker = Checker(
                scope, environment: environment, origin: start(of: member.value), calls: draft.aggregates, window: window)
            let expression = run(text, member.value) { syntax throws(Checker.Failure) in try checker.check(syntax) }
            guard let expression else {
                draft.brokenNames.insert(member.key)
                continue
            }
            draft.aggregates = checker.calls ?? []
            draft.outputs.append(DerivedField(name: member.key, expression: expression, isOptional: true))
        }
        if draft.aggregates.isEmpty, !draft.outputs.isEmpty {
            fail(node.position, "\(what) aggregates nothing; write something like sum(amount) or count()")
        }
    }
}
