import Base
import Dataflow
import Formats
import Operators
import Records
import Topology

/// From a spec to what runs: time zones read, decoders and pipelines made.
package struct Planner {
    package let spec: TopologySpec
    private let zones: [String: TimeZoneTable]

    package init(_ spec: TopologySpec) throws(Fault) {
        self.spec = spec
        var zones: [String: TimeZoneTable] = [:]
        for name in spec.zones { zones[name] = try TimeZoneTable.read(name) }
        self.zones = zones
    }

    package func wireColumns(of source: SourceSpec) -> [WireColumn] {
        source.wire.map { wire in
            WireColumn(
                path: wire.path,
                field: wire.field,
                zone: wire.zone.flatMap { zones[$0] },
                isRounded: wire.isRounded
            )
        }
    }

    /// `partitions`: of the sources, whose numbers records of a repartition topic carry.
    package func decoder(of source: SourceSpec, rowsMax: Int = Limits.rowsPerBatchMax, partitions: Int = 1)
        -> any RecordDecoder
    {
        let columns = wireColumns(of: source)
        if let table = source.table {
            return TableDecoder(columns, key: table.key, deleted: table.deleted, capacity: rowsMax) { columns in
                if source.format == .csv { return CsvDecoder(columns, capacity: rowsMax) }
                return JsonDecoder(columns, capacity: rowsMax)
            }
        }
        return switch source.format {
        case .json: JsonDecoder(columns, capacity: rowsMax)
        case .csv: CsvDecoder(columns, capacity: rowsMax)
        case .rows: StreamRows(capacity: rowsMax)
        case .repartition: RepartitionDecoder(columns.map(\.field), partitions: partitions, capacity: rowsMax)
        }
    }

    /// A pipeline with decoders of its own. `lookups`: where tables are that lie elsewhere, by source.
    package func pipeline(_ options: Pipeline.Options, lookups: [Int: any TableLookup] = [:])
        -> (pipeline: Pipeline, decoders: [any RecordDecoder])
    {
        let decoders = spec.sources.map { decoder(of: $0, rowsMax: options.rowsMax, partitions: options.partitions) }
        var found: [Int: (lookup: any TableLookup, decoder: TextsDecoder)] = [:]
        for (source, lookup) in lookups {
            found[source] = (lookup, TextsDecoder(wireColumns(of: spec.sources[source]), capacity: options.rowsMax))
        }
        let pipeline = Pipeline(spec, decoders: decoders, zones: ZoneTables(zones), options: options, lookups: found)
        return (pipeline, decoders)
    }
}

/// A topology file from disk.
package enum TopologyFile {
    /// The file's text, or a fault that names it.
    package static func text(_ path: String) throws(Fault) -> String { try FileText.read(path) }

    /// The spec of a file without mistakes; otherwise its diagnostics go to `report`, and nil.
    package static func read(
        _ path: String,
        parameters: [String: String],
        report: (Diagnostic) -> Void
    ) throws(Fault) -> TopologySpec? {
        let (spec, diagnostics) = TopologyReader.read(try text(path), file: path, parameters: parameters)
        for diagnostic in diagnostics { report(diagnostic) }
        return spec
    }
}
