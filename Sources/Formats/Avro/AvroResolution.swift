import Base

/// What a reader's schema makes of a writer's.
enum AvroResolution {
    /// The type, no union, that the reader takes a value as; nil: it does not take it.
    static func match(_ type: Int, of writer: AvroSchema, _ other: Int, of reader: AvroSchema) -> Int? {
        guard case .union(let branches) = reader.types[other].kind else {
            return fits(writer.types[type], reader.types[other]) == nil ? nil : other
        }
        let ranked = branches.compactMap { branch in
            fits(writer.types[type], reader.types[branch]).map { (rank: $0, branch: branch) }
        }
        return ranked.min { $0.rank < $1.rank }?.branch
    }

    /// 0: the same type, 1: the same but for its name, 2: it is promoted; nil: it does not fit.
    private static func fits(_ own: AvroType, _ other: AvroType) -> Int? {
        let isNamed =
            own.name == other.name || other.aliases.contains(own.name)
            || last(own.name) == last(other.name)
        switch (own.kind, other.kind) {
        case (.null, .null), (.boolean, .boolean), (.int, .int), (.long, .long), (.float, .float),
            (.double, .double), (.bytes, .bytes), (.string, .string), (.array, .array), (.map, .map):
            return 0
        case (.record, .record), (.enumeration, .enumeration): return isNamed ? 0 : 1
        case (.fixed(let size), .fixed(let otherSize)): return size == otherSize ? isNamed ? 0 : 1 : nil
        case (.int, .long), (.int, .float), (.int, .double), (.long, .float), (.long, .double),
            (.float, .double), (.string, .bytes), (.bytes, .string):
            return 2
        default: return nil
        }
    }

    private static func last(_ name: String) -> Substring { name.split(separator: ".").last ?? "" }

    /// What the reader calls a field of the writer's, and of which type it is there; nil: it does not have
    /// it.
    static func name(
        of field: AvroField, among fields: [AvroField], _ resolved: Int?, _ reader: AvroSchema?
    ) -> (name: String?, type: Int?) {
        guard let reader, let resolved, case .record(let known) = reader.types[resolved].kind else {
            return (field.name, nil)
        }
        if let same = known.first(where: { $0.name == field.name }) { return (same.name, same.type) }
        let renamed = known.first { other in
            other.aliases.contains(field.name) && !fields.contains { $0.name == other.name }
        }
        return (renamed?.name, renamed?.type)
    }

    /// What an array or a map of the reader's consists of.
    static func item(of type: Int, _ reader: AvroSchema?) -> Int? {
        switch reader?.types[type].kind {
        case .array(let item), .map(let item): item
        default: nil
        }
    }
}

/// Values that a schema presets, as Avro writes them.
enum AvroDefault {
    static func encoded(_ value: SchemaText, _ type: Int, _ schema: AvroSchema) throws(Fault) -> [UInt8] {
        var bytes: [UInt8] = []
        try append(value, type, schema, to: &bytes, depth: 0)
        return bytes
    }

    private static func append(
        _ value: SchemaText, _ type: Int, _ schema: AvroSchema, to bytes: inout [UInt8], depth: Int
    ) throws(Fault) {
        guard depth < Limits.schemaDepthMax else { throw Fault(.user, "a default lies too deep") }
        let own = schema.types[type]
        func wrong() -> Fault { Fault(.user, "a default does not fit its type, \(own.shown)") }
        switch (own.kind, value) {
        case (.null, .null): break
        case (.boolean, .bool(let value)): bytes.append(value ? 1 : 0)
        case (.int, .number(let text)), (.long, .number(let text)):
            guard let number = Int64(text) else { throw wrong() }
            append(number, to: &bytes)
        case (.float, .number(let text)):
            guard let number = Float(text) else { throw wrong() }
            withUnsafeBytes(of: number.bitPattern.littleEndian) { bytes += $0 }
        case (.double, .number(let text)):
            guard let number = Double(text) else { throw wrong() }
            withUnsafeBytes(of: number.bitPattern.littleEndian) { bytes += $0 }
        case (.string, .text(let text)):
            append(Int64(text.utf8.count), to: &bytes)
            bytes += Array(text.utf8)
        case (.bytes, .text(let text)), (.fixed, .text(let text)):
            // A character for each byte.
            let letters = text.unicodeScalars.map(\.value)
            guard letters.allSatisfy({ $0 < 256 }) else { throw wrong() }
            if case .fixed(let size) = own.kind {
                guard size == letters.count else { throw wrong() }
            } else {
                append(Int64(letters.count), to: &bytes)
            }
            bytes += letters.map { UInt8($0) }
        case (.enumeration(let symbols, _), .text(let text)):
            guard let index = symbols.firstIndex(of: text) else { throw wrong() }
            append(Int64(index), to: &bytes)
        case (.array(let items), .list(let list)):
            if !list.isEmpty { append(Int64(list.count), to: &bytes) }
            for item in list { try append(item, items, schema, to: &bytes, depth: depth + 1) }
            bytes.append(0)
        case (.map(let values), .object(let members)):
            if !members.isEmpty { append(Int64(members.count), to: &bytes) }
            for member in members {
                append(Int64(member.name.utf8.count), to: &bytes)
                bytes += Array(member.name.utf8)
                try append(member.value, values, schema, to: &bytes, depth: depth + 1)
            }
            bytes.append(0)
        case (.union(let branches), _):
            // The first that fits; before 1.12 that had to be the first.
            for (index, branch) in branches.enumerated() {
                var inner: [UInt8] = []
                do throws(Fault) {
                    try append(value, branch, schema, to: &inner, depth: depth + 1)
                } catch { continue }
                append(Int64(index), to: &bytes)
                bytes += inner
                return
            }
            throw wrong()
        case (.record(let fields), .object):
            for field in fields {
                guard let member = value[field.name] ?? field.fallback else { throw wrong() }
                try append(member, field.type, schema, to: &bytes, depth: depth + 1)
            }
        default: throw wrong()
        }
        if bytes.count > Limits.schemaBytesMax { throw Fault(.user, "a default is too long") }
    }

    private static func append(_ value: Int64, to bytes: inout [UInt8]) {
        var rest = UInt64(bitPattern: value << 1 ^ value >> 63)
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}
