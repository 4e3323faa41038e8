import Base
import Records
import Testing
import Topology

@testable import Outlets

/// Goal: a configuration says what it means or where it is wrong. Method: one that is right, and it again
/// with one mistake each.
@Suite struct NotifyReaderTests {
    static let right = """
        allow: [mail.bank.example, 127.0.0.1]
        channels:
          mail:
            email: { url: "smtps://mail.bank.example", from: Desk <risk@bank.example>, user: u, password: "${env:PASSWORD}" }
          sms:
            sms: { url: "http://127.0.0.1:81/s", body: '{"to":"{phone}","text":"{text}"}', success: { path: Code, equals: OK } }
          cases:
            webhook: { url: "http://127.0.0.1:81/h", secret: "${env:SECRET}" }
          desk: { popup: {} }
        people:
          zhang: { name: 张伟, language: zh, mail: z@bank.example, phone: "+8613800000000", channels: [mail, sms], quiet: { zone: Asia/Shanghai, from: "22:00", to: "07:00" } }
          li: { mail: li@bank.example }
        groups: { vip: [M1, "M2*"] }
        routes:
          - { name: all, to: [cases, desk], continue: true }
          - name: bad
            severity: [high, critical]
            to: [zhang]
            escalate: [{ after: 5m, to: [li/mail] }]
            routes:
              - { name: vip, group: vip, to: [li/mail] }
          - { name: rest, to: [li/mail], wait: { low: 1m }, join: 10m }
        system: [li/mail]
        """

    static func read(_ text: String) -> (config: NotifyConfig?, diagnostics: [Diagnostic]) {
        let environment = Environment(
            variable: { ["PASSWORD": "hunter2", "SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"][$0] },
            fileText: { _ in nil },
            zones: .system)
        return NotifyReader.read(text, file: "n.yaml", environment: environment)
    }

    static func alert(
        _ id: String = "a", _ severity: NotifyConfig.Severity = .high, customer: String = "C1",
        revision: Int64 = 1, cleared: Bool = false
    ) -> AlertBrief {
        AlertBrief(
            id: id, revision: revision, isCleared: cleared, severity: severity, rule: "spike",
            risk: "fabricated-volume",
            customer: customer, measure: "冻结额度", message: "五分钟内成交激增", eventTime: "2026-11-28T00:00:00Z")
    }

    @Test func whoIsTold() throws {
        let (found, diagnostics) = Self.read(Self.right)
        let config = try #require(found, "\(diagnostics)")
        #expect(diagnostics.isEmpty)
        func told(_ alert: AlertBrief) -> [String] {
            WhoIsTold.of(alert, config, now: 1_764_300_000_000).map {
                "\($0.route):\($0.contact):\($0.step):\($0.after)"
            }
        }
        #expect(
            told(Self.alert()) == [
                "all:cases:0:0", "all:desk:0:0", "bad:zhang/mail:0:0", "bad:zhang/sms:0:0",
                "bad:li/mail:1:300000",
            ])
        #expect(
            told(Self.alert(customer: "M22")) == [
                "all:cases:0:0", "all:desk:0:0", "vip:li/mail:0:0", "vip:li/mail:1:300000",
            ])
        #expect(
            told(Self.alert("a", .low)) == ["all:cases:0:30000", "all:desk:0:30000", "rest:li/mail:0:60000"])
    }

    /// What stands in place of what, where the mistake is, and a word of what is said.
    @Test(arguments: [
        ("\"${env:PASSWORD}\"", "hunter2", "4:99", "must not stand in this file"),
        ("\"${env:SECRET}\"", "\"${env:PASSWORD}\"", "8:54", "whsec_"),
        ("\"http://127.0.0.1:81/h\"", "\"http://127.0.0.2/h\"", "8:21", "not in 'allow'"),
        ("\"http://127.0.0.1:81/h\"", "\"http://127.0.0.1/${env:SECRET}\"", "8:21", "cannot be a secret"),
        ("{phone}", "{telefone}", "6:48", "no field 'telefone'"),
        ("{ popup: {} }", "{ pop: {} }", "9:11", "has no 'pop'"),
        ("smtps:", "gopher:", "4:19", "no URL"),
        ("z@bank.example", "\"z@bank.example\\r\\nBcc: x@y.z\"", "11:42", "no mail address"),
        ("\"+8613800000000\"", "12", "11:65", "no telephone number"),
        ("Asia/Shanghai", "Asia/Shangai", "11:121", "Asia/Shanghai"),
        ("\"22:00\"", "\"25:00\"", "11:142", "time of the day"),
        ("name: vip, group: vip", "name: vip, group: vop", "21:29", "did you mean 'vip'"),
        ("to: [cases, desk]", "to: [case, desk]", "15:23", "did you mean 'cases'"),
        ("to: [zhang]", "to: [li]", "18:10", "has no 'channels'"),
        ("{ name: rest, to", "{ name: rest, severity: low, to", "15:3", "reaches nobody"),
        ("name: rest,", "name: all,", "22:13", "two routes are named"),
        ("[high, critical]", "[hihg]", "17:16", "did you mean 'high'"),
        ("join: 10m", "join: 10", "22:59", "no unit"),
        ("escalate: [{ after: 5m", "escalate: [{ after: 0s", "19:25", "at least"),
        ("system: [li/mail]", "sistem: [li/mail]", "23:1", "did you mean 'system'"),
        ("li: { mail: li@bank.example }", "li: { name: Li }", "20", "has no 'mail'"),
    ])
    func mistakesAreSaidWhereTheyAre(_ from: String, _ to: String, _ place: String, _ word: String) {
        let (config, diagnostics) = Self.read(Self.right.replacing(from, with: to, maxReplacements: 1))
        #expect(config == nil)
        let text = diagnostics.map(\.description)
        #expect(
            text.contains {
                $0.hasPrefix("n.yaml:\(place)") && $0.contains(word) || place.count < 3 && $0.contains(word)
            }, "\(text)")
        #expect(
            !text.contains { $0.contains("hunter2") && !to.contains("hunter2") || $0.contains("MfKQ9r8G") },
            "\(text)")
    }

    @Test func aTemplateSaysWhatEverybodyMustLearn() {
        let text = Self.right.replacing(
            "success: { path: Code, equals: OK } }\n",
            with:
                "success: { path: Code, equals: OK } }\n    templates: { zh: { text: \"{customer} {risk}\" } }\n"
        )
        #expect(Self.read(text).diagnostics.contains { $0.message.contains("{rule}, {measure}") })
    }

    @Test func textsInBothLanguages() throws {
        let config = try #require(Self.read(Self.right).config)
        func message(_ kind: NotifyMessage.Kind, _ to: String, _ alerts: [AlertBrief]) throws -> NotifyMessage
        {
            NotifyMessage(
                topology: "t", route: "r", contact: try #require(NotifyContact(to)), kind: kind, step: 0,
                createdAt: 0, giveUpAt: 1, alerts: alerts)
        }
        let writer = MessageWriter(config)
        let sms = writer.write(try message(.alert, "zhang/sms", [Self.alert()])).text
        #expect(sms == "[高]C1 fabricated-volume 规则:spike 措施:冻结额度 五分钟内成交激增")
        let mail = writer.write(try message(.alert, "li/mail", [Self.alert()]))
        #expect(mail.subject == "[high] C1 fabricated-volume")
        for part in ["Customer: C1", "Risk: fabricated-volume", "Rule: spike", "Measure: 冻结额度"] {
            #expect(mail.text.contains(part))
        }
        #expect(!mail.text.contains("Acknowledge"))
        let digest = writer.write(
            try message(.digest, "zhang/mail", [Self.alert(), Self.alert("b", .critical, customer: "C2")]))
        #expect(digest.subject == "汇总：2 条预警（严重 1, 高 1）" && digest.text.contains("[严重] C2"))
        // Nothing that an alert says begins a header or a line of its own.
        var bad = Self.alert()
        bad.customer = "C\r\nBcc: x@y.z\u{2028}"
        #expect(
            writer.write(try message(.alert, "li/mail", [bad])).subject
                == "[high] C  Bcc: x@y.z  fabricated-volume")
    }

    @Test func requestsOfGateways() throws {
        let config = try #require(Self.read(Self.right).config)
        guard case .sms(var sms) = config.channels["sms"]?.kind else { throw Fault(.defect, "no sms") }
        let message = NotifyMessage(
            topology: "t", route: "r", contact: NotifyContact(person: "zhang", channel: "sms"), kind: .alert,
            step: 0, createdAt: 0, giveUpAt: 1,
            alerts: [Self.alert()])
        let json = ChannelSender.smsBody(sms, message, phone: "+86", text: "a\"b\\\n{phone}")
        #expect(String(decoding: json, as: UTF8.self) == #"{"to":"+86","text":"a\"b\\\n{phone}"}"#)
        sms.style = .form
        sms.body = FieldTemplate([.text("to="), .field(.phone), .text("&text="), .field(.text)])
        #expect(
            String(decoding: ChannelSender.smsBody(sms, message, phone: "+86", text: "警 &"), as: UTF8.self)
                == "to=%2B86&text=%E8%AD%A6%20%26")
    }
}
