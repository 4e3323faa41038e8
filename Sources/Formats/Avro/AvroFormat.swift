import Base
import Dataflow
import Records
import Topology

/// `format: avro`
package struct AvroFormat: DecodableFormat {
    package static let key = "avro"
    package static let options = FormatOption.all + RegistryOptions.keys + ["schema_file"]

    /// The schema of the records, or, where each says its own, what they are resolved with; nil: neither.
    package var schema: AvroSchema?
    private var schemaText: [UInt8] = []
    package var registry: RegistrySpec?
    package var isFramed = false

    package static let reference = """
        Records of Avro 1.12. A field's path leads through records, values of maps (`from: attributes.channel`) and places of arrays
        (`from: "items[0].price"`). A union is what its branch is; null is null, and below null there is null. An enum is a text. `decimal`
        (of bytes or fixed) is read exactly: a field with fewer places is refused, unless it says `round: true`. `timestamp-millis`,
        `-micros` and `-nanos` are timestamps, what is less than a millisecond is cut; `local-timestamp-…` needs a `zone`; `date` is midnight
        in the field's zone, of UTC without one. `time-millis` and `-micros` are durations; a plain number is a timestamp as in JSON (`unit`); `uuid` is
        a text. `float` and `double` are the decimal of their shortest text. A text is read as one in JSON is, with the
        same options. `duration`, `big-decimal` and rows of arrays are refused.

        | option | default | |
        |---|---|---|
        | `schema_file` | none | an `.avsc`. Without a registry every record is of it. With one, or in container files, records are resolved with it: its defaults and aliases fill what a writer does not have. Relative to the topology's file |
        | `registry` | none | of Confluent's API: `{ url: "https://…", user: …, password: "${env:…}" }`, or `token` in place of these two; `ca`: a file of certificates |
        | `framing` | `confluent` with a registry | a zero byte and the schema's id of 4 bytes before each record; `none`: neither |

        Files are containers (`.avro`, codecs `null` and `deflate`), which have their schema with them. In `tests.yaml` a record
        is given by its fields, read as JSON's are. A schema is asked for once in a process. While the registry is away, or refuses
        us, records wait: the lane tries for 10 s, then begins anew with back-off, and nothing is lost. An id that the registry does not know, or a schema
        that cannot be read, makes its records dead letters (`UnknownSchema`); it is asked for again after a minute.
        """

    package init() {}

    package static func read(_ options: MappingReader?, _ context: ReadingContext) -> AvroFormat {
        var format = AvroFormat()
        guard let options else {
            return format
        }
        if options[FormatOption.encoding] != nil {
            context.error(
                options.keyPosition(FormatOption.encoding), "texts of Avro are UTF-8; take encoding out")
        }
        format.registry = RegistryOptions.registry(options, context)
        format.isFramed = RegistryOptions.isFramed(options, context) ?? (format.registry != nil)
        if format.registry != nil, !format.isFramed {
            context.error(
                options.keyPosition("framing"),
                "without ids nothing is asked of the registry; take one of the two out")
        }
        if let file = options.text("schema_file", example: "schema_file: orders.avsc") {
            guard let text = SchemaFile.read(file, context) else { return format }
            do throws(Fault) {
                format.schema = try AvroSchemaReader.read([text])
                format.schemaText = text
            } catch {
                context.error(file.position, "\(file.shown): no schema of Avro: \(error.detail)")
            }
        }
        return format
    }

    package func check(_ declared: [WireField], _ options: MappingReader, _ context: ReadingContext) {
        if schemaText.isEmpty, registry == nil, isFramed {
            context.error(
                options.keyPosition("framing"), "ids of schemas need a registry, or schema_file that all have"
            )
        }
        guard let schema else { return }
        let columns = Self.columns(declared)
        do throws(Fault) {
            let program = try AvroCompiler.compile(columns, writer: schema, reader: nil)
            for problem in program.problems {
                context.error(
                    options.keyPosition("schema_file"),
                    "'\(declared[problem.column].field.name)' by this schema: \(problem.text)")
            }
        } catch {
            context.error(options.keyPosition("schema_file"), error.detail)
        }
    }

    private static func columns(_ declared: [WireField]) -> [WireColumn] {
        declared.map { field in
            // Which zone it is makes no difference here.
            WireColumn(
                path: field.path, field: field.field, zone: field.zone.map { _ in TimeZoneTable.utc },
                isRounded: field.isRounded, reading: field.reading)
        }
    }

    package func checkHeader(_ names: [String], _ source: SourceSpec, place: String) throws(Fault)
        -> [String]?
    {
        let columns = Self.columns(source.declared)
        let program: AvroProgram
        do throws(Fault) {
            let writer = try AvroSchemaReader.read(names.map { Array($0.utf8) })
            program = try AvroCompiler.compile(columns, writer: writer, reader: schema)
        } catch { throw Fault(.user, "\(place): its schema cannot be read: \(error.detail)") }
        let wrong = Set(program.problems.map(\.column))
        if !columns.isEmpty, wrong.count == columns.count {
            throw Fault(
                .user,
                "\(place): nothing that source \(source.name) reads is in \(program.shown): '\(columns[0].name)': "
                    + program.problems[0].text)
        }
        return program.problems.map { "\(place): '\(columns[$0.column].name)': \($0.text)" }
    }

    package var topicLack: String? {
        guard registry == nil, schemaText.isEmpty else { return nil }
        return
            "records of a topic do not say what they consist of, as files do: format: { type: avro, registry: { url: … } }, "
            + "or schema_file: …"
    }

    package var logic: String {
        schemaText.isEmpty ? "" : "schema \(Sha256.hex(schemaText))"
    }

    // MARK: Records

    package func makeDecoder(_ columns: [WireColumn], of records: RecordShape) -> any RecordDecoder {
        let source: AvroDecoder.Source =
            if let registry {
                .registry(records.registries?.schemas(of: registry))
            } else if !schemaText.isEmpty {
                .fixed([schemaText], isFramed: isFramed)
            } else {
                .header
            }
        return AvroDecoder(columns, source, reader: schema, capacity: records.capacity)
    }

    package func fileLayout(of records: RecordShape) -> FileLayout {
        var layout = FileLayout(format: Self.key)
        layout.container = { (schema) throws(Fault) in try AvroRecordCutter(schema) }
        return layout
    }

    /// Tests have the fields of JSON.
    package var given: any DecodableFormat { JsonFormat() }

    package func record(_ values: [GivenValue], of records: RecordShape) -> String {
        JsonFormat().record(values, of: records)
    }
}

/// Finds where records of a container's block end, by a program that reads nothing of them.
private final class AvroRecordCutter: RecordCutter {
    private let program: AvroProgram
    private let target = BinaryColumns([], capacity: 1)
    private var machine: AvroMachine

    init(_ schema: [UInt8]) throws(Fault) {
        program = try AvroCompiler.compile([], writer: try AvroSchemaReader.read([schema]), reader: nil)
        machine = AvroMachine(program, target)
    }

    func length(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int? { machine.length(bytes, count) }
}
