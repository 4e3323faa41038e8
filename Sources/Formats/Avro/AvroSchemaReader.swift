import Base

/// Reads schemas as the specification of Avro 1.12 has them (avro.apache.org/docs/1.12.0/specification).
package struct AvroSchemaReader {
    private var types: [AvroType] = []
    private var named: [String: Int] = [:]
    private static let primitives: [String: AvroType.Kind] = [
        "null": .null, "boolean": .boolean, "int": .int, "long": .long, "float": .float, "double": .double,
        "bytes": .bytes, "string": .string,
    ]

    /// `texts`: schemas of which each may name types of those before; the last one is meant.
    package static func read(_ texts: [[UInt8]]) throws(Fault) -> AvroSchema {
        var reader = AvroSchemaReader()
        var root = 0
        for text in texts {
            let parsed = try SchemaText.parse(text)
            root = try reader.type(parsed, namespace: "", depth: 0)
        }
        return AvroSchema(types: reader.types, root: root)
    }

    private mutating func add(_ type: AvroType) throws(Fault) -> Int {
        guard types.count < Limits.schemaTypesMax else {
            throw Fault(.user, "it has more than \(Limits.schemaTypesMax) types")
        }
        types.append(type)
        return types.count - 1
    }

    private mutating func type(_ text: SchemaText, namespace: String, depth: Int) throws(Fault) -> Int {
        guard depth <= Limits.schemaDepthMax else {
            throw Fault(.user, "its types lie more than \(Limits.schemaDepthMax) deep")
        }
        switch text {
        case .text(let name): return try reference(name, namespace)
        case .list(let list):
            var branches: [Int] = []
            for branch in list { branches.append(try type(branch, namespace: namespace, depth: depth + 1)) }
            guard !branches.isEmpty else { throw Fault(.user, "a union has no branches") }
            for branch in branches {
                if case .union = types[branch].kind { throw Fault(.user, "a union stands in a union") }
            }
            return try add(AvroType(kind: .union(branches: branches), name: "union"))
        case .object: return try object(text, namespace, depth)
        default: throw Fault(.user, "a type is a name, a list or an object")
        }
    }

    private mutating func reference(_ name: String, _ namespace: String) throws(Fault) -> Int {
        if let kind = Self.primitives[name] { return try add(AvroType(kind: kind, name: name)) }
        let full = Self.full(name, namespace)
        guard let type = named[full] ?? named[name] else {
            throw Fault(.user, "it has no type '\(full)'")
        }
        return type
    }

    private static func full(_ name: String, _ namespace: String) -> String {
        name.contains(".") || namespace.isEmpty ? name : "\(namespace).\(name)"
    }

    private mutating func object(_ text: SchemaText, _ namespace: String, _ depth: Int) throws(Fault) -> Int {
        guard let what = text["type"] else { throw Fault(.user, "a type has no 'type'") }
        guard let word = what.text else { return try type(what, namespace: namespace, depth: depth + 1) }
        switch word {
        case "array":
            guard let items = text["items"] else { throw Fault(.user, "an array has no 'items'") }
            let type = try type(items, namespace: namespace, depth: depth + 1)
            return try add(AvroType(kind: .array(items: type), name: word))
        case "map":
            guard let values = text["values"] else { throw Fault(.user, "a map has no 'values'") }
            let type = try type(values, namespace: namespace, depth: depth + 1)
            return try add(AvroType(kind: .map(values: type), name: word))
        case "record", "error": return try record(text, namespace, depth)
        case "enum":
            let symbols = text["symbols"]?.texts ?? []
            guard !symbols.isEmpty else { throw Fault(.user, "an enum has no 'symbols'") }
            return try name(
                AvroType(
                    kind: .enumeration(symbols: symbols, fallback: text["default"]?.text), name: ""),
                text, namespace
            ).index
        case "fixed":
            guard let size = text["size"]?.integer, size >= 0, size <= Limits.recordBytesMax else {
                throw Fault(.user, "a fixed has no 'size' from 0 to \(Limits.recordBytesMax)")
            }
            var type = AvroType(kind: .fixed(size: size), name: "")
            type.logical = Self.logical(text, type.kind)
            return try name(type, text, namespace).index
        default:
            if let kind = Self.primitives[word] {
                return try add(AvroType(kind: kind, name: word, logical: Self.logical(text, kind)))
            }
            return try reference(word, namespace)
        }
    }

    /// Adds a type that has a name.
    private mutating func name(_ type: AvroType, _ text: SchemaText, _ namespace: String) throws(Fault) -> (
        index: Int, namespace: String
    ) {
        guard let name = text["name"]?.text, !name.isEmpty else {
            throw Fault(.user, "a record, enum or fixed has no 'name'")
        }
        let own =
            name.lastIndex(of: ".").map { String(name[..<$0]) } ?? text["namespace"]?.text ?? namespace
        let full = Self.full(name, own)
        guard named[full] == nil else { throw Fault(.user, "it has the type '\(full)' twice") }
        var type = type
        type.name = full
        type.aliases = (text["aliases"]?.texts ?? []).map { Self.full($0, own) }
        let index = try add(type)
        named[full] = index
        return (index, own)
    }

    private mutating func record(_ text: SchemaText, _ namespace: String, _ depth: Int) throws(Fault) -> Int {
        // It is known by its name before its fields are read, which may be of it.
        let (index, own) = try name(AvroType(kind: .record(fields: []), name: ""), text, namespace)
        guard let list = text["fields"]?.list else {
            throw Fault(.user, "record '\(types[index].name)' has no 'fields'")
        }
        var fields: [AvroField] = []
        var seen: Set<String> = []
        for field in list {
            guard let name = field["name"]?.text, let what = field["type"] else {
                throw Fault(.user, "a field of record '\(types[index].name)' has no name or no type")
            }
            guard seen.insert(name).inserted else {
                throw Fault(.user, "record '\(types[index].name)' has the field '\(name)' twice")
            }
            let type = try type(what, namespace: own, depth: depth + 1)
            fields.append(
                AvroField(
                    name: name, aliases: field["aliases"]?.texts ?? [], type: type, fallback: field["default"]
                ))
        }
        types[index].kind = .record(fields: fields)
        return index
    }

    /// One that is unknown, or does not go with its type, means nothing, says the specification.
    private static func logical(_ text: SchemaText, _ kind: AvroType.Kind) -> AvroType.Logical? {
        guard let name = text["logicalType"]?.text else { return nil }
        switch (name, kind) {
        case ("decimal", .bytes), ("decimal", .fixed):
            guard let precision = text["precision"]?.integer, precision > 0 else { return nil }
            let scale = text["scale"]?.integer ?? 0
            return scale < 0 || scale > precision ? nil : .decimal(precision: precision, scale: scale)
        case ("uuid", .string), ("uuid", .fixed(16)): return .uuid
        case ("date", .int): return .date
        case ("time-millis", .int): return .timeMillis
        case ("time-micros", .long): return .timeMicros
        case ("timestamp-millis", .long): return .timestamp(digits: 3)
        case ("timestamp-micros", .long): return .timestamp(digits: 6)
        case ("timestamp-nanos", .long): return .timestamp(digits: 9)
        case ("local-timestamp-millis", .long): return .localTimestamp(digits: 3)
        case ("local-timestamp-micros", .long): return .localTimestamp(digits: 6)
        case ("local-timestamp-nanos", .long): return .localTimestamp(digits: 9)
        case ("duration", .fixed(12)): return .duration
        case ("big-decimal", .bytes): return .bigDecimal
        default: return nil
        }
    }
}
