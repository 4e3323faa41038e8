import Base
import Dataflow
import Topology

/// A format of the catalogue with what reads it.
package protocol DecodableFormat: FormatPart {
    /// A decoder of the `columns` of records. Used by one thread.
    func makeDecoder(_ columns: [WireColumn], of records: RecordShape) -> any RecordDecoder
    /// How its files are cut into records.
    func fileLayout(of records: RecordShape) -> FileLayout
    /// Warnings about what a file says of its records (`FileLayout.container`), by the fields that a source
    /// takes from them; nil: it says the names of columns. Throws where nothing can be read right.
    func checkHeader(_ names: [String], _ source: SourceSpec, place: String) throws(Fault) -> [String]?
    /// What makes the rows of its records; nil: each record is one.
    func makeShaper() -> (any RecordShaper)?
    /// The format in which a test's records are made and read; itself, where they can be texts.
    var given: any DecodableFormat { get }
    /// As files have it; itself, where they do not differ from topics.
    var ofFiles: any DecodableFormat { get }
    /// The record, in UTF-8, that has these values.
    func record(_ values: [GivenValue], of records: RecordShape) -> String
}

extension DecodableFormat {
    package func makeShaper() -> (any RecordShaper)? { nil }
    package func checkHeader(_ names: [String], _ source: SourceSpec, place: String) throws(Fault)
        -> [String]?
    {
        nil
    }
    package var given: any DecodableFormat { self }
    package var ofFiles: any DecodableFormat { self }
}

/// What the records of a source are like, beside the columns that are wanted of them.
package struct RecordShape: Sendable {
    /// The names of their fields, in order, wanted or not.
    package var fields: [String]
    /// A field that may stand behind those.
    package var optionalField: String?
    /// Of what they were made UTF-8, for dead letters; nil: they came as it.
    package var encoding: String?
    /// Where schemas of records are; nil: nobody is asked.
    package var registries: (any SchemaRegistries)?
    /// Records in a batch.
    package var capacity: Int

    package init(
        fields: [String], optionalField: String? = nil, encoding: String? = nil,
        capacity: Int = Limits.rowsPerBatchMax
    ) {
        self.fields = fields
        self.optionalField = optionalField
        self.encoding = encoding
        self.capacity = capacity
    }

    package init(of source: SourceSpec, capacity: Int = Limits.rowsPerBatchMax) {
        self.init(
            fields: source.declared.map(\.name), optionalField: source.spareField,
            encoding: source.encoding?.name, capacity: capacity)
    }
}

/// A value of a record that a test gives.
package struct GivenValue {
    /// Names joined with dots.
    package var path: String
    package var json: String

    package init(path: String, json: String) {
        self.path = path
        self.json = json
    }
}

extension FormatPart {
    /// As what the engine reads by.
    package var decodable: any DecodableFormat {
        guard let format = self as? any DecodableFormat else {
            unreachable("the catalogue has the format \(Self.key), which nothing decodes")
        }
        return format
    }
}

extension SourceSpec {
    /// The format of records from outside; asked of no other source.
    package var publishedFormat: any DecodableFormat {
        switch format {
        case .published(let part): part.decodable
        case .repartition, .rows: unreachable("source \(name) has records of the engine's own")
        }
    }
}
