import Base
import Http
import Records
import Security
import Topology

/// Sends messages of one channel, one after the other; to be used by one thread.
package final class ChannelSender {
    private let config: NotifyConfig
    private let channel: NotifyChannel
    private let clock: any Clock
    private let writer: MessageWriter
    private var http: HttpClient?
    private var smtp: SmtpClient?

    /// Answers longer than this are no answers of a gateway.
    private static let answerBytesMax = 1 << 20
    package static let webhookBytesMax = 20_000

    package init(_ config: NotifyConfig, _ channel: NotifyChannel, clock: any Clock) {
        (self.config, self.channel, self.clock) = (config, channel, clock)
        writer = MessageWriter(config)
    }

    package func send(_ message: NotifyMessage) -> SendOutcome {
        let begin = monotonicNanoseconds()
        var outcome: SendOutcome
        do throws(Fault) {
            switch channel.kind {
            case .email(let mail): outcome = try send(message, mail)
            case .sms(let sms): outcome = try send(message, sms)
            case .webhook(let hook): outcome = try send(message, hook)
            case .popup: outcome = SendOutcome(.delivered)
            }
        } catch {
            // Nothing was sent where nobody was reached.
            let isReached = !["Failed to connect", "Couldn't connect", "Could not resolve", "host '"]
                .contains(where: error.detail.contains)
            let verdict: SendOutcome.Verdict = error.domain == .user ? .dead : isReached ? .unknown : .refused
            outcome = SendOutcome(verdict, text: error.detail)
        }
        outcome.milliseconds = (monotonicNanoseconds() - begin) / 1_000_000
        return outcome
    }

    // MARK: Webhooks

    private func send(_ message: NotifyMessage, _ hook: WebhookChannel) throws(Fault) -> SendOutcome {
        let body = Self.webhookBody(message)
        let seconds = clock.nowMilliseconds / 1000
        let signatures = StandardWebhook.signatures(
            id: message.id, seconds: seconds, body: body, secrets: hook.secrets)
        var request = HttpRequest(
            "POST", hook.url,
            headers: [
                "Content-Type: application/json", "User-Agent: millrace-notify", "webhook-id: \(message.id)",
                "webhook-timestamp: \(seconds)",
                "webhook-signature: \(signatures)",
            ], body: body)
        request.certificateAuthority = hook.certificateAuthority
        let response = try answer(request)
        return Self.outcome(response.status, response.headers, now: clock.nowMilliseconds)
    }

    /// The same for the same message. `type`, `timestamp` and `data` as Standard Webhooks has them.
    package static func webhookBody(_ message: NotifyMessage) -> [UInt8] {
        var json = JsonWriter()
        json.beginObject()
        json.member("type", "alert.\(message.kind == .alert ? "raised" : message.kind.rawValue)")
        json.name("timestamp")
        json.timestamp(message.createdAt)
        json.name("data")
        json.written(message.json)
        json.endObject()
        return Array(json.string.utf8)
    }

    /// Any status of HTTP, by what senders of Standard Webhooks do with it. Redirects are not followed.
    package static func outcome(_ status: Int, _ headers: [String: String], now: Int64) -> SendOutcome {
        switch status {
        case 200..<300: return SendOutcome(.delivered, code: status)
        case 410: return SendOutcome(.gone, code: 410, text: "410 Gone: the endpoint wants no more")
        case 408, 425, 429, 500...:
            let after = headers["retry-after"].flatMap { RetryAfter.milliseconds($0, now: now) }
            return SendOutcome(.refused, code: status, text: "status \(status)", retryAfter: after)
        case 300..<400:
            return SendOutcome(.dead, code: status, text: "status \(status): redirects are not followed")
        default: return SendOutcome(.dead, code: status, text: "status \(status)")
        }
    }

    private func answer(_ request: HttpRequest) throws(Fault) -> HttpResponse {
        var request = request
        request.pinned = try config.allowed.resolve(request.url)
        if http == nil {
            http = try HttpClient(
                timeoutMilliseconds: Int(channel.timeout), responseBytesMax: Self.answerBytesMax)
        }
        guard let http else { throw Fault(.defect, "no HTTP client") }
        return try http.send(request)
    }

    // MARK: SMS

    private func send(_ message: NotifyMessage, _ sms: SmsChannel) throws(Fault) -> SendOutcome {
        guard let phone = config.people[message.contact.person]?.phone else {
            throw Fault(.user, "'\(message.contact.person)' has no telephone number")
        }
        let text = SmsLength.shortened(
            writer.write(message).text, parts: sms.parts, keeping: writer.link(of: message))
        var request = HttpRequest(
            "POST", sms.url, headers: sms.headers, body: Self.smsBody(sms, message, phone: phone, text: text))
        request.certificateAuthority = sms.certificateAuthority
        let response = try answer(request)
        var outcome = Self.outcome(response.status, response.headers, now: clock.nowMilliseconds)
        outcome.parts = SmsLength.parts(text)
        guard outcome.verdict == .delivered else { return outcome }
        outcome.receipt = sms.receipt.flatMap { JsonPlace.text($0, in: response.body) }
        if let success = sms.success {
            let found = JsonPlace.text(success.path, in: response.body)
            if found != success.equals {
                // What the gateway says in its own words may pass, like a limit; the schedule ends it.
                outcome.verdict = .refused
                outcome.text =
                    "the gateway answered \(success.path) = \(found.map { "'\($0.prefix(100))'" } ?? "nothing"), not '\(success.equals)'"
            }
        }
        return outcome
    }

    package static func smsBody(_ sms: SmsChannel, _ message: NotifyMessage, phone: String, text: String)
        -> [UInt8]
    {
        let first = message.alerts.first
        let value: (MessageField) -> String = { field in
            switch field {
            case .phone: phone
            case .text: text
            case .id: message.id
            case .severity: message.severity.rawValue
            case .state: first?.isCleared == true ? "cleared" : "raised"
            case .customer: message.customer ?? ""
            case .risk: message.risk ?? ""
            case .rule: first?.rule ?? ""
            case .measure: first?.measure ?? ""
            case .message: first?.message ?? ""
            case .topology: message.topology
            case .route: message.route
            case .link: ""
            case .count: "\(message.alerts.count + message.more)"
            case .eventTime: first?.eventTime ?? ""
            case .alertId: first?.id ?? ""
            }
        }
        let escape: (String) -> String =
            switch sms.style {
            // Without the quotation marks, which the template has.
            case .json: { String(JsonText.quoted($0).dropFirst().dropLast()) }
            case .form: { PercentEncoding.encode($0.utf8) }
            }
        return Array(sms.body.raw(value, escape).utf8)
    }

    // MARK: Mail

    private func send(_ message: NotifyMessage, _ mail: MailChannel) throws(Fault) -> SendOutcome {
        guard let person = config.people[message.contact.person], let address = person.mail,
            var to = MailAddress(address)
        else { throw Fault(.user, "'\(message.contact.person)' has no mail address") }
        to.name = person.name
        let text = writer.write(message)
        var letter = SmtpMessage(
            url: mail.url, requiresTls: mail.requiresTls, from: mail.from.address, to: [to.address],
            bytes: MailMessage.bytes(
                from: mail.from, to: to, subject: text.subject, text: text.text, id: message.id,
                thread: message.thread,
                milliseconds: message.createdAt))
        letter.user = mail.user
        letter.password = mail.password
        letter.certificateAuthority = mail.certificateAuthority
        letter.pinned = try config.allowed.resolve(mail.url)
        if smtp == nil { smtp = try SmtpClient(timeoutMilliseconds: Int(channel.timeout)) }
        guard let smtp else { throw Fault(.defect, "no SMTP client") }
        let code = try smtp.send(letter)
        switch code {
        case ..<400: return SendOutcome(.delivered, code: code)
        case ..<500: return SendOutcome(.refused, code: code, text: "the mail server said \(code)")
        default: return SendOutcome(.dead, code: code, text: "the mail server said \(code)")
        }
    }
}
