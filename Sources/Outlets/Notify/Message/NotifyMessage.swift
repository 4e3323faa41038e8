import Base
import Models
import Records
import Topology

/// What one contact is told at once: a record of the outbox.
package struct NotifyMessage: Equatable, Sendable {
    package enum Kind: String, Sendable {
        case alert, cleared, escalation
        /// What was held back: by limits, quiet hours, a storm, or because it was too old for a message of
        /// its own.
        case digest
        /// Asked for by a person who wants to see it arrive.
        case test
    }

    /// The same for the same alerts, route, contact and step, whatever happened meanwhile.
    package var id: String
    package var topology: String
    package var route: String
    package var contact: NotifyContact
    package var kind: Kind
    /// 0, or the step of an escalation from 1.
    package var step: Int
    package var severity: NotifyConfig.Severity
    /// Milliseconds since 1970.
    package var createdAt: Int64
    package var giveUpAt: Int64
    package var alerts: [AlertBrief]
    /// Alerts beyond what a contact's box holds, of which nothing but the number is known.
    package var more = 0

    package init(
        topology: String, route: String, contact: NotifyContact, kind: Kind, step: Int, createdAt: Int64,
        giveUpAt: Int64,
        alerts: [AlertBrief], more: Int = 0
    ) {
        (self.topology, self.route, self.contact, self.kind, self.step) = (
            topology, route, contact, kind, step
        )
        (self.createdAt, self.giveUpAt, self.alerts, self.more) = (createdAt, giveUpAt, alerts, more)
        severity = alerts.map(\.severity).max { $0.rank < $1.rank } ?? .low
        id = Self.id(of: alerts, route: route, contact: contact, step: step)
    }

    /// 128 bits of a hash, behind what Standard Webhooks' examples begin with.
    package static func id(of alerts: [AlertBrief], route: String, contact: NotifyContact, step: Int)
        -> String
    {
        let parts = alerts.map { "\($0.id)\u{1F}\($0.revision)" } + [route, contact.description, "\(step)"]
        return "msg_" + Sha256.hex(Array(parts.joined(separator: "\u{1E}").utf8)).prefix(32)
    }

    /// The one that all alerts are about; nil: there are several.
    package var customer: String? { common(\.customer) }
    package var risk: String? { common(\.risk) }

    private func common(_ part: (AlertBrief) -> String) -> String? {
        guard let first = alerts.first.map(part), alerts.allSatisfy({ part($0) == first }) else { return nil }
        return first
    }

    /// Of what is told of a customer and a risk, so that mail programs put it together.
    package var thread: String? {
        guard let customer, let risk else { return nil }
        return String(Sha256.hex(Array("\(topology)\u{1E}\(customer)\u{1E}\(risk)".utf8)).prefix(32))
    }

    /// Of the outbox's record.
    package var key: String { customer ?? "digest/\(contact)" }

    package var json: String {
        var json = JsonWriter()
        json.beginObject()
        json.member("id", id)
        json.member("topology", topology)
        json.member("route", route)
        json.member("recipient", contact.description)
        json.member("channel", contact.channel)
        json.member("kind", kind.rawValue)
        json.member("step", Int64(step))
        json.member("severity", severity.rawValue)
        json.name("created_at")
        json.timestamp(createdAt)
        json.name("give_up_at")
        json.timestamp(giveUpAt)
        if let customer { json.member("customer", customer) }
        if let risk { json.member("risk", risk) }
        json.name("alerts")
        json.list(alerts) { $1.write(to: &$0) }
        json.member("more", Int64(more))
        json.endObject()
        return json.string
    }

    package init(_ node: DocumentNode) throws(Fault) {
        func time(_ name: String) throws(Fault) -> Int64 {
            guard let parsed = CivilTime.parse(try node[name].text) else {
                throw node.mistake("a time in '\(name)'")
            }
            return parsed.milliseconds
        }
        id = try node["id"].text
        topology = try node["topology"].text
        route = try node["route"].text
        guard let contact = NotifyContact(try node["recipient"].text),
            let kind = Kind(rawValue: try node["kind"].text),
            let severity = NotifyConfig.Severity(rawValue: try node["severity"].text)
        else { throw node.mistake("a message as the outbox has it") }
        (self.contact, self.kind, self.severity) = (contact, kind, severity)
        step = try node["step"].integer
        createdAt = try time("created_at")
        giveUpAt = try time("give_up_at")
        var alerts: [AlertBrief] = []
        for alert in try node["alerts"].list { alerts.append(try AlertBrief(alert)) }
        self.alerts = alerts
        more = try node.optional("more")?.integer ?? 0
    }
}
