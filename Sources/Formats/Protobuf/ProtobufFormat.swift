import Base
import Dataflow
import Records
import Topology

/// `format: { type: protobuf, descriptor: orders.desc, message: shop.Order }`
package struct ProtobufFormat: DecodableFormat {
    package static let key = "protobuf"
    package static let options = FormatOption.all + ["descriptor", "message", "framing"]

    private var schema: ProtobufSchema?
    private var schemaText: [UInt8] = []
    private var message = ""
    private var isFramed = false

    package static let reference = """
        Messages of Protocol Buffers, proto2 and proto3, one a record. A field's path leads through messages by the names of their fields. Where
        a field of proto3 is not there it is zero, or empty; one that is `optional`, of a `oneof`, a message or of proto2 is null, or what its
        `default` says. An enum is the name of its value. `google.protobuf.Timestamp` is a timestamp, what is less than a millisecond is cut; `Duration` a duration;
        `StringValue` and its like their value or null. `float` and `double` are the decimal of their shortest text; a plain number is a timestamp
        as in JSON (`unit`); a text is read as one in JSON is, with the same options. `repeated` fields, maps and groups are refused, and
        a value that has another type than its field makes the record a dead letter.

        | option | default | |
        |---|---|---|
        | `descriptor` | | a descriptor set: `protoc --include_imports --descriptor_set_out=orders.desc orders.proto`. Relative to the topology's file |
        | `message` | | its full name |
        | `framing` | `none` | `confluent`: a zero byte, the schema's id and the message's place in it stand before each; the id is not asked for, and a message of another place is refused |

        There are no files of messages. In `tests.yaml` a record is given by its fields, read as JSON's are.
        """

    package static let needs: String? =
        "format: { type: protobuf, descriptor: orders.desc, message: shop.Order }"

    package init() {}

    package static func read(_ options: MappingReader?, _ context: ReadingContext) -> ProtobufFormat {
        var format = ProtobufFormat()
        guard let options else {
            return format
        }
        if options[FormatOption.encoding] != nil {
            context.error(
                options.keyPosition(FormatOption.encoding), "texts of protobuf are UTF-8; take encoding out")
        }
        format.isFramed = RegistryOptions.isFramed(options, context) ?? false
        let example = needs ?? ""
        let message = options.requiredText("message", example: example)
        guard let file = options.requiredText("descriptor", example: example), let message,
            let text = SchemaFile.read(file, context)
        else { return format }
        do throws(Fault) {
            let schema = try ProtobufSchema(text)
            guard schema.messages[message.text] != nil else {
                context.error(
                    message.position,
                    "\(file.shown) has no message '\(message.shown)'"
                        + NearestName.hint(message.text, among: schema.messages.keys.sorted()))
                return format
            }
            (format.schema, format.schemaText, format.message) = (schema, text, message.text)
        } catch {
            context.error(file.position, "\(file.shown): \(error.detail)")
        }
        return format
    }

    package func check(_ declared: [WireField], _ options: MappingReader, _ context: ReadingContext) {
        guard let schema else { return }
        let columns = declared.map { field in
            WireColumn(
                path: field.path, field: field.field, zone: nil, isRounded: field.isRounded,
                reading: field.reading)
        }
        do throws(Fault) {
            let program = try ProtobufCompiler.compile(columns, schema, message: message)
            for problem in program.problems {
                context.error(
                    options.keyPosition("message"),
                    "'\(declared[problem.column].field.name)': \(problem.text)")
            }
        } catch {
            context.error(options.keyPosition("descriptor"), error.detail)
        }
    }

    package var logic: String { schema == nil ? "" : "message \(message) of \(Sha256.hex(schemaText))" }

    package func makeDecoder(_ columns: [WireColumn], of records: RecordShape) -> any RecordDecoder {
        guard let schema, let program = try? ProtobufCompiler.compile(columns, schema, message: message)
        else {
            unreachable("a topology without its descriptor was read")
        }
        return ProtobufDecoder(columns, program, isFramed: isFramed, capacity: records.capacity)
    }

    package func fileLayout(of records: RecordShape) -> FileLayout {
        var layout = FileLayout(format: Self.key)
        layout.refusal = "messages of protobuf are read from topics only; they have no files of their own"
        return layout
    }

    package var given: any DecodableFormat { JsonFormat() }

    package func record(_ values: [GivenValue], of records: RecordShape) -> String {
        JsonFormat().record(values, of: records)
    }
}
