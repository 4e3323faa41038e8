import Records
import Topology

/// Writes what a person reads, in their language.
package struct MessageWriter {
    package struct Text: Equatable, Sendable {
        package var subject: String
        package var text: String
    }

    let config: NotifyConfig

    package init(_ config: NotifyConfig) { self.config = config }

    package func write(_ message: NotifyMessage) -> Text {
        let person = config.people[message.contact.person]
        let language = person?.language ?? .en
        guard let channel = config.channels[message.contact.channel] else {
            return Text(subject: "", text: "")
        }
        let template = channel.templates[language] ?? .standard(channel.kind, language)
        let standard = MessageTemplate.standard(channel.kind, language)
        let isZh = language == .zh
        var isSms = false
        if case .sms = channel.kind { isSms = true }
        guard
            let worst = message.alerts.max(by: {
                ($0.isCleared ? -1 : $0.severity.rank) < ($1.isCleared ? -1 : $1.severity.rank)
            })
        else {
            return Text(subject: "", text: "")
        }
        let value = values(of: worst, in: message, language)
        let prefix = Self.prefix(message.kind, language)
        let others = message.alerts.count - 1 + message.more
        if message.kind == .digest, message.customer == nil || message.risk == nil || message.more > 0 {
            return digest(message, template, isSms: isSms, language, worst)
        }
        let subject = (template.subject ?? standard.subject ?? standard.text).text(value)
        let head = template.text.text(value)
        guard others > 0 else {
            return Text(subject: Self.line(prefix + subject), text: isSms ? Self.line(prefix + head) : head)
        }
        if isSms {
            return Text(
                subject: "",
                text: Self.line("\(prefix)\(head) \(isZh ? "等\(others + 1)条" : "and \(others) more")"))
        }
        let rest = message.alerts.filter { $0 != worst }.map { "- " + Self.line(lineText($0, language)) }
            .joined(separator: "\n")
        return Text(
            subject: Self.line("\(prefix)\(subject) (\(others + 1))"),
            text: "\(head)\n\n\(isZh ? "同一客户与风险的其他预警：" : "More of the same customer and risk:")\n\(rest)")
    }

    private func digest(
        _ message: NotifyMessage, _ template: MessageTemplate, isSms: Bool, _ language: NotifyPerson.Language,
        _ worst: AlertBrief
    ) -> Text {
        let count = message.alerts.count + message.more
        let isZh = language == .zh
        let bySeverity = NotifyConfig.Severity.allCases.reversed().compactMap { severity -> String? in
            let count = message.alerts.count { $0.severity == severity }
            return count == 0 ? nil : "\(Self.word(severity, language)) \(count)"
        }.joined(separator: ", ")
        let subject = isZh ? "汇总：\(count) 条预警（\(bySeverity)）" : "Digest: \(count) alerts (\(bySeverity))"
        if isSms {
            let head = template.text.text(values(of: worst, in: message, language))
            return Text(
                subject: "", text: Self.line(isZh ? "\(subject)，最重：\(head)" : "\(subject), worst: \(head)"))
        }
        var lines = message.alerts.sorted { $0.severity.rank > $1.severity.rank }.map {
            "- " + Self.line(lineText($0, language))
        }
        if message.more > 0 {
            lines.append(isZh ? "另有 \(message.more) 条，请查看控制台。" : "And \(message.more) more: see the console.")
        }
        return Text(subject: Self.line(subject), text: "\(subject)\n\n\(lines.joined(separator: "\n"))")
    }

    private func lineText(_ alert: AlertBrief, _ language: NotifyPerson.Language) -> String {
        let state = alert.isCleared ? (language == .zh ? "已解除 " : "cleared ") : ""
        let measure =
            alert.measure.isEmpty
            ? "" : language == .zh ? "；措施：\(alert.measure)" : "; measure: \(alert.measure)"
        let text = alert.message.isEmpty ? "" : language == .zh ? "；\(alert.message)" : "; \(alert.message)"
        return
            "[\(state)\(Self.word(alert.severity, language))] \(alert.customer) \(alert.risk) (\(alert.rule))\(measure)\(text)"
    }

    private func values(
        of alert: AlertBrief, in message: NotifyMessage, _ language: NotifyPerson.Language
    ) -> (MessageField) -> String {
        return { field in
            switch field {
            case .severity: Self.word(alert.severity, language)
            case .state:
                language == .zh ? (alert.isCleared ? "已解除" : "已触发") : alert.isCleared ? "cleared" : "raised"
            case .customer: alert.customer
            case .risk: alert.risk
            case .rule: alert.rule
            case .measure: alert.measure
            case .message: alert.message
            case .topology: message.topology
            case .route: message.route
            case .eventTime: alert.eventTime
            case .alertId: alert.id
            case .id: message.id
            case .count: "\(message.alerts.count + message.more)"
            case .link:
                link(of: message)
            case .phone, .text: ""
            }
        }
    }

    /// Empty where there is nothing to look after. As of the message, so that a repeat is the same.
    func link(of message: NotifyMessage) -> String {
        guard message.kind != .cleared, message.kind != .test else { return "" }
        return config.link?.make(
            alerts: message.alerts.filter { !$0.isCleared }.map(\.id), recipient: message.contact.description,
            now: message.createdAt) ?? ""
    }

    static func prefix(_ kind: NotifyMessage.Kind, _ language: NotifyPerson.Language) -> String {
        switch (kind, language) {
        case (.alert, _), (.digest, _): ""
        case (.cleared, .zh): "已解除："
        case (.cleared, .en): "Cleared: "
        case (.escalation, .zh): "升级："
        case (.escalation, .en): "Escalated: "
        case (.test, .zh): "测试："
        case (.test, .en): "Test: "
        }
    }

    package static func word(_ severity: NotifyConfig.Severity, _ language: NotifyPerson.Language) -> String {
        guard language == .zh else { return severity.rawValue }
        return switch severity {
        case .low: "低"
        case .medium: "中"
        case .high: "高"
        case .critical: "严重"
        }
    }

    /// One line, whatever an alert's texts hold.
    package static func line(_ text: String) -> String {
        var scalars = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            scalars.append(
                scalar.value < 0x20 || scalar.value == 0x7F || scalar.value == 0x85 || scalar.value == 0x2028
                    || scalar.value == 0x2029 ? " " : scalar)
        }
        return String(scalars)
    }
}
