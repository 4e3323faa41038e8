import Base
import Records

/// How much memory an operator, or a table, takes in each task. Of rows whose texts may be of any length it
/// is what the limit says, and how many rows that are if their texts have `textBytes`.
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

    /// What it keeps besides, whatever comes in.
    package mutating func add(bytes: Int64) {
        guard let before = bytesMax else { return }
        let (sum, overflow) = before.addingReportingOverflow(bytes)
        bytesMax = overflow ? .max : sum
    }

    /// Bytes that a text is taken to have where a figure depends on it.
    package static let textBytes: Int64 = 32
    package static let keyBytes: Int64 = 64

    /// Of every operator that remembers something, in the order of the steps, then of every table that tasks
    /// or lanes keep.
    package static func all(_ spec: TopologySpec) -> [OperatorBound] {
        let operators = spec.steps.indices.compactMap { step in
            spec.steps[step].operation.flatMap { $0.part.definition == nil ? nil : bound(of: step, $0, spec) }
        }
        let tables = spec.sources.indices.compactMap { source in
            spec.sources[source].table.map { bound(of: source, $0, spec) }
        }
        return operators + tables
    }

    private static func bound(of step: Int, _ operation: OperatorSpec, _ spec: TopologySpec) -> OperatorBound
    {
        let name = String(spec.steps[step].name.prefix { $0 != "/" })
        let rows = operation.inputs.map { rowBytes(spec.steps[$0].schema.fields) }.max() ?? 0
        let memory = Int64(operation.limits.memory)
        var bound = OperatorBound(name: name, step: step, bytesMax: 0, lines: [])
        if operation.part.order == .eventTime {
            // The input that is behind gets as much again.
            bound.bytesMax = StateBound.product(memory, 2)
            bound.lines.append(
                "rows that wait for event time: at most \(count(memory, rows + Int64(RowCost.buffered))), twice that of an "
                    + "input that is behind; limit: { memory }")
        }
        operation.part.addBound(
            to: &bound,
            OperatorFigures(
                limits: operation.limits, schema: spec.steps[step].schema, rowBytes: rows,
                keys: Int64(spec.keys)))
        return bound
    }

    private static func bound(of source: Int, _ table: TableSpec, _ spec: TopologySpec) -> OperatorBound {
        let fields = table.values(of: spec.sources[source].schema).map {
            spec.sources[source].schema.fields[$0]
        }
        let texts = Int64(fields.count { $0.type == .text }) * textBytes
        let bytes = keyBytes + 40 + Int64(fields.count) * 9 + texts
        let place = table.isBroadcast ? "in every lane" : "in each task"
        var line = "rows \(place): \(StateBound.size(bytes)) with texts of \(textBytes) bytes, "
        if spec.sources[source].redisTable != nil {
            line +=
                "\(StateBound.size(StateBound.product(bytes, Int64(Limits.redisRowsRemembered)))) of the "
                + "\(StateBound.grouped(Int64(Limits.redisRowsRemembered))) keys that a lane knows"
        } else {
            line +=
                "\(StateBound.size(StateBound.product(bytes, Int64(spec.keys)))) at \(StateBound.grouped(Int64(spec.keys))) keys, "
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
    fileprivate static func count(_ memory: Int64, _ row: Int64) -> String {
        let rows = memory / max(row, 1)
        // Two digits are what such an estimate is worth.
        var unit: Int64 = 1
        while rows / unit >= 100 { unit *= 10 }
        return
            "\(StateBound.size(memory)), \(StateBound.grouped(rows / unit * unit)) of \(StateBound.size(row)) with texts of "
            + "\(textBytes) bytes"
    }
}

/// What an operator's bound follows from.
package struct OperatorFigures {
    package let limits: OperatorLimits
    /// The records of the step that has the operator.
    package let schema: Schema
    /// Bytes of a row that is kept.
    let rowBytes: Int64
    /// Keys of a task.
    package let keys: Int64

    /// `what` waits, up to the limits; `sides` stands behind the rows of a key.
    package func waiting(_ what: String, _ sides: String = "") -> String {
        let ofKey =
            limits.rowsPerKey == Limits.rowsPerKeyDefault
            ? "" : "; \(StateBound.grouped(Int64(limits.rowsPerKey))) of a key\(sides)"
        return
            "\(what): at most \(OperatorBound.count(Int64(limits.memory), rowBytes + Int64(RowCost.waiting)))\(ofKey); limit: "
            + "{ memory, rows_per_key }"
    }

    /// `what` has `bytes` for each of `keys` things that are called `unit`.
    package func per(_ unit: String, _ what: String, _ bytes: Int64, _ keys: Int64) -> String {
        "\(what): \(StateBound.size(bytes)) per \(unit), \(StateBound.size(StateBound.product(bytes, keys))) at "
            + "\(StateBound.grouped(keys)) \(unit)s"
    }
}
