import Base

/// One column of a batch: a 64-bit value and a byte that says whether there is one, for each row.
/// What the 64 bits mean is the column's type.
package final class Column {
    package let type: ValueType
    package let values: UnsafeMutablePointer<Int64>
    /// 1 where the row has a value, 0 where it is null.
    package let valid: UnsafeMutablePointer<UInt8>

    /// Of a column of conditions: true, and not null.
    @inline(__always)
    package func isTrue(_ row: Int) -> Bool { valid[row] == 1 && values[row] != 0 }

    package init(_ type: ValueType, capacity: Int) {
        self.type = type
        values = .allocate(capacity: capacity)
        values.initialize(repeating: 0, count: capacity)
        valid = .allocate(capacity: capacity)
        valid.initialize(repeating: 0, count: capacity)
    }

    deinit {
        values.deallocate()
        valid.deallocate()
    }
}

/// Why a row is not processed. The raw value is the row's status in `Batch.status`.
package enum RowStatus: UInt8, Sendable, CaseIterable {
    case good = 0
    case malformed = 1
    case wrongType = 2
    case missingField = 3
    case outOfRange = 4
    case nullKey = 5
    case futureTime = 6
    case oversized = 7
    case nullValue = 8
    case textTooLong = 9
    /// Not a record: it only carries a watermark from another partition.
    case mark = 10
    case aheadOfOthers = 11
    // Of rows that an operator does not keep, or says nothing about.
    case tooManyRowsOfKey = 12
    case stepMemoryFull = 13
    case partnerUnknown = 14
    case tooManySessions = 15
    case tooManyItems = 16
    case nameTooLong = 17
    case versionForgotten = 18
    /// What its writer says of the record cannot be had, or not be read.
    case unknownSchema = 19

    /// The name given in `__streams.errors.exception`.
    package var name: String {
        switch self {
        case .good: "Good"
        case .malformed: "MalformedRecord"
        case .wrongType: "WrongType"
        case .missingField: "MissingField"
        case .outOfRange: "NumberOutOfRange"
        case .nullKey: "NullKey"
        case .futureTime: "TimeInTheFuture"
        case .oversized: "RecordTooLarge"
        case .nullValue: "NullValue"
        case .textTooLong: "TextTooLong"
        case .mark: "Mark"
        case .aheadOfOthers: "TooFarAheadOfOtherPartitions"
        case .tooManyRowsOfKey: "TooManyRowsOfKey"
        case .stepMemoryFull: "StepMemoryFull"
        case .partnerUnknown: "PartnerUnknown"
        case .tooManySessions: "TooManySessions"
        case .tooManyItems: "TooManyItems"
        case .nameTooLong: "NameTooLong"
        case .versionForgotten: "VersionForgotten"
        case .unknownSchema: "UnknownSchema"
        }
    }
}

/// Rows of one source partition, in columns. Made once and used again for every poll.
///
/// Columns 0..<schema.count are the source's fields; a task appends columns for derived fields and
/// window values after them. All text of all columns is in `arena`.
package final class Batch {
    package let capacity: Int
    package private(set) var columns: [Column]
    package let arena: Arena
    package var count = 0

    /// Status of each row (`RowStatus.rawValue`), and which source field it concerns (-1: none).
    package let status: UnsafeMutablePointer<UInt8>
    package let statusField: UnsafeMutablePointer<Int16>
    /// Event time of each row, milliseconds. Undefined where the status is not good.
    package let times: UnsafeMutablePointer<Int64>
    /// The raw records that the rows were decoded from; valid until the source is polled again.
    package var raw: RawRecords
    package var partition: Int32 = 0

    package init(schema: Schema, capacity: Int = Limits.rowsPerBatchMax) {
        self.capacity = capacity
        columns = schema.fields.map { Column($0.type, capacity: capacity) }
        arena = Arena(capacity: capacity * 64)
        status = .allocate(capacity: capacity)
        status.initialize(repeating: 0, count: capacity)
        statusField = .allocate(capacity: capacity)
        statusField.initialize(repeating: -1, count: capacity)
        times = .allocate(capacity: capacity)
        times.initialize(repeating: 0, count: capacity)
        raw = RawRecords()
    }

    deinit {
        status.deallocate()
        statusField.deallocate()
        times.deallocate()
    }

    /// Adds a column and returns its index. Only while a task is being built.
    package func addColumn(_ type: ValueType) -> Int {
        columns.append(Column(type, capacity: capacity))
        return columns.count - 1
    }
}

/// Records as they came from a source: pointers into the source's own buffers, one entry a record, of one
/// partition of one topic (or one file), in offset order.
package struct RawRecords {
    package var count = 0
    /// The value; nil for a null value.
    package var values: UnsafeMutablePointer<UnsafePointer<UInt8>?>
    package var valueCounts: UnsafeMutablePointer<Int32>
    /// The key; nil for a null key.
    package var keys: UnsafeMutablePointer<UnsafePointer<UInt8>?>
    package var keyCounts: UnsafeMutablePointer<Int32>
    package var offsets: UnsafeMutablePointer<Int64>
    /// Broker timestamps, milliseconds; -1 when there is none.
    package var timestamps: UnsafeMutablePointer<Int64>
    /// What `findHeader` finds a record's headers by; nil: it has none.
    package var holders: UnsafeMutablePointer<UnsafeRawPointer?>
    /// nil: the source knows no headers.
    package var findHeader: FindHeader?

    /// Bytes of the last header with a name, which ends with a zero byte, of a record by its holder; where
    /// they are goes into the last argument. -1: the record has no such header, or it is null.
    package typealias FindHeader =
        @convention(c) (
            UnsafeRawPointer, UnsafePointer<CChar>, UnsafeMutablePointer<UnsafePointer<UInt8>?>
        ) -> Int

    /// No records. Points nowhere.
    package init() { self.init(at: RawRecordStorage.empty, from: 0, count: 0) }

    /// Some of the records.
    package func slice(from start: Int, count: Int) -> RawRecords {
        var slice = self
        slice.count = count
        slice.values += start
        slice.valueCounts += start
        slice.keys += start
        slice.keyCounts += start
        slice.offsets += start
        slice.timestamps += start
        slice.holders += start
        return slice
    }

    package init(at storage: RawRecordStorage, from start: Int, count: Int) {
        self.count = count
        values = storage.values + start
        valueCounts = storage.valueCounts + start
        keys = storage.keys + start
        keyCounts = storage.keyCounts + start
        offsets = storage.offsets + start
        timestamps = storage.timestamps + start
        holders = storage.holders + start
        findHeader = storage.findHeader
    }
}

/// Owns the arrays that `RawRecords` looks into; a source makes one and fills it at each poll.
package final class RawRecordStorage {
    package let capacity: Int
    package let values: UnsafeMutablePointer<UnsafePointer<UInt8>?>
    package let valueCounts: UnsafeMutablePointer<Int32>
    package let keys: UnsafeMutablePointer<UnsafePointer<UInt8>?>
    package let keyCounts: UnsafeMutablePointer<Int32>
    package let offsets: UnsafeMutablePointer<Int64>
    package let timestamps: UnsafeMutablePointer<Int64>
    package let holders: UnsafeMutablePointer<UnsafeRawPointer?>
    /// nil: the records have no headers.
    package let findHeader: RawRecords.FindHeader?

    // Holds no record, so sharing it shares nothing.
    nonisolated(unsafe) fileprivate static let empty = RawRecordStorage(capacity: 1)

    package init(capacity: Int, findHeader: RawRecords.FindHeader? = nil) {
        self.capacity = capacity
        self.findHeader = findHeader
        holders = .allocate(capacity: capacity)
        holders.initialize(repeating: nil, count: capacity)
        values = .allocate(capacity: capacity)
        values.initialize(repeating: nil, count: capacity)
        valueCounts = .allocate(capacity: capacity)
        valueCounts.initialize(repeating: 0, count: capacity)
        keys = .allocate(capacity: capacity)
        keys.initialize(repeating: nil, count: capacity)
        keyCounts = .allocate(capacity: capacity)
        keyCounts.initialize(repeating: 0, count: capacity)
        offsets = .allocate(capacity: capacity)
        offsets.initialize(repeating: 0, count: capacity)
        timestamps = .allocate(capacity: capacity)
        timestamps.initialize(repeating: -1, count: capacity)
    }

    deinit {
        values.deallocate()
        valueCounts.deallocate()
        keys.deallocate()
        keyCounts.deallocate()
        offsets.deallocate()
        timestamps.deallocate()
        holders.deallocate()
    }
}
