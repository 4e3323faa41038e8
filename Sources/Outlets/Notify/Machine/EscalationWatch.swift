import Base
import Models
import Records

/// A message that somebody has to acknowledge, or others are told.
package struct EscalationWatch: Equatable, Sendable {
    package var id: String
    package var group: AlertGroup.Key
    package var sentAt: Int64
    package var due: Int64
    /// The next step of the route's escalation, from 0.
    package var step: Int
    package var alerts: [AlertBrief]

    var key: String { "watch\u{1F}\(id)" }

    var json: String {
        var json = JsonWriter()
        json.beginObject()
        json.member("id", id)
        json.member("route", group.route)
        json.member("customer", group.customer)
        json.member("risk", group.risk)
        json.member("sent_at", sentAt)
        json.member("due", due)
        json.member("step", Int64(step))
        json.name("alerts")
        json.list(alerts) { $1.write(to: &$0) }
        json.endObject()
        return json.string
    }

    init(id: String, group: AlertGroup.Key, sentAt: Int64, due: Int64, step: Int, alerts: [AlertBrief]) {
        (self.id, self.group, self.sentAt, self.due, self.step, self.alerts) = (
            id, group, sentAt, due, step, alerts
        )
    }

    init(_ node: DocumentNode) throws(Fault) {
        id = try node["id"].text
        group = AlertGroup.Key(
            route: try node["route"].text, customer: try node["customer"].text, risk: try node["risk"].text)
        sentAt = Int64(try node["sent_at"].integer)
        due = Int64(try node["due"].integer)
        step = try node["step"].integer
        var alerts: [AlertBrief] = []
        for alert in try node["alerts"].list { alerts.append(try AlertBrief(alert)) }
        self.alerts = alerts
    }
}
