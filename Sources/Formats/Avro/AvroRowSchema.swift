import Dataflow
import Records

/// The schema of rows that are written as Avro, made of what they consist of: what has a value in one row may
/// be null in another, so that every field is a union with null, and null where it is not there.
package struct AvroRowSchema: Sendable {
    /// As the registry gets it.
    package let text: String
    let members: [RowMember]
    let types: [ValueType]

    /// `types`: of the columns that the members take, in their order.
    package init(name: String, of topology: String, _ members: [RowMember], _ types: [ValueType]) {
        self.members = members
        self.types = types
        var left = types[...]
        let scope = "millrace.\(Self.name(topology))"
        text = Self.record(Self.name(name), scope, members, &left)
    }

    private static func record(
        _ name: String, _ scope: String?, _ members: [RowMember], _ types: inout ArraySlice<ValueType>
    ) -> String {
        var fields: [String] = []
        var taken: Set<String> = []
        for member in members {
            let (own, type): (String, String)
            switch member {
            case .column(let column):
                (own, type) = (column, "[\"null\",\(Self.type(types.removeFirst()))],\"default\":null")
            case .constant(let constant, _): (own, type) = (constant, "\"string\"")
            case .group(let group, let members):
                (own, type) = (group, record("\(name)_\(Self.name(group))", nil, members, &types))
            }
            var unique = Self.name(own)
            var number = 2
            while !taken.insert(unique).inserted {
                unique = "\(Self.name(own))_\(number)"
                number += 1
            }
            fields.append("{\"name\":\"\(unique)\",\"type\":\(type)}")
        }
        let namespace = scope.map { ",\"namespace\":\"\($0)\"" } ?? ""
        return
            "{\"type\":\"record\",\"name\":\"\(name)\"\(namespace),\"fields\":[\(fields.joined(separator: ","))]}"
    }

    private static func type(_ type: ValueType) -> String {
        switch type {
        case .bool: "\"boolean\""
        case .int, .duration: "\"long\""
        case .decimal(let scale):
            // As many digits as 64 bits may have.
            "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":19,\"scale\":\(scale)}"
        case .text: "\"string\""
        case .timestamp: "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}"
        }
    }

    /// Letters, digits and `_`, no digit first.
    private static func name(_ text: String) -> String {
        var name = ""
        for scalar in text.unicodeScalars {
            let isPlain =
                scalar.isASCII
                && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "_")
            name.unicodeScalars.append(isPlain ? scalar : "_")
        }
        return name.first.map { ("0"..."9").contains($0) } ?? true ? "_\(name)" : name
    }
}
