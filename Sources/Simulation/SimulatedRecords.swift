import Dataflow
import Records

/// Records of the broker as a source hands them over.
final class SimulatedRecords {
    let storage: RawRecordStorage
    private let bytes: Arena
    let raw: RawRecords

    /// Decoders read a little beyond the last byte.
    private static let padding = 64

    init(_ records: [SimulatedBroker.Record]) {
        let size = records.reduce(Self.padding) { $0 + ($1.key?.count ?? 0) + ($1.value?.count ?? 0) }
        bytes = Arena(capacity: size)
        storage = RawRecordStorage(capacity: max(1, records.count))
        for (index, record) in records.enumerated() {
            (storage.keys[index], storage.keyCounts[index]) = Self.put(record.key, bytes)
            (storage.values[index], storage.valueCounts[index]) = Self.put(record.value, bytes)
            storage.offsets[index] = record.offset
            storage.timestamps[index] = record.timestamp
        }
        raw = RawRecords(at: storage, from: 0, count: records.count)
    }

    private static func put(_ part: [UInt8]?, _ bytes: Arena) -> (UnsafePointer<UInt8>?, Int32) {
        guard let part else { return (nil, -1) }
        // The arena has room for all of them, so its bytes stay where they are.
        let start = bytes.count
        part.withUnsafeBufferPointer { if let base = $0.baseAddress { _ = bytes.append(base, $0.count) } }
        return (UnsafePointer(bytes.base + start), Int32(part.count))
    }
}
