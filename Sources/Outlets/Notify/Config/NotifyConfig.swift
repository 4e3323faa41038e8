import Records
import Topology

/// `notify.yaml`: who is told of which alerts, and by what.
package struct NotifyConfig: Sendable {
    package typealias Severity = RuleSpec.Severity

    package var channels: [String: NotifyChannel] = [:]
    package var people: [String: NotifyPerson] = [:]
    /// In the order in which alerts try them.
    package var routes: [NotifyRoute] = []
    /// Customers by the name of their group; `*` at the end stands for the rest.
    package var groups: [String: [String]] = [:]
    package var allowed = HostList()
    /// Of what goes wrong with telling itself.
    package var system: [NotifyContact] = []
    package var link: AcknowledgementLink?
    package var retries: [Int64] = RetrySchedule.standard
    /// Milliseconds after which a message is given up, by severity.
    package var giveUp: [Severity: Int64] = [
        .critical: 3_600_000, .high: 4 * 3_600_000, .medium: 12 * 3_600_000, .low: 24 * 3_600_000,
    ]
    /// Messages of a route within a minute, beyond which people get one summary a minute.
    package var storm = 200

    package init() {}

    package func giveUp(_ severity: Severity) -> Int64 { giveUp[severity] ?? 3_600_000 }

    /// False for a person or a channel that is not there any more.
    package func isKnown(_ contact: NotifyContact) -> Bool {
        channels[contact.channel] != nil && (contact.person.isEmpty || people[contact.person] != nil)
    }

    package func route(named name: String) -> NotifyRoute? { routes.lazy.compactMap { $0.find(name) }.first }

    /// The routes that take an alert: of each list the first that matches, and the next ones where it says
    /// `continue`.
    package func routes(of alert: AlertBrief) -> [NotifyRoute] { Self.match(routes, alert, groups) }

    private static func match(_ routes: [NotifyRoute], _ alert: AlertBrief, _ groups: [String: [String]])
        -> [NotifyRoute]
    {
        var found: [NotifyRoute] = []
        for route in routes where route.matcher.matches(alert, groups) {
            let inner = match(route.routes, alert, groups)
            found += inner.isEmpty ? [route] : inner
            if !route.goesOn { break }
        }
        return found
    }
}

/// A person on a channel, or a channel that is told by itself.
package struct NotifyContact: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Empty: the channel has an address of its own.
    package var person: String
    package var channel: String

    package init(person: String, channel: String) { (self.person, self.channel) = (person, channel) }

    /// `zhang/sms`, `cases`.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty }) else { return nil }
        self.init(person: parts.count == 2 ? parts[0] : "", channel: parts[parts.count - 1])
    }

    package var description: String { person.isEmpty ? channel : "\(person)/\(channel)" }
    package static func < (a: Self, b: Self) -> Bool { a.description < b.description }
}

package struct NotifyPerson: Sendable {
    package enum Language: String, Sendable, CaseIterable { case zh, en }

    /// As people call them.
    package var name: String
    package var language: Language = .en
    package var mail: String?
    package var phone: String?
    /// Channels where a route names none.
    package var channels: [String] = []
    package var quiet: QuietHours?

    package init(name: String) { self.name = name }
}

package struct NotifyRoute: Sendable {
    package struct Step: Sendable, Equatable {
        /// Since the first message, milliseconds.
        package var after: Int64
        package var to: [NotifyContact]
    }

    package var name: String
    package var matcher = RouteMatcher()
    package var to: [NotifyContact] = []
    /// How long a first alert waits for others of its customer and risk, milliseconds by severity.
    package var wait: [NotifyConfig.Severity: Int64] = [
        .critical: 0, .high: 0, .medium: 30_000, .low: 30_000,
    ]
    /// How long after a message further ones of its customer and risk are gathered.
    package var join: Int64 = 300_000
    package var escalation: [Step] = []
    /// The least severity that escalates.
    package var escalatesFrom: NotifyConfig.Severity = .high
    package var goesOn = false
    package var routes: [NotifyRoute] = []

    package init(name: String) { self.name = name }

    func find(_ name: String) -> NotifyRoute? {
        self.name == name ? self : routes.lazy.compactMap { $0.find(name) }.first
    }

    /// Itself and all below it.
    package var all: [NotifyRoute] { [self] + routes.flatMap(\.all) }
}

/// Which alerts a route takes: all lists that are given must hold a fitting entry.
package struct RouteMatcher: Sendable, Equatable {
    package var severities: Set<NotifyConfig.Severity>?
    /// Names; `*` at the end stands for the rest.
    package var risks: [String]?
    package var rules: [String]?
    package var customers: [String]?
    package var groups: [String]?

    package init() {}

    package var takesAll: Bool { self == RouteMatcher() }

    package func matches(_ alert: AlertBrief, _ groups: [String: [String]]) -> Bool {
        if let severities, !severities.contains(alert.severity) { return false }
        if let risks, !Self.isAny(risks, alert.risk) { return false }
        if let rules, !Self.isAny(rules, alert.rule) { return false }
        if let customers, !Self.isAny(customers, alert.customer) { return false }
        if let names = self.groups, !names.contains(where: { Self.isAny(groups[$0] ?? [], alert.customer) }) {
            return false
        }
        return true
    }

    static func isAny(_ patterns: [String], _ text: String) -> Bool {
        patterns.contains { $0.hasSuffix("*") ? text.hasPrefix($0.dropLast()) : text == $0 }
    }
}

/// A way to people or machines.
package struct NotifyChannel: Sendable {
    package enum Kind: Sendable {
        case email(MailChannel)
        case sms(SmsChannel)
        case webhook(WebhookChannel)
        /// The console shows what stands in the outbox.
        case popup
    }

    package var name: String
    package var kind: Kind
    /// Of each of its contacts; empty: none.
    package var limits: [RateLimit] = []
    /// Requests under way at a time.
    package var concurrency = 16
    package var timeout: Int64 = 10_000
    /// What texts are written by, by language.
    package var templates: [NotifyPerson.Language: MessageTemplate] = [:]

    package init(name: String, kind: Kind) { (self.name, self.kind) = (name, kind) }

    /// A person reads it, so a storm becomes summaries.
    package var isForPeople: Bool {
        switch kind {
        case .email, .sms: true
        case .webhook, .popup: false
        }
    }

    /// Alerts that one message lists.
    package var alertsPerMessage: Int {
        switch kind {
        case .email, .popup: 200
        case .sms: 500
        // Of at most 20 KB.
        case .webhook: 12
        }
    }

    /// How many of the first ones go into one message.
    func count(of alerts: some Collection<AlertBrief>) -> Int {
        var most = AlertBrief.messageBytesMax
        if case .webhook = kind { most = AlertBrief.webhookBytesMax }
        var bytes = 0
        var count = 0
        for alert in alerts.prefix(alertsPerMessage) {
            bytes += alert.bytes
            if count > 0, bytes > most { break }
            count += 1
        }
        return count
    }

    package var kindName: String {
        switch kind {
        case .email: "email"
        case .sms: "sms"
        case .webhook: "webhook"
        case .popup: "popup"
        }
    }

    /// The URL that it sends to; nil: none.
    package var url: String? {
        switch kind {
        case .email(let mail): mail.url
        case .sms(let sms): sms.url
        case .webhook(let hook): hook.url
        case .popup: nil
        }
    }
}

package struct MailChannel: Sendable {
    package var url: String
    package var requiresTls: Bool
    package var from: MailAddress
    package var user: String?
    package var password: String?
    package var certificateAuthority: String?
}

package struct SmsChannel: Sendable {
    package enum Style: Sendable { case json, form }

    package var url: String
    /// `Name: value`; values may be secrets.
    package var headers: [String]
    package var style: Style
    package var body: FieldTemplate
    /// The place of an answer's JSON that says it was taken, and what stands there; nil: its status says so.
    package var success: (path: String, equals: String)?
    /// Where the answer has the provider's id.
    package var receipt: String?
    /// Parts that a message may have.
    package var parts = 3
    package var certificateAuthority: String?
}

package struct WebhookChannel: Sendable {
    package var url: String
    /// Each signs; more than one while they are changed.
    package var secrets: [[UInt8]]
    package var certificateAuthority: String?
}
