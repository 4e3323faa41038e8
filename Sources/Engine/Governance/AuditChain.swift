import Base
import Models
import Records

/// A record of what somebody did to the rules of a topology, each with the hash of the one before, so that
/// none can be changed or taken out without being noticed by who checks the chain.
package struct AuditRecord: Equatable, Sendable {
    /// From 1, without gaps.
    package var number: Int64
    /// ISO 8601.
    package var at: String
    package var by: String
    /// `propose`, `approve`, `activate`, `roll-back`, …
    package var action: String
    /// Names and values in their order.
    package var details: [(name: String, value: String)]
    /// SHA-256 of the record before, as it stands in the topic; of the first, 64 zeros.
    package var before: String

    package init(
        number: Int64, at: String, by: String, action: String, details: [(name: String, value: String)],
        before: String
    ) {
        (self.number, self.at, self.by, self.action, self.details, self.before) = (
            number, at, by, action, details, before
        )
    }

    package static func == (a: AuditRecord, b: AuditRecord) -> Bool { a.json == b.json }

    package var json: String {
        var json = JsonWriter()
        json.beginObject()
        json.member("number", number)
        json.member("at", at)
        json.member("by", by)
        json.member("action", action)
        json.name("details")
        json.beginObject()
        for (name, value) in details { json.member(name, value) }
        json.endObject()
        json.member("before", before)
        json.endObject()
        return json.string
    }

    package init(_ value: [UInt8]) throws(Fault) {
        let node = DocumentNode(try JsonDocument.read(value))
        number = Int64(try node["number"].integer)
        at = try node["at"].text
        by = try node["by"].text
        action = try node["action"].text
        details = []
        for (name, value) in try node["details"].members { details.append((name, try value.text)) }
        before = try node["before"].text
    }
}

/// Checks a chain of audit records, one after the other.
package struct AuditChain: Sendable {
    package static let beginning = String(repeating: "0", count: 64)
    package private(set) var count: Int64 = 0
    /// SHA-256 of the newest record. Who has noted it elsewhere notices also that the newest records are
    /// gone.
    package private(set) var head = beginning

    package init() {}

    /// Takes the next record, as it stands in the topic. After a mistake the chain goes on behind it.
    ///
    /// - Returns: the first record that was changed or is missing, in words; nil: none.
    package mutating func take(_ value: [UInt8]) -> String? {
        defer { head = Sha256.hex(value) }
        let record: AuditRecord
        do throws(Fault) { record = try AuditRecord(value) } catch {
            count += 1
            return "record \(count) was changed: it cannot be read (\(error.detail))"
        }
        defer { count = record.number }
        if record.number > count + 1 {
            let last = record.number - 1
            return last == count + 1
                ? "record \(last) is missing" : "records \(count + 1) to \(last) are missing"
        }
        if record.number <= count { return "record \(record.number) comes again behind \(count)" }
        if record.before != head {
            return count == 0
                ? "record 1 was changed"
                : "record \(count) or what record \(record.number) says of it was changed"
        }
        return nil
    }

    /// The record that comes next.
    package func next(
        by person: String, action: String, details: [(name: String, value: String)], at: String
    ) -> AuditRecord {
        AuditRecord(number: count + 1, at: at, by: person, action: action, details: details, before: head)
    }
}
