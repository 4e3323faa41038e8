import Topology

/// Reads the routes of `notify.yaml`: a tree, whose inner routes go on with what the outer ones say.
struct NotifyRouteReader {
    let context: ReadingContext
    let config: NotifyConfig

    private static let keys = [
        "name", "severity", "risk", "rule", "customer", "group", "to", "wait", "join", "escalate",
        "escalate_from", "continue", "routes",
    ]
    private static let example = "{ name: critical, severity: critical, to: [zhang/sms] }"
    private static let depthMax = 8

    func read(_ node: YamlNode) -> [NotifyRoute] {
        var names: [String: Position] = [:]
        let routes = read(node, under: nil, depth: 1, &names)
        if !context.hasErrors, routes.last?.matcher.takesAll != true {
            context.error(
                node.position,
                "an alert that no route takes reaches nobody; end the list with a route of all alerts: { name: rest, to: [someone/mail] }"
            )
        }
        return routes
    }

    private func read(
        _ node: YamlNode, under outer: NotifyRoute?, depth: Int, _ names: inout [String: Position]
    ) -> [NotifyRoute] {
        guard depth <= Self.depthMax else {
            context.error(node.position, "routes are nested more than \(Self.depthMax) deep")
            return []
        }
        var routes: [NotifyRoute] = []
        for node in NotifyReader.list(node, "routes", context) {
            guard
                let mapping = MappingReader(
                    node, "a route", keys: Self.keys, at: node.position, context, example: Self.example)
            else { continue }
            guard let name = mapping.requiredText("name", example: Self.example) else { continue }
            if let first = names[name.text] {
                context.error(
                    name.position, "two routes are named '\(name.shown)'; the first is in line \(first.line)")
            }
            names[name.text] = name.position
            if !TopologySpec.isName(name.text) {
                context.error(
                    name.position,
                    "'\(name.shown)' is no name for a route; names have a-z, 0-9 and -, a letter first")
            }
            var route = outer ?? NotifyRoute(name: "")
            (route.name, route.routes, route.goesOn, route.matcher) = (name.text, [], false, RouteMatcher())
            read(mapping, into: &route)
            if let node = mapping["routes"] {
                route.routes = read(node, under: route, depth: depth + 1, &names)
            }
            let isCovered = route.routes.contains { $0.matcher.takesAll }
            if route.to.isEmpty, !isCovered, !mapping.isGiven("to") {
                context.error(name.position, "route '\(name.shown)' tells nobody; write to: [zhang/mail]")
            }
            if let last = routes.last, last.matcher.takesAll, !last.goesOn {
                context.error(
                    name.position,
                    "route '\(name.shown)' is never reached: '\(last.name)' before it takes all alerts")
            }
            routes.append(route)
        }
        return routes
    }

    private func read(_ mapping: MappingReader, into route: inout NotifyRoute) {
        func names(_ key: String) -> [String]? {
            mapping[key].flatMap { context.names($0, key, example: "\(key): [a, \"b*\"]") }?.map(\.text)
        }
        if let node = mapping["severity"],
            let words = context.names(node, "severity", example: "severity: [high, critical]")
        {
            route.matcher.severities = Set(words.compactMap { severity($0) })
        }
        route.matcher.risks = names("risk")
        route.matcher.rules = names("rule")
        route.matcher.customers = names("customer")
        if let node = mapping["group"], let groups = context.names(node, "group", example: "group: vip") {
            for group in groups where config.groups[group.text] == nil {
                context.error(
                    group.position,
                    "there is no group '\(group.shown)'\(NearestName.hint(group.text, among: config.groups.keys.sorted()))"
                )
            }
            route.matcher.groups = groups.map(\.text)
        }
        if let node = mapping["to"] { route.to = contacts(node, "to") }
        if let node = mapping["wait"] {
            for (severity, time) in NotifyReader.durations(node, "wait", least: 0, context) {
                route.wait[severity] = time
            }
        }
        if let node = mapping["join"] { route.join = context.duration(node, "join") ?? route.join }
        if let node = mapping["escalate_from"],
            let text = context.scalar(node, "escalate_from", example: "escalate_from: high")
        {
            route.escalatesFrom = severity(text) ?? route.escalatesFrom
        }
        if let node = mapping["escalate"] { route.escalation = steps(node) }
        if let node = mapping["continue"] {
            route.goesOn = context.choice(node, "continue", ["true", "false"]) == "true"
        }
    }

    private func severity(_ text: ScalarText) -> NotifyConfig.Severity? {
        if let severity = NotifyConfig.Severity(rawValue: text.text) { return severity }
        let words = NotifyConfig.Severity.allCases.map(\.rawValue)
        context.error(
            text.position, "'\(text.shown)' is no severity\(NearestName.hint(text.text, among: words))")
        return nil
    }

    private func steps(_ node: YamlNode) -> [NotifyRoute.Step] {
        let example = "escalate: [{ after: 5m, to: [li/sms] }]"
        var steps: [NotifyRoute.Step] = []
        for node in NotifyReader.list(node, "escalate", context) {
            guard
                let mapping = MappingReader(
                    node, "a step", keys: ["after", "to"], at: node.position, context, example: example),
                let after = mapping.required("after", example: example).flatMap({
                    context.duration($0, "after", least: 1000)
                }),
                let to = mapping.required("to", example: example)
            else { continue }
            if let last = steps.last, after <= last.after {
                context.error(
                    mapping.keyPosition("after"),
                    "steps count from the first message, so each needs a later 'after' than the one before")
            }
            steps.append(NotifyRoute.Step(after: after, to: contacts(to, "to")))
        }
        return steps
    }

    /// `zhang/sms`, `cases`, or `zhang` for all of a person's channels.
    func contacts(_ node: YamlNode, _ what: String) -> [NotifyContact] {
        var found: [NotifyContact] = []
        for text in context.names(node, what, example: "\(what): [zhang/sms, cases]") ?? [] {
            let known = config.people.keys.sorted() + config.channels.keys.sorted()
            guard let contact = NotifyContact(text.text) else {
                context.error(
                    text.position,
                    "'\(text.shown)' is nobody; write zhang/sms, or the name of a webhook or popup")
                continue
            }
            if contact.person.isEmpty, let person = config.people[contact.channel] {
                if person.channels.isEmpty {
                    context.error(
                        text.position, "'\(text.shown)' has no 'channels'; write \(text.shown)/mail")
                }
                found += person.channels.map { NotifyContact(person: contact.channel, channel: $0) }
            } else if contact.person.isEmpty {
                guard let channel = config.channels[contact.channel] else {
                    context.error(
                        text.position,
                        "there is no person or channel '\(text.shown)'\(NearestName.hint(text.text, among: known))"
                    )
                    continue
                }
                if channel.isForPeople {
                    context.error(
                        text.position, "channel '\(channel.name)' needs a person; write zhang/\(channel.name)"
                    )
                }
                found.append(contact)
            } else {
                guard let person = config.people[contact.person] else {
                    context.error(
                        text.position,
                        "there is no person '\(contact.person)'\(NearestName.hint(contact.person, among: config.people.keys.sorted()))"
                    )
                    continue
                }
                if let problem = NotifyReader.problem(of: person, on: contact.channel, config) {
                    context.error(text.position, problem)
                }
                found.append(contact)
            }
        }
        var unique: [NotifyContact] = []
        for contact in found where !unique.contains(contact) { unique.append(contact) }
        return unique
    }
}
