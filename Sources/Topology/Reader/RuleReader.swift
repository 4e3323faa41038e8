import Base
import Records

/// `rules.<name>`
struct RuleReader {
    static let keys = ["on", "when", "clear", "at", "risk", "severity", "measure", "message"]
    static let example = "{ on: today, when: amount > 1000.00, risk: fabricated-volume, severity: high }"

    let context: ReadingContext
    let zone: String?
    let steps: [StepDraft]
    /// Every step of the file, also those that are left out for a mistake.
    let stepNames: [String]

    private struct Scope {
        var on: [Int]
        var schema: Schema
        var names: ExpressionScope
        var hasWindow: Bool
    }

    func read(_ entry: YamlEntry) -> RuleSpec? {
        let before = context.diagnostics.count
        guard context.checkName(entry, "rule"),
            let mapping = MappingReader(
                entry.value,
                "rule \(entry.key)",
                keys: Self.keys,
                at: entry.keyPosition,
                context,
                example: Self.example
            )
        else { return nil }
        let on = mapping.required("on", example: "on: today").flatMap { readOn($0) }
        let at = mapping["at"].flatMap { context.choice($0, "at", ["record", "close"]) } ?? "record"
        let risk = mapping.requiredText("risk", example: "risk: fabricated-volume")
        let severities = RuleSpec.Severity.allCases.map(\.rawValue)
        let severity = mapping.required("severity", example: "severity: high")
            .flatMap { context.choice($0, "severity", severities) }.flatMap {
                RuleSpec.Severity(rawValue: $0)
            }
        let measure = mapping.text("measure", example: "measure: freeze the account")
        let whenText = mapping.requiredText("when", example: "when: today.amount > 1000.00")
        let clearText = mapping.text("clear", example: "clear: today.amount < 500.00")
        guard let on else { return nil }
        checkMoment(mapping, on)
        let when = whenText.flatMap { condition($0, on.names, "when") }
        let clear = clearText.flatMap { condition($0, on.names, "clear") }
        let message = readMessage(mapping, on.names)
        guard context.diagnostics.count == before, on.names.isComplete, let when, let whenText, let risk,
            let severity
        else { return nil }
        var mentioned: Set<Int> = []
        when.collectColumns(into: &mentioned)
        clear?.collectColumns(into: &mentioned)
        return RuleSpec(
            name: entry.key,
            on: on.on,
            scope: on.schema,
            when: when,
            clear: clear,
            at: at == "close" && on.hasWindow ? .close : .record,
            risk: risk.text,
            severity: severity,
            measure: measure?.text ?? "",
            message: message,
            condition: whenText.shown,
            mentioned: mentioned.sorted(),
            position: entry.keyPosition
        )
    }

    private func checkMoment(_ mapping: MappingReader, _ on: Scope) {
        guard !on.hasWindow, on.names.isComplete else { return }
        // The row of a session is there when it closes, and only then.
        if let node = mapping["at"], node.scalar?.text == "close", steps[on.on[0]].session == nil {
            context.error(
                node.position,
                "at: close is for steps with a window; a rule on single records fires for each"
            )
        }
        if mapping["clear"] != nil {
            context.error(
                mapping.keyPosition("clear"),
                "clear is for steps with a window; a rule on single records fires for each and is never "
                    + "raised for long"
            )
        }
    }

    private func condition(_ text: ScalarText, _ scope: ExpressionScope, _ what: String) -> Expression? {
        var checker = ExpressionChecker(scope) { _ in text.position }
        return context.check(text, &checker) { $0.checkCondition($1, what) }
    }

    // MARK: Steps

    private func readOn(_ node: YamlNode) -> Scope? {
        guard let names = stepTexts(node) else { return nil }
        var on: [Int] = []
        for name in names {
            if let index = steps.firstIndex(where: { $0.name == name.text }) {
                on.append(index)
            } else if !stepNames.contains(name.text) {
                context.error(
                    name.position,
                    "no step '\(name.shown)'\(NearestName.hint(name.text, among: stepNames))"
                )
            }
        }
        guard on.count == names.count else { return nil }
        let drafts = on.map { steps[$0] }
        guard checkAlike(drafts, names) else { return nil }
        return drafts[0].hasWindow ? windowScope(on, drafts) : recordScope(on, drafts[0], names[0])
    }

    private func stepTexts(_ node: YamlNode) -> [ScalarText]? {
        let example = "on: today or on: { today, baseline }"
        guard case .mapping(let entries) = node.content else {
            return context.names(node, "on", example: example)
        }
        var names: [ScalarText] = []
        for entry in entries {
            guard entry.value.isNull else {
                context.error(entry.value.position, "on takes only names; write on: { today, baseline }")
                return nil
            }
            names.append(ScalarText(text: entry.key, position: entry.keyPosition, columns: []))
        }
        if names.isEmpty { context.error(node.position, "on is empty; write \(example)") }
        return names.isEmpty ? nil : names
    }

    private func checkAlike(_ drafts: [StepDraft], _ names: [ScalarText]) -> Bool {
        for (draft, name) in zip(drafts, names).dropFirst() {
            let first = drafts[0]
            guard first.hasWindow, draft.hasWindow else {
                let record = first.hasWindow ? draft.name : first.name
                context.error(
                    name.position,
                    "step \(record) has no window; a rule reads several steps only if all have one"
                )
                return false
            }
            guard let firstKey = first.key, let key = draft.key else { continue }
            let types = first.keyColumns.map(\.type) == draft.keyColumns.map(\.type)
            guard firstKey == key,
                types || (first.keyColumns + draft.keyColumns).contains(where: { $0.type == nil })
            else {
                context.error(
                    name.position,
                    "step \(draft.name) has the key \(key.joined(separator: ", ")), and \(first.name) has "
                        + "\(firstKey.joined(separator: ", ")); a rule's steps need equal keys"
                )
                return false
            }
        }
        return true
    }

    private func windowScope(_ on: [Int], _ drafts: [StepDraft]) -> Scope {
        var columns = drafts[0].keyColumns
        var byShortName: [String: [Int]] = [:]
        for draft in drafts {
            for output in draft.outputs {
                byShortName[output.name, default: []].append(columns.count)
                columns.append(.init(name: "\(draft.name).\(output.name)", type: output.type))
            }
        }
        var scope = ExpressionScope(
            columns: columns,
            nameKind: "result of \(ReadingContext.list(drafts.map(\.name), "and"))",
            zone: zone,
            zones: context.environment.zones
        )
        let zones = Set(drafts.compactMap(\.windowZone))
        if zones.count == 1 { scope.zone = zones.first }
        for (name, indices) in byShortName {
            if drafts.count == 1 {
                scope.shortNames[name] = indices[0]
            } else {
                scope.ambiguousNames[name] = indices.map { columns[$0].name }
            }
        }
        scope.isComplete = drafts.allSatisfy { $0.isComplete && $0.isOutputComplete && $0.key != nil }
        let key = Set(0..<drafts[0].keyColumns.count)
        let fields = columns.enumerated().compactMap { index, column in
            column.type.map { Field(name: column.name, type: $0, isOptional: !key.contains(index)) }
        }
        if fields.count != columns.count { scope.isComplete = false }
        return Scope(on: on, schema: Schema(fields), names: scope, hasWindow: true)
    }

    private func recordScope(_ on: [Int], _ draft: StepDraft, _ name: ScalarText) -> Scope? {
        if draft.key == [] {
            context.error(
                name.position,
                "step \(draft.name) needs 'key', so that its alerts belong to somebody; write key: "
                    + "merchant_id in it"
            )
            return nil
        }
        var scope = ExpressionScope(
            columns: draft.columns,
            nameKind: "field of \(draft.name)",
            zone: zone,
            zones: context.environment.zones
        )
        scope.isComplete = draft.isComplete && draft.key != nil && draft.fields.count == draft.columns.count
        return Scope(on: on, schema: Schema(draft.fields), names: scope, hasWindow: false)
    }

    // MARK: Messages

    private func readMessage(_ mapping: MappingReader, _ scope: ExpressionScope) -> [RuleSpec.MessagePart] {
        guard let text = mapping.text("message", example: "message: \"{merchant_id} sold {today.amount}\"")
        else { return [] }
        switch text.templateParts() {
        case .failure(let mistake):
            context.report(mistake, text)
            return []
        case .success(let parts):
            return parts.compactMap { part in
                switch part {
                case .text(let text): return .text(text)
                case .expression(let text):
                    var checker = ExpressionChecker(scope) { _ in text.position }
                    return context.check(text, &checker).map { .value($0) }
                }
            }
        }
    }
}
