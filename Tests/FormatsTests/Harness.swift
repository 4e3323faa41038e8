import Base
import Dataflow
import Formats
import Records

/// One decoded row: its status, the field it concerns and its values as texts, nil for null.
struct Row: Equatable {
    var status: RowStatus
    var field = -1
    var values: [String?] = []
}

/// Feeds texts to a decoder as a source would: records side by side in one buffer, padding at its end only.
final class Harness {
    let batch: Batch
    private let decoder: any RecordDecoder
    private let columns: [WireColumn]
    private let storage: RawRecordStorage
    private var memory: UnsafeMutablePointer<UInt8>?

    init(_ decoder: any RecordDecoder, _ columns: [WireColumn], capacity: Int = 16) {
        self.decoder = decoder
        self.columns = columns
        batch = Batch(schema: Schema(columns.map(\.field)), capacity: capacity)
        storage = RawRecordStorage(capacity: capacity)
    }

    deinit { memory?.deallocate() }

    /// nil stands for a record without a value.
    func decode(_ records: [[UInt8]?]) -> [Row] {
        memory?.deallocate()
        let total = records.reduce(0) { $0 + ($1?.count ?? 0) }
        let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: total + 64)
        bytes.initialize(repeating: 0x7B, count: total + 64)
        memory = bytes
        var at = 0
        for (index, record) in records.enumerated() {
            storage.values[index] = record == nil ? nil : UnsafePointer(bytes + at)
            storage.valueCounts[index] = record.map { Int32($0.count) } ?? -1
            for byte in record ?? [] {
                bytes[at] = byte
                at += 1
            }
        }
        let raw = RawRecords(at: storage, from: 0, count: records.count)
        batch.raw = raw
        decoder.decode(raw, into: batch)
        return records.indices.map(row)
    }

    func decode(_ text: String) -> Row { decode([Array(text.utf8)])[0] }

    func explain(_ row: Int = 0) -> String { decoder.explain(row, of: batch) }

    private func row(_ index: Int) -> Row {
        let status = RowStatus(rawValue: batch.status[index]) ?? .malformed
        guard status == .good else { return Row(status: status, field: Int(batch.statusField[index])) }
        let values = columns.indices.map { column -> String? in
            let output = batch.columns[column]
            guard output.valid[index] == 1 else { return nil }
            return ValueText.string(output.values[index], output.type, arena: batch.arena)
        }
        return Row(status: .good, values: values)
    }
}

extension WireColumn {
    init(
        _ name: String, _ type: ValueType, optional: Bool = false, zone: TimeZoneTable? = nil,
        rounded: Bool = false,
        unit: EpochTime.Unit? = nil, nulls: [String] = [], base64: Bool = false, numbers: Bool = false
    ) {
        var reading = FieldReading()
        reading.unit = unit
        reading.nulls = nulls
        reading.isBase64 = base64
        reading.takesNumbers = numbers
        self.init(
            path: name.split(separator: ".").map(String.init),
            field: Field(name: name, type: type, isOptional: optional),
            zone: zone, isRounded: rounded, reading: reading)
    }
}
