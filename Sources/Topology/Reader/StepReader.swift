import Base
import Records

/// A step and what others may know of it, also where a mistake keeps the step itself from being made.
package struct StepDraft {
    package var name: String
    package var position: Position
    package var spec: StepSpec?
    /// The record columns after the step.
    package var columns: [ExpressionScope.Column] = []
    package var fields: [Field] = []
    /// Index in `fields` of the event time.
    package var timeField: Int?
    package var isComplete = false
    package var hasWindow = false
    /// nil: not known because of a mistake.
    package var key: [String]? = nil
    package var keyColumns: [ExpressionScope.Column] = []
    package var windowZone: String?
    /// A window with a gap, milliseconds.
    package var session: (gap: Int64, max: Int64, limits: OperatorLimits)?
    package var outputs: [ExpressionScope.Column] = []
    package var isOutputComplete = false

    package init(name: String, position: Position) {
        self.name = name
        self.position = position
    }
}

/// `steps.<name>`
package struct StepReader {
    package static let keys = ["from", "where", "fields", "only", "key", "window", "aggregate", "join"]
    package static let example = "{ from: orders, where: kind == \"paid\" }"

    package let context: ReadingContext
    /// The topology's zone.
    package let zone: String?

    /// What the step reads: its columns, or nil where that is not known because of a mistake.
    package struct Input {
        package var input: StepSpec.Input?
        package var name: String
        package var columns: [ExpressionScope.Column]
        package var fields: [Field]
        package var isComplete: Bool
        /// Index in `fields` of the event time.
        package var timeField: Int?
        /// The last of the columns are those of a table.
        package var join: TableJoinSpec?

        package init(
            input: StepSpec.Input?, name: String, columns: [ExpressionScope.Column] = [],
            fields: [Field] = [],
            isComplete: Bool = false, timeField: Int? = nil, join: TableJoinSpec? = nil
        ) {
            self.input = input
            self.name = name
            self.columns = columns
            self.fields = fields
            self.isComplete = isComplete
            self.timeField = timeField
            self.join = join
        }
    }

    package func read(_ mapping: MappingReader, _ entry: YamlEntry, from input: Input) -> StepDraft {
        var draft = StepDraft(name: entry.key, position: entry.keyPosition)
        let before = context.diagnostics.count
        draft.columns = input.columns
        draft.fields = input.fields
        draft.isComplete = input.isComplete
        draft.timeField = input.timeField
        draft.hasWindow = mapping.isGiven("window") || mapping.isGiven("aggregate")

        // The zone of the window is that of every expression of the step.
        let window = mapping["window"].flatMap { readWindow($0, mapping.keyPosition("window")) }
        draft.windowZone = window?.zone
        draft.session = window?.session
        let stepZone = window?.zone ?? zone
        let condition = readCondition(mapping, draft, input.name, stepZone)
        var derived = readFields(mapping, &draft, input.name, stepZone)
        readKey(mapping, &draft)
        let isWhole = mapping.isGiven("window") && !mapping.isGiven("key") && window?.session == nil
        if isWhole { addWholeKey(&draft, &derived, mapping) }
        checkWindowParts(mapping)
        let kind: ExpressionScope.WindowKind = mapping["window"] == nil ? .unknown : window?.kind ?? .unknown
        let outputs = readAggregates(mapping, &draft, kind, stepZone)
        guard context.diagnostics.count == before, let place = input.input, draft.isComplete else {
            return draft
        }
        draft.spec = StepSpec(
            name: entry.key,
            input: place,
            condition: condition,
            derived: derived,
            key: draft.key?.compactMap { name in draft.fields.firstIndex { $0.name == name } } ?? [],
            schema: Schema(draft.fields),
            window: window?.spec,
            aggregates: outputs.aggregates,
            outputs: outputs.outputs,
            position: entry.keyPosition
        )
        draft.spec?.join = input.join
        draft.spec?.isWhole = isWhole
        return draft
    }

    /// What a step makes that others may read as a stream: of a window its keys, results and bounds, and the
    /// last instant that is in it, which is their event time, so that a longer window takes in those that lie
    /// within it.
    package static func streamFields(_ draft: StepDraft) -> [Field] {
        guard let spec = draft.spec, spec.window != nil else { return [] }
        return spec.key.map { Field(name: spec.schema.fields[$0].name, type: spec.schema.fields[$0].type) }
            + spec.outputs.map { Field(name: $0.name, type: $0.expression.type, isOptional: true) }
            + windowFields.map { Field(name: $0, type: .timestamp) }
    }

    /// What the rows of every window have beside their key and results.
    package static let windowFields = ["window_start", "window_end", "window_time"]

    package func scope(_ draft: StepDraft, _ input: String, _ zone: String?) -> ExpressionScope {
        var scope = ExpressionScope(
            columns: draft.columns,
            nameKind: "field of \(input)",
            zone: zone,
            zones: context.environment.zones
        )
        scope.isComplete = draft.isComplete
        return scope
    }

    private func readCondition(_ mapping: MappingReader, _ draft: StepDraft, _ input: String, _ zone: String?)
        -> Expression?
    {
        guard let text = mapping.text("where", example: "where: kind == \"paid\"") else { return nil }
        var checker = ExpressionChecker(scope(draft, input, zone)) { _ in text.position }
        return context.check(text, &checker) { $0.checkCondition($1, "where") }
    }

    private func readFields(
        _ mapping: MappingReader,
        _ draft: inout StepDraft,
        _ input: String,
        _ zone: String?
    ) -> [DerivedField] {
        guard let node = mapping["fields"] else { return [] }
        var derived: [DerivedField] = []
        let entries = context.named(node, "fields", example: "fields: { net: amount - fee }")
        for (index, entry) in entries.enumerated() {
            if draft.columns.contains(where: { $0.name == entry.key }) {
                context.error(
                    entry.keyPosition,
                    "\(input) has a field '\(entry.key)' already; give this one another name"
                )
                continue
            }
            guard context.checkName(entry, "field") else { continue }
            guard draft.columns.count < Limits.columnsMax else {
                context.error(entry.keyPosition, "more than \(Limits.columnsMax) fields")
                break
            }
            var expression: Expression?
            if let text = context.scalar(entry.value, entry.key, example: "\(entry.key): amount - fee") {
                var scope = scope(draft, input, zone)
                scope.laterNames = Set(entries[index...].map(\.key))
                var checker = ExpressionChecker(scope) { _ in text.position }
                expression = context.check(text, &checker)
            }
            draft.columns.append(.init(name: entry.key, type: expression?.type))
            guard let expression else { continue }
            // A null (a division by zero, say) is a value like any other here; the source's schema is where
            // records without a needed value are refused.
            derived.append(DerivedField(name: entry.key, expression: expression, isOptional: true))
            draft.fields.append(Field(name: entry.key, type: expression.type, isOptional: true))
        }
        return derived
    }

    private func readKey(_ mapping: MappingReader, _ draft: inout StepDraft) {
        guard let node = mapping["key"] else {
            draft.key = mapping.isGiven("key") ? nil : []
            return
        }
        guard let names = context.names(node, "key", example: "key: merchant_id") else { return }
        var isGood = true
        for name in names {
            if let column = draft.columns.first(where: { $0.name == name.text }) {
                draft.keyColumns.append(column)
            } else {
                isGood = false
                guard draft.isComplete else { continue }
                context.error(
                    name.position,
                    "no field '\(name.shown)' for the "
                        + "key\(NearestName.hint(name.text, among: draft.columns.map(\.name)))"
                )
            }
        }
        if isGood { draft.key = names.map(\.text) }
    }

    /// The key of a window of all records: a field that is true in each.
    private func addWholeKey(
        _ draft: inout StepDraft, _ derived: inout [DerivedField], _ mapping: MappingReader
    ) {
        let name = Self.wholeField
        guard !draft.columns.contains(where: { $0.name == name }) else {
            context.error(
                mapping.keyPosition("window"),
                "a window without 'key' makes a field '\(name)', and \(mapping.what) has one already; write key: \(name), or give the "
                    + "field another name in a step before")
            draft.key = nil
            return
        }
        draft.columns.append(.init(name: name, type: .bool))
        draft.fields.append(Field(name: name, type: .bool))
        derived.append(
            DerivedField(
                name: name,
                expression: Expression(.literal(.bool(true)), .bool, at: mapping.keyPosition("window")),
                isOptional: false))
        draft.key = [name]
        draft.keyColumns = draft.columns.suffix(1)
    }

    /// What the rows of a window without a key have in place of one.
    package static let wholeField = "whole"

    // MARK: Windows

    private struct Window {
        /// nil after a mistake.
        var spec: WindowSpec?
        var zone: String?
        var kind: ExpressionScope.WindowKind
        var session: (gap: Int64, max: Int64, limits: OperatorLimits)?
    }

    /// A window needs a key and aggregates, and the other way round.
    private func checkWindowParts(_ mapping: MappingReader) {
        let hasWindow = mapping.isGiven("window")
        let hasAggregate = mapping.isGiven("aggregate")
        if hasAggregate, !hasWindow {
            context.error(
                mapping.keyPosition("aggregate"),
                "\(mapping.what) needs 'window' beside 'aggregate'; write window: { size: 5m, slide: 10s }"
            )
        }
        if hasWindow, !hasAggregate {
            context.error(
                mapping.keyPosition("window"),
                "\(mapping.what) needs 'aggregate' beside 'window'; write aggregate: { amount: sum(amount) }"
            )
        }
        if hasWindow, !mapping.isGiven("key"),
            mapping["window"]?.mapping?.contains(where: { $0.key == "gap" }) == true
        {
            context.error(
                mapping.keyPosition("window"),
                "\(mapping.what) needs 'key' beside a window with a gap; write key: merchant_id"
            )
        }
    }

    private func readWindow(_ node: YamlNode, _ place: Position) -> Window? {
        let example = "window: { size: 5m, slide: 10s }"
        guard
            let mapping = MappingReader(
                node,
                "window",
                keys: ["size", "slide", "zone", "until", "gap", "max", "limit"],
                at: place,
                context,
                example: example
            )
        else { return nil }
        if mapping.isGiven("gap") { return readSession(mapping) }
        for key in ["max", "limit"] where mapping[key] != nil {
            context.error(
                mapping.keyPosition(key),
                "\(key) is for windows with a gap; write window: { gap: 30m, max: 1d }")
        }
        var window = Window(zone: mapping["zone"].flatMap { context.zone($0) }, kind: .unknown)
        let isZoneGood = mapping["zone"] == nil || window.zone != nil
        let size = mapping.requiredText("size", example: example).flatMap { text in
            length(text, "size").map { (text, $0) }
        }
        let slide = mapping.text("slide", example: "slide: 10s").flatMap { text in
            length(text, "slide").map { (text, $0) }
        }
        let until = mapping.text("until", example: "until: yesterday")
        guard let size else { return window }
        let isDays = size.1.unit == "d"
        let isCalendar = Self.calendarUnits[size.1.unit] != nil
        window.kind = isDays ? .days : .milliseconds
        let isUntilGood = checkUntil(until, isDays: isDays)
        if mapping["slide"] != nil, slide == nil { return window }
        let slideLength = slide?.1 ?? size.1
        guard checkSlide(size.1, slideLength, slide?.0.position ?? size.0.position) else { return window }
        var spec = WindowSpec.Length.milliseconds(size: size.1.milliseconds, slide: slideLength.milliseconds)
        if isCalendar {
            guard let zone = window.zone ?? zone else {
                if isZoneGood {
                    context.error(
                        size.0.position,
                        "a window of \(Self.calendarUnits[size.1.unit] ?? "") needs a time zone; write window: { size: \(size.0.shown), "
                            + "zone: Asia/Shanghai }" + (isDays ? ", or 24h for a fixed length" : "")
                    )
                }
                return window
            }
            window.zone = zone
            let (count, slide) = (Int(size.1.count), Int(slideLength.count))
            spec =
                switch size.1.unit {
                case "w": .weeks(size: count, slide: slide, zone: zone)
                case "mo": .months(size: count, slide: slide, zone: zone)
                default: .days(size: count, slide: slide, zone: zone)
                }
        }
        guard isUntilGood, isZoneGood else { return window }
        window.spec = WindowSpec(length: spec, excludesCurrent: until != nil, position: place)
        return window
    }

    private func readSession(_ mapping: MappingReader) -> Window {
        for key in ["size", "slide", "zone", "until"] where mapping[key] != nil {
            context.error(
                mapping.keyPosition(key),
                "a window with a gap has no \(key); write window: { gap: 30m, max: 1d }")
        }
        let gap = mapping["gap"].flatMap { context.duration($0, "gap", least: 1) }
        let max = mapping.required("max", example: "window: { gap: 30m, max: 1d }")
            .flatMap { context.duration($0, "max", least: 1) }
        let limits = context.limits(mapping["limit"], at: mapping.keyPosition("limit"), [.memory, .sessions])
        var window = Window(kind: .session)
        if let gap, let max, let limits { window.session = (gap, max, limits) }
        return window
    }

    private typealias Length = (count: Int64, unit: String, milliseconds: Int64)

    /// Units whose lengths the calendar of a zone says.
    private static let calendarUnits = ["d": "days", "w": "weeks", "mo": "months"]

    /// Of weeks and months: as many milliseconds as to count panes with.
    private static func calendarLength(_ text: String) -> Length? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = String(text.dropFirst(digits.count))
        guard unit == "w" || unit == "mo", let count = Int64(digits), count <= 10_000 else { return nil }
        return (count, unit, count * (unit == "w" ? 7 : 30) * 86_400_000)
    }

    private func length(_ text: ScalarText, _ what: String) -> Length? {
        guard let length = Self.calendarLength(text.text) ?? context.parseDuration(text) else { return nil }
        if length.count > 0 { return length }
        context.error(text.position, "the \(what) of a window must be longer than 0")
        return nil
    }

    private func checkSlide(_ size: Length, _ slide: Length, _ place: Position) -> Bool {
        func text(_ length: Length) -> String { "\(length.count)\(length.unit)" }
        guard Self.calendarUnits[size.unit] == Self.calendarUnits[slide.unit] else {
            if size.unit != "d" && slide.unit != "d"
                || Self.calendarUnits[size.unit] != nil && Self.calendarUnits[slide.unit] != nil
            {
                let unit = Self.calendarUnits[size.unit] ?? Self.calendarUnits[slide.unit] ?? ""
                context.error(
                    place, "size \(text(size)) and slide \(text(slide)) must both be in \(unit), or neither")
                return false
            }
            context.error(
                place,
                "size \(text(size)) and slide \(text(slide)) must both be in days, or neither; 24h is a "
                    + "fixed length, 1d a calendar day"
            )
            return false
        }
        guard size.milliseconds % slide.milliseconds == 0 else {
            context.error(place, "slide \(text(slide)) must divide size \(text(size)) without a rest")
            return false
        }
        let panes = size.milliseconds / slide.milliseconds
        guard panes <= Int64(Limits.panesPerWindowMax) else {
            context.error(
                place,
                "size \(text(size)) in slides of \(text(slide)) makes \(panes) panes, more than "
                    + "\(Limits.panesPerWindowMax); make the slide longer"
            )
            return false
        }
        return true
    }

    private func checkUntil(_ until: ScalarText?, isDays: Bool) -> Bool {
        guard let until else { return true }
        let word = isDays ? "yesterday" : "previous"
        if until.text == word { return true }
        let why =
            ["yesterday", "previous"].contains(until.text)
            ? (isDays ? " for a window of days" : " for a window that is not of days") : ""
        context.error(until.position, "until must be '\(word)'\(why), not '\(until.shown)'")
        return false
    }

    // MARK: Aggregates

    package func readAggregates(
        _ mapping: MappingReader,
        _ draft: inout StepDraft,
        _ kind: ExpressionScope.WindowKind,
        _ zone: String?
    ) -> (aggregates: [AggregateCall], outputs: [DerivedField]) {
        guard let node = mapping["aggregate"] else { return ([], []) }
        var scope = scope(draft, "the records", zone)
        scope.nameKind = "field"
        scope.window = kind
        var checker = ExpressionChecker(scope) { _ in mapping.position }
        var outputs: [DerivedField] = []
        let entries = context.named(node, "aggregate", example: "aggregate: { amount: sum(amount) }")
        draft.isOutputComplete = !entries.isEmpty
        for entry in entries {
            guard context.checkName(entry, "result") else {
                draft.isOutputComplete = false
                continue
            }
            // Sessions have their own word for it.
            if kind != .session, kind != .records, Self.windowFields.contains(entry.key) {
                context.error(
                    entry.keyPosition,
                    "every window has a '\(entry.key)' of its own; give this result another name")
                continue
            }
            if draft.key?.contains(entry.key) == true {
                context.error(
                    entry.keyPosition,
                    "'\(entry.key)' is the name of a key field; give this result another name"
                )
                continue
            }
            var expression: Expression?
            if let text = context.scalar(entry.value, entry.key, example: "\(entry.key): sum(amount)") {
                expression = context.check(text, &checker)
            }
            draft.outputs.append(.init(name: entry.key, type: expression?.type))
            guard let expression else { continue }
            outputs.append(DerivedField(name: entry.key, expression: expression, isOptional: true))
        }
        if checker.aggregates.calls.count > Limits.columnsMax || outputs.count > Limits.columnsMax {
            context.error(mapping.keyPosition("aggregate"), "more than \(Limits.columnsMax) aggregates")
        }
        let exact = checker.aggregates.calls.reduce(0) { sum, call in
            if case .distinct(let exact) = call.function { sum + exact } else { sum }
        }
        if exact > Limits.distinctExactOfStepMax {
            context.error(
                mapping.keyPosition("aggregate"),
                "\(mapping.what) would count \(exact) different values of a key exactly, more than "
                    + "\(Limits.distinctExactOfStepMax) in all; lower exact, or give it another step")
        }
        return (checker.aggregates.calls, outputs)
    }
}
