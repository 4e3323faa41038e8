import Base
import Records

/// `sources.<name>.table`, and tables in Redis.
extension SourceReader {
    package static let tableExample = "table: { key: merchant_id }"

    /// Every table has a field that says that a record deletes its key.
    func addDeleted(_ mapping: MappingReader, to schema: inout SchemaReader.SchemaDraft) {
        let name = TableSpec.deletedName
        if schema.columns.contains(where: { $0.name == name }) {
            context.error(
                mapping.keyPosition("schema"),
                "'\(name)' is the mark of records that delete their key, which every table has; take it out of the schema"
            )
            return
        }
        // After the fields of the record and before what is computed.
        let wires = schema.wire.count { $0.part == nil }
        schema.columns.insert(.init(name: name, type: .bool), at: wires)
        schema.wire.insert(
            WireField(path: [name], field: Field(name: name, type: .bool, isOptional: true)), at: wires)
        for index in schema.derived.indices {
            let map = schema.columns.indices.map { $0 < wires ? $0 : $0 + 1 }
            schema.derived[index].expression = schema.derived[index].expression.remapped(map)
        }
    }

    /// nil: the source is no table, or its table has a mistake.
    package func readTable(_ mapping: MappingReader, _ draft: SourceDraft, wire: [String]) -> TableSpec? {
        guard let node = mapping["table"] else {
            if mapping.isGiven("redis"), !mapping.isGiven("table") {
                context.error(
                    mapping.keyPosition("redis"),
                    "\(mapping.what) lies in Redis and can only be a table; write \(Self.tableExample)")
            }
            return nil
        }
        if mapping.isGiven("generate") {
            context.error(
                mapping.keyPosition("table"),
                "a table comes from kafka, file or redis; \(mapping.what) generates")
        }
        let place = mapping.keyPosition("table")
        guard
            let reader = MappingReader(
                node, "table", keys: ["key", "versions", "broadcast"], at: place, context,
                example: Self.tableExample),
            let keyNode = reader.required("key", example: Self.tableExample),
            let names = context.names(keyNode, "key", example: Self.tableExample)
        else { return nil }
        var key: [Int] = []
        for name in names {
            if let index = wire.firstIndex(of: name.text), name.text != TableSpec.deletedName {
                key.append(index)
            } else if draft.columns.contains(where: {
                $0.name == name.text && $0.name != TableSpec.deletedName
            }) {
                // Its type may be wrong, which was said.
                guard draft.isComplete, draft.columns.count(where: { $0.type == nil }) == 0 else { continue }
                context.error(
                    name.position,
                    "the key of a table must stand in its records, and '\(name.shown)' is computed")
            } else if draft.isComplete {
                let known = draft.columns.map(\.name).filter { $0 != TableSpec.deletedName }
                context.error(
                    name.position,
                    "no field '\(name.shown)' in the schema\(NearestName.hint(name.text, among: known))")
            }
        }
        let versions =
            reader["versions"].map { context.duration($0, "versions") }
            ?? Limits.tableVersionsMillisecondsDefault
        let broadcast =
            reader["broadcast"].map { context.choice($0, "broadcast", ["true", "false"]) } ?? "false"
        checkTable(mapping, reader, names.map(\.text), isBroadcast: broadcast == "true")
        guard key.count == names.count, let versions, let broadcast else { return nil }
        return TableSpec(
            key: key, versions: versions, isBroadcast: broadcast == "true",
            deleted: wire.firstIndex(of: TableSpec.deletedName) ?? wire.count - 1)
    }

    private func checkTable(
        _ mapping: MappingReader, _ table: MappingReader, _ key: [String], isBroadcast: Bool
    ) {
        if mapping.isGiven("redis") {
            for option in ["versions", "broadcast"] where table[option] != nil {
                context.error(
                    table.keyPosition(option), "\(option) is for tables in Kafka; rows in Redis are as of now"
                )
            }
            if mapping["time"] != nil {
                context.error(
                    mapping.keyPosition("time"), "time is for tables in Kafka; rows in Redis are as of now")
            }
        }
        if isBroadcast, mapping["key"] != nil {
            context.error(
                mapping.keyPosition("key"),
                "it does not matter how the topic of a broadcast table is partitioned; take key out")
        } else if let node = mapping["key"],
            let names = context.names(node, "key", example: "key: merchant_id")
        {
            for name in names where !key.contains(name.text) {
                context.error(
                    name.position,
                    "'\(name.shown)' is not in the table's key: records of one key would lie in several partitions"
                )
            }
        }
        if let start = mapping["kafka"]?.mapping?.first(where: { $0.key == "start" }),
            start.value.scalar?.text == "latest"
        {
            context.error(start.value.position, "a table is read from its beginning; take start out")
        }
        if let tombstones = mapping["kafka"]?.mapping?.first(where: { $0.key == "tombstones" }) {
            context.error(
                tombstones.keyPosition,
                "in a table a record without a value deletes its key; take tombstones out")
        }
    }

    // MARK: Redis

    package func readRedis(_ node: YamlNode, _ place: Position, _ mapping: MappingReader) -> SourceSpec
        .Origin?
    {
        let example = "redis: { key: \"limits:{merchant_id}\", stale: 10m, timeout: 20ms }"
        guard
            let redis = MappingReader(
                node, "redis", keys: ["key", "stale", "timeout"] + RedisServerSpec.keys, at: place, context,
                example: example)
        else { return nil }
        let pattern = redis.requiredText("key", example: example)
        let stale = redis["stale"].map { context.duration($0, "stale", least: 1) } ?? 600_000
        let timeout = redis["timeout"].map { context.duration($0, "timeout", least: 1) } ?? 20
        let server = RedisServerSpec.read(redis, context)
        let key = mapping["table"]?.mapping?.first { $0.key == "key" }?.value
        let names = key.map { $0.sequence?.compactMap { $0.scalar?.text } ?? [$0.scalar?.text ?? ""] }
        guard let pattern, let stale, let timeout, let parts = keyParts(pattern, names), let server else {
            return nil
        }
        return .redis(RedisTableSpec(key: parts, stale: stale, timeout: timeout, server: server))
    }

    /// `names`: the fields of the table's key; nil: not known.
    private func keyParts(_ pattern: ScalarText, _ names: [String]?) -> [KeyPart]? {
        let result = context.keyParts(pattern) { name, text in
            guard let names, !names.contains(name) else { return true }
            context.error(
                text.position,
                "the table has no key field '\(text.shown)'\(NearestName.hint(name, among: names))")
            return false
        }
        guard let result else { return nil }
        if let missing = names?.first(where: { !result.contains(.field($0)) }) {
            context.error(
                pattern.position,
                "the key leaves out '\(missing)', so different keys would share one entry; write {\(missing)} in it"
            )
            return nil
        }
        return result
    }
}
