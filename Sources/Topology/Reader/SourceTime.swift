import Base
import Records

/// `sources.<name>.time`: which time is a record's event time, how far events are out of order, and how the
/// source's times are written.
struct SourceTime {
    /// nil: `of` says it.
    var field: ScalarText?
    var of: Moment?
    var outOfOrder: Int64 = 0
    var idle: Int64 = 5000
    var ahead = Limits.aheadMillisecondsDefault
    /// Of timestamps that do not have their own.
    var zone: String?
    var style = TimeStyle()

    /// An event time that stands in no field of the record.
    enum Moment: Equatable {
        /// The one that Kafka has for it.
        case record
        /// The same for all records.
        case constant(Int64)

        /// What the field is called that it becomes.
        var fieldName: String {
            switch self {
            case .record: "record_time"
            case .constant: "event_time"
            }
        }
    }

    static let example = "time: { field: event_time, out_of_order: 2s, idle: 5s }"

    /// `zone`: the topology's. nil: a mistake was reported.
    static func read(_ mapping: MappingReader, zone: String?, _ context: ReadingContext) -> SourceTime? {
        guard let node = mapping.required("time", example: example),
            let reader = MappingReader(
                node, "time",
                keys: ["field", "of", "out_of_order", "idle", "ahead", "zone", "unit", "format", "from"],
                at: mapping.keyPosition("time"), context, example: example)
        else { return nil }
        var time = SourceTime()
        if let node = reader["zone"] { time.zone = context.zone(node) }
        let timeZone = time.zone ?? zone
        if reader["of"] == nil {
            time.field = reader.requiredText("field", example: example)
        } else if reader["field"] != nil {
            context.error(
                reader.keyPosition("of"), "the event time is that of a field or `of` something else, not both"
            )
        } else {
            time.of = reader["of"].flatMap { moment($0, mapping, context) }
        }
        if let node = reader["out_of_order"], let value = context.duration(node, "out_of_order") {
            time.outOfOrder = value
        }
        if let node = reader["idle"], let value = context.duration(node, "idle", least: 1) {
            time.idle = value
        }
        if let node = reader["ahead"], let value = context.duration(node, "ahead") { time.ahead = value }
        time.style = TimeStyle.read(reader, origin: "from", zone: timeZone, context)
        return time
    }

    private static func moment(_ node: YamlNode, _ mapping: MappingReader, _ context: ReadingContext)
        -> Moment?
    {
        guard let text = context.scalar(node, "of", example: "of: record") else { return nil }
        if text.text == "record" {
            guard !mapping.isGiven("kafka") else { return .record }
            context.error(
                text.position,
                "of: record is the time that Kafka has for a record, and \(mapping.what) reads no topic")
            return nil
        }
        if text.text == "arrival" {
            context.error(
                text.position,
                "the time of arrival is what the broker notes where the topic has "
                    + "message.timestamp.type=LogAppendTime; write of: record")
            return nil
        }
        if let parsed = CivilTime.parse(text.text), parsed.hasZone { return .constant(parsed.milliseconds) }
        context.error(
            text.position,
            "of must be record, or a time with its offset like 2023-01-05T00:00:00+08:00, not '\(text.shown)'"
        )
        return nil
    }
}

/// How timestamps are written: of a field, or of all fields of a source that do not say so themselves.
struct TimeStyle: Equatable {
    var unit: EpochTime.Unit?
    var origin: EpochTime.Origin?
    var patterns: [TimePattern] = []

    /// `unit`, `format` and what numbers count from, which a field calls `since`.
    static func read(_ reader: MappingReader, origin key: String, zone: String?, _ context: ReadingContext)
        -> TimeStyle
    {
        var style = TimeStyle()
        if let node = reader["unit"] {
            style.unit = context.choice(node, "unit", EpochTime.Unit.allCases.map(\.rawValue)).flatMap(
                EpochTime.Unit.init)
        }
        if let node = reader["format"] { style.patterns = patterns(node, context) }
        guard let node = reader[key] else { return style }
        if let text = context.scalar(node, key, example: "\(key): 2015-01-01") {
            style.origin = origin(text, zone, context)
        }
        if reader["unit"] == nil {
            context.error(
                reader.keyPosition(key),
                "\(key) is what numbers count from; say of what: unit: d (or s, ms, us, ns, min, h)")
        }
        return style
    }

    /// A date, or a time, that numbers count from.
    static func origin(_ text: ScalarText, _ zone: String?, _ context: ReadingContext) -> EpochTime.Origin? {
        guard let parsed = CivilTime.parse(text.text) else {
            context.error(
                text.position, "'\(text.shown)' is no time; write 2015-01-01, or 2015-01-01T00:00:00Z")
            return nil
        }
        guard !parsed.hasZone, zone == nil else {
            return EpochTime.Origin(milliseconds: parsed.milliseconds, isLocal: !parsed.hasZone)
        }
        context.error(
            text.position,
            "'\(text.shown)' has no zone; say zone: Asia/Shanghai, or write 2015-01-01T00:00:00Z")
        return nil
    }

    /// A pattern or a list of them; the words that stand for several are written out.
    private static func patterns(_ node: YamlNode, _ context: ReadingContext) -> [TimePattern] {
        var patterns: [TimePattern] = []
        for node in node.sequence ?? [node] {
            guard let text = context.scalar(node, "format", example: "format: \"%d.%m.%Y %H:%M\"") else {
                continue
            }
            if !text.text.contains("%"), TimePattern.names[text.text] == nil {
                context.error(
                    text.position,
                    "'\(text.shown)' is no format of times; write %Y-%m-%d %H:%M:%S, iso or rfc2822")
                continue
            }
            for written in TimePattern.names[text.text] ?? [text.text] {
                do throws(TimePattern.Mistake) {
                    let pattern = try TimePattern(written)
                    if let other = patterns.first(where: { TimePattern.confusion($0, pattern) != nil }),
                        let sample = TimePattern.confusion(other, pattern)
                    {
                        context.error(
                            text.position,
                            "'\(sample)' would be read by '\(other.text)' and by '\(text.shown)', as two different times; "
                                + "a source has one of them")
                    }
                    patterns.append(pattern)
                } catch {
                    context.error(text.position, "'\(text.shown)' is no format of times: \(error.message)")
                }
            }
        }
        return patterns
    }
}
