import Base
import Models
import Records
import Topology

/// An alert's bytes, to be compared with those of the same alert that was computed again.
package enum AlertBytes {
    /// Without when it was detected, which is a matter of the clock.
    package static func withoutDetection(_ alert: String) -> String {
        // A quotation mark within a text has a backslash before it.
        guard let start = alert.firstRange(of: "\"detected_at\":\"") else { return alert }
        guard let end = alert[start.upperBound...].firstIndex(of: "\"") else { return alert }
        return String(alert[..<start.lowerBound]) + String(alert[alert.index(after: end)...])
    }

    /// What differs, a line for each field; empty: nothing does, but for when it was detected.
    package static func differences(_ published: String, _ replayed: String) -> [String] {
        if withoutDetection(published) == withoutDetection(replayed) { return [] }
        let (one, other) = (fields(published), fields(replayed))
        var lines: [String] = []
        for name in one.order + other.order.filter({ one.values[$0] == nil }) where name != "detected_at" {
            let (a, b) = (one.values[name] ?? "nothing", other.values[name] ?? "nothing")
            if a != b { lines.append("\(name): published \(a), computed again \(b)") }
        }
        return lines.isEmpty ? ["their bytes: the members or their order"] : lines
    }

    /// The number of late records that an alert tells; nil: it is none.
    package static func late(_ alert: String) -> Int? {
        guard let value = try? JsonDocument.read(Array(alert.utf8)) else { return nil }
        return DocumentNode(value).optional("completeness")?.optional("late").flatMap { try? $0.integer }
    }

    private static func fields(_ alert: String) -> (order: [String], values: [String: String]) {
        var order: [String] = []
        var values: [String: String] = [:]
        func add(_ value: DocumentValue, _ name: String) {
            if case .object(let members) = value {
                for member in members {
                    add(member.value, name.isEmpty ? member.name : "\(name).\(member.name)")
                }
                return
            }
            let text =
                switch value {
                case .null: "null"
                case .bool(let bool): "\(bool)"
                case .text(let text): JsonText.quoted(text)
                case .number(let number): number.written
                case .numbers(let numbers): "[\(numbers.written.joined(separator: ","))]"
                case .list(let values): "a list of \(values.count): \(values)"
                case .object: ""
                }
            if values.updateValue(text, forKey: name) == nil { order.append(name) }
        }
        if let value = try? JsonDocument.read(Array(alert.utf8)) { add(value, "") }
        return (order, values)
    }
}
