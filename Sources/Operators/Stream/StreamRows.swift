import Base
import Dataflow
import Formats
import Records

/// What the rows of a stream carry besides their columns. Stands where other sources have a decoder; a
/// stream's rows never were bytes.
package final class StreamRows: RecordDecoder {
    /// The record that a row comes from; offset -1: none, time made it.
    let origins: UnsafeMutablePointer<RepartitionOrigin>
    /// The row of the batch under way that brought a row about.
    let roots: UnsafeMutablePointer<Int32>
    /// Event time does not go back below this after the row.
    let watermarks: UnsafeMutablePointer<Int64>
    private let capacity: Int

    package init(capacity: Int) {
        self.capacity = capacity
        origins = .allocate(capacity: capacity)
        origins.initialize(
            repeating: RepartitionOrigin(partition: 0, offset: -1, appended: -1, watermark: .min),
            count: capacity)
        roots = .allocate(capacity: capacity)
        roots.initialize(repeating: 0, count: capacity)
        watermarks = .allocate(capacity: capacity)
        watermarks.initialize(repeating: .min, count: capacity)
    }

    deinit {
        origins.deallocate()
        roots.deallocate()
        watermarks.deallocate()
    }

    func copy(_ other: StreamRows, count: Int) {
        origins.update(from: other.origins, count: count)
        roots.update(from: other.roots, count: count)
        watermarks.update(from: other.watermarks, count: count)
    }

    package func decode(_ raw: RawRecords, into batch: Batch) {
        unreachable("a stream has no records to decode")
    }

    package func explain(_ row: Int, of batch: Batch, into text: Arena) {
        text.appendText("a row of a stream")
    }
}
