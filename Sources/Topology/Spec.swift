import Records

/// Where something stands in a file; both count from 1, columns in UTF-8 bytes' characters as an editor
/// shows.
package struct Position: Hashable, Sendable, Comparable {
    package var line: Int
    package var column: Int

    package init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    package static func < (a: Position, b: Position) -> Bool { (a.line, a.column) < (b.line, b.column) }
}

/// A mistake in a file, for the person who wrote it: `file:line:column: message`.
package struct Diagnostic: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Severity: String, Sendable { case error, warning }

    package var severity: Severity
    package var file: String
    package var position: Position
    package var message: String

    package init(_ severity: Severity = .error, file: String, at position: Position, _ message: String) {
        self.severity = severity
        self.file = file
        self.position = position
        self.message = message
    }

    package var description: String {
        let kind = severity == .warning ? "warning: " : ""
        return "\(file):\(position.line):\(position.column): \(kind)\(message)"
    }
}

/// A topology file that has no mistakes: every name resolved, every expression typed.
/// Durations are milliseconds everywhere.
package struct TopologySpec: Sendable {
    package var name: String
    package var guarantee: Guarantee
    package var latency: Int64
    package var sources: [SourceSpec]
    /// In an order in which every step comes after what it reads.
    package var steps: [StepSpec]
    package var rules: [RuleSpec]
    package var sinks: [SinkSpec]
    /// Raw librdkafka settings given as `kafka: { name: value }` at the top level.
    package var kafka: [String: String]
    /// `sha256:…` of the file with its parameters applied.
    package var ruleset: String
    /// `sha256:…` of what it computes, whatever the file looks like.
    package var logic = ""
    /// Which activation of the topology's rules this is: 0, the file that a worker was started with; nil, it
    /// does not run in a worker.
    package var epoch: Int64?
    /// Keys per task that the state bounds are computed for.
    package var keys: Int
    /// What people change, in the order of the file.
    package var parameters: [ParameterSpec] = []
    /// What steps score with.
    package var models: [ModelSpec] = []
    /// Topics that records go through to another partition; empty until `repartitioned()`.
    package var repartitions: [RepartitionSpec] = []

    /// a-z, 0-9 and -, at most 100 of them, a letter first.
    package static func isName(_ text: String) -> Bool {
        func isLower(_ byte: UInt8) -> Bool { byte >= 0x61 && byte <= 0x7A }
        guard let first = text.utf8.first, isLower(first), text.utf8.count <= 100 else { return false }
        return text.utf8.allSatisfy { isLower($0) || ReadingContext.isDigit($0) || $0 == 0x2D }
    }

    /// What a topology of this name uses a topic for by itself; nil: nothing.
    static func ownTopicUse(_ topic: String, of name: String) -> String? {
        guard !name.isEmpty, topic.hasPrefix(name + "-") else { return nil }
        switch topic.dropFirst(name.count + 1) {
        case "dead-letter": return "dead letters"
        case "late": return "late records"
        case let rest where rest.hasPrefix("hbase-"): return "rows on their way to HBase"
        case "state-changelog": return "state"
        case "audit": return "what was changed, by whom"
        case "rulesets", "ruleset-acks": return "rules that change while they run"
        case "outbox", "deliveries", "undelivered", "dispositions", "notify-state":
            return "telling people of alerts"
        case let rest: return rest.hasSuffix("-repartition") ? "repartitioned records" : nil
        }
    }

    package enum Guarantee: String, Sendable {
        case exactlyOnce = "exactly-once"
        case atLeastOnce = "at-least-once"
    }

    package init(
        name: String, guarantee: Guarantee, latency: Int64, sources: [SourceSpec], steps: [StepSpec],
        rules: [RuleSpec], sinks: [SinkSpec], kafka: [String: String], ruleset: String, keys: Int
    ) {
        self.name = name
        self.guarantee = guarantee
        self.latency = latency
        self.sources = sources
        self.steps = steps
        self.rules = rules
        self.sinks = sinks
        self.kafka = kafka
        self.ruleset = ruleset
        self.keys = keys
    }
}

package struct SourceSpec: Sendable {
    package var name: String
    package var origin: Origin
    package var format: Format
    /// The fields that are decoded from the record, as it is published. Fields that no expression, time
    /// or sink uses are left out.
    package var wire: [WireField]
    /// The fields of the record as the schema declares them, in order, used or not: what a record has that
    /// does not name its fields.
    package var declared: [WireField] = []
    /// A field that such records may have behind those.
    package var spareField: String?
    /// What the records are written in; nil: UTF-8.
    package var encoding: TextEncoding?
    /// Whoever hands the records over has made them UTF-8 of it.
    package var isConverted = false
    /// Records with a key and no value are passed over: what a compacted topic of changes has where a key is
    /// deleted.
    package var skipsTombstones = false
    /// Fields computed from the wire fields (`amount: { from: UnitPrice * Quantity }`); their scope is
    /// the wire fields, then the derived fields before them.
    package var derived: [DerivedField]
    /// Names of the fields that the topic is partitioned by; empty: not declared (`key:`).
    package var key: [String] = []
    /// What the steps see: wire fields, then derived fields, in that order.
    package var schema: Schema
    /// Index of the event time in `schema`; a timestamp. -1: a table that has none.
    package var timeField: Int
    package var outOfOrder: Int64
    package var idle: Int64
    /// How far ahead of the clock an event time may be.
    package var ahead: Int64
    package var position: Position
    /// Set if the source is a table, which is looked up and has no steps of its own.
    package var table: TableSpec?

    /// True where a record may be ahead of the source's event time by more than `outOfOrder`: event time is
    /// that of the slowest of several inputs or partitions.
    package var mayRunAhead: Bool {
        switch origin {
        case .stream, .repartition: true
        case .kafka, .file, .generate, .redis: false
        }
    }

    /// What its records say that they were read from: the topic, or the source's own name.
    package var recordTopic: String {
        switch origin {
        case .kafka(let topic, _), .repartition(let topic): topic
        case .file, .generate, .stream, .redis: name
        }
    }

    package enum Origin: Sendable {
        case kafka(topic: String, start: Start)
        case file(path: String)
        case generate(GenerateSpec)
        /// A table that is looked up in Redis.
        case redis(RedisTableSpec)
        /// Made by `repartitioned()`: records of another source, partitioned anew by another key.
        case repartition(topic: String)
        /// A stream: what a step of this topology makes, its closed windows or the rows of its operator.
        case stream(step: Int)

        /// True if its records do not come from outside the task.
        package var isStream: Bool { if case .stream = self { true } else { false } }
    }

    package enum Start: String, Sendable { case earliest, latest }

    package enum Format: Sendable {
        /// One of the catalogue, as the records' producers write it.
        case published(any FormatPart)
        /// What millrace writes to its repartition topics.
        case repartition
        /// Rows of a stream, which never were bytes.
        case rows

        package var name: String {
            switch self {
            case .published(let part): type(of: part).key
            case .repartition: "repartition"
            case .rows: "rows"
            }
        }
    }

    package init(
        name: String, origin: Origin, format: Format, wire: [WireField], derived: [DerivedField],
        schema: Schema,
        timeField: Int, outOfOrder: Int64, idle: Int64, ahead: Int64, position: Position
    ) {
        self.name = name
        self.origin = origin
        self.format = format
        self.wire = wire
        self.derived = derived
        self.schema = schema
        self.timeField = timeField
        self.outOfOrder = outOfOrder
        self.idle = idle
        self.ahead = ahead
        self.position = position
    }
}

/// `generate: { rate: 1000, merchants: 500, seed: 1 }`
package struct GenerateSpec: Sendable {
    package var rate: Int
    package var merchants: Int
    package var seed: UInt64

    package init(rate: Int, merchants: Int, seed: UInt64) {
        self.rate = rate
        self.merchants = merchants
        self.seed = seed
    }
}

/// A field as it stands in the record: `customer.id` is the member `id` of the object `customer`; in CSV
/// the whole path is the column's name.
package struct WireField: Hashable, Sendable {
    package var path: [String]
    package var field: Field
    /// IANA name of the zone of a timestamp that is written without one; nil: such a timestamp is wrong.
    package var zone: String?
    /// Numbers with more places than the scale are rounded half to even instead of refused.
    package var isRounded: Bool
    package var reading: FieldReading
    /// What it is of the record that is not in its value; nil: it is in its value.
    package var part: RecordPart?

    package init(
        path: [String], field: Field, zone: String? = nil, isRounded: Bool = false,
        reading: FieldReading = FieldReading(),
        part: RecordPart? = nil
    ) {
        self.part = part
        self.path = path
        self.field = field
        self.zone = zone
        self.isRounded = isRounded
        self.reading = reading
    }

    /// `customer.id`, in CSV a column's name.
    package var name: String { path.joined(separator: ".") }
}

package struct DerivedField: Hashable, Sendable {
    package var name: String
    package var expression: Expression
    package var isOptional: Bool

    package init(name: String, expression: Expression, isOptional: Bool = false) {
        self.name = name
        self.expression = expression
        self.isOptional = isOptional
    }
}

extension DerivedField {
    /// The names of those that read a column, with commas between.
    package static func names(of fields: [DerivedField], reading column: Int) -> String {
        fields.filter { field in
            var columns: Set<Int> = []
            field.expression.collectColumns(into: &columns)
            return columns.contains(column)
        }.map(\.name).joined(separator: ", ")
    }
}

/// A node between sources and rules: selects and derives, and, when it has a window, aggregates.
package struct StepSpec: Sendable {
    package var name: String
    package var input: Input
    /// `only`: the columns of the input that it takes, in the order of its schema; nil: all.
    package var only: [Int]?
    /// A window of all records, which must come to one task; its key is a field that is true in each.
    package var isWhole = false
    /// Adds columns of a table to the input's, before anything else.
    package var join: TableJoinSpec?
    /// Scope of `condition`, `derived` and `key`: the input's schema, then the derived fields before.
    package var condition: Expression?
    package var derived: [DerivedField]
    /// Fields of `schema` that make the key; empty: the step has none.
    package var key: [Int]
    /// The record columns after this step: the input's (those of `only`), those of the join, then the
    /// derived.
    package var schema: Schema
    package var window: WindowSpec?
    /// What makes records of its own from this step's and others'; they are a stream, and a source of the
    /// steps that read it.
    package var operation: OperatorSpec?
    /// Aggregates in the order that `outputs` refers to them; their scope is `schema`.
    package var aggregates: [AggregateCall]
    /// What the step is known for: name and expression over the aggregates (column i = aggregates[i]).
    package var outputs: [DerivedField]
    package var position: Position

    package enum Input: Hashable, Sendable {
        case source(Int)
        case step(Int)
    }

    package init(
        name: String, input: Input, condition: Expression?, derived: [DerivedField], key: [Int],
        schema: Schema,
        window: WindowSpec?, aggregates: [AggregateCall], outputs: [DerivedField], position: Position
    ) {
        self.name = name
        self.input = input
        self.condition = condition
        self.derived = derived
        self.key = key
        self.schema = schema
        self.window = window
        self.aggregates = aggregates
        self.outputs = outputs
        self.position = position
    }
}

/// Windows end at multiples of `slide`, counted from 1970 UTC, or at midnights of a zone.
/// A tumbling window has slide = size.
package struct WindowSpec: Hashable, Sendable {
    package enum Length: Hashable, Sendable {
        case milliseconds(size: Int64, slide: Int64)
        /// Calendar days of the zone, which are 23 or 25 hours long when the clocks change.
        case days(size: Int, slide: Int, zone: String)
        /// Weeks from Monday on, and months of the calendar, of the zone.
        case weeks(size: Int, slide: Int, zone: String)
        case months(size: Int, slide: Int, zone: String)

        package var zone: String? {
            switch self {
            case .milliseconds: nil
            case .days(_, _, let zone), .weeks(_, _, let zone), .months(_, _, let zone): zone
            }
        }
    }

    package var length: Length
    /// `until: yesterday`: the window ends where the current slide begins, so that today's records do
    /// not take part in what today is compared with.
    package var excludesCurrent: Bool
    package var position: Position

    package init(length: Length, excludesCurrent: Bool, position: Position) {
        self.length = length
        self.excludesCurrent = excludesCurrent
        self.position = position
    }
}

package struct RuleSpec: Sendable {
    package var name: String
    /// The name that the ids of its alerts are made of; nil: its own. Of rules that are compared in one run,
    /// the one they share.
    package var alertName: String?
    /// Indices of steps. Either all have windows and equal key names, or there is one without a window.
    package var on: [Int]
    /// Scope of the expressions: for window steps, for each in turn its key fields (once, from the first
    /// step), then `step.output` of every step in order; for a record step its `schema`.
    package var scope: Schema
    package var when: Expression
    package var clear: Expression?
    package var at: Moment
    package var risk: String
    package var severity: Severity
    package var measure: String
    package var message: [MessagePart]
    /// The texts of `when` and `clear`, as written.
    package var condition: String
    /// Columns of `scope` that the condition names; they stand in the alert's `values`.
    package var mentioned: [Int]
    package var position: Position

    package enum Moment: String, Sendable { case record, close }
    package enum Severity: String, Sendable, CaseIterable { case low, medium, high, critical }
    package enum MessagePart: Hashable, Sendable {
        case text(String)
        case value(Expression)
    }

    package init(
        name: String, on: [Int], scope: Schema, when: Expression, clear: Expression?, at: Moment,
        risk: String,
        severity: Severity, measure: String, message: [MessagePart], condition: String, mentioned: [Int],
        position: Position
    ) {
        self.name = name
        self.on = on
        self.scope = scope
        self.when = when
        self.clear = clear
        self.at = at
        self.risk = risk
        self.severity = severity
        self.measure = measure
        self.message = message
        self.condition = condition
        self.mentioned = mentioned
        self.position = position
    }
}
