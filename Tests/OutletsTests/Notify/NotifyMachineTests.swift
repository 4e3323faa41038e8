import Base
import Records
import Testing
import Topology

@testable import Outlets

/// Goal: everybody who is to be told is, within the limits, whatever fails and whenever the process is
/// killed. Method: random streams of alerts through a world of which all is known; what must hold is looked
/// for in what the endpoints took.
@Suite struct NotifyMachineTests {
    static let seeds: [UInt64] = Array(1...5)

    static func config(_ change: (inout NotifyConfig) -> Void = { _ in }) -> NotifyConfig {
        var config =
            NotifyReaderTests.read(
                """
                allow: [127.0.0.1]
                channels:
                  cases: { webhook: { url: "http://127.0.0.1:81/h", secret: "${env:SECRET}" } }
                  sms: { sms: { url: "http://127.0.0.1:81/s", body: '{"to":"{phone}","text":"{text}"}' } }
                  mail: { email: { url: "smtp://127.0.0.1", from: a@b.c, tls: none } }
                  desk: { popup: {} }
                people:
                  zhang: { phone: "+8613800000000", mail: z@b.c }
                  li: { phone: "+8613900000000", mail: l@b.c, quiet: { zone: Asia/Shanghai, from: "22:00", to: "07:00" } }
                routes:
                  - { name: machines, to: [cases, desk], continue: true }
                  - { name: people, to: [zhang/sms, li/mail] }
                system: [zhang/mail]
                """
            ).config ?? NotifyConfig()
        change(&config)
        return config
    }

    static let contacts = ["cases", "desk", "zhang/sms", "li/mail"]

    /// What each contact was told of, by what was accepted, posted, or given up in a letter.
    static func told(_ world: NotifyWorld) -> [String: Set<String>] {
        var told: [String: Set<String>] = [:]
        for acceptance in world.accepted {
            told["\(acceptance.message.contact)", default: []].formUnion(acceptance.message.alerts.map(\.id))
        }
        for message in world.outbox where message.contact.channel == "desk" {
            told["desk", default: []].formUnion(message.alerts.map(\.id))
        }
        return told
    }

    @Test(arguments: seeds) func everybodyIsToldWhateverHappens(seed: UInt64) throws {
        var world = NotifyWorld(Self.config(), seed: seed)
        world.failing = 40
        world.killing = seed % 3 == 0 ? 0 : 60
        var alerts: [AlertBrief] = []
        for number in 0..<80 {
            let severity = NotifyConfig.Severity.allCases[Int(world.random.next() % 4)]
            let alert = NotifyReaderTests.alert(
                "a\(number)", severity, customer: "C\(world.random.next() % 20)")
            alerts.append(alert)
            try world.take(alert)
            if world.random.next() % 5 == 0, let open = alerts.randomElement(using: &world.random) {
                var cleared = open
                (cleared.revision, cleared.isCleared) = (2, true)
                try world.take(cleared)
            }
            // A repeat says nothing new.
            if world.random.next() % 7 == 0, let same = alerts.randomElement(using: &world.random) {
                try world.take(same)
            }
            try world.run(to: world.now + Int64(world.random.next() % 20_000))
        }
        world.failing = 0
        world.killing = 0
        try world.run(to: world.now + 3 * 86_400_000)
        #expect(world.machine.sends.isEmpty && world.machine.heldCount == 0, "seed \(seed)")
        let told = Self.told(world)
        let buried = Set(
            world.letters.values.flatMap { text in
                world.outbox.filter { text.contains($0.id) }.map { "\($0.contact)" }
            })
        for contact in Self.contacts {
            let missing = Set(alerts.map(\.id)).subtracting(told[contact] ?? [])
            let inLetters = world.letters.keys.compactMap { id in
                world.outbox.first { $0.id == id && "\($0.contact)" == contact }
            }.flatMap(\.alerts).map(\.id)
            #expect(
                missing.subtracting(inLetters).isEmpty,
                "seed \(seed), \(contact): \(missing.count) missing, \(buried)")
        }
        // A message is the same under its id, and no alert is in two first messages to one contact.
        var byId: [String: NotifyMessage] = [:]
        for message in world.outbox {
            #expect(byId.updateValue(message, forKey: message.id) == nil, "seed \(seed): \(message.id) twice")
        }
        for acceptance in world.accepted {
            var message = acceptance.message
            message.giveUpAt = byId[message.id]?.giveUpAt ?? 0
            #expect(byId[message.id] == message, "seed \(seed)")
        }
        for contact in Self.contacts {
            let all = world.outbox.filter { "\($0.contact)" == contact }.flatMap {
                $0.alerts.map { "\($0.id)/\($0.revision)" }
            }
            #expect(Set(all).count == all.count, "seed \(seed), \(contact)")
        }
        // No number above its limits, whatever was taken without a word.
        let sms = world.accepted.filter { "\($0.message.contact)" == "zhang/sms" }.map(\.at)
        for limit in RateLimit.sms {
            let most = sms.map { at in sms.count { $0 > at - limit.milliseconds && $0 <= at } }.max() ?? 0
            #expect(most <= limit.count, "seed \(seed), \(limit)")
        }
        // Nothing that is not critical is sent to a person in their quiet hours.
        let quiet = try #require(world.config.people["li"]?.quiet)
        for message in world.outbox where message.contact.person == "li" && message.severity != .critical {
            #expect(!quiet.isQuiet(at: message.createdAt), "seed \(seed)")
        }
        if world.kills > 0 { #expect(world.kills > 3) }
    }

    /// What was kept is all there is: a machine made of it is the machine that wrote it.
    @Test(arguments: seeds) func whatIsKeptIsAllThereIs(seed: UInt64) throws {
        var world = NotifyWorld(
            Self.config {
                $0.routes[1].escalation = [
                    NotifyRoute.Step(after: 60_000, to: [NotifyContact(person: "li", channel: "sms")])
                ]
            }, seed: seed)
        world.failing = 30
        for number in 0..<25 {
            try world.take(
                NotifyReaderTests.alert(
                    "a\(number)", NotifyConfig.Severity.allCases[Int(world.random.next() % 4)],
                    customer: "C\(world.random.next() % 9)"))
            try world.run(to: world.now + Int64(world.random.next() % 9_000))
            var other = NotifyMachine(world.config, topology: "t")
            try other.restore(world.state, world.now)
            #expect(other.groups == world.machine.groups, "seed \(seed)")
            #expect(other.watches == world.machine.watches, "seed \(seed)")
            #expect(
                other.storms == world.machine.storms && other.disabled == world.machine.disabled,
                "seed \(seed)")
            #expect(Set(other.sends.keys) == Set(world.machine.sends.keys), "seed \(seed)")
            #expect(
                other.boxes.mapValues { $0.entries } == world.machine.boxes.mapValues { $0.entries },
                "seed \(seed)")
            for (contact, limits) in world.machine.limits where limits.pending == 0 {
                #expect(other.limits[contact] == limits, "seed \(seed)")
            }
        }
    }

    // MARK: One thing at a time

    private static func single(_ change: (inout NotifyRoute) -> Void = { _ in }) -> NotifyConfig {
        config { config in
            var route = NotifyRoute(name: "all")
            route.to = [NotifyContact(person: "zhang", channel: "mail")]
            change(&route)
            config.routes = [route]
        }
    }

    private static func kinds(_ world: NotifyWorld) -> [String] {
        world.outbox.map {
            "\($0.contact) \($0.kind.rawValue)\($0.step) \($0.alerts.map(\.id).joined(separator: "+"))"
        }
    }

    @Test func alertsOfOneCustomerAndRiskComeTogether() throws {
        var world = NotifyWorld(Self.single(), seed: 1)
        let start = world.now
        try world.take(NotifyReaderTests.alert("a", .low))
        try world.run(to: start + 29_000)
        try world.take(NotifyReaderTests.alert("b", .low))
        #expect(world.outbox.isEmpty)
        try world.run(to: start + 30_000)
        #expect(Self.kinds(world) == ["zhang/mail alert0 a+b"])
        // Within five minutes others join, at their end.
        try world.take(NotifyReaderTests.alert("c", .low))
        try world.run(to: start + 329_999)
        #expect(world.outbox.count == 1)
        // Worse breaks the wait, and critical never waits.
        try world.take(NotifyReaderTests.alert("d", .medium))
        #expect(Self.kinds(world).last == "zhang/mail alert0 c+d")
        try world.take(NotifyReaderTests.alert("e", .critical))
        try world.take(NotifyReaderTests.alert("f", .critical))
        #expect(Self.kinds(world).suffix(2) == ["zhang/mail alert0 e", "zhang/mail alert0 f"])
        // What is over is said to who was told, once.
        for id in ["a", "b", "c", "d", "e", "f"] {
            try world.take(NotifyReaderTests.alert(id, .low, revision: 2, cleared: true))
        }
        try world.take(NotifyReaderTests.alert("never", .low, revision: 2, cleared: true))
        try world.run(to: world.now + 3_600_000)
        #expect(Self.kinds(world).last == "zhang/mail cleared0 a+b+c+d+e+f" && world.outbox.count == 5)
        try world.run(to: world.now + 86_400_000)
        #expect(world.machine.groups.isEmpty && world.state.isEmpty == false)
    }

    @Test func whoDoesNotAnswerIsFollowedByOthers() throws {
        let li = NotifyContact(person: "li", channel: "sms")
        let config = Self.single {
            $0.escalation = [
                .init(after: 300_000, to: [li]),
                .init(after: 900_000, to: [NotifyContact(person: "", channel: "cases")]),
            ]
        }
        var world = NotifyWorld(config, seed: 1)
        let start = world.now
        try world.take(NotifyReaderTests.alert("a", .high))
        try world.take(NotifyReaderTests.alert("b", .high, customer: "C2"))
        try world.take(NotifyReaderTests.alert("c", .medium, customer: "C3"))
        try world.take(NotifyReaderTests.alert("d", .high, customer: "C4"))
        try world.take(NotifyReaderTests.alert("e", .high, customer: "C5"))
        world.decide("b", AlertDisposition(.taken))
        world.decide("e", AlertDisposition(.snoozed, until: start + 600_000))
        try world.take(NotifyReaderTests.alert("d", .high, customer: "C4", revision: 2, cleared: true))
        try world.run(to: start + 299_999)
        #expect(!world.outbox.contains { $0.kind == .escalation })
        try world.run(to: start + 300_000)
        #expect(
            world.outbox.filter { $0.kind == .escalation }.map {
                "\($0.contact) \($0.step) \($0.alerts[0].id)"
            } == ["li/sms 1 a"])
        try world.run(to: start + 600_000)
        #expect(Self.kinds(world).last == "li/sms escalation1 e")
        // Killed meanwhile, it goes on.
        try world.kill()
        world.decide("e", AlertDisposition(.closed))
        try world.run(to: start + 86_400_000)
        #expect(
            world.outbox.filter { $0.kind == .escalation }.map {
                "\($0.contact) \($0.step) \($0.alerts[0].id)"
            }
                == ["li/sms 1 a", "li/sms 1 e", "cases 2 a"])
        #expect(world.machine.watches.isEmpty)
    }

    @Test func whatCannotBeDeliveredGoesToTheNextAndToALetter() throws {
        let li = NotifyContact(person: "li", channel: "mail")
        let config = Self.single { $0.escalation = [.init(after: 3_600_000 * 5, to: [li])] }
        var world = NotifyWorld(config, seed: 1)
        try world.take(NotifyReaderTests.alert("a", .critical))
        let id = try #require(world.outbox.first?.id)
        world.underWay = []
        world.machine.take(
            SendOutcome(.dead, code: 550, text: "550"), of: id, finishedAt: world.now, world.now)
        try world.commit()
        #expect(world.letters[id]?.contains("\"code\":550") == true)
        try world.run(to: world.now + 60_000)
        // The next of the escalation, and those who look after the notifier.
        #expect(Self.kinds(world).dropFirst() == ["li/mail escalation1 a", "zhang/mail alert0 notice-\(id)"])
        // Sent again by hand, under its id; delivered, it is no letter any more.
        world.machine.resend(try #require(world.outbox.first), world.now)
        try world.commit()
        try world.run(to: world.now + 60_000)
        #expect(world.letters.isEmpty && world.statuses[id] == ["dead", "delivered"])
    }

    @Test func retriesEndWithTheTimeThatASeverityHas() throws {
        for (severity, tries) in [(NotifyConfig.Severity.critical, 5), (.low, 7)] {
            var world = NotifyWorld(Self.single(), seed: 3)
            try world.take(NotifyReaderTests.alert("a", severity))
            try world.run(to: world.now + 40_000)
            // Nothing gets through from the start.
            world = NotifyWorld(Self.single(), seed: 3)
            world.failing = 100
            try world.take(NotifyReaderTests.alert("a", severity))
            try world.run(to: world.now + 86_400_000)
            let id = try #require(world.outbox.first?.id)
            #expect(
                world.statuses[id] == Array(repeating: "failed", count: tries - 1) + ["dead"], "\(severity)")
        }
    }

    @Test func anEndpointThatIsGoneIsLeftAlone() throws {
        let cases = NotifyContact(person: "", channel: "cases")
        var world = NotifyWorld(Self.single { $0.to = [cases] }, seed: 1)
        try world.take(NotifyReaderTests.alert("a", .critical))
        world.underWay = []
        world.machine.take(
            SendOutcome(.gone, code: 410), of: world.outbox[0].id, finishedAt: world.now, world.now)
        try world.commit()
        try world.kill()
        try world.take(NotifyReaderTests.alert("b", .critical))
        #expect(world.underWay.isEmpty && world.statuses[world.outbox.last?.id ?? ""] == ["disabled"])
        // With another address it is another endpoint.
        var config = world.config
        config.channels["cases"]?.kind = .webhook(
            WebhookChannel(url: "http://127.0.0.1:82/h", secrets: [[1]]))
        var other = NotifyMachine(config, topology: "t")
        try other.restore(world.state, world.now)
        #expect(other.disabled.isEmpty)
    }

    @Test func aStormBecomesOneSummaryAMinute() throws {
        var config = Self.single { $0.to += [NotifyContact(person: "", channel: "cases")] }
        config.storm = 20
        var world = NotifyWorld(config, seed: 1)
        let start = world.now
        for number in 0..<300 {
            try world.take(NotifyReaderTests.alert("a\(number)", .high, customer: "C\(number)"))
            try world.run(to: start + Int64(number) * 500)
        }
        try world.run(to: start + 600_000)
        let mails = world.outbox.filter { $0.contact.channel == "mail" }
        #expect(mails.filter { $0.kind == .digest }.count >= 2 && mails.count < 60)
        #expect(Set(mails.flatMap(\.alerts).map(\.id)).count == 300)
        #expect(world.outbox.filter { $0.contact.channel == "cases" }.count == 300, "machines get each")
    }

    @Test func whatIsOldComesAsADigest() throws {
        var world = NotifyWorld(Self.single(), seed: 1)
        for number in 0..<50 {
            world.machine.take(
                NotifyReaderTests.alert("a\(number)", .critical, customer: "C\(number)"),
                at: world.now - 3_600_001, world.now)
        }
        try world.commit()
        try world.run(to: world.now + 60_000)
        #expect(
            world.outbox.count == 1 && world.outbox[0].kind == .digest && world.outbox[0].alerts.count == 50)
    }

    @Test func aRouteThatIsGoneLosesNothing() throws {
        var world = NotifyWorld(Self.single(), seed: 1)
        try world.take(NotifyReaderTests.alert("a", .low))
        var other = NotifyMachine(Self.config(), topology: "t")
        try other.restore(world.state, world.now)
        other.advance(to: world.now + 120_000)
        other.advance(to: world.now + 240_000)
        #expect(
            Set(other.takeOutputs().messages.map { "\($0.contact)" }).isSuperset(of: [
                "cases", "desk", "zhang/sms",
            ]))
    }

    @Test func bodiesOfWebhooksStayBelowTwentyKilobytes() throws {
        let cases = NotifyContact(person: "", channel: "cases")
        var world = NotifyWorld(Self.single { $0.to = [cases] }, seed: 1)
        for number in 0..<60 {
            var alert = NotifyReaderTests.alert("a\(number)", .low)
            alert.message = String(repeating: "\u{1}警", count: 500)
            alert.measure = String(repeating: "\"", count: 200)
            try world.take(alert)
        }
        try world.run(to: world.now + 3_600_000)
        for message in world.outbox { #expect(ChannelSender.webhookBody(message).count < 20_000) }
        for value in world.state.values { #expect(value.count < 500_000) }
        #expect(Set(world.outbox.flatMap(\.alerts).map(\.id)).count == 60)
    }
}
