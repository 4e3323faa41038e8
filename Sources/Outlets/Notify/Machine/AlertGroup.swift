import Base
import Models
import Records

/// Alerts of one customer and risk on one route.
package struct AlertGroup: Equatable, Sendable {
    package struct Key: Hashable, Sendable {
        package var route: String
        package var customer: String
        package var risk: String

        var text: String { "group\u{1F}\(route)\u{1F}\(customer)\u{1F}\(risk)" }
    }

    package struct Seen: Equatable, Sendable {
        package var id: String
        package var revision: Int64
        package var isCleared: Bool
    }

    package var key: Key
    /// To be told next.
    package var pending: [AlertBrief] = []
    package var due: Int64?
    package var sentAt: Int64?
    /// The worst that was told since all was cleared.
    package var sentSeverity: NotifyConfig.Severity?
    /// In the order in which they came first.
    package var seen: [Seen] = []
    /// Who was told, and is told when it is cleared.
    package var told: [NotifyContact] = []

    static let seenMax = 500
    static let pendingMax = 100

    package init(key: Key) { self.key = key }

    var hasRaised: Bool { seen.contains { !$0.isCleared } }

    func isCleared(_ id: String) -> Bool { seen.first { $0.id == id }?.isCleared ?? false }

    /// False: this, or something newer of the alert, came before.
    mutating func note(_ alert: AlertBrief) -> Bool {
        if let place = seen.firstIndex(where: { $0.id == alert.id }) {
            guard alert.revision > seen[place].revision else { return false }
            seen[place].revision = alert.revision
            seen[place].isCleared = alert.isCleared
            return true
        }
        seen.append(Seen(id: alert.id, revision: alert.revision, isCleared: alert.isCleared))
        if seen.count > Self.seenMax { seen.remove(at: seen.firstIndex { $0.isCleared } ?? 0) }
        return true
    }

    /// When an alert is to be told.
    func due(_ alert: AlertBrief, _ route: NotifyRoute, _ now: Int64) -> Int64 {
        // Before others that are due, which might take its slot of a limit.
        if alert.severity == .critical, !alert.isCleared { return now - 1 }
        let wait = now + (route.wait[alert.severity] ?? 0)
        let before = pending.map(\.severity.rank).max() ?? -1
        let isRecent = sentAt.map { now < $0 + route.join } ?? false
        let known = max(before, isRecent ? sentSeverity?.rank ?? -1 : -1)
        if known >= 0, !alert.isCleared, alert.severity.rank > known { return now }
        guard let sentAt, isRecent else { return wait }
        return max(sentAt + route.join, now)
    }

    var json: String {
        var json = JsonWriter()
        json.beginObject()
        json.member("route", key.route)
        json.member("customer", key.customer)
        json.member("risk", key.risk)
        if let due { json.member("due", due) }
        if let sentAt { json.member("sent_at", sentAt) }
        if let sentSeverity { json.member("sent_severity", sentSeverity.rawValue) }
        json.name("pending")
        json.list(pending) { $1.write(to: &$0) }
        json.name("seen")
        json.list(seen) { json, seen in
            json.beginObject()
            json.member("id", seen.id)
            json.member("revision", seen.revision)
            json.name("cleared")
            json.bool(seen.isCleared)
            json.endObject()
        }
        json.name("told")
        json.list(told) { $0.text($1.description) }
        json.endObject()
        return json.string
    }

    init(_ node: DocumentNode) throws(Fault) {
        key = Key(
            route: try node["route"].text, customer: try node["customer"].text, risk: try node["risk"].text)
        due = try node.optional("due").map { (node) throws(Fault) in Int64(try node.integer) }
        sentAt = try node.optional("sent_at").map { (node) throws(Fault) in Int64(try node.integer) }
        sentSeverity = try node.optional("sent_severity")
            .flatMap { (node) throws(Fault) in NotifyConfig.Severity(rawValue: try node.text) }
        for alert in try node["pending"].list { pending.append(try AlertBrief(alert)) }
        for entry in try node["seen"].list {
            seen.append(
                Seen(
                    id: try entry["id"].text, revision: Int64(try entry["revision"].integer),
                    isCleared: try entry["cleared"].bool))
        }
        told = try node["told"].texts.compactMap(NotifyContact.init)
    }
}
