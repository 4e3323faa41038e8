import Base
import Formats
import Records
import State

/// Rows of one input of an operator, as columns of the step that reads it: as they stand in the batch of its
/// source, or, in event-time order, as they have come out of the buffer.
package final class OperatorInput {
    /// Position among the operator's inputs.
    package let index: Int
    let step: StepPlan
    package let fields: [Field]
    /// Columns of the step's schema.
    package let columns: [Column]
    package let arena: Arena
    package let times: UnsafeMutablePointer<Int64>
    /// Those that are about to be taken, for programs.
    private(set) var selection: SelectionBuffer
    /// Where each row was first read.
    private let origins: UnsafeMutablePointer<RepartitionOrigin>
    /// Keys, as the step encodes them, and rows, as the buffer keeps them.
    private let storage: RawRecordStorage
    private let kept: Kept?

    /// Rows that are bytes in the buffer.
    private struct Kept {
        let batch: Batch
        let decoder: RepartitionDecoder
        let encoder: RepartitionEncoder
    }

    /// `batch`: of the step's source; nil: rows come out of the buffer, `capacity` at a time.
    init(_ step: StepPlan, index: Int, of batch: Batch?, capacity: Int) {
        (self.index, self.step, fields) = (index, step, step.spec.schema.fields)
        storage = RawRecordStorage(capacity: capacity)
        if let batch {
            (columns, arena, times, selection) = (step.columns, batch.arena, batch.times, step.selection)
            origins = .allocate(capacity: capacity)
            origins.initialize(repeating: .time(of: 0), count: capacity)
            kept = nil
        } else {
            let kept = Kept(
                batch: Batch(schema: step.spec.schema, capacity: capacity),
                decoder: RepartitionDecoder(fields, partitions: Int(Int32.max), capacity: capacity),
                encoder: RepartitionEncoder(fields, columns: step.columns))
            (columns, arena, times, origins) = (
                kept.batch.columns, kept.batch.arena, kept.batch.times, kept.decoder.origins
            )
            selection = SelectionBuffer(capacity: capacity)
            for row in 0..<capacity { selection.rows[row] = Int32(row) }
            self.kept = kept
        }
    }

    deinit { if kept == nil { origins.deallocate() } }

    var rows: Selection { selection.selection }

    /// The key of a row; empty where the step has none.
    func key(of row: Int) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: storage.keys[row], count: Int(storage.keyCounts[row]))
    }

    func origin(of row: Int) -> RepartitionOrigin { origins[row] }

    /// The row as it was in the buffer. Only in event-time order.
    func bytes(of row: Int) -> UnsafeBufferPointer<UInt8> {
        require(kept != nil, "the bytes of a row that was in no buffer")
        return UnsafeBufferPointer(start: storage.values[row], count: Int(storage.valueCounts[row]))
    }

    /// A text, without a copy; empty where it is null.
    func text(_ column: Int, _ row: Int) -> UnsafeBufferPointer<UInt8> {
        guard columns[column].valid[row] == 1 else { return UnsafeBufferPointer(start: nil, count: 0) }
        let text = TextReference(packed: columns[column].values[row])
        return UnsafeBufferPointer(start: arena.base + text.offset, count: text.count)
    }

    // MARK: As they come

    /// A row of the step's batch is about to be taken.
    func pass(_ row: Int, from origin: RepartitionOrigin) {
        origins[row] = origin
        let key = step.encodedKey(of: row, arena)
        storage.keys[row] = key.baseAddress
        storage.keyCounts[row] = Int32(key.count)
    }

    // MARK: In the order of event time

    /// A row of the step's batch as the buffer keeps it.
    func encode(_ row: Int, arena: Arena, _ origin: RepartitionOrigin) -> (
        bytes: UnsafeBufferPointer<UInt8>, valuesStart: Int
    ) {
        guard let encoder = kept?.encoder else { unreachable("rows that pass are kept in a buffer") }
        encoder.encode(row, arena: arena, origin)
        return (
            UnsafeBufferPointer(start: encoder.bytes.base, count: encoder.bytes.count), encoder.valuesStart
        )
    }

    func removeAll() { selection.count = 0 }

    /// Takes a row that has come out of the buffer; returns its number.
    func add(_ entry: OrderedBuffer.Entry, of buffer: OrderedBuffer) -> Int {
        let number = selection.count
        let (key, row) = (buffer.key(of: entry), buffer.row(of: entry))
        storage.keys[number] = key.baseAddress
        storage.keyCounts[number] = Int32(key.count)
        storage.values[number] = row.baseAddress
        storage.valueCounts[number] = Int32(row.count)
        times[number] = entry.time
        selection.count += 1
        return number
    }

    func decode() {
        guard let kept else { return }
        kept.decoder.decode(RawRecords(at: storage, from: 0, count: selection.count), into: kept.batch)
        for row in 0..<selection.count {
            verify(
                kept.batch.status[row] == RowStatus.good.rawValue,
                "a row that was kept cannot be read: \(kept.decoder.explain(row, of: kept.batch))")
        }
    }
}

extension StepPlan {
    /// The key of a row of the step's source, as keys are encoded; empty: it has none.
    func encodedKey(of row: Int, _ arena: Arena) -> UnsafeBufferPointer<UInt8> {
        guard let encoded = key?.encoded else { return UnsafeBufferPointer(start: nil, count: 0) }
        let text = TextReference(packed: encoded.values[row])
        return UnsafeBufferPointer(start: arena.base + text.offset, count: text.count)
    }
}

extension RepartitionOrigin {
    /// No record: time made the row.
    static func time(of partition: Int32) -> RepartitionOrigin {
        RepartitionOrigin(partition: partition, offset: -1, appended: -1, watermark: .min)
    }
}
