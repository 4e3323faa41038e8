import Base

/// Messages and enums of a descriptor set (`protoc --include_imports --descriptor_set_out`), which is a
/// message of Protocol Buffers itself: `google.protobuf.FileDescriptorSet` of descriptor.proto.
package struct ProtobufSchema: Sendable {
    /// By full name, without a dot before it.
    package private(set) var messages: [String: ProtobufMessage] = [:]
    package private(set) var enums: [String: ProtobufEnum] = [:]

    package init(_ bytes: [UInt8]) throws(Fault) {
        for file in try ProtobufFields(bytes).messages(1) { try read(file) }
        if messages.isEmpty { throw Fault(.user, "it has no message") }
    }

    private mutating func read(_ file: ProtobufFields) throws(Fault) {
        let package = file.text(2) ?? ""
        let syntax = file.text(12) ?? "proto2"
        guard syntax == "proto2" || syntax == "proto3" else {
            throw Fault(
                .user, "'\(file.text(1) ?? "")' is of \(syntax), of which proto2 and proto3 are read")
        }
        for value in try file.messages(5) { try readEnum(value, package) }
        for (index, message) in try file.messages(4).enumerated() {
            try readMessage(message, package, [index], isImplicit: syntax == "proto3", depth: 0)
        }
    }

    private static func full(_ name: String, _ scope: String) -> String {
        scope.isEmpty ? name : "\(scope).\(name)"
    }

    private mutating func readEnum(_ fields: ProtobufFields, _ scope: String) throws(Fault) {
        let name = Self.full(fields.text(1) ?? "", scope)
        var values: [(number: Int64, name: String)] = []
        for value in try fields.messages(2) {
            let number = Int64(truncatingIfNeeded: Int32(truncatingIfNeeded: value.number(2) ?? 0))
            if !values.contains(where: { $0.number == number }) {
                values.append((number, value.text(1) ?? ""))
            }
        }
        enums[name] = ProtobufEnum(name: name, values: values)
    }

    private mutating func readMessage(
        _ fields: ProtobufFields, _ scope: String, _ place: [Int], isImplicit: Bool, depth: Int
    ) throws(Fault) {
        guard messages.count < Limits.schemaTypesMax, depth < Limits.schemaDepthMax else {
            throw Fault(.user, "it has more than \(Limits.schemaTypesMax) messages, or they lie too deep")
        }
        let name = Self.full(fields.text(1) ?? "", scope)
        var message = ProtobufMessage(name: name, place: place)
        for field in try fields.messages(2) {
            guard let number = field.number(3), number > 0, number < 1 << 29, let type = field.number(5)
            else { throw Fault(.user, "a field of '\(name)' has no number or no type") }
            let typeName = field.text(6).map { $0.hasPrefix(".") ? String($0.dropFirst()) : $0 }
            // Of proto3, what is neither optional nor of a oneof has no presence.
            let isOptional = field.number(17) == 1 || field.number(9) != nil
            message.fields.append(
                ProtobufField(
                    name: field.text(1) ?? "", number: Int(number), type: Int(type), typeName: typeName,
                    isRepeated: field.number(4) == 3,
                    hasPresence: !isImplicit || isOptional || type == ProtobufField.message,
                    preset: field.text(7)))
        }
        messages[name] = message
        for value in try fields.messages(4) { try readEnum(value, name) }
        for (index, inner) in try fields.messages(3).enumerated() {
            try readMessage(inner, name, place + [index], isImplicit: isImplicit, depth: depth + 1)
        }
    }
}

package struct ProtobufMessage: Sendable {
    package var name: String
    /// Its place among the messages of its file, and of those that it stands in.
    package var place: [Int]
    package var fields: [ProtobufField] = []
}

package struct ProtobufField: Sendable {
    package var name: String
    package var number: Int
    /// `FieldDescriptorProto.Type`
    package var type: Int
    package var typeName: String?
    package var isRepeated: Bool
    /// False: where it is not there, it is zero, or empty.
    package var hasPresence: Bool
    /// Of proto2: what it is where it is not there.
    package var preset: String?

    static let (double, float, int64, uint64, int32, fixed64, fixed32, bool) = (1, 2, 3, 4, 5, 6, 7, 8)
    static let (string, group, message, bytes, uint32, enumeration) = (9, 10, 11, 12, 13, 14)
    static let (sfixed32, sfixed64, sint32, sint64) = (15, 16, 17, 18)

    private static let names = [
        "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string", "group",
        "message", "bytes", "uint32", "enum", "sfixed32", "sfixed64", "sint32", "sint64",
    ]

    /// For messages.
    package var shown: String {
        let name = typeName ?? (type > 0 && type <= Self.names.count ? Self.names[type - 1] : "type \(type)")
        return isRepeated ? "repeated \(name)" : name
    }
}

package struct ProtobufEnum: Sendable {
    package var name: String
    package var values: [(number: Int64, name: String)]
}

/// The fields of one message, outside of the data path.
struct ProtobufFields {
    private var values: [(number: Int, value: UInt64, bytes: ArraySlice<UInt8>?)] = []

    init(_ bytes: [UInt8]) throws(Fault) { try self.init(bytes[...]) }

    private init(_ bytes: ArraySlice<UInt8>) throws(Fault) {
        var at = bytes.startIndex
        let wrong = Fault(
            .user, "it is no descriptor set: write it with protoc --include_imports --descriptor_set_out")
        func varint() throws(Fault) -> UInt64 {
            var value: UInt64 = 0
            for shift in 0..<10 {
                guard at < bytes.endIndex else { throw wrong }
                let byte = bytes[at]
                at += 1
                value |= UInt64(byte & 0x7F) << UInt64(7 * shift)
                if byte < 0x80 { return value }
            }
            throw wrong
        }
        while at < bytes.endIndex {
            let tag = try varint()
            let number = Int(truncatingIfNeeded: tag >> 3)
            switch tag & 7 {
            case 0: values.append((number, try varint(), nil))
            case 2:
                let count = try varint()
                guard count <= UInt64(bytes.endIndex - at) else { throw wrong }
                values.append((number, 0, bytes[at..<at + Int(count)]))
                at += Int(count)
            case 1, 5:
                let count = tag & 7 == 1 ? 8 : 4
                guard bytes.endIndex - at >= count else { throw wrong }
                at += count
            default: throw wrong
            }
        }
    }

    func text(_ number: Int) -> String? {
        values.last { $0.number == number && $0.bytes != nil }?.bytes.map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    func number(_ number: Int) -> UInt64? { values.last { $0.number == number && $0.bytes == nil }?.value }

    func messages(_ number: Int) throws(Fault) -> [ProtobufFields] {
        var messages: [ProtobufFields] = []
        for value in values where value.number == number {
            if let bytes = value.bytes { messages.append(try ProtobufFields(bytes)) }
        }
        return messages
    }
}
