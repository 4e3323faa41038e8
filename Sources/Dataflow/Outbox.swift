import Base
import Records

/// Where an output record goes.
package enum Destination: Equatable, Sendable {
    /// A sink of the topology, by index.
    case sink(Int)
    case deadLetter
    case late
    /// The state of the record's partition.
    case changelog
    /// A repartition topic of the topology, by index.
    case repartition(Int)
    /// Which rules the record's partition goes on with, and from where.
    case acknowledgement
}

/// Output records of one lane between two commits, flat: tasks append, sinks read, the commit empties.
/// Bytes are copied in, so nothing here points into a source's buffers.
package struct Outbox {
    package struct Record {
        package var destination: Destination
        /// -1: as the key says.
        package var partition: Int32
        package var keyOffset: Int
        /// -1: null key.
        package var keyCount: Int
        package var valueOffset: Int
        /// -1: null value.
        package var valueCount: Int
        /// Headers stand one after the other as (name count, name, value count, value), counts in 4 bytes.
        package var headersOffset: Int
        package var headersCount: Int
        /// Event time, milliseconds; 0 or less: none.
        package var timestamp: Int64
        /// When the broker appended the record that caused this one, for the latency histogram; -1: unknown.
        package var causedAt: Int64
        /// Where the record stands among those of one `settle`, but for repartition records, which nobody
        /// compares.
        package var order: UInt64 = 0
        /// Where in the value the number of late records before this one belongs: `numberRoom` bytes that
        /// `settle` fills; -1: nowhere.
        package var lateAt: Int32 = -1
    }

    /// Bytes that are left free in a value for a number that is not known yet.
    package static let numberRoom = 20

    package let bytes = Arena(capacity: 64 << 10)
    package private(set) var records: [Record] = []
    /// `Record.order` of the records that are ended from now on.
    package var order: UInt64 = 0

    package init() {}

    package var isEmpty: Bool { records.isEmpty }

    package mutating func removeAll() {
        records.removeAll(keepingCapacity: true)
        bytes.removeAll()
    }

    /// Begins a record; write its parts with the functions below, in any order, then `end`.
    package func begin(
        _ destination: Destination,
        partition: Int32 = -1,
        timestamp: Int64,
        causedAt: Int64 = -1
    ) -> Record {
        Record(
            destination: destination,
            partition: partition,
            keyOffset: 0,
            keyCount: -1,
            valueOffset: 0,
            valueCount: -1,
            headersOffset: bytes.count,
            headersCount: 0,
            timestamp: timestamp,
            causedAt: causedAt
        )
    }

    package mutating func end(_ record: Record) {
        var record = record
        record.order = order
        records.append(record)
    }

    /// Puts the records from `start` on into the order of their `order` (those of one order stay as they
    /// are), and tells those that ask how many late records came before them. `late`: how many there were
    /// before `start`; returns how many there are now.
    package mutating func settle(from start: Int, late: Int) -> Int {
        guard start < records.count else { return late }
        sort(from: start)
        var late = late
        for index in start..<records.count {
            if records[index].destination == .late { late += 1 }
            if records[index].lateAt >= 0 { write(late, into: index) }
        }
        return late
    }

    private mutating func sort(from start: Int) {
        var isSorted = true
        var last: UInt64 = 0
        for index in start..<records.count where !records[index].isRepartitioned {
            if records[index].order < last {
                isSorted = false
                break
            }
            last = records[index].order
        }
        if isSorted { return }
        let places = (start..<records.count).filter { !records[$0].isRepartitioned }
        let sorted = places.map { (order: records[$0].order, place: $0) }.sorted { $0 < $1 }.map {
            records[$0.place]
        }
        for (place, record) in zip(places, sorted) { records[place] = record }
    }

    /// The number takes what it needs of its room, and the rest of the value moves up.
    private mutating func write(_ number: Int, into index: Int) {
        let at = records[index].valueOffset + Int(records[index].lateAt)
        let end = records[index].valueOffset + records[index].valueCount
        let digits = Decimal.write(Int128(number), scale: 0, to: bytes.base + at)
        let rest = at + Self.numberRoom
        (bytes.base + at + digits).update(from: bytes.base + rest, count: end - rest)
        records[index].valueCount -= Self.numberRoom - digits
        records[index].lateAt = -1
    }

    /// Adds a record whose parts stand in `bytes` already. `value` nil: null.
    package mutating func add(
        _ destination: Destination, partition: Int32, key: Range<Int>, value: Range<Int>?
    ) {
        records.append(
            Record(
                destination: destination,
                partition: partition,
                keyOffset: key.lowerBound,
                keyCount: key.count,
                valueOffset: value?.lowerBound ?? 0,
                valueCount: value?.count ?? -1,
                headersOffset: 0,
                headersCount: 0,
                timestamp: 0,
                causedAt: -1
            ))
    }

    /// Adds copies of all records of another outbox.
    package mutating func add(_ other: borrowing Outbox) {
        let start = bytes.count
        bytes.reserve(other.bytes.count)
        _ = bytes.append(other.bytes.base, other.bytes.count)
        for var record in other.records {
            record.keyOffset += start
            record.valueOffset += start
            record.headersOffset += start
            records.append(record)
        }
    }

    /// Adds a copy of a record of another outbox.
    package mutating func add(_ record: Record, of other: borrowing Outbox) {
        var copy = record
        func append(_ offset: Int, _ count: Int) -> Int {
            let start = bytes.count
            if count > 0 { _ = bytes.append(other.bytes.base + offset, count) }
            return start
        }
        copy.keyOffset = append(record.keyOffset, record.keyCount)
        copy.valueOffset = append(record.valueOffset, record.valueCount)
        copy.headersOffset = append(record.headersOffset, record.headersCount)
        records.append(copy)
    }

    package func setKey(_ key: UnsafePointer<UInt8>?, _ count: Int, of record: inout Record) {
        guard let key, count >= 0 else { return }
        // Not that of a text, which has 32 bits.
        record.keyOffset = bytes.count
        _ = bytes.append(key, count)
        record.keyCount = count
    }

    package func setValue(_ value: UnsafePointer<UInt8>?, _ count: Int, of record: inout Record) {
        guard let value, count >= 0 else { return }
        record.valueOffset = bytes.count
        _ = bytes.append(value, count)
        record.valueCount = count
    }

    /// Headers of one record must be added together, with no other part between them.
    package func addHeader(_ name: StaticString, _ value: String, to record: inout Record) {
        addHeader(name, to: &record) { $0.appendText(value) }
    }

    /// `appendValue` appends the header's value to the bytes that it gets, and nothing else.
    package func addHeader(_ name: StaticString, to record: inout Record, _ appendValue: (Arena) -> Void) {
        if record.headersCount == 0 { record.headersOffset = bytes.count }
        bytes.appendWord(UInt32(name.utf8CodeUnitCount))
        _ = bytes.append(name.utf8Start, name.utf8CodeUnitCount)
        let start = bytes.count
        bytes.appendWord(UInt32(0))
        appendValue(bytes)
        let count = UInt32(bytes.count - start - MemoryLayout<UInt32>.size)
        UnsafeMutableRawPointer(bytes.base + start).storeBytes(of: count.littleEndian, as: UInt32.self)
        record.headersCount = bytes.count - record.headersOffset
    }

    /// Calls `body` with each header's name and value.
    package func forEachHeader(
        of record: Record,
        _ body: (UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<UInt8>) -> Void
    ) {
        var at = record.headersOffset
        let end = at + record.headersCount
        func next() -> UnsafeBufferPointer<UInt8> {
            let count = Int(UnsafeRawPointer(bytes.base + at).loadUnaligned(as: UInt32.self).littleEndian)
            defer { at += 4 + count }
            return UnsafeBufferPointer(start: bytes.base + at + 4, count: count)
        }
        while at < end {
            let name = next()
            body(name, next())
        }
    }

    package func key(of record: Record) -> UnsafeBufferPointer<UInt8>? {
        record.keyCount < 0
            ? nil : UnsafeBufferPointer(start: bytes.base + record.keyOffset, count: record.keyCount)
    }

    package func value(of record: Record) -> UnsafeBufferPointer<UInt8>? {
        record.valueCount < 0
            ? nil : UnsafeBufferPointer(start: bytes.base + record.valueOffset, count: record.valueCount)
    }
}

extension Outbox.Record {
    fileprivate var isRepartitioned: Bool { if case .repartition = destination { true } else { false } }
}
