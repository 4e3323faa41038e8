import Records
import Topology

/// A contact that an alert reaches, and when; for people who write routes.
package struct WhoIsTold: Equatable, Sendable {
    package var alert: String
    package var route: String
    package var contact: NotifyContact
    /// 0, or the step of the escalation.
    package var step: Int
    /// From the alert on, milliseconds, where nothing was told of its customer and risk lately and no limit
    /// is reached.
    package var after: Int64
    /// The end of quiet hours, if they hold it back.
    package var quietUntil: Int64?

    package static func of(_ alert: AlertBrief, _ config: NotifyConfig, now: Int64) -> [WhoIsTold] {
        config.routes(of: alert).flatMap { route -> [WhoIsTold] in
            let wait = alert.severity == .critical ? 0 : route.wait[alert.severity] ?? 0
            func told(_ contact: NotifyContact, _ step: Int, _ after: Int64) -> WhoIsTold {
                let quiet =
                    alert.severity == .critical
                    ? nil : config.people[contact.person]?.quiet?.end(after: now + after)
                return WhoIsTold(
                    alert: alert.id, route: route.name, contact: contact, step: step, after: after,
                    quietUntil: quiet)
            }
            var found = route.to.map { told($0, 0, wait) }
            if alert.severity.rank >= route.escalatesFrom.rank, !alert.isCleared {
                for (index, step) in route.escalation.enumerated() {
                    found += step.to.map { told($0, index + 1, wait + step.after) }
                }
            }
            return found
        }
    }

    package var text: String {
        let when = after == 0 ? "at once" : "after \(ValueText.duration(after))"
        let why = step == 0 ? "" : " unless somebody has acknowledged it"
        return "\(alert) route \(route): \(contact) \(when)\(why)"
            + (quietUntil.map { ", held by quiet hours until \(CivilTime.string($0))" } ?? "")
    }

    package var json: String {
        var json = JsonWriter()
        json.beginObject()
        json.member("alert_id", alert)
        json.member("route", route)
        json.member("recipient", contact.description)
        json.member("step", Int64(step))
        json.member("after_ms", after)
        if let quietUntil {
            json.name("quiet_until")
            json.timestamp(quietUntil)
        }
        json.endObject()
        return json.string
    }

    /// What a person who tries a way out gets.
    package static func testMessage(to contact: NotifyContact, route: String, now: Int64) -> NotifyMessage {
        let brief = AlertBrief(
            id: "test-\(now)", revision: 1, isCleared: false, severity: .low, rule: "test", risk: "test",
            customer: "TEST",
            measure: "none: this is a test", message: "A test of millrace notify / 这是一条测试消息",
            eventTime: CivilTime.string(now))
        return NotifyMessage(
            topology: "test", route: route, contact: contact, kind: .test, step: 0, createdAt: now,
            giveUpAt: now + 60_000, alerts: [brief])
    }
}
