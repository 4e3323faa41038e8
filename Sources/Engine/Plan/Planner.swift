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
    private let registries: (any SchemaRegistries)?

    /// `registries`: where schemas of records are asked for; nil: nobody is, and what has one of them is
    /// refused.
    package init(_ spec: TopologySpec, registries: (any SchemaRegistries)? = nil) throws(Fault) {
        self.registries = registries
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
                isRounded: wire.isRounded,
                reading: wire.reading,
                part: wire.part
            )
        }
    }

    /// `partitions`: of the sources, whose numbers records of a repartition topic carry.
    package func decoder(
        of source: SourceSpec, rowsMax: Int = Limits.rowsPerBatchMax, partitions: Int = 1
    ) throws(Fault) -> any RecordDecoder {
        let columns = wireColumns(of: source)
        switch source.format {
        case .rows: return StreamRows(capacity: rowsMax)
        case .repartition:
            return RepartitionDecoder(columns.map(\.field), partitions: partitions, capacity: rowsMax)
        case .published(let part):
            let format = part.decodable
            var records = RecordShape(of: source, capacity: rowsMax)
            records.registries = registries
            let encoding = source.isConverted ? nil : source.encoding
            let transcoder: Transcoder? = if let encoding { try Transcoder(encoding) } else { nil }
            func decoder(_ columns: [WireColumn]) -> any RecordDecoder {
                RecordPartDecoder.wrap(columns, topic: source.recordTopic, capacity: rowsMax) { columns in
                    let decoder = format.makeDecoder(columns, of: records)
                    return transcoder.map { EncodedDecoder(decoder, $0, capacity: rowsMax) } ?? decoder
                }
            }
            let rows: any RecordDecoder =
                if let table = source.table {
                    TableDecoder(
                        columns, key: table.key, deleted: table.deleted, capacity: rowsMax, inner: decoder)
                } else {
                    decoder(columns)
                }
            return format.makeShaper().map { ShapedDecoder(rows, $0, rowsMax: rowsMax) } ?? rows
        }
    }

    /// A pipeline with decoders of its own. `lookups`: where tables are that lie elsewhere, by source.
    package func pipeline(_ options: Pipeline.Options, lookups: [Int: any TableLookup] = [:]) throws(Fault)
        -> (pipeline: Pipeline, decoders: [any RecordDecoder])
    {
        var decoders: [any RecordDecoder] = []
        for source in spec.sources {
            decoders.append(try decoder(of: source, rowsMax: options.rowsMax, partitions: options.partitions))
        }
        var found: [Int: (lookup: any TableLookup, decoder: TextsDecoder)] = [:]
        for (source, lookup) in lookups {
            found[source] = (
                lookup, TextsDecoder(wireColumns(of: spec.sources[source]), capacity: options.rowsMax)
            )
        }
        var options = options
        options.schemaIds = try registeredSchemas()
        let pipeline = Pipeline(
            spec, decoders: decoders, zones: ZoneTables(zones), options: options, lookups: found)
        return (pipeline, decoders)
    }
}

extension Planner {
    /// By sink, the id that its registry has for the schema of what it takes.
    private func registeredSchemas() throws(Fault) -> [Int: Int32] {
        guard let registries else { return [:] }
        var ids: [Int: Int32] = [:]
        for (index, sink) in spec.sinks.enumerated() {
            guard case .avro(let registry?) = sink.target.rowFormat, case .steps(let steps) = sink.input,
                let step = steps.first, let topic = sink.topic
            else { continue }
            ids[index] = try registries.register(
                spec.rowSchema(ofStep: step).text, subject: "\(topic)-value", in: registry)
        }
        return ids
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
