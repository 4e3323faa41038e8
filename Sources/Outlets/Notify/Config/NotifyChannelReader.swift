import Base
import Security
import Topology

/// Reads the channels of `notify.yaml`.
struct NotifyChannelReader {
    let context: ReadingContext
    let allowed: HostList

    private static let kinds = ["email", "sms", "webhook", "popup"]
    private static let example =
        "mail: { email: { url: smtps://mail.bank.example, from: risk@bank.example } }"

    func read(_ entry: YamlEntry) -> NotifyChannel? {
        let what = "channel \(entry.key)"
        guard
            let mapping = MappingReader(
                entry.value, what, keys: Self.kinds + ["limits", "timeout", "concurrency", "templates"],
                at: entry.keyPosition, context,
                example: Self.example)
        else { return nil }
        let given = Self.kinds.filter { mapping[$0] != nil }
        guard given.count == 1, let node = mapping[given[0]] else {
            if !Self.kinds.contains(where: mapping.isGiven) || given.count > 1 {
                context.error(
                    entry.keyPosition,
                    "\(what) needs one of email, sms, webhook and popup; write \(Self.example)")
            }
            return nil
        }
        let position = mapping.keyPosition(given[0])
        let kind: NotifyChannel.Kind?
        switch given[0] {
        case "email": kind = email(node, position).map { .email($0) }
        case "sms": kind = sms(node, position).map { .sms($0) }
        case "webhook": kind = webhook(node, position).map { .webhook($0) }
        default:
            kind = .popup
            _ = MappingReader(node, "popup", keys: [], at: position, context, example: "popup: {}")
        }
        guard let kind else { return nil }
        var channel = NotifyChannel(name: entry.key, kind: kind)
        if case .sms = kind { channel.limits = RateLimit.sms }
        if let node = mapping["limits"] { channel.limits = limits(node) ?? channel.limits }
        if let node = mapping["timeout"] {
            channel.timeout = context.duration(node, "timeout", least: 100) ?? channel.timeout
        }
        if let node = mapping["concurrency"] {
            channel.concurrency =
                context.integer(node, "concurrency", 1...64, example: "concurrency: 16")
                ?? channel.concurrency
        }
        if let node = mapping["templates"] {
            channel.templates = templates(node, mapping.keyPosition("templates"), kind)
        }
        return channel
    }

    // MARK: Parts of several

    private func url(_ mapping: MappingReader, _ schemes: [String], example: String) -> String? {
        guard let node = mapping.required("url", example: example),
            let text = NotifyReader.plain(node, "url", context, example: example)
        else { return nil }
        guard let address = WebAddress(text.text), schemes.contains(address.scheme) else {
            context.error(
                text.position,
                "'\(text.shown)' is no URL of \(ReadingContext.list(schemes, "or")), or holds a password; write \(example)"
            )
            return nil
        }
        guard allowed.allows(host: address.host) else {
            context.error(
                text.position, "host '\(address.host)' is not in 'allow'; write allow: [\(address.host)]")
            return nil
        }
        return text.text
    }

    private func certificateAuthority(_ mapping: MappingReader) -> String? {
        mapping["ca"].flatMap {
            NotifyReader.plain($0, "ca", context, example: "ca: /etc/millrace/ca.pem")?.text
        }
    }

    /// `[3/1m, 10/1h]`; an empty list: none.
    private func limits(_ node: YamlNode) -> [RateLimit]? {
        var limits: [RateLimit] = []
        for node in NotifyReader.list(node, "limits", context) {
            guard let text = context.scalar(node, "a limit", example: "limits: [3/1m, 10/1h, 40/1d]") else {
                return nil
            }
            let parts = text.text.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 2, let count = Int(parts[0]), (1...1000).contains(count),
                let time = try? DurationText.parse(String(parts[1])), time.milliseconds > 0
            else {
                context.error(
                    text.position,
                    "'\(text.shown)' is no limit; write 3/1m: at most 3 (of 1000) within a minute")
                return nil
            }
            limits.append(RateLimit(count, time.milliseconds))
        }
        return limits
    }

    private func templates(
        _ node: YamlNode, _ position: Position, _ kind: NotifyChannel.Kind
    ) -> [NotifyPerson.Language: MessageTemplate] {
        let words = NotifyPerson.Language.allCases.map(\.rawValue)
        guard
            let mapping = MappingReader(
                node, "templates", keys: words, at: position, context,
                example: "templates: { zh: { text: \"{customer} …\" } }")
        else { return [:] }
        var isMail = false
        switch kind {
        case .email: isMail = true
        case .sms: break
        case .webhook, .popup:
            context.error(position, "a webhook or popup carries fields, not texts; leave 'templates' out")
            return [:]
        }
        var found: [NotifyPerson.Language: MessageTemplate] = [:]
        for language in NotifyPerson.Language.allCases {
            guard let node = mapping[language.rawValue],
                let parts = MappingReader(
                    node, "a template", keys: isMail ? ["subject", "text"] : ["text"],
                    at: mapping.keyPosition(language.rawValue), context,
                    example: "{ text: \"{customer} {risk} {rule} {measure}\" }"),
                let text = parts.requiredText(
                    "text", example: "text: \"{customer} {risk} {rule} {measure}\""),
                let template = template(text, MessageField.ofMessages)
            else { continue }
            let missing = MessageField.required.filter { !template.fields.contains($0) }
            if !missing.isEmpty {
                context.error(
                    text.position,
                    "a message must say customer, risk, rule and measure; add \(missing.map { "{\($0.rawValue)}" }.joined(separator: ", "))"
                )
            }
            let subject = parts.text("subject", example: "subject: \"{customer} {risk}\"").flatMap {
                self.template($0, MessageField.ofMessages)
            }
            found[language] = MessageTemplate(subject: subject, text: template)
        }
        return found
    }

    private func template(_ text: ScalarText, _ fields: [MessageField]) -> FieldTemplate? {
        if text.isSecret {
            context.error(text.position, "a template cannot hold a secret")
            return nil
        }
        var parts: [FieldTemplate.Part] = []
        switch text.templateParts() {
        case .failure(let mistake):
            context.report(mistake, text)
            return nil
        case .success(let pieces):
            for piece in pieces {
                switch piece {
                case .text(let text): parts.append(.text(text))
                case .expression(let name):
                    guard let field = fields.first(where: { $0.rawValue == name.text }) else {
                        context.error(
                            name.position,
                            "there is no field '\(name.shown)'\(NearestName.hint(name.text, among: fields.map(\.rawValue)))"
                        )
                        return nil
                    }
                    parts.append(.field(field))
                }
            }
        }
        return FieldTemplate(parts)
    }

    // MARK: Kinds

    private func email(_ node: YamlNode, _ position: Position) -> MailChannel? {
        let example =
            "email: { url: smtps://mail.bank.example, from: Risk desk <risk@bank.example>, user: risk, password: ${file:/etc/millrace/mail} }"
        guard
            let mapping = MappingReader(
                node, "email", keys: ["url", "from", "user", "password", "tls", "ca"], at: position, context,
                example: example)
        else { return nil }
        let url = url(mapping, ["smtp", "smtps"], example: example)
        let from = mapping.requiredText("from", example: example)
        let address = from.flatMap { MailAddress($0.text) }
        if let from, address == nil {
            context.error(
                from.position,
                "'\(from.shown)' is no mail address; write risk@bank.example or Risk desk <risk@bank.example>"
            )
        }
        let user = mapping.text("user", example: example)?.text
        let password = mapping["password"].flatMap { NotifyReader.secret($0, "password", context) }
        if mapping.isGiven("user") != mapping.isGiven("password") {
            context.error(position, "email needs both 'user' and 'password', or neither")
        }
        let tls = mapping["tls"].map { context.choice($0, "tls", ["required", "none"]) } ?? "required"
        if tls == "none", password != nil, url?.hasPrefix("smtps") != true {
            context.error(
                mapping.keyPosition("tls"), "a password would be sent in the clear; leave 'tls' out")
        }
        guard let url, let address, let tls else { return nil }
        return MailChannel(
            url: url, requiresTls: tls == "required", from: address, user: user, password: password,
            certificateAuthority: certificateAuthority(mapping))
    }

    private func webhook(_ node: YamlNode, _ position: Position) -> WebhookChannel? {
        let example =
            "webhook: { url: https://cases.bank.example/alerts, secret: ${file:/etc/millrace/cases} }"
        guard
            let mapping = MappingReader(
                node, "webhook", keys: ["url", "secret", "secrets", "ca"], at: position, context,
                example: example)
        else { return nil }
        let url = url(mapping, ["http", "https"], example: example)
        var nodes = NotifyReader.list(mapping["secrets"], "secrets", context)
        if let node = mapping["secret"] { nodes.append(node) }
        if nodes.isEmpty {
            context.error(position, "webhook needs 'secret', by which it is signed; write \(example)")
        }
        var secrets: [[UInt8]] = []
        for node in nodes {
            guard let text = NotifyReader.secret(node, "secret", context) else { continue }
            if let bytes = StandardWebhook.secret(text) {
                secrets.append(bytes)
            } else {
                context.error(
                    node.position,
                    "the secret is none of Standard Webhooks: whsec_ and 24 to 64 bytes in base64")
            }
        }
        guard let url, !secrets.isEmpty else { return nil }
        return WebhookChannel(url: url, secrets: secrets, certificateAuthority: certificateAuthority(mapping))
    }

    private func sms(_ node: YamlNode, _ position: Position) -> SmsChannel? {
        let example =
            "sms: { url: https://sms.example/send, headers: { Authorization: \"Bearer ${file:/etc/millrace/sms}\" }, "
            + "body: '{\"to\":\"{phone}\",\"text\":\"{text}\",\"id\":\"{id}\"}', success: { path: Code, equals: OK } }"
        guard
            let mapping = MappingReader(
                node, "sms", keys: ["url", "headers", "body", "success", "receipt", "parts", "ca"],
                at: position, context, example: "sms: { url: …, body: … }")
        else { return nil }
        let url = url(mapping, ["http", "https"], example: "url: https://sms.example/send")
        var headers: [String] = []
        var type = "application/json"
        if let node = mapping["headers"] {
            for entry in context.named(node, "headers", example: "headers: { Authorization: ${file:/path} }")
            {
                guard let value = context.scalar(entry.value, entry.key, example: "${file:/path}") else {
                    continue
                }
                let isName =
                    !entry.key.isEmpty
                    && entry.key.utf8.allSatisfy {
                        ReadingContext.isLetter($0) || ReadingContext.isDigit($0) || $0 == 0x2D || $0 == 0x5F
                    }
                guard isName, value.text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
                else {
                    context.error(
                        entry.keyPosition, "'\(entry.key)' is no header, or its value has a line end")
                    continue
                }
                let secretNames = ["authorization", "key", "token", "secret", "password"]
                if !value.isSecret, secretNames.contains(where: entry.key.lowercased().contains) {
                    context.error(
                        value.position,
                        "\(entry.key) must not stand in this file; write ${file:/path} or ${env:NAME}")
                }
                if entry.key.lowercased() == "content-type" {
                    type = value.text.lowercased()
                } else {
                    headers.append("\(entry.key): \(value.text)")
                }
            }
        }
        let isForm = type.hasPrefix("application/x-www-form-urlencoded")
        if !isForm, !type.hasPrefix("application/json") {
            context.error(
                mapping.keyPosition("headers"),
                "Content-Type must be application/json or application/x-www-form-urlencoded")
        }
        headers.append(
            "Content-Type: \(isForm ? "application/x-www-form-urlencoded; charset=utf-8" : "application/json; charset=utf-8")"
        )
        let body = mapping.requiredText("body", example: example).flatMap { self.body($0, isForm: isForm) }
        var success: (String, String)?
        if let node = mapping["success"],
            let parts = MappingReader(
                node, "success", keys: ["path", "equals"], at: mapping.keyPosition("success"), context,
                example: "success: { path: Code, equals: OK }")
        {
            if let path = parts.requiredText("path", example: "path: Code"),
                let equals = parts.requiredText("equals", example: "equals: OK")
            {
                success = (path.text, equals.text)
            }
        }
        let receipt = mapping.text("receipt", example: "receipt: BizId")?.text
        let parts = mapping["parts"].map { context.integer($0, "parts", 1...10, example: "parts: 3") } ?? 3
        guard let url, let body, let parts else { return nil }
        return SmsChannel(
            url: url, headers: headers, style: isForm ? .form : .json, body: body, success: success,
            receipt: receipt, parts: parts,
            certificateAuthority: certificateAuthority(mapping))
    }

    /// Braces of JSON are not those of fields: only a brace with a field's name in it is one.
    private func body(_ text: ScalarText, isForm: Bool) -> FieldTemplate? {
        if text.isSecret {
            context.error(text.position, "a secret belongs into 'headers', not into the body, which is kept")
            return nil
        }
        var parts: [FieldTemplate.Part] = []
        var plain = ""
        var rest = text.text[...]
        while let brace = rest.firstIndex(of: "{") {
            plain += rest[..<brace]
            rest = rest[rest.index(after: brace)...]
            let name = rest.prefix { $0.isLetter || $0 == "_" }
            guard !name.isEmpty, rest.dropFirst(name.count).first == "}" else {
                plain += "{"
                continue
            }
            guard let field = MessageField(rawValue: String(name)) else {
                context.error(
                    text.position,
                    "there is no field '\(name)'\(NearestName.hint(String(name), among: MessageField.allCases.map(\.rawValue)))"
                )
                return nil
            }
            parts += [.text(plain), .field(field)]
            plain = ""
            rest = rest.dropFirst(name.count + 1)
        }
        parts.append(.text(plain + rest))
        let template = FieldTemplate(parts)
        for field in [MessageField.phone, .text] where !template.fields.contains(field) {
            context.error(text.position, "the body needs {\(field.rawValue)}")
        }
        return template
    }
}
