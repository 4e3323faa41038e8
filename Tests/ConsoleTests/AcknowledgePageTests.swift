import Base
import Engine
import Foundation
import Http
import Outlets
import Testing

@testable import Console

/// Goal: a link of a message says who looks after which alert, shows nothing to those who have none, and
/// changes nothing by being looked at. Method: links of all kinds at a console without a cluster, where
/// whatever wrote would fail.
@Suite struct AcknowledgePageTests {
    private static let link = AcknowledgementLink(
        base: AcknowledgementLink.page, secret: Array("a secret of twenty-four bytes".utf8))

    private func rig(alert customer: String = "M1") throws -> ConsoleRig {
        let rig = try ConsoleRig { $0.link = Self.link }
        let alert = """
            {"alert_id":"a1","topology":"watch","rule":"burst","risk":"fabricated-volume","severity":"high","state":"raised","revision":1,
            "customer":\(Json.text(customer).string),"event_time":"2026-11-28T00:00:00Z","message":"<b>much</b> & more","measure":"freeze"}
            """
        try rig.console.index.take([
            AlertIndex.Entry(
                topic: "alerts", partition: 0, offset: 0, value: Array(alert.utf8), kind: .alert)
        ])
        try rig.console.index.finishBuilding()
        return rig
    }

    private func token(_ alerts: [String] = ["a1"], to recipient: String = "zhang/mail", now: Int64? = nil)
        throws
        -> String
    {
        try #require(Self.link.token(alerts: alerts, recipient: recipient, now: now ?? ConsoleRig.start))
    }

    private func get(_ rig: ConsoleRig, _ token: String, _ headers: [String: String] = [:]) -> ServedAnswer {
        rig.ask("GET", "/acknowledge?token=\(token)", nil, headers: headers)
    }

    private func post(_ rig: ConsoleRig, _ token: String) -> ServedAnswer {
        rig.ask(
            "POST", "/acknowledge", nil, body: "token=\(token)",
            headers: ["content-type": "application/x-www-form-urlencoded"])
    }

    @Test func itSaysWhoAndWhatInBothLanguages() throws {
        let rig = try rig(alert: "M<i>1</i>")
        for (header, words) in [
            ("zh-CN,zh;q=0.9", ["确认处理预警", "由我处理", "zhang", "高", "lang=\"zh-CN\""]),
            ("de", ["Look after an alert", "zhang", "high", "lang=\"en\""]),
        ] {
            let answer = get(rig, try token(), ["accept-language": header])
            #expect(answer.status == 200)
            for word in words { #expect(answer.text.contains(word), "\(word)") }
            // What stands in an alert is text.
            #expect(answer.text.contains("M&lt;i&gt;1&lt;/i&gt;"))
            #expect(answer.text.contains("&lt;b&gt;much&lt;/b&gt; &amp; more"))
            #expect(!answer.text.contains("<script"))
            #expect(answer.headers.contains { $0.name == "Cache-Control" && $0.value == "no-store" })
            #expect(answer.headers.contains { $0.name == "Content-Security-Policy" })
            #expect(answer.headers.contains { $0.name == "Referrer-Policy" && $0.value == "no-referrer" })
        }
        #expect(try rig.ask("HEAD", "/acknowledge?token=\(token())", nil).status == 200)
    }

    @Test func whatIsNoLinkIsRefusedInWords() throws {
        let rig = try rig()
        let good = try token()
        // Of the claim's letters, of the signature's, cut off, joined.
        var bad = [
            String(good.dropLast()), String(good.dropFirst()), good + "x", "\(good).\(good)", "x", ".", "%00",
        ]
        for place in stride(from: 0, to: good.count, by: 7) {
            var letters = Array(good)
            letters[place] = letters[place] == "A" ? "B" : "A"
            bad.append(String(letters))
        }
        for token in bad where token != good {
            #expect(get(rig, token).status == 403, "\(token)")
            #expect(post(rig, token).status == 403, "\(token)")
        }
        #expect(get(rig, "").status == 400)
        #expect(post(rig, "").status == 400)
        #expect(rig.ask("PUT", "/acknowledge?token=\(good)", nil, body: "x").status == 405)
        let old = try token(now: ConsoleRig.start - 86_400_001)
        #expect(get(rig, old).status == 410)
        #expect(post(rig, old).status == 410)
        #expect(try get(rig, token(["b"])).status == 404)
        #expect(get(rig, good).status == 200)
        rig.move(86_400_000)
        #expect(get(rig, good).status == 410)
        // A console that has no secret answers none.
        let without = try ConsoleRig()
        #expect(get(without, good).status == 404)
    }

    @Test func rolesCountWherePeopleAreKnown() throws {
        let rig = try rig()
        #expect(try get(rig, token(to: "analyst/sms")).status == 200)
        for name in ["viewer", "author", "approver", "operator", "admin", "ci"] {
            #expect(try get(rig, token(to: "\(name)/mail")).status == 403, "\(name)")
            #expect(try post(rig, token(to: "\(name)/mail")).status == 403, "\(name)")
        }
    }

    @Test func aUsedLinkIsKnownByTheAudit() throws {
        let rig = try rig()
        let good = try token()
        let claim = try Self.link.verify(good, now: ConsoleRig.start)
        let mark = String(Sha256.hex(Array(claim.id.utf8)).prefix(32))
        let event = AuditEvent(
            Caller(name: "zhang", roles: [.analyst], language: "en", method: "link", peer: "link"),
            "alert.take",
            "a1", link: mark)
        let record = AuditChain().next(
            by: event.who, action: event.action, details: event.details, at: "2026-11-28T00:00:00Z")
        #expect(AuditEvent.link(of: Array(record.json.utf8)) == mark)
        #expect(!record.json.contains(claim.id))
        rig.console.board.change("watch") { $0.takeAudit(Array(record.json.utf8)) }
        #expect(get(rig, good).status == 410)
        #expect(get(rig, good).text.contains("used already"))
        #expect(try get(rig, token(now: ConsoleRig.start + 1)).status == 200)
    }
}
