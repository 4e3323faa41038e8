import Base
import Records

/// How much memory an operator, or a table, takes in each task. Of rows whose texts may be of any length it is what the
/// limit says, and how many rows that are if their texts have `textBytes`.
package struct OperatorBound: Sendable {
    /// The step, table or window with a gap, as its author calls it.
    package var name: String
    /// The step that takes in the operator's rows; nil: a table.
    package var step: Int?
    package var source: Int?
    /// Whatever comes in; nil: it grows with the keys.
    package var bytesMax: Int64?
    /// One for each thing that is kept, with its limits and what raises them.
    package var lines: [String]

    /// Bytes that a text is taken to have where a figure depends on it.
    package static let textBytes: Int64 = 32
    private static let keyBytes: Int64 = 64

    /// Of every operator that remembers something, in the order of the steps, then of every table that tasks or lanes
    /// keep.
    package static func all(_ spec: TopologySpec) -> [OperatorBound] {
        let operators = spec.steps.indices.compactMap { step in
            spec.steps[step].maker.flatMap { $0.kind.waitsForEventTime ? bound(of: step, $0, spec) : nil }
        }
        let tables = spec.sources.indices.compactMap { source in
            spec.sources[source].table.map { bound(of: source, $0, spec) }
        }
        return operators + tables
    }

    private static func bound(of step: Int, _ maker: OperatorSpec, _ spec: TopologySpec) -> OperatorBound {
        let name = String(spec.steps[step].name.prefix { $0 != "/" })
        let rows = maker.inputs.map { rowBytes(spec.steps[$0].schema.fields) }.max() ?? 0
        let memory = Int64(maker.limits.memory)
        // The input that is behind gets as much again.
        var bound = OperatorBound(name: name, step: step, bytesMax: StateBound.product(memory, 2), lines: [])
        bound.lines.append(
            "rows that wait for event time: at most \(count(memory, rows + Int64(RowCost.buffered))), twice that of an "
                + "input that is behind; limit: { memory }")
        bound.add(maker, spec.steps[step].schema, rows, Int64(spec.keys))
        return bound
    }

    private mutating func add(_ maker: OperatorSpec, _ schema: Schema, _ rows: Int64, _ keys: Int64) {
        let limits = maker.limits
        func waiting(_ what: String, _ sides: String) -> String {
            let ofKey =
                limits.rowsPerKey == Limits.rowsPerKeyDefault ? "" : "; \(StateBound.grouped(Int64(limits.rowsPerKey))) of a key\(sides)"
            return "\(what): at most \(Self.count(Int64(limits.memory), rows + Int64(RowCost.waiting)))\(ofKey); limit: "
                + "{ memory, rows_per_key }"
        }
        func perKey(_ what: String, _ bytes: Int64, _ keys: Int64, _ unit: String) -> String {
            "\(what): \(StateBound.size(bytes)) per \(unit), \(StateBound.size(StateBound.product(bytes, keys))) at "
                + "\(StateBound.grouped(keys)) \(unit)s"
        }
        switch maker.kind {
        case is StreamJoinSpec:
            lines.append(waiting("rows that wait for a partner", " on each side"))
            bytesMax = StateBound.product(Int64(limits.memory), 3)
        case let sequence as SequenceSpec:
            guard case .repeated(_, let times) = sequence.pattern else {
                lines.append(waiting("records that wait for another", ""))
                bytesMax = StateBound.product(Int64(limits.memory), 3)
                return
            }
            var room: Int64 = 1
            while room < times { room *= 2 }
            lines.append(perKey("runs", Self.keyBytes + 96 + 8 * room, keys, "key"))
            bytesMax = nil
        case let session as SessionSpec:
            var bytes = Self.keyBytes + 64 + 8
            var grows = ""
            for call in session.aggregates {
                bytes += StateBound.paneBytes(call, schema)
                switch call.function {
                case .distinct, .quantile: grows = ", and what `distinct` and `quantile` hold"
                default: break
                }
            }
            lines.append(
                perKey("open sessions", bytes, Int64(limits.sessions), "session") + grows + "; limit: { sessions }")
            if grows.isEmpty {
                let (sum, overflow) = StateBound.product(bytes, Int64(limits.sessions)).addingReportingOverflow(bytesMax ?? 0)
                bytesMax = overflow ? .max : sum
            } else {
                bytesMax = nil
            }
        case is DeduplicateSpec:
            lines.append(perKey("values that passed", Self.keyBytes + 96, keys, "value"))
            bytesMax = nil
        case is FundFlowSpec:
            let lots = Int64(Limits.fundLotsPerAccountMax)
            lines.append(
                perKey("accounts", Self.keyBytes + 40, keys, "account") + "; with money of loans at most "
                    + "\(StateBound.size(lots * (64 + Int64(Limits.fundPathBytesMax)))) in \(lots) parcels")
            bytesMax = nil
        case is LevelsSpec:
            let items = Int64(limits.items)
            lines.append(
                perKey("keys", Self.keyBytes + 160, keys, "key") + ", and for each item and suppression at most "
                    + "\(StateBound.size(64 + Int64(Limits.levelItemBytesMax))): \(StateBound.grouped(items)) of a key, each; "
                    + "limit: { items }")
            bytesMax = nil
        default: break
        }
    }

    private static func bound(of source: Int, _ table: TableSpec, _ spec: TopologySpec) -> OperatorBound {
        let fields = table.values(of: spec.sources[source].schema).map { spec.sources[source].schema.fields[$0] }
        let texts = Int64(fields.count { $0.type == .text }) * textBytes
        let bytes = keyBytes + 40 + Int64(fields.count) * 9 + texts
        let place = table.isBroadcast ? "in every lane" : "in each task"
        var line = "rows \(place): \(StateBound.size(bytes)) with texts of \(textBytes) bytes, "
        if spec.sources[source].redisTable != nil {
            line += "\(StateBound.size(StateBound.product(bytes, Int64(Limits.redisRowsRemembered)))) of the "
                + "\(StateBound.grouped(Int64(Limits.redisRowsRemembered))) keys that a lane knows"
        } else {
            line += "\(StateBound.size(StateBound.product(bytes, Int64(spec.keys)))) at \(StateBound.grouped(Int64(spec.keys))) keys, "
                + "for each version of the last \(ValueText.duration(table.versions)); at most "
                + "\(StateBound.grouped(Int64(Limits.tableVersionsPerKeyMax))) versions of a key"
        }
        return OperatorBound(name: spec.sources[source].name, source: source, bytesMax: nil, lines: [line])
    }

    // MARK: Figures

    /// Bytes of a row as operators keep it, its key too.
    private static func rowBytes(_ fields: [Field]) -> Int64 {
        fields.reduce(30 + textBytes) { bytes, field in
            switch field.type {
            case .text: bytes + 1 + textBytes
            case .bool: bytes + 1
            case .int, .decimal, .timestamp, .duration: bytes + 6
            }
        }
    }

    /// `1.0 GiB, 5,200,000 of 206 B`
    private static func count(_ memory: Int64, _ row: Int64) -> String {
        let rows = memory / max(row, 1)
        // Two digits are what such an estimate is worth.
        var unit: Int64 = 1
        while rows / unit >= 100 { unit *= 10 }
        return "\(StateBound.size(memory)), \(StateBound.grouped(rows / unit * unit)) of \(StateBound.size(row)) with texts of "
            + "\(textBytes) bytes"
    }
}
