import Base
import Dataflow
import Formats
import Records

/// The same rows as records of Avro, each with a frame and a union with null around each value, as a
/// registry's users write them.
final class BenchDecodeAvro: WriterSchemas {
    private let schema: AvroRowSchema
    private let columns: [WireColumn]
    private static let id: Int32 = 1

    init(_ columns: [WireColumn]) {
        self.columns = columns
        schema = AvroRowSchema(
            name: "order", of: "bench", RowMember.columns(columns.map(\.field)),
            columns.map(\.field.type))
    }

    func known(_ id: Int32) -> WriterSchema? { .texts([Array(schema.text.utf8)]) }
    func fetch(_ id: Int32) {}

    var decoder: AvroDecoder { AvroDecoder(columns, .registry(self), reader: nil) }

    /// Appends the rows of a batch and their places.
    func append(_ batch: Batch, to bytes: Arena, _ spans: inout [(offset: Int, count: Int)]) {
        let encoder = AvroRowEncoder(schema, id: Self.id)
        for row in 0..<batch.count {
            let offset = bytes.count
            encoder.encode(row, of: batch.columns, arena: batch.arena, into: bytes)
            spans.append((offset, bytes.count - offset))
        }
    }
}
