import Base
import Dataflow
import Records

/// Values of a repartition topic to columns; what each row carries besides them stands in `origins`.
package final class RepartitionDecoder: RecordDecoder {
    private let fields: [Field]
    /// For dead letters.
    private let expectation: String
    private let fingerprint: UInt32
    private let partitions: Int
    private let capacity: Int
    /// Of each row that is good, and of each mark.
    package let origins: UnsafeMutablePointer<RepartitionOrigin>
    /// 1: the row is a mark that says that its partition is idle.
    package let idle: UnsafeMutablePointer<UInt8>
    /// 1: the row is a mark that says that its writer has read all there is.
    package let atEnd: UnsafeMutablePointer<UInt8>
    /// 1: the row is a mark that others are to answer to.
    package let asks: UnsafeMutablePointer<UInt8>

    /// `partitions`: of the topic's origin; a record that claims another one is malformed.
    package init(_ fields: [Field], partitions: Int, capacity: Int = Limits.rowsPerBatchMax) {
        self.fields = fields
        expectation =
            "not a repartition record of version \(RepartitionFormat.version) with the fields "
            + "\(fields.map { "\($0.name) \($0.type)" }.joined(separator: ", ")): "
        self.partitions = partitions
        self.capacity = capacity
        fingerprint = RepartitionFormat.fingerprint(fields)
        origins = .allocate(capacity: capacity)
        origins.initialize(
            repeating: RepartitionOrigin(partition: 0, offset: 0, appended: -1, watermark: .min),
            count: capacity)
        idle = .allocate(capacity: capacity)
        idle.initialize(repeating: 0, count: capacity)
        atEnd = .allocate(capacity: capacity)
        atEnd.initialize(repeating: 0, count: capacity)
        asks = .allocate(capacity: capacity)
        asks.initialize(repeating: 0, count: capacity)
    }

    deinit {
        origins.deallocate()
        idle.deallocate()
        atEnd.deallocate()
        asks.deallocate()
    }

    package func decode(_ raw: RawRecords, into batch: Batch) {
        require(raw.count <= capacity && raw.count <= batch.capacity, "more records than a batch holds")
        batch.arena.removeAll()
        batch.count = raw.count
        // Texts are copied as they come; none is longer than its record.
        var total = 0
        for row in 0..<raw.count { total &+= Int(max(0, raw.valueCounts[row])) }
        batch.arena.reserve(total)
        let columns = batch.columns
        for row in 0..<raw.count {
            batch.statusField[row] = -1
            batch.status[row] =
                status(raw.values[row], Int(raw.valueCounts[row]), row, columns, batch.arena).rawValue
        }
    }

    private func status(
        _ value: UnsafePointer<UInt8>?, _ count: Int, _ row: Int, _ columns: [Column], _ arena: Arena
    ) -> RowStatus {
        guard let value, count >= 0 else { return .nullValue }
        if count > Limits.recordBytesMax { return .oversized }
        var reader = Reader(at: value, end: value + count)
        guard let flags = readHead(&reader, row) else { return .malformed }
        if flags & RepartitionFormat.Flags.mark != 0 { return reader.isAtEnd ? .mark : .malformed }
        guard flags & RepartitionFormat.Flags.ofMarks == 0, let source = reader.integer(), source >= 0,
            source <= Int64(Int32.max), let partition = reader.integer(), partition >= 0,
            partition <= Int64(Int32.max), let offset = reader.integer(), offset >= -1,
            let appended = reader.integer(), appended >= -1
        else { return .malformed }
        origins[row].source = Int32(source)
        origins[row].partition = Int32(partition)
        origins[row].offset = offset
        origins[row].appended = appended
        let nulls = reader.at
        guard reader.skip((fields.count + 7) >> 3) else { return .malformed }
        for index in fields.indices {
            let output = columns[index]
            guard nulls[index >> 3] & (1 &<< UInt8(index & 7)) != 0 else {
                output.valid[row] = 0
                continue
            }
            guard let value = read(fields[index].type, &reader, arena) else { return .malformed }
            output.values[row] = value
            output.valid[row] = 1
        }
        return reader.isAtEnd ? .good : .malformed
    }

    /// The part that rows and marks have in common; nil where it is not what this version writes.
    private func readHead(_ reader: inout Reader, _ row: Int) -> UInt8? {
        let start = reader.at
        guard reader.skip(6) else { return nil }
        var flags = start[1]
        if start[0] == RepartitionFormat.formerVersion {
            guard flags < 2 * RepartitionFormat.formerClaim else { return nil }
            flags &= ~RepartitionFormat.formerClaim
        } else if start[0] != RepartitionFormat.version {
            return nil
        }
        var print: UInt32 = 0
        for byte in 0..<4 { print |= UInt32(start[2 + byte]) &<< UInt32(8 * byte) }
        guard flags & ~RepartitionFormat.Flags.all == 0, print == fingerprint,
            let writer = reader.integer(), writer >= 0, writer < partitions
        else { return nil }
        var watermark = Int64.min
        if flags & RepartitionFormat.Flags.watermark != 0 {
            guard let carried = reader.integer(), carried.magnitude <= Self.timeMax else { return nil }
            watermark = carried
        }
        origins[row] = RepartitionOrigin(
            partition: 0, offset: 0, appended: -1, writer: Int32(writer), watermark: watermark)
        idle[row] = flags & RepartitionFormat.Flags.idle == 0 ? 0 : 1
        asks[row] = flags & RepartitionFormat.Flags.asks == 0 ? 0 : 1
        atEnd[row] = flags & RepartitionFormat.Flags.atEnd == 0 ? 0 : 1
        return flags
    }

    /// Twice what a text can say: watermarks and computed timestamps go a little beyond, and all that is
    /// computed from them stays far from overflow.
    private static let timeMax = CivilTime.millisecondsMax.magnitude * 2

    @inline(__always)
    private func read(_ type: ValueType, _ reader: inout Reader, _ arena: Arena) -> Int64? {
        switch type {
        case .text:
            guard let length = reader.varint(), length <= UInt64(Limits.textBytesMax) else { return nil }
            let text = reader.at
            guard reader.skip(Int(length)) else { return nil }
            return arena.append(text, Int(length)).packed
        case .bool:
            guard let value = reader.integer(), value == 0 || value == 1 else { return nil }
            return value
        case .timestamp:
            guard let value = reader.integer(), value.magnitude <= Self.timeMax else { return nil }
            return value
        case .int, .decimal, .duration: return reader.integer()
        }
    }

    package func explain(_ row: Int, of batch: Batch, into text: Arena) {
        switch RowStatus(rawValue: batch.status[row]) ?? .malformed {
        case .nullValue: text.appendText("the record has no value")
        case .oversized: appendOversized(row, batch, to: text)
        default:
            text.appendText(expectation)
            appendExcerpt(batch.raw.values[row], Int(batch.raw.valueCounts[row]), to: text)
        }
    }

    /// Reads bytes that anything may stand in.
    private struct Reader {
        var at: UnsafePointer<UInt8>
        let end: UnsafePointer<UInt8>

        var isAtEnd: Bool { at == end }

        @inline(__always)
        mutating func skip(_ count: Int) -> Bool {
            guard count <= end - at else { return false }
            at += count
            return true
        }

        @inline(__always)
        mutating func integer() -> Int64? { varint().map { RepartitionFormat.integer($0) } }

        @inline(__always)
        mutating func varint() -> UInt64? {
            var value: UInt64 = 0
            var shift: UInt64 = 0
            while at < end, shift < 64 {
                let byte = at[0]
                at += 1
                // The tenth byte has room for one bit.
                if shift == 63, byte > 1 { return nil }
                value |= UInt64(byte & 0x7F) &<< shift
                if byte < 0x80 { return value }
                shift &+= 7
            }
            return nil
        }
    }
}
