import Base
import Models

/// A place in an answer's JSON: `Response.Codes[0]`.
package enum JsonPlace {
    /// What stands there, as text; nil: nothing, or it is no JSON.
    package static func text(_ path: String, in bytes: [UInt8]) -> String? {
        guard var value = try? JsonDocument.read(bytes) else { return nil }
        for part in path.split(separator: ".", omittingEmptySubsequences: false) {
            let name = part.prefix { $0 != "[" }
            if !name.isEmpty {
                guard let node = DocumentNode(value).optional(String(name)) else { return nil }
                value = node.value
            }
            for index in part.dropFirst(name.count).split(separator: "[") {
                guard let place = Int(index.prefix { $0 != "]" }), let list = try? DocumentNode(value).list,
                    list.indices.contains(place)
                else { return nil }
                value = list[place].value
            }
        }
        switch value {
        case .text(let text): return text
        case .bool(let bool): return bool ? "true" : "false"
        case .number(.numeral(let text)): return text
        case .number(let number): return number.integer.map { "\($0)" } ?? "\(number.double)"
        default: return nil
        }
    }
}
