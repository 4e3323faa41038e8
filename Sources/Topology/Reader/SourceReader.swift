import Base
import Records

/// A source and what the steps may know of it, also where a mistake keeps the source itself from being made.
package struct SourceDraft {
    package var name: String
    package var position: Position
    package var spec: SourceSpec?
    package var columns: [ExpressionScope.Column] = []
    package var fields: [Field] = []
    /// False where fields are missing because of mistakes.
    package var isComplete = false
    package var isTable = false
    /// Only rows for which it is true are seen.
    package var condition: Expression?
}

/// `sources.<name>`
package struct SourceReader {
    package static let keys = [
        "kafka", "file", "generate", "redis", "format", "time", "key", "schema", "table", "where",
    ]
    package let context: ReadingContext
    /// The topology's zone.
    package let zone: String?

    package func read(_ entry: YamlEntry) -> SourceDraft {
        var draft = SourceDraft(name: entry.key, position: entry.keyPosition)
        let before = context.diagnostics.count
        guard context.checkName(entry, "source"),
            let mapping = MappingReader(
                entry.value,
                "source \(entry.key)",
                keys: Self.keys,
                at: entry.keyPosition,
                context,
                example: "{ kafka: { topic: orders }, time: { field: event_time }, schema: { ... } }"
            )
        else { return draft }
        let origin = readOrigin(mapping)
        let format = readFormat(mapping)
        let isTable = mapping.isGiven("table")
        let hasTime = !mapping.isGiven("redis") || mapping["time"] != nil
        let time = hasTime ? SourceTime.read(mapping, zone: zone, context) : SourceTime()
        var schema = SchemaReader(context: context, zone: zone).read(
            mapping, zone: time?.zone ?? zone, time, format)
        let declared = schema.wire.filter { $0.part == nil }
        RecordPartReader(context: context).checkParts(mapping, schema)
        if schema.isComplete, let options = format.options { format.part?.check(declared, options, context) }
        if isTable { addDeleted(mapping, to: &schema) }
        draft.columns = schema.columns
        draft.isComplete = schema.isComplete
        draft.isTable = isTable || mapping.isGiven("redis")
        let timeField = hasTime ? time.flatMap { findTimeField($0, draft, schema) } : -1
        let key = readKey(mapping, draft)
        let table = readTable(mapping, draft, wire: schema.wire.map(\.field.name))
        draft.condition = SourceCondition.read(mapping, draft, zone: time?.zone ?? zone, context)
        let fields =
            schema.wire.map(\.field)
            + schema.derived.map { derived in
                Field(name: derived.name, type: derived.expression.type, isOptional: derived.isOptional)
            }
        draft.fields = fields
        guard context.diagnostics.count == before, let origin, let time, let timeField,
            let part = format.part
        else { return draft }
        draft.spec = SourceSpec(
            name: entry.key,
            origin: origin,
            format: .published(part),
            wire: schema.wire,
            derived: schema.derived,
            schema: Schema(fields),
            timeField: timeField,
            outOfOrder: time.outOfOrder,
            idle: time.idle,
            ahead: time.ahead,
            position: entry.keyPosition
        )
        draft.spec?.declared = declared
        draft.spec?.encoding = format.encoding
        draft.spec?.spareField = isTable ? TableSpec.deletedName : nil
        draft.spec?.skipsTombstones = skipsTombstones(mapping)
        draft.spec?.key = key
        draft.spec?.table = table
        return draft
    }

    /// The fields that the topic's producers partition it by.
    private func readKey(_ mapping: MappingReader, _ draft: SourceDraft) -> [String] {
        let example = "key: merchant_id"
        guard let node = mapping["key"] else { return [] }
        guard mapping.isGiven("kafka") else {
            context.error(
                mapping.keyPosition("key"),
                "key says how a Kafka topic is partitioned, and \(mapping.what) reads none")
            return []
        }
        guard let names = context.names(node, "key", example: example) else { return [] }
        let known = draft.columns.map(\.name)
        for name in names where draft.isComplete && !known.contains(name.text) {
            context.error(
                name.position,
                "no field '\(name.shown)' in the schema\(NearestName.hint(name.text, among: known))")
        }
        return names.map(\.text)
    }

    // MARK: Origin

    private func readOrigin(_ mapping: MappingReader) -> SourceSpec.Origin? {
        let given = ["kafka", "file", "generate", "redis"].filter { mapping.isGiven($0) }
        guard given.count == 1, let kind = given.first else {
            let place = given.count > 1 ? mapping.keyPosition(given[1]) : mapping.position
            let found = given.isEmpty ? "none" : ReadingContext.list(given, "and")
            context.error(
                place,
                "\(mapping.what) needs one of kafka, file, generate and redis, not \(found); write kafka: { "
                    + "topic: orders }"
            )
            return nil
        }
        guard let node = mapping[kind] else { return nil }
        let place = mapping.keyPosition(kind)
        switch kind {
        case "kafka": return readKafka(node, place)
        case "file":
            guard
                let file = MappingReader(
                    node,
                    "file",
                    keys: ["path"],
                    at: place,
                    context,
                    example: "file: { path: orders.csv }"
                ),
                let path = file.requiredText("path", example: "path: orders.csv")
            else { return nil }
            return .file(path: path.text)
        case "redis": return readRedis(node, place, mapping)
        default: return readGenerate(node, place)
        }
    }

    private func readKafka(_ node: YamlNode, _ place: Position) -> SourceSpec.Origin? {
        guard
            let kafka = MappingReader(
                node,
                "kafka",
                keys: ["topic", "start", "tombstones"],
                at: place,
                context,
                example: "kafka: { topic: orders }"
            )
        else { return nil }
        let start = kafka["start"].map { context.choice($0, "start", ["earliest", "latest"]) } ?? "earliest"
        _ = kafka["tombstones"].map { context.choice($0, "tombstones", Self.tombstones) }
        guard let node = kafka.required("topic", example: "topic: orders"), let topic = context.topic(node),
            let start
        else { return nil }
        return .kafka(topic: topic, start: start == "latest" ? .latest : .earliest)
    }

    private static let tombstones = ["refuse", "skip"]

    private func skipsTombstones(_ mapping: MappingReader) -> Bool {
        guard let node = mapping["kafka"]?.mapping?.first(where: { $0.key == "tombstones" })?.value,
            let scalar = node.scalar
        else { return false }
        return context.interpolate(scalar, at: node.position)?.text == Self.tombstones[1]
    }

    private func readGenerate(_ node: YamlNode, _ place: Position) -> SourceSpec.Origin? {
        let example = "generate: { rate: 1000, merchants: 500, seed: 1 }"
        guard
            let generate = MappingReader(
                node,
                "generate",
                keys: ["rate", "merchants", "seed"],
                at: place,
                context,
                example: example
            )
        else { return nil }
        func number(_ key: String, _ range: ClosedRange<Int>) -> Int? {
            generate.required(key, example: example).flatMap {
                context.integer($0, key, range, example: example)
            }
        }
        let rate = number("rate", 1...10_000_000)
        let merchants = number("merchants", 1...10_000_000)
        let seed = number("seed", 0...Int.max)
        guard let rate, let merchants, let seed else { return nil }
        return .generate(GenerateSpec(rate: rate, merchants: merchants, seed: UInt64(seed)))
    }

    // MARK: Time

    private func findTimeField(_ time: SourceTime, _ draft: SourceDraft, _ schema: SchemaReader.SchemaDraft)
        -> Int?
    {
        guard let field = time.field else {
            return time.of.flatMap { of in draft.columns.firstIndex { $0.name == of.fieldName } }
        }
        guard let index = draft.columns.firstIndex(where: { $0.name == field.text }) else {
            if draft.isComplete {
                let stamps = draft.columns.filter { $0.type == .timestamp }.map(\.name)
                context.error(
                    field.position,
                    "no field '\(field.shown)' in the schema\(NearestName.hint(field.text, among: stamps))"
                )
            }
            return nil
        }
        guard let type = draft.columns[index].type else { return nil }
        guard type == .timestamp else {
            context.error(field.position, "the time must be a timestamp, and '\(field.shown)' is \(type)")
            return nil
        }
        let isOptional =
            schema.wire.contains { $0.field.name == field.text && $0.field.isOptional }
            || schema.derived.contains { $0.name == field.text && $0.isOptional }
        guard !isOptional else {
            context.error(
                field.position,
                "the time must be in every record, and '\(field.shown)' is optional; write \(field.shown): timestamp, and a record "
                    + "without it is a dead letter")
            return nil
        }
        return index
    }
}
