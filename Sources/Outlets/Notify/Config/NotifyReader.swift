import Base
import Records
import Topology

/// Reads `notify.yaml` strictly.
package enum NotifyReader {
    static let keys = [
        "allow", "link", "channels", "people", "groups", "routes", "system", "retries", "give_up", "storm",
    ]

    /// The configuration is there exactly if no diagnostic is an error.
    package static func read(
        _ text: String, file: String, environment: Environment = .system
    ) -> (config: NotifyConfig?, diagnostics: [Diagnostic]) {
        let yaml = YamlReader.read(text, file: file)
        guard let root = yaml.root else { return (nil, yaml.diagnostics) }
        let context = ReadingContext(file: file, catalogue: Catalogue(), environment: environment)
        context.hasParameters = true
        for diagnostic in yaml.diagnostics { context.error(diagnostic.position, diagnostic.message) }
        let start = Position(line: 1, column: 1)
        var config = NotifyConfig()
        if let file = MappingReader(
            root, "the file", keys: keys, at: start, context,
            example: "channels: { … }, people: { … }, routes: [ … ]")
        {
            read(file, into: &config, context)
        }
        return (context.hasErrors ? nil : config, context.sortedDiagnostics())
    }

    private static func read(
        _ file: MappingReader, into config: inout NotifyConfig, _ context: ReadingContext
    ) {
        for node in list(file["allow"], "allow", context) {
            guard
                let host = context.scalar(node, "a host", example: "allow: [mail.bank.example, 10.1.0.0/16]")
            else { continue }
            if !config.allowed.add(host.text) {
                context.error(
                    host.position,
                    "'\(host.shown)' is no host, address or network; write mail.bank.example, *.bank.example or 10.1.0.0/16"
                )
            }
        }
        if let node = file["link"] { config.link = link(node, file.keyPosition("link"), context) }
        if let node = file["groups"] {
            for entry in context.named(node, "groups", example: "groups: { vip: [M100, \"M2*\"] }")
            where context.checkName(entry, "group") {
                config.groups[entry.key] = context.names(entry.value, entry.key, example: "vip: [M100]")?.map(
                    \.text)
            }
        }
        if let node = file["retries"] { config.retries = retries(node, context) ?? config.retries }
        if let node = file["give_up"] {
            for (severity, time) in durations(node, "give_up", least: 1000, context) {
                config.giveUp[severity] = time
            }
        }
        if let node = file["storm"] {
            config.storm =
                context.integer(node, "storm", 1...1_000_000, example: "storm: 200") ?? config.storm
        }
        if let node = file.required("channels", example: "channels: { mail: { email: { … } } }") {
            let reader = NotifyChannelReader(context: context, allowed: config.allowed)
            for entry in context.named(node, "channels", example: "mail: { email: { … } }")
            where context.checkName(entry, "channel") {
                config.channels[entry.key] = reader.read(entry)
            }
        }
        if let node = file["people"] {
            for entry in context.named(node, "people", example: "zhang: { mail: zhang@bank.example }")
            where context.checkName(entry, "person") {
                config.people[entry.key] = person(entry, config, context)
            }
        }
        // What contacts are wrong would only repeat what is wrong with channels and people.
        guard !context.hasErrors else { return }
        if let node = file.required("routes", example: "routes: [{ name: all, to: [zhang/mail] }]") {
            let reader = NotifyRouteReader(context: context, config: config)
            config.routes = reader.read(node)
        }
        if let node = file["system"] {
            config.system = NotifyRouteReader(context: context, config: config).contacts(node, "system")
        }
        if config.system.isEmpty, !context.hasErrors {
            context.warn(
                file.position,
                "nobody is told of messages that are not delivered; write system: [someone/mail]")
        }
    }

    static func list(_ node: YamlNode?, _ what: String, _ context: ReadingContext) -> [YamlNode] {
        guard let node else { return [] }
        if case .sequence(let nodes) = node.content { return nodes }
        context.error(node.position, "\(what) needs a list, not \(node.kind)")
        return []
    }

    /// A value that must not stand in the file itself.
    static func secret(_ node: YamlNode, _ what: String, _ context: ReadingContext) -> String? {
        guard let text = context.scalar(node, what, example: "\(what): ${file:/etc/millrace/\(what)}") else {
            return nil
        }
        if text.isSecret { return text.text }
        context.error(
            text.position, "\(what) must not stand in this file; write ${file:/path} or ${env:NAME}")
        return nil
    }

    /// A value that everybody may see.
    static func plain(_ node: YamlNode, _ what: String, _ context: ReadingContext, example: String)
        -> ScalarText?
    {
        guard let text = context.scalar(node, what, example: example) else { return nil }
        if !text.isSecret { return text }
        context.error(text.position, "\(what) cannot be a secret: it is shown in logs and topics")
        return nil
    }

    static func durations(
        _ node: YamlNode, _ what: String, least: Int64, _ context: ReadingContext
    ) -> [NotifyConfig.Severity: Int64] {
        let all = NotifyConfig.Severity.allCases
        if node.mapping == nil {
            guard let time = context.duration(node, what, least: least) else { return [:] }
            return Dictionary(uniqueKeysWithValues: all.map { ($0, time) })
        }
        guard
            let mapping = MappingReader(
                node, what, keys: all.map(\.rawValue), at: node.position, context,
                example: "{ high: 0s, low: 30s }")
        else { return [:] }
        var found: [NotifyConfig.Severity: Int64] = [:]
        for severity in all {
            if let node = mapping[severity.rawValue] {
                found[severity] = context.duration(node, severity.rawValue, least: least)
            }
        }
        return found
    }

    private static func retries(_ node: YamlNode, _ context: ReadingContext) -> [Int64]? {
        let nodes = list(node, "retries", context)
        guard !nodes.isEmpty, nodes.count <= 20 else {
            context.error(node.position, "retries takes 1 to 20 waits; write [0s, 5s, 30s, 2m, 10m, 1h, 4h]")
            return nil
        }
        let waits = nodes.compactMap { context.duration($0, "a wait") }
        return waits.count == nodes.count ? waits : nil
    }

    private static func link(_ node: YamlNode, _ position: Position, _ context: ReadingContext)
        -> AcknowledgementLink?
    {
        let example =
            "link: { base: https://millrace.bank.example/acknowledge, secret: ${file:/etc/millrace/link} }"
        guard
            let mapping = MappingReader(
                node, "link", keys: ["base", "secret", "valid"], at: position, context, example: example)
        else { return nil }
        let base = mapping.required("base", example: example).flatMap {
            plain($0, "base", context, example: example)
        }
        if let base, WebAddress(base.text).map({ ["http", "https"].contains($0.scheme) }) != true {
            context.error(
                base.position, "'\(base.shown)' is no URL; write https://millrace.bank.example/acknowledge")
        }
        let secret = mapping.required("secret", example: example).flatMap {
            Self.secret($0, "secret", context)
        }
        if let secret, secret.utf8.count < AcknowledgementLink.secretBytesLeast {
            context.error(
                mapping.keyPosition("secret"),
                "the secret of links needs \(AcknowledgementLink.secretBytesLeast) bytes at least")
        }
        let valid = mapping["valid"].map { context.duration($0, "valid", least: 60_000) } ?? 86_400_000
        guard let base, let secret, let valid else { return nil }
        return AcknowledgementLink(base: base.text, secret: Array(secret.utf8), validMilliseconds: valid)
    }

    // MARK: People

    private static func person(_ entry: YamlEntry, _ config: NotifyConfig, _ context: ReadingContext)
        -> NotifyPerson?
    {
        let example = "zhang: { name: 张伟, language: zh, mail: zhang@bank.example, phone: \"+8613800000000\" }"
        guard
            let mapping = MappingReader(
                entry.value, "person \(entry.key)",
                keys: ["name", "language", "mail", "phone", "channels", "quiet"], at: entry.keyPosition,
                context, example: example)
        else { return nil }
        var person = NotifyPerson(
            name: mapping["name"].flatMap { context.scalar($0, "name", example: example)?.text } ?? entry.key)
        if let node = mapping["language"] {
            let words = NotifyPerson.Language.allCases.map(\.rawValue)
            person.language =
                context.choice(node, "language", words).flatMap(NotifyPerson.Language.init(rawValue:)) ?? .en
        }
        if let mail = mapping.text("mail", example: example) {
            if let address = MailAddress(mail.text), address.name.isEmpty {
                person.mail = address.address
            } else {
                context.error(mail.position, "'\(mail.shown)' is no mail address; write zhang@bank.example")
            }
        }
        if let phone = mapping.text("phone", example: example) {
            let digits = phone.text.hasPrefix("+") ? phone.text.dropFirst() : phone.text[...]
            if (5...15).contains(digits.count), digits.utf8.allSatisfy(ReadingContext.isDigit) {
                person.phone = phone.text
            } else {
                context.error(
                    phone.position,
                    "'\(phone.shown)' is no telephone number; write \"+8613800000000\", digits only")
            }
        }
        if let node = mapping["channels"],
            let names = context.names(node, "channels", example: "channels: [mail, sms]")
        {
            for name in names {
                if let problem = problem(of: person, on: name.text, config) {
                    context.error(name.position, problem)
                }
            }
            person.channels = names.map(\.text)
        }
        if let node = mapping["quiet"] { person.quiet = quiet(node, mapping.keyPosition("quiet"), context) }
        return person
    }

    /// What keeps a person from being told on a channel.
    static func problem(of person: NotifyPerson, on channel: String, _ config: NotifyConfig) -> String? {
        guard let known = config.channels[channel] else {
            return
                "there is no channel '\(channel)'\(NearestName.hint(channel, among: config.channels.keys.sorted()))"
        }
        switch known.kind {
        case .email:
            return person.mail == nil
                ? "'\(person.name)' has no 'mail', which channel '\(channel)' needs" : nil
        case .sms:
            return person.phone == nil
                ? "'\(person.name)' has no 'phone', which channel '\(channel)' needs" : nil
        case .webhook:
            return "channel '\(channel)' has an address of its own; write '\(channel)' without a person"
        case .popup: return nil
        }
    }

    private static func quiet(_ node: YamlNode, _ position: Position, _ context: ReadingContext)
        -> QuietHours?
    {
        let example =
            "quiet: { zone: Asia/Shanghai, from: \"22:00\", to: \"07:00\", days: [sat, sun], holidays: [\"2026-10-01\"] }"
        guard
            let mapping = MappingReader(
                node, "quiet", keys: ["zone", "from", "to", "days", "holidays"], at: position, context,
                example: example)
        else { return nil }
        let zone = mapping.required("zone", example: example).flatMap { context.zone($0) }
        func minute(_ key: String) -> Int? {
            guard let text = mapping.text(key, example: example) else { return nil }
            let parts = text.text.split(separator: ":", omittingEmptySubsequences: false)
            if parts.count == 2,
                parts.allSatisfy({ $0.utf8.count == 2 && $0.utf8.allSatisfy(ReadingContext.isDigit) }),
                let hour = Int(parts[0]), let minute = Int(parts[1]), minute < 60,
                hour * 60 + minute <= 24 * 60
            {
                return hour * 60 + minute
            }
            context.error(text.position, "'\(text.shown)' is no time of the day; write \"22:00\" in quotes")
            return nil
        }
        let from = minute("from") ?? 0
        let to = minute("to") ?? 0
        let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        var days: Set<Int> = []
        for node in list(mapping["days"], "days", context) {
            if let name = context.choice(node, "a day", names), let day = names.firstIndex(of: name) {
                days.insert(day)
            }
        }
        var holidays: Set<Int64> = []
        for node in list(mapping["holidays"], "holidays", context) {
            guard let text = context.scalar(node, "a holiday", example: example) else { continue }
            if text.text.utf8.count == 10, let time = CivilTime.parse("\(text.text)T00:00:00Z") {
                holidays.insert(floorDivide(time.milliseconds, CivilTime.dayMilliseconds))
            } else {
                context.error(text.position, "'\(text.shown)' is no date; write \"2026-10-01\"")
            }
        }
        guard let zone, !context.hasErrors else { return nil }
        guard let table = try? TimeZoneTable.read(zone) else { return nil }
        if days.count == 7 || (from == 0 && to == 24 * 60) {
            context.error(position, "these quiet hours never end")
            return nil
        }
        return QuietHours(zone: table, from: from, to: to, days: days, holidays: holidays)
    }
}
