import Records

/// A record by which a log is known again: the last one that was read of it. Topics have no identity that
/// clients of this age are told, but a topic that was made anew has another record at the same offset, or
/// none.
package struct LogMark: Hashable, Sendable {
    package var offset: Int64
    /// The broker's, milliseconds; -1: none.
    package var timestamp: Int64
    /// Of key and value.
    package var hash: UInt64

    package init(offset: Int64, timestamp: Int64, hash: UInt64) {
        self.offset = offset
        self.timestamp = timestamp
        self.hash = hash
    }

    /// The mark that a record makes. Nil pointers: null.
    package init(
        offset: Int64, timestamp: Int64, key: UnsafePointer<UInt8>?, _ keyCount: Int,
        value: UnsafePointer<UInt8>?,
        _ valueCount: Int
    ) {
        self.offset = offset
        self.timestamp = timestamp
        // A null is not an empty text; counts tell where one ends and the other begins.
        var hash = UInt64(truncatingIfNeeded: key == nil ? -1 : keyCount)
        if let key { hash = hashBytes(key, keyCount, seed: hash) }
        hash = hash &* 31 &+ UInt64(truncatingIfNeeded: value == nil ? -1 : valueCount)
        if let value { hash = hashBytes(value, valueCount, seed: hash) }
        self.hash = hash
    }

    /// The mark of one of several records.
    package init(_ records: RawRecords, _ index: Int) {
        self.init(
            offset: records.offsets[index], timestamp: records.timestamps[index],
            key: records.keys[index], Int(records.keyCounts[index]),
            value: records.values[index], Int(records.valueCounts[index]))
    }
}

/// What stands in a partition where a mark should be.
package struct LogSight: Equatable, Sendable {
    /// The first record at the mark's offset or behind it; nil: there is none.
    package var record: LogMark?
    /// The offsets that are there; nil: nobody asked, since the record was found.
    package var range: Range<Int64>?
    /// Records of a key give way to later ones, so that one that is missing says nothing.
    package var isCompacted = false

    package init(record: LogMark?, range: Range<Int64>? = nil, isCompacted: Bool = false) {
        self.record = record
        self.range = range
        self.isCompacted = isCompacted
    }
}

/// Whether a partition is the log that a position was taken from.
package enum LogVerdict: Equatable, Sendable {
    case same
    /// Its records up to the position are deleted: nothing is left to compare, and nothing speaks against it.
    case unknown
    /// The same, as far as can be said, and so many records behind the position were deleted before they were
    /// read.
    case cut(lost: Int64, first: Int64)
    /// Another one; why.
    case other(String)

    /// `position`: the offset of the next record to read; `mark`: of the last one that was read; nil: there
    /// is none.
    package static func judge(_ mark: LogMark?, position: Int64, _ sight: LogSight) -> LogVerdict {
        if let mark, let record = sight.record, record.offset == mark.offset {
            if record == mark { return .same }
            let other = record.timestamp == mark.timestamp ? "" : ", written at another time"
            return .other("the record at offset \(mark.offset) is not the one that was read there\(other)")
        }
        guard let range = sight.range else { return .unknown }
        if position < range.lowerBound {
            return .cut(lost: range.lowerBound - position, first: range.lowerBound)
        }
        if position > range.upperBound { return .other("it ends at offset \(range.upperBound)") }
        guard let mark, mark.offset >= range.lowerBound, !sight.isCompacted else { return .unknown }
        return .other("the record at offset \(mark.offset), which was read, is not there")
    }
}
