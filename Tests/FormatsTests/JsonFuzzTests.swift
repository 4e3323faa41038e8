import Base
import Formats
import Foundation
import Records
import Testing

/// Mutated JSON records: no crash, and what is called good means to another reader what it means to this one.
@Suite struct JsonFuzzTests {
    static let columns = [
        WireColumn("id", .text, optional: true), WireColumn("pieces", .int, optional: true),
        WireColumn("amount", .decimal(scale: 2), optional: true), WireColumn("paid", .bool, optional: true),
        WireColumn("customer.name", .text, optional: true), WireColumn("customer.age", .int, optional: true),
    ]

    @Test(arguments: [UInt64(1), 2])
    func agreesWithAnotherReader(seed: UInt64) {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let harness = Harness(JsonDecoder(Self.columns), Self.columns)
        var compared = 0
        for _ in 0..<15_000 {
            let records = (0..<3).map { _ in mutated(record(&random), &random) }
            for (bytes, row) in zip(records, harness.decode(records)) where row.status == .good {
                compared += check(bytes, row) ? 1 : 0
            }
            for row in 0..<3 { _ = harness.explain(row) }
        }
        #expect(compared > 5000, "\(compared)")
    }

    /// Every prefix and every single changed bit of a record.
    @Test func cutsAndFlips() {
        let harness = Harness(JsonDecoder(Self.columns), Self.columns)
        let text =
            #"{"id":"a\u00e9\"b","pieces":-12,"amount":"3.50","paid":true,"customer":{"name":"中","age":1e1},"x":[{}]}"#
        let bytes = Array(text.utf8)
        #expect(harness.decode([bytes])[0].values == ["aé\"b", "-12", "3.50", "true", "中", "10"])
        for end in 0..<bytes.count { #expect(harness.decode([Array(bytes[..<end])])[0].status != .good) }
        for at in bytes.indices {
            for bit in 0..<8 {
                var flipped = bytes
                flipped[at] ^= 1 << UInt8(bit)
                let row = harness.decode([flipped])[0]
                if row.status == .good { _ = check(flipped, row) }
            }
        }
    }

    /// True if the values could be compared.
    private func check(_ bytes: [UInt8], _ row: Row) -> Bool {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let object = try? JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any] else {
            // Members that nobody asked for are skipped, not read.
            #expect(hasOtherMembers(text), "\(text.debugDescription)")
            return false
        }
        // Of repeated members readers take different ones.
        if repeatsMember(text) { return false }
        let customer = object["customer"] as? [String: Any] ?? [:]
        let found = [
            object["id"], object["pieces"], object["amount"], object["paid"], customer["name"],
            customer["age"],
        ]
        for (index, value) in found.enumerated() {
            #expect(same(value, row.values[index], Self.columns[index].field.type), "\(text): \(row)")
        }
        return true
    }

    private func same(_ value: Any?, _ text: String?, _ type: ValueType) -> Bool {
        guard let value, !(value is NSNull) else { return text == nil }
        guard let text else { return false }
        switch type {
        case .text: return value as? String == text
        case .bool: return (value as? Bool).map { $0 ? "true" : "false" } == text || value as? String == text
        default:
            let number = (value as? String) ?? (value as? NSNumber)?.stringValue ?? ""
            guard let wanted = Double(number), let read = Double(text) else { return false }
            return abs(wanted - read) <= 1e-9 * max(1, abs(wanted))
        }
    }

    private static let names: Set<String> = ["id", "pieces", "amount", "paid", "customer", "name", "age"]

    /// What looks like a member's name in a text, roughly: whatever stands in quotes before a colon.
    private func memberNames(_ text: String) -> [String] {
        var names: [String] = []
        for part in text.split(separator: ":", omittingEmptySubsequences: false).dropLast() {
            let pieces = part.split(separator: "\"", omittingEmptySubsequences: false)
            names.append(pieces.count >= 2 ? String(pieces[pieces.count - 2]) : "")
        }
        return names
    }

    private func hasOtherMembers(_ text: String) -> Bool {
        let names = memberNames(text)
        return repeatsMember(text) || names.contains { !Self.names.contains($0) } || text.contains("\\")
            || (names.contains("customer") && !text.contains("\"customer\":{"))
    }

    private func repeatsMember(_ text: String) -> Bool {
        let names = memberNames(text)
        return Set(names).count != names.count || text.contains("\\")
    }

    private func record(_ random: inout SplitMix64) -> String {
        let texts = [#""a""#, #""""#, "\"中\"", #""x\ny""#, #""\u0041""#, "null", "\"12\""]
        let numbers = [
            "0", "-7", "12", "1e2", "3.5", "2.50", "\"8\"", "null", "9223372036854775807", "0.001",
        ]
        func pick(_ choices: [String]) -> String { choices.randomElement(using: &random) ?? "" }
        let customer = "{\"name\":\(pick(texts)), \"age\":\(pick(numbers))}"
        var members = [
            "\"id\":\(pick(texts))", "\"pieces\" : \(pick(numbers))", "\"amount\":\(pick(numbers))",
            "\"paid\":\(pick(["true", "false", "null"]))",
            "\"customer\":\(pick([customer, customer, "null", "{}"]))",
        ]
        members.shuffle(using: &random)
        return "{" + members.prefix(2 + Int(random.next() % 4)).joined(separator: ",") + "}"
    }

    private func mutated(_ text: String, _ random: inout SplitMix64) -> [UInt8] {
        var bytes = Array(text.utf8)
        for _ in 0..<random.next() % 3 {
            guard !bytes.isEmpty else { break }
            let at = Int(random.next() % UInt64(bytes.count))
            let end = min(bytes.count, at + Int(random.next() % 6))
            switch random.next() % 6 {
            case 0: bytes[at] ^= 1 << UInt8(random.next() % 8)
            case 1: bytes.removeSubrange(at..<end)
            case 2: bytes.insert(contentsOf: bytes[at..<end], at: at)
            case 3:
                bytes.insert(
                    "{}[]:,\"\\ 0123456789eE+-.tfn\n".utf8.randomElement(using: &random) ?? 0, at: at)
            case 4: bytes[at] = UInt8(truncatingIfNeeded: random.next())
            default: bytes.removeSubrange(at...)
            }
        }
        return bytes
    }
}
