import Topology

/// What a template may have in braces.
package enum MessageField: String, CaseIterable, Sendable {
    case severity, state, customer, risk, rule, measure, message, topology, route, link, id, count
    case eventTime = "event_time"
    case alertId = "alert_id"
    // Of a gateway's request only.
    case phone, text

    package static let ofMessages = allCases.filter { $0 != .phone && $0 != .text }
    /// What everybody who is told must learn.
    package static let required: [MessageField] = [.customer, .risk, .rule, .measure]
}

/// Text with fields in braces.
package struct FieldTemplate: Sendable, Equatable {
    package enum Part: Sendable, Equatable {
        case text(String)
        case field(MessageField)
    }

    package var parts: [Part]

    package init(_ parts: [Part]) { self.parts = parts }

    /// For texts of ours.
    init(own text: String) {
        var parts: [Part] = []
        for (index, piece) in text.split(separator: "{", omittingEmptySubsequences: false).enumerated() {
            guard index > 0, let end = piece.firstIndex(of: "}") else {
                parts.append(.text(String(piece)))
                continue
            }
            if let field = MessageField(rawValue: String(piece[..<end])) { parts.append(.field(field)) }
            parts.append(.text(String(piece[piece.index(after: end)...])))
        }
        self.parts = parts
    }

    package var fields: Set<MessageField> {
        Set(parts.compactMap { if case .field(let field) = $0 { field } else { nil } })
    }

    /// Lines all of whose fields are empty are left out.
    package func text(_ value: (MessageField) -> String) -> String {
        var lines: [(text: String, isFilled: Bool, hasField: Bool)] = [("", false, false)]
        for part in parts {
            switch part {
            case .text(let text):
                for (index, piece) in text.split(separator: "\n", omittingEmptySubsequences: false)
                    .enumerated()
                {
                    if index > 0 { lines.append(("", false, false)) }
                    lines[lines.count - 1].text += piece
                }
            case .field(let field):
                let text = value(field)
                lines[lines.count - 1].text += text
                lines[lines.count - 1].hasField = true
                if !text.isEmpty { lines[lines.count - 1].isFilled = true }
            }
        }
        return lines.filter { $0.isFilled || !$0.hasField }.map(\.text).joined(separator: "\n")
    }

    /// As it is, each value through `escape`.
    package func raw(_ value: (MessageField) -> String, _ escape: (String) -> String) -> String {
        parts.reduce(into: "") { result, part in
            switch part {
            case .text(let text): result += text
            case .field(let field): result += escape(value(field))
            }
        }
    }
}

/// What a message is written by.
package struct MessageTemplate: Sendable {
    /// Of mails.
    package var subject: FieldTemplate?
    package var text: FieldTemplate

    package init(subject: FieldTemplate?, text: FieldTemplate) { (self.subject, self.text) = (subject, text) }

    static func standard(_ kind: NotifyChannel.Kind, _ language: NotifyPerson.Language) -> MessageTemplate {
        switch (kind, language) {
        case (.sms, .zh):
            MessageTemplate(
                subject: nil,
                text: FieldTemplate(own: "[{severity}]{customer} {risk} 规则:{rule} 措施:{measure} {message}"))
        case (.sms, .en):
            MessageTemplate(
                subject: nil,
                text: FieldTemplate(
                    own: "[{severity}] {customer} {risk}, rule {rule}, measure: {measure}. {message}"))
        case (_, .zh):
            MessageTemplate(
                subject: FieldTemplate(own: "[{severity}] {customer} {risk}"),
                text: FieldTemplate(
                    own: """
                        客户：{customer}
                        风险类型：{risk}
                        规则：{rule}
                        级别：{severity}
                        状态：{state}
                        处置措施：{measure}
                        说明：{message}
                        事件时间：{event_time}
                        预警编号：{alert_id}
                        确认处理：{link}
                        """))
        case (_, .en):
            MessageTemplate(
                subject: FieldTemplate(own: "[{severity}] {customer} {risk}"),
                text: FieldTemplate(
                    own: """
                        Customer: {customer}
                        Risk: {risk}
                        Rule: {rule}
                        Severity: {severity}
                        State: {state}
                        Measure: {measure}
                        What: {message}
                        Event time: {event_time}
                        Alert: {alert_id}
                        Acknowledge: {link}
                        """))
        }
    }
}
