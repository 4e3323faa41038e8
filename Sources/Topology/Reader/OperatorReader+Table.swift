import Base
import Records

/// `join: { table: … }`
extension OperatorReader {
    private static let tableExample = "join: { table: registry, on: merchant_id }"

    package enum JoinKind { case table, stream }

    /// A join with a table looks rows up as they come, one with a stream is an operator; nil: the step has
    /// none.
    package static func joinKind(_ mapping: MappingReader) -> JoinKind? {
        guard let node = mapping["join"] else { return nil }
        let names = node.mapping?.map(\.key) ?? []
        return names.contains("stream") && !names.contains("table") ? .stream : .table
    }

    /// The input with the columns of the table that the step joins, if it does.
    package func joined(_ input: StepReader.Input) -> StepReader.Input {
        guard Self.joinKind(mapping) == .table, let node = mapping["join"] else { return input }
        let before = context.diagnostics.count
        var result = input
        // What is wrong with the step's other parts can be told only if the columns are known.
        result.isComplete = false
        guard
            let reader = MappingReader(
                node, "join", keys: ["table", "on", "kind", "select", "as"], at: mapping.keyPosition("join"),
                context,
                example: Self.tableExample)
        else { return result }
        let name = reader.requiredText("table", example: Self.tableExample)
        let on = reader.required("on", example: Self.tableExample)
            .flatMap { context.names($0, "on", example: Self.tableExample) }
        let kind = reader["kind"].map { context.choice($0, "kind", ["inner", "left"]) } ?? "inner"
        let alias = readAlias(reader)
        guard let name, let table = findTable(name), let spec = graph.sources[table].spec,
            let tableSpec = spec.table
        else {
            return result
        }
        let columns = readSelect(reader, spec, tableSpec)
        guard let on, let kind, let places = match(on, input, spec, tableSpec), let columns else {
            return result
        }
        guard context.diagnostics.count == before else { return result }
        let prefix = alias ?? spec.name
        var fields = columns.map { column in
            Field(
                name: "\(prefix).\(spec.schema.fields[column].name)", type: spec.schema.fields[column].type,
                isOptional: true)
        }
        if kind == "left" { fields.append(Field(name: "\(prefix).found", type: .bool)) }
        if let twice = fields.first(where: { field in input.columns.contains { $0.name == field.name } }) {
            context.error(
                mapping.keyPosition("join"),
                "\(input.name) has a field '\(twice.name)' already; give the table another name with as: other"
            )
            return result
        }
        guard input.columns.count + fields.count <= Limits.columnsMax else {
            context.error(
                mapping.keyPosition("join"),
                "more than \(Limits.columnsMax) fields; select: [city] takes some")
            return result
        }
        result.columns += fields.map { .init(name: $0.name, type: $0.type) }
        result.fields += fields
        result.isComplete = input.isComplete
        result.join = TableJoinSpec(table: table, on: places, isLeft: kind == "left", columns: columns)
        return result
    }

    package func readAlias(_ reader: MappingReader) -> String? {
        guard let text = reader.text("as", example: "as: payer") else { return nil }
        let entry = YamlEntry(
            key: text.text, keyPosition: text.position, value: YamlNode(.sequence([]), at: text.position))
        return context.checkName(entry, "joined table") ? text.text : nil
    }

    private func findTable(_ name: ScalarText) -> Int? {
        let tables = graph.sources.filter(\.isTable).map(\.name)
        if let source = graph.sources.firstIndex(where: { $0.name == name.text }) {
            if graph.sources[source].isTable { return source }
            context.error(
                name.position,
                "'\(name.shown)' is no table; write table: { key: … } in its source, or join: { stream: \(name.shown), … }"
            )
            return nil
        }
        context.error(name.position, "no table '\(name.shown)'\(NearestName.hint(name.text, among: tables))")
        return nil
    }

    /// For each key field of the table, the column that must equal it; nil: a mistake, or nothing is known.
    private func match(
        _ on: [ScalarText], _ input: StepReader.Input, _ source: SourceSpec, _ table: TableSpec
    ) -> [Int]? {
        let key = table.key.map { source.schema.fields[$0] }
        guard on.count == key.count else {
            context.error(
                on[0].position,
                "the key of \(source.name) is \(key.map(\.name).joined(separator: ", ")); name as many fields of "
                    + "\(input.name), in that order")
            return nil
        }
        var places: [Int] = []
        for (name, field) in zip(on, key) {
            guard let place = input.columns.firstIndex(where: { $0.name == name.text }) else {
                if input.isComplete {
                    context.error(
                        name.position,
                        "no field of \(input.name) '\(name.shown)'"
                            + NearestName.hint(name.text, among: input.columns.map(\.name)))
                }
                return nil
            }
            guard let type = input.columns[place].type else { return nil }
            guard type == field.type else {
                context.error(
                    name.position,
                    "'\(name.shown)' is \(type), and '\(field.name)', the key of \(source.name), is \(field.type)"
                )
                return nil
            }
            places.append(place)
        }
        return places
    }

    private func readSelect(_ reader: MappingReader, _ source: SourceSpec, _ table: TableSpec) -> [Int]? {
        let all = table.values(of: source.schema)
        guard let node = reader["select"] else { return all }
        guard let names = context.names(node, "select", example: "select: [city]") else { return nil }
        var columns: [Int] = []
        for name in names {
            guard let column = all.first(where: { source.schema.fields[$0].name == name.text }) else {
                let known = all.map { source.schema.fields[$0].name }
                context.error(
                    name.position,
                    "\(source.name) has no field '\(name.shown)' beside its key\(NearestName.hint(name.text, among: known))"
                )
                return nil
            }
            columns.append(column)
        }
        return columns
    }
}
