import Base

/// Writes values as Avro does, from JSON-like values: the oracle's half of the decoder's tests.
indirect enum AvroValue {
    case null
    case bool(Bool)
    case number(Int64)
    case double(Double)
    case float(Float)
    case text(String)
    case raw([UInt8])
    case fixed([UInt8])
    case record([AvroValue])
    case list([AvroValue], sized: Bool)
    case map([(String, AvroValue)])
    case branch(Int, AvroValue)

    var bytes: [UInt8] {
        switch self {
        case .null: []
        case .bool(let value): [value ? 1 : 0]
        case .number(let value): Self.zigzag(value)
        case .double(let value): Self.little(value.bitPattern)
        case .float(let value): Self.little(value.bitPattern)
        case .text(let text): Self.zigzag(Int64(text.utf8.count)) + Array(text.utf8)
        case .raw(let bytes): Self.zigzag(Int64(bytes.count)) + bytes
        case .fixed(let bytes): bytes
        case .record(let values): values.flatMap(\.bytes)
        case .list(let values, let sized): Self.blocks(values.map(\.bytes), sized: sized)
        case .map(let members):
            Self.blocks(members.map { AvroValue.text($0.0).bytes + $0.1.bytes }, sized: false)
        case .branch(let index, let value): Self.zigzag(Int64(index)) + value.bytes
        }
    }

    static func zigzag(_ value: Int64) -> [UInt8] {
        var rest = UInt64(bitPattern: value << 1 ^ value >> 63)
        var bytes: [UInt8] = []
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    /// In two blocks, where there are several items.
    private static func blocks(_ items: [[UInt8]], sized: Bool) -> [UInt8] {
        let parts = items.count > 1 ? [Array(items[..<1]), Array(items[1...])] : [items]
        var bytes: [UInt8] = []
        for part in parts where !part.isEmpty {
            let content = part.flatMap { $0 }
            bytes +=
                sized ? zigzag(-Int64(part.count)) + zigzag(Int64(content.count)) : zigzag(Int64(part.count))
            bytes += content
        }
        return bytes + [0]
    }

    private static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    /// An integer in as few bytes as hold it, or in `size`.
    static func bigEndian(_ value: Int64, size: Int? = nil) -> [UInt8] {
        var bytes = withUnsafeBytes(of: value.bigEndian) { Array($0) }
        while size == nil, bytes.count > 1, bytes[0] == (value < 0 ? 0xFF : 0),
            (bytes[1] & 0x80 == 0) == (value >= 0)
        { bytes.removeFirst() }
        if let size {
            while bytes.count < size { bytes.insert(value < 0 ? 0xFF : 0, at: 0) }
            bytes.removeFirst(bytes.count - size)
        }
        return bytes
    }
}
