import Base
import Dataflow
import Formats
import Records

/// One row that an operator has kept as bytes, in columns again.
final class KeptRow {
    let encoder: any RowEncoder
    let batch: Batch
    let decoder: RepartitionDecoder
    private let storage = RawRecordStorage(capacity: 1)

    init(_ schema: Schema) {
        encoder = RowLayout(schema.fields).encoder
        batch = Batch(schema: schema, capacity: 1)
        decoder = RepartitionDecoder(schema.fields, partitions: Int(Int32.max), capacity: 1)
    }

    func decode(_ bytes: UnsafeBufferPointer<UInt8>) {
        storage.values[0] = bytes.baseAddress
        storage.valueCounts[0] = Int32(bytes.count)
        decoder.decode(RawRecords(at: storage, from: 0, count: 1), into: batch)
        verify(batch.status[0] == RowStatus.good.rawValue, "a row that was kept cannot be read")
    }
}
