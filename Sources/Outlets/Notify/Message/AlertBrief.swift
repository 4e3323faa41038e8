import Base
import Models
import Records
import Topology

/// What a message says of an alert.
package struct AlertBrief: Equatable, Sendable {
    package typealias Severity = RuleSpec.Severity

    package var id: String
    package var revision: Int64
    package var isCleared: Bool
    package var severity: Severity
    package var rule: String
    package var risk: String
    package var customer: String
    package var measure: String
    package var message: String
    /// As the alert has it, ISO 8601.
    package var eventTime: String

    package init(
        id: String, revision: Int64, isCleared: Bool, severity: Severity, rule: String, risk: String,
        customer: String,
        measure: String, message: String, eventTime: String
    ) {
        (self.id, self.revision, self.isCleared, self.severity) = (id, revision, isCleared, severity)
        (self.rule, self.risk, self.customer) = (rule, risk, customer)
        (self.measure, self.message, self.eventTime) = (measure, message, eventTime)
    }

    static let textMax = 200
    static let messageMax = 1000
    /// Bytes of alerts in one message's JSON: a webhook's body has less than 20 KB, a record of a topic less
    /// than a megabyte.
    static let webhookBytesMax = 16_000
    static let messageBytesMax = 200_000

    /// An alert's record. `key`: the customer where the alert names none.
    package init(_ value: UnsafeBufferPointer<UInt8>, key: String?) throws(Fault) {
        try self.init(DocumentNode(try JsonDocument.read(Array(value))), key: key)
    }

    package init(_ node: DocumentNode, key: String? = nil) throws(Fault) {
        func text(_ name: String, _ most: Int = AlertBrief.textMax) throws(Fault) -> String {
            try Self.shortened(node.optional(name)?.text ?? "", most)
        }
        id = try node["alert_id"].text
        guard !id.isEmpty, id.utf8.count <= 128,
            id.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value < 0x7F })
        else {
            throw node.mistake("alert_id of at most 128 visible characters")
        }
        let word = try node["severity"].text
        guard let severity = Severity(rawValue: word) else {
            throw Fault(.user, "severity '\(word.prefix(40))' is none of low, medium, high and critical")
        }
        self.severity = severity
        revision = Int64(try node.optional("revision")?.integer ?? 1)
        switch try node.optional("state")?.text ?? "raised" {
        case "raised": isCleared = false
        case "cleared": isCleared = true
        case let state: throw Fault(.user, "state '\(state.prefix(40))' is neither raised nor cleared")
        }
        rule = try text("rule")
        risk = try text("risk")
        let named = try text("customer")
        customer = named.isEmpty ? Self.shortened(key ?? "", Self.textMax) : named
        measure = try text("measure")
        message = try text("message", Self.messageMax)
        eventTime = try text("event_time")
    }

    /// At most so many characters, with an ellipsis where some were left out.
    static func shortened(_ text: String, _ most: Int) -> String {
        text.unicodeScalars.count <= most
            ? text : String(String.UnicodeScalarView(text.unicodeScalars.prefix(most - 1))) + "…"
    }

    func write(to json: inout JsonWriter) {
        json.beginObject()
        json.member("alert_id", id)
        json.member("revision", revision)
        json.member("state", isCleared ? "cleared" : "raised")
        json.member("severity", severity.rawValue)
        json.member("rule", rule)
        json.member("risk", risk)
        json.member("customer", customer)
        json.member("measure", measure)
        json.member("message", message)
        json.member("event_time", eventTime)
        json.endObject()
    }
}

extension RuleSpec.Severity {
    /// 0 for low, 3 for critical.
    package var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}
