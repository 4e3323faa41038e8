import Base
import Dataflow
import Records

/// A record as it stands in a partition of a topic.
package struct LoggedRecord: Equatable, Sendable {
    package var offset: Int64
    /// Kafka's, milliseconds; -1: none.
    package var timestamp: Int64
    package var key: [UInt8]?
    package var value: [UInt8]?

    package init(offset: Int64, timestamp: Int64, key: [UInt8]?, value: [UInt8]?) {
        (self.offset, self.timestamp, self.key, self.value) = (offset, timestamp, key, value)
    }

    /// What it takes in memory, about.
    var byteCount: Int { 64 + (key?.count ?? 0) + (value?.count ?? 0) }
}

extension HeldRecords {
    /// Decoders read a little beyond the last byte.
    private static let padding = 64

    /// Copies of records, as a source hands them over.
    convenience init(_ records: ArraySlice<LoggedRecord>) {
        let size = records.reduce(Self.padding) { $0 + ($1.key?.count ?? 0) + ($1.value?.count ?? 0) }
        let bytes = Arena(capacity: size)
        let storage = RawRecordStorage(capacity: max(1, records.count))
        func put(_ part: [UInt8]?) -> (UnsafePointer<UInt8>?, Int32) {
            guard let part else { return (nil, -1) }
            // The arena has room for all of them, so its bytes stay where they are.
            let start = bytes.count
            part.withUnsafeBufferPointer { if let base = $0.baseAddress { _ = bytes.append(base, $0.count) } }
            return (UnsafePointer(bytes.base + start), Int32(part.count))
        }
        for (row, record) in records.enumerated() {
            (storage.keys[row], storage.keyCounts[row]) = put(record.key)
            (storage.values[row], storage.valueCounts[row]) = put(record.value)
            storage.offsets[row] = record.offset
            storage.timestamps[row] = record.timestamp
        }
        self.init(RawRecords(at: storage, from: 0, count: records.count)) {
            withExtendedLifetime((bytes, storage)) {}
        }
    }
}
