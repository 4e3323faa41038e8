import Base
import Records

/// The value of a record in a repartition topic:
///
///     version 1 byte, flags 1 byte, fingerprint of the columns 4 bytes (little endian),
///     writer, [watermark], then for rows: source, partition, offset, append time, null bits, values
///
/// Integers are zigzag varints (Protocol Buffers' encoding), texts a byte count and their bytes. The null
/// bits have a 1 for each column that has a value, which alone stand in the values. A mark is a record
/// without a row: it tells every partition of the topic how far event time has come upstream.
enum RepartitionFormat {
    static let version: UInt8 = 3
    /// What the build before wrote, whose rows are the same. Its marks say less, and one thing that nobody
    /// asks any more.
    static let formerVersion: UInt8 = 2
    static let formerClaim: UInt8 = 8
    static let varintBytesMax = 10

    enum Flags {
        static let mark: UInt8 = 1
        static let idle: UInt8 = 2
        static let watermark: UInt8 = 4
        static let atEnd: UInt8 = 8
        static let asks: UInt8 = 16
        /// Those that only marks have.
        static let ofMarks: UInt8 = idle | atEnd | asks
        static let all: UInt8 = 31
    }

    /// Tells records written for other columns: reading them by place would give wrong values.
    static func fingerprint(_ fields: [Field]) -> UInt32 {
        let text = Array(fields.map { "\($0.name)\u{0}\($0.type)\u{0}" }.joined().utf8)
        return text.withUnsafeBufferPointer { bytes in
            bytes.baseAddress.map { UInt32(truncatingIfNeeded: foldBytes($0, bytes.count)) } ?? 0
        }
    }

    @inline(__always)
    static func zigzag(_ value: Int64) -> UInt64 { UInt64(bitPattern: (value &<< 1) ^ (value &>> 63)) }

    @inline(__always)
    static func integer(_ zigzag: UInt64) -> Int64 {
        Int64(bitPattern: zigzag &>> 1) ^ -Int64(bitPattern: zigzag & 1)
    }
}

/// Where a repartitioned row comes from.
package struct RepartitionOrigin {
    /// The source where the record was first read, by its index in the topology, and its partition there.
    package var source: Int32
    package var partition: Int32
    package var offset: Int64
    /// When the broker appended the record, milliseconds; -1: unknown.
    package var appended: Int64
    /// The task that wrote the row to the topic, and its event time after the row, milliseconds; `.min`: none
    /// yet.
    package var writer: Int32
    package var watermark: Int64

    package init(
        source: Int32 = 0, partition: Int32, offset: Int64, appended: Int64, writer: Int32? = nil,
        watermark: Int64
    ) {
        self.writer = writer ?? partition
        self.source = source
        self.partition = partition
        self.offset = offset
        self.appended = appended
        self.watermark = watermark
    }
}

/// Writes rows and marks of one repartition topic, one at a time, to `bytes`.
package final class RepartitionEncoder {
    /// Of the records that it writes. Workers that write others do not belong into one group.
    package static let version = RepartitionFormat.version

    /// The value written last.
    package let bytes = Arena(capacity: 1024)
    /// Where in `bytes` what comes from the columns begins; before it stands where the row comes from.
    package private(set) var valuesStart = 0
    private let fingerprint: UInt32
    private let columns: UnsafeMutablePointer<ColumnPointers>
    private let columnCount: Int
    /// Keeps the pointers' memory.
    private let owners: [Column]

    private struct ColumnPointers {
        var values: UnsafeMutablePointer<Int64>
        var valid: UnsafeMutablePointer<UInt8>
        var isText: Bool
    }

    /// `columns` hold the values of `fields`.
    package init(_ fields: [Field], columns owners: [Column]) {
        require(fields.count == owners.count, "columns that are not those of the fields")
        self.owners = owners
        fingerprint = RepartitionFormat.fingerprint(fields)
        columnCount = owners.count
        columns = .allocate(capacity: max(1, owners.count))
        for (index, column) in owners.enumerated() {
            (columns + index).initialize(
                to: ColumnPointers(values: column.values, valid: column.valid, isText: column.type == .text))
        }
    }

    deinit { columns.deallocate() }

    /// Writes the columns at `row`; texts stand in `arena`.
    package func encode(_ row: Int, arena: Arena, _ origin: RepartitionOrigin) {
        let nullBytes = (columnCount + 7) >> 3
        var bytesMax = 6 + (6 + columnCount) * RepartitionFormat.varintBytesMax + nullBytes
        for index in 0..<columnCount where columns[index].isText && columns[index].valid[row] == 1 {
            bytesMax &+= TextReference(packed: columns[index].values[row]).count
        }
        var writer = begin(origin.watermark == .min ? 0 : RepartitionFormat.Flags.watermark, bytesMax)
        writer.integer(Int64(origin.writer))
        if origin.watermark != .min { writer.integer(origin.watermark) }
        writer.integer(Int64(origin.source))
        writer.integer(Int64(origin.partition))
        writer.integer(origin.offset)
        writer.integer(origin.appended)
        valuesStart = writer.at - bytes.base
        let nulls = writer.at
        nulls.update(repeating: 0, count: nullBytes)
        writer.at += nullBytes
        for index in 0..<columnCount {
            let column = columns[index]
            guard column.valid[row] == 1 else { continue }
            nulls[index >> 3] |= 1 &<< UInt8(index & 7)
            if column.isText {
                let text = TextReference(packed: column.values[row])
                writer.varint(UInt64(text.count))
                writer.at.update(from: arena.base + text.offset, count: text.count)
                writer.at += text.count
            } else {
                writer.integer(column.values[row])
            }
        }
        bytes.count = writer.at - bytes.base
    }

    /// Writes a mark. `isAtEnd`: the writer has read all there is; `isIdle`: and nobody need wait for it
    /// until its next row or mark; `asks`: the others are to say how far they are.
    package func encodeMark(
        partition: Int32, watermark: Int64, isIdle: Bool, isAtEnd: Bool = false, asks: Bool = false
    ) {
        var flags = RepartitionFormat.Flags.mark
        if isIdle { flags |= RepartitionFormat.Flags.idle }
        if isAtEnd { flags |= RepartitionFormat.Flags.atEnd }
        if asks { flags |= RepartitionFormat.Flags.asks }
        if watermark != .min { flags |= RepartitionFormat.Flags.watermark }
        var writer = begin(flags, 6 + 2 * RepartitionFormat.varintBytesMax)
        writer.integer(Int64(partition))
        if watermark != .min { writer.integer(watermark) }
        bytes.count = writer.at - bytes.base
    }

    private func begin(_ flags: UInt8, _ bytesMax: Int) -> Writer {
        bytes.removeAll()
        bytes.reserve(bytesMax)
        let start = bytes.base
        start[0] = RepartitionFormat.version
        start[1] = flags
        for byte in 0..<4 { start[2 + byte] = UInt8(truncatingIfNeeded: fingerprint &>> UInt32(8 * byte)) }
        return Writer(at: start + 6)
    }

    /// Writes where there is room.
    private struct Writer {
        var at: UnsafeMutablePointer<UInt8>

        @inline(__always)
        mutating func integer(_ value: Int64) { varint(RepartitionFormat.zigzag(value)) }

        @inline(__always)
        mutating func varint(_ value: UInt64) {
            var rest = value
            while rest >= 0x80 {
                at[0] = UInt8(truncatingIfNeeded: rest) | 0x80
                at += 1
                rest &>>= 7
            }
            at[0] = UInt8(truncatingIfNeeded: rest)
            at += 1
        }
    }
}
