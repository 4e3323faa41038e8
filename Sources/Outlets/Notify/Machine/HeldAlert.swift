import Base
import Models
import Records

/// An alert that one contact is told of later, with others.
package struct HeldAlert: Equatable, Sendable {
    package enum Reason: String, Sendable { case limit, quiet, storm, stale, system }

    package var contact: NotifyContact
    package var number: Int
    package var route: String
    package var step: Int
    package var reason: Reason
    package var notBefore: Int64
    package var alert: AlertBrief

    var key: String { "held\u{1F}\(contact)\u{1F}\(number)" }

    var json: String {
        var json = JsonWriter()
        json.beginObject()
        json.member("contact", contact.description)
        json.member("number", Int64(number))
        json.member("route", route)
        json.member("step", Int64(step))
        json.member("reason", reason.rawValue)
        json.member("not_before", notBefore)
        json.name("alert")
        alert.write(to: &json)
        json.endObject()
        return json.string
    }

    init(
        contact: NotifyContact, number: Int, route: String, step: Int, reason: Reason, notBefore: Int64,
        alert: AlertBrief
    ) {
        (self.contact, self.number, self.route, self.step) = (contact, number, route, step)
        (self.reason, self.notBefore, self.alert) = (reason, notBefore, alert)
    }

    init(_ node: DocumentNode) throws(Fault) {
        guard let contact = NotifyContact(try node["contact"].text),
            let reason = Reason(rawValue: try node["reason"].text)
        else { throw node.mistake("an alert that is held") }
        (self.contact, self.reason) = (contact, reason)
        number = try node["number"].integer
        route = try node["route"].text
        step = try node["step"].integer
        notBefore = Int64(try node["not_before"].integer)
        alert = try AlertBrief(try node["alert"])
    }
}

/// What is held of one contact.
struct HeldBox: Equatable {
    var entries: [HeldAlert] = []
    /// Alerts beyond `entriesMax`, of which only the number is kept.
    var more = 0
    var next = 0
    /// When it is looked into next.
    var due: Int64?

    static let entriesMax = 10_000

    static func moreKey(_ contact: NotifyContact) -> String { "more\u{1F}\(contact)" }
}
