import Dataflow
import Records
import Topology

/// What the formats of envelopes have in common: JSON, of which the rows are what is in it.
package protocol Envelope: DecodableFormat {
    static var kind: EnvelopeKind { get }
    /// Rows of other tables are passed over; empty: none are.
    var tables: [String] { get set }
    init()
}

extension Envelope {
    package static var key: String { kind.rawValue }
    package static var options: [String] {
        FormatOption.all.filter { $0 != FormatOption.encoding } + (kind.isChange ? ["tables"] : [])
    }

    package static func read(_ options: MappingReader?, _ context: ReadingContext) -> Self {
        var format = Self()
        if let node = options?["tables"] {
            format.tables = context.names(node, "tables", example: "tables: [orders]")?.map(\.text) ?? []
        }
        return format
    }

    package func makeDecoder(_ columns: [WireColumn], of records: RecordShape) -> any RecordDecoder {
        JsonDecoder(columns, notation: Self.kind.notation, capacity: records.capacity)
    }

    package func fileLayout(of records: RecordShape) -> FileLayout { FileLayout(format: Self.key) }

    package var logic: String { tables.isEmpty ? "" : "tables \(tables)" }

    package func makeShaper() -> (any RecordShaper)? { EnvelopeShaper(Self.kind, tables: tables) }

    /// The envelope of a row that a test gives by its fields, with `_op` and the like.
    package func record(_ values: [GivenValue], of records: RecordShape) -> String {
        func value(_ name: String) -> String? { values.first { $0.path == name }?.json }
        let isDeleted = value(TableMark.deleted) == "true"
        let op = value("_op") ?? (isDeleted ? "\"d\"" : "\"c\"")
        let row = JsonFormat().record(values.filter { !$0.path.hasPrefix("_") }, of: records)
        let time = value("_ts").map { ",\"ts_ms\":\($0)" } ?? ""
        let word = ["\"d\"": "delete", "\"u\"": "update", "\"r\"": "bootstrap-insert"][op] ?? "insert"
        switch Self.kind {
        case .debezium: return "{\"op\":\(op),\"\(op == "\"d\"" ? "before" : "after")\":\(row)\(time)}"
        case .canal:
            return "{\"type\":\"\(word)\",\"data\":[\(row)]\(value("_ts").map { ",\"es\":\($0)" } ?? "")}"
        case .maxwell: return "{\"type\":\"\(word)\",\"data\":\(row)}"
        case .connect: return row
        case .cloudevents:
            let parts = ["id", "source", "type", "time", "subject"].compactMap { name in
                value("_\(name)").map { ",\"\(name)\":\($0)" }
            }
            return "{\"specversion\":\"1.0\"\(parts.joined()),\"data\":\(row)}"
        }
    }
}

/// The field that says that a row is gone, in tables and in changes.
enum TableMark {
    static let deleted = TableSpec.deletedName
}

/// `format: debezium`
package struct DebeziumFormat: Envelope {
    package static let kind = EnvelopeKind.debezium
    package var tables: [String] = []
    package init() {}

    package static let reference = """
        Changes of rows as Debezium writes them in JSON, with its schema (`payload`) or without. A row is `after`, of a delete
        `before`, with the fields `_op` (`c` made, `u` changed, `d` deleted, `r` read for a snapshot), `_ts` (`source.ts_ms` or else
        `ts_ms`), `_table`, `_before` (`from: _before.amount`) and `_deleted`. A source with `table` is the table as it is now; any other is
        a stream of the changes. Tombstones say nothing that the delete before them has not said and are passed over, as are
        `t` (truncate) and messages. Decimals need `encoding: base64`, `MicroTimestamp` `unit: us`, `Date` `unit: d`. Dead letters
        have the whole record.

        | option | default | |
        |---|---|---|
        | `tables` | all | names: changes of other tables in the topic are passed over |
        """
}

/// `format: canal`
package struct CanalFormat: Envelope {
    package static let kind = EnvelopeKind.canal
    package var tables: [String] = []
    package init() {}

    package static let reference = """
        Changes as Canal writes them (flat messages): each element of `data` is a row, with the fields of `debezium`: `_op`,
        `_ts` (`es`), `_table`, `_before` (what `old` has of it), `_deleted`. Changes of the table itself (`isDdl`) are no rows. `tables` as of
        `debezium`.
        """
}

/// `format: maxwell`
package struct MaxwellFormat: Envelope {
    package static let kind = EnvelopeKind.maxwell
    package var tables: [String] = []
    package init() {}

    package static let reference = """
        Changes as Maxwell writes them: `data` is a row, with the fields of `debezium`: `_op` (`r` for `bootstrap-insert`), `_ts` (in
        milliseconds), `_table`, `_before` (`old`), `_deleted`. Begin and end of a bootstrap are no rows. `tables` as of `debezium`.
        """
}

/// `format: connect`
package struct ConnectFormat: Envelope {
    package static let kind = EnvelopeKind.connect
    package var tables: [String] = []
    package init() {}

    package static let reference = """
        JSON of Kafka Connect's converter: with its schema `payload` is the row, without one the record is. Decimals need
        `encoding: base64`.
        """
}

/// `format: cloudevents`
package struct CloudEventsFormat: Envelope {
    package static let kind = EnvelopeKind.cloudevents
    package var tables: [String] = []
    package init() {}

    package static let reference = """
        CloudEvents in structured mode: `data`, an object, is the row, with the fields `_id`, `_source`, `_type`, `_time` and `_subject`.
        """
}
