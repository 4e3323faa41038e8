import Base
import Records

/// `sources.<name>.schema`
struct SchemaReader {
    static let fieldKeys =
        [
            "type", "from", "record", "zone", "round", "unit", "since", "format", "null", "encoding",
            "numbers",
            "percent",
        ] + ValueStyle.keys
    static let example = "schema: { order_id: text, amount: decimal(2), event_time: timestamp }"

    let context: ReadingContext
    /// The topology's zone.
    let zone: String?

    struct SchemaDraft {
        var wire: [WireField] = []
        var derived: [DerivedField] = []
        var columns: [ExpressionScope.Column] = []
        var isComplete = false
        /// Of `columns`, the last ones.
        var derivedCount = 0
    }

    struct FieldDraft {
        var name: String
        var position: Position
        var type: (type: ValueType, isOptional: Bool)?
        var isTypeGiven = true
        var isRounded = false
        var zone: String?
        var reading = FieldReading()
        var path: [String]?
        /// What it is of the record that is not in its value.
        var part: RecordPart?
        /// A time that is the same for all records.
        var constant: Int64?
        var expression: (text: ScalarText, syntax: Syntax)?
    }

    func read(
        _ mapping: MappingReader, zone: String?, _ time: SourceTime?, _ format: SourceReader.FormatDraft
    ) -> SchemaDraft {
        guard let node = mapping.required("schema", example: Self.example) else { return SchemaDraft() }
        let entries = context.named(node, "schema", example: Self.example)
        guard !entries.isEmpty else { return SchemaDraft() }
        if entries.count > Limits.columnsMax {
            context.error(entries[Limits.columnsMax].keyPosition, "more than \(Limits.columnsMax) fields")
            return SchemaDraft()
        }
        let declared = Set(entries.map(\.key))
        var schema = SchemaDraft(isComplete: true)
        var fields = entries.compactMap { readField($0, declared: declared, zone: zone) }
        schema.isComplete = fields.count == entries.count
        if let of = time?.of {
            RecordPartReader(context: context).addTime(of, mapping, declared, &fields)
        }
        var readers: [[String]: String] = [:]
        // What stands beside a record comes behind what stands in it.
        for field in fields.filter({ $0.part == nil }) + fields.filter({ $0.part != nil }) {
            guard let path = field.path else { continue }
            if let other = readers[path] {
                context.error(
                    field.position,
                    "'\(field.name)' and '\(other)' are read from one place; "
                        + "from: \(other) copies the field"
                )
            }
            readers[path] = field.name
            schema.columns.append(.init(name: field.name, type: field.type?.type))
            guard let type = field.type else { continue }
            var reading = field.reading
            if type.type == .timestamp { reading.take(time?.style ?? TimeStyle()) }
            reading.take(format.style, for: type.type)
            reading.nulls += format.nulls.filter { !reading.nulls.contains($0) }
            schema.wire.append(
                WireField(
                    path: path,
                    field: Field(name: field.name, type: type.type, isOptional: type.isOptional),
                    zone: type.type == .timestamp ? field.zone ?? zone : nil,
                    isRounded: field.isRounded,
                    reading: reading,
                    part: field.part
                )
            )
        }
        derive(fields, &schema)
        return schema
    }

    private func derive(_ fields: [FieldDraft], _ schema: inout SchemaDraft) {
        var later = fields.filter { $0.path == nil }.map(\.name)
        for field in fields where field.path == nil {
            var scope = ExpressionScope(
                columns: schema.columns,
                nameKind: "field",
                zone: zone,
                zones: context.environment.zones
            )
            scope.isComplete = schema.isComplete
            scope.laterNames = Set(later)
            later.removeFirst()
            var checker = ExpressionChecker(scope) { _ in field.position }
            let result = field.expression.flatMap { context.check($0.syntax, $0.text, &checker) }
            var expression = result.flatMap { fit($0, field) }
            if let time = field.constant {
                expression = Expression(.literal(.timestamp(time)), .timestamp, at: field.position)
            }
            schema.columns.append(.init(name: field.name, type: expression?.type ?? field.type?.type))
            schema.derivedCount += 1
            if let expression {
                let isOptional = field.type?.isOptional ?? false
                schema.derived.append(
                    DerivedField(name: field.name, expression: expression, isOptional: isOptional)
                )
            }
        }
    }

    /// The expression in the type that the field was declared with.
    private func fit(_ expression: Expression, _ field: FieldDraft) -> Expression? {
        guard field.isTypeGiven else { return expression }
        guard let type = field.type?.type else { return nil }
        if type == expression.type { return expression }
        let isWider = type.scale > expression.type.scale
        if type.isNumber, expression.type.isNumber, isWider || field.isRounded {
            let call = Expression.Node.call(.round(places: type.scale), [expression])
            return Expression(call, type, at: expression.position)
        }
        let hint =
            type.isNumber && expression.type.isNumber
            ? "; add round: true, or write round(..., \(type.scale))" : ""
        context.error(
            field.expression?.text.position ?? field.position,
            "'\(field.name)' is declared as \(type), and this gives \(expression.type)\(hint)"
        )
        return nil
    }

    private func readField(_ entry: YamlEntry, declared: Set<String>, zone: String?) -> FieldDraft? {
        let name = entry.key
        guard !name.isEmpty, name.utf8.count <= 255, !name.contains("`") else {
            context.error(entry.keyPosition, "a field needs a name of 1 to 255 bytes without backticks")
            return nil
        }
        var field = FieldDraft(name: name, position: entry.keyPosition)
        guard case .mapping = entry.value.content else {
            field.path = path(of: entry)
            field.type = readType(entry.value, name)
            return field
        }
        guard
            let mapping = MappingReader(
                entry.value,
                "field \(name)",
                keys: Self.fieldKeys,
                at: entry.keyPosition,
                context,
                example: "\(name): text"
            )
        else { return nil }
        if let node = mapping["record"] {
            RecordPartReader(context: context).readPart(node, mapping, &field)
        } else if let node = mapping["from"] {
            guard let text = context.scalar(node, "from", example: "from: UnitPrice * Quantity") else {
                return nil
            }
            guard let isWire = readFrom(text, declared, &field) else { return nil }
            if !isWire, mapping["type"] == nil { field.isTypeGiven = false }
        } else {
            field.path = path(of: entry)
        }
        if field.isTypeGiven, let node = mapping.required("type", example: "{ type: text }") {
            field.type = readType(node, name)
        }
        readOptions(mapping, zone, &field)
        return field
    }

    private func path(of entry: YamlEntry) -> [String] {
        let parts = entry.key.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        return checked(parts, entry.keyPosition)
    }

    private func checked(_ path: [String], _ position: Position) -> [String] {
        if path.count > Limits.expressionDepthMax {
            context.error(
                position,
                "the path has \(path.count) names, at most \(Limits.expressionDepthMax) are followed")
        }
        return path
    }

    /// True for a name in the record, false for an expression, nil for a mistake.
    private func readFrom(_ text: ScalarText, _ declared: Set<String>, _ field: inout FieldDraft) -> Bool? {
        if let path = JsonPath.withPlaces(text.text) {
            field.path = checked(path, text.position)
            return true
        }
        do {
            let syntax = try ExpressionParser.parse(text.text)
            if case .name(let parts) = syntax.node {
                let name = parts.joined(separator: ".")
                if name == field.name || !declared.contains(name) {
                    field.path = checked(parts, text.position)
                    return true
                }
            }
            field.expression = (text, syntax)
            return false
        } catch {
            let hint = "; a name with spaces or signs is written in backticks: from: \"`Invoice No`\""
            context.report(ExpressionMistake(offset: error.offset, message: error.message + hint), text)
            return nil
        }
    }

    private func readType(_ node: YamlNode, _ name: String) -> (type: ValueType, isOptional: Bool)? {
        guard let text = context.scalar(node, "the type of \(name)", example: "\(name): text") else {
            return nil
        }
        if let type = TypeText.parse(text.text) { return type }
        context.error(text.position, TypeText.mistake(text.shown))
        return nil
    }
}
