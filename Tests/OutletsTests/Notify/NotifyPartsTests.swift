import Base
import Records
import Testing
import Topology

@testable import Outlets

/// Goal: the parts of the notifier's decisions are right by themselves. Method: each against a plain
/// definition over random input, whose seed is in the message.
@Suite struct NotifyPartsTests {
    static let seeds: [UInt64] = [1, 2, 3, 4, 5, 6, 7, 8]

    /// Whatever is begun when `next` allows it and ends when it likes, no window of any limit holds more ends
    /// than its count; and `next` is the first moment that allows another.
    @Test(arguments: seeds) func noWindowHoldsMoreThanItsLimit(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let limits = [RateLimit(3, 60), RateLimit(7, 400), RateLimit(15, 2000)]
        var sliding = SlidingLimits()
        var ends: [Int64] = []
        var underWay: [Int64] = []
        var now: Int64 = 0
        for turn in 0..<1500 {
            now += Int64(random.next() % 40)
            for end in underWay.filter({ $0 <= now }).sorted() {
                let counts = random.next() % 4 > 0
                sliding.end(at: end, counts: counts, limits)
                if counts { ends.append(end) }
            }
            underWay.removeAll { $0 <= now }
            let next = sliding.next(limits, now)
            if underWay.isEmpty, turn % 10 == 0 {
                var plain = now
                let recent = ends.suffix(20)
                while limits.contains(where: { limit in
                    recent.count { $0 > plain - limit.milliseconds } >= limit.count
                }) { plain += 1 }
                #expect(next == plain, "seed \(seed)")
            }
            if next == now {
                sliding.begin()
                underWay.append(now + Int64(random.next() % 50))
            }
        }
        for limit in limits {
            let most =
                ends.map { end in ends.count { $0 > end - limit.milliseconds && $0 <= end } }.max() ?? 0
            #expect(most <= limit.count, "seed \(seed)")
        }
        #expect(ends.count > 50)
    }

    /// The end of quiet hours is the first minute that is not quiet, whatever the zone does with its clocks.
    @Test(arguments: seeds) func quietHoursEndWhenItIsNotQuiet(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        for _ in 0..<12 {
            let zone = try TimeZoneTable.read(
                ["Asia/Shanghai", "Europe/Berlin", "America/Sao_Paulo", "UTC"][Int(random.next() % 4)])
            let start: Int64 = 1_760_000_000_000 + Int64(random.next() % 300) * 86_400_000
            var cursor = zone.cursor()
            let day = zone.localDay(containing: start, &cursor)
            let quiet = QuietHours(
                zone: zone, from: Int(random.next() % 1440), to: Int(random.next() % 1440),
                days: random.next() % 2 == 0 ? [5, 6] : [],
                holidays: random.next() % 2 == 0 ? [day, day + 1] : [])
            let now = start / 60_000 * 60_000 + Int64(random.next() % 1440) * 60_000
            var plain: Int64? = quiet.isQuiet(at: now) ? now : nil
            while let time = plain, quiet.isQuiet(at: time) { plain = time + 60_000 }
            #expect(
                quiet.end(after: now) == plain,
                "seed \(seed), \(zone.name), \(quiet.from) to \(quiet.to) at \(CivilTime.string(now))")
        }
        // A Saturday in Shanghai, by hand.
        let shanghai = QuietHours(
            zone: try TimeZoneTable.read("Asia/Shanghai"), from: 22 * 60, to: 7 * 60, days: [5, 6])
        let saturday = try #require(CivilTime.parse("2026-11-28T08:00:00Z")).milliseconds
        #expect(shanghai.end(after: saturday) == CivilTime.parse("2026-11-29T23:00:00Z")?.milliseconds)
        #expect(shanghai.end(after: saturday - 86_400_000) == nil)
    }

    @Test(arguments: seeds) func whatIsDueComesInOrder(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var queue = DueQueue<Int>()
        var plain: [Int: (time: Int64, number: Int)] = [:]
        for number in 0..<2000 {
            let key = Int(random.next() % 50)
            switch random.next() % 4 {
            case 0:
                queue.remove(key)
                plain[key] = nil
            case 1:
                let now = Int64(random.next() % 1000)
                let first = plain.filter { $0.value.time <= now }.min {
                    ($0.value.time, $0.value.number) < ($1.value.time, $1.value.number)
                }
                let popped = queue.pop(until: now)
                #expect(popped == first?.key, "seed \(seed)")
                if let first { plain[first.key] = nil }
            default:
                let time = Int64(random.next() % 1000)
                queue.set(key, at: time)
                plain[key] = (time, number)
            }
            let next = queue.nextTime
            #expect(next == plain.values.map(\.time).min(), "seed \(seed)")
        }
    }

    @Test func retriesFollowTheScheduleAndTheOtherSide() throws {
        let waits = RetrySchedule.standard
        for tries in 1..<waits.count {
            for number in 0..<50 {
                let wait = try #require(
                    RetrySchedule.wait(waits, tries: tries, id: "msg_\(number)", retryAfter: nil))
                #expect(wait >= waits[tries] * 4 / 5 && wait <= waits[tries] * 6 / 5)
                #expect(wait == RetrySchedule.wait(waits, tries: tries, id: "msg_\(number)", retryAfter: nil))
            }
        }
        #expect(RetrySchedule.wait(waits, tries: waits.count, id: "a", retryAfter: nil) == nil)
        #expect(RetrySchedule.wait(waits, tries: 1, id: "a", retryAfter: 60_000) == 60_000)
        #expect(RetryAfter.milliseconds("120", now: 0) == 120_000)
        let now = try #require(CivilTime.parse("1994-11-06T08:49:07Z")).milliseconds
        #expect(RetryAfter.milliseconds("Sun, 06 Nov 1994 08:49:37 GMT", now: now) == 30_000)
        for bad in ["soon", "-1", "", "Sun, 06 Foo 1994 08:49:37 GMT", "99999999999"] {
            #expect(RetryAfter.milliseconds(bad, now: now) == nil)
        }
    }

    @Test func partsOfShortMessages() {
        #expect(SmsLength.parts(String(repeating: "a", count: 160)) == 1)
        #expect(SmsLength.parts(String(repeating: "a", count: 161)) == 2)
        #expect(SmsLength.parts(String(repeating: "€", count: 80)) == 1)
        #expect(SmsLength.parts(String(repeating: "€", count: 81)) == 2)
        #expect(SmsLength.parts(String(repeating: "警", count: 70)) == 1)
        #expect(SmsLength.parts(String(repeating: "警", count: 71)) == 2)
        #expect(SmsLength.parts(String(repeating: "警", count: 135)) == 3)
        #expect(SmsLength.parts(String(repeating: "😀", count: 35)) == 1)
        #expect(SmsLength.parts(String(repeating: "😀", count: 36)) == 2)
        let short = SmsLength.shortened(String(repeating: "警", count: 500), parts: 2)
        #expect(short.count == 134 && short.hasSuffix("…") && SmsLength.parts(short) == 2)
        #expect(SmsLength.shortened("警报", parts: 1) == "警报")
    }

    @Test func anSmsHasItsLinkWholeOrNotAtAll() {
        let link = "https://c.example/ack?token=" + String(repeating: "x", count: 100)
        for parts in 1...4 {
            for length in stride(from: 0, to: 900, by: 37) {
                for letter in ["预", "a"] {
                    let text = String(repeating: letter, count: length) + "：" + link + "。"
                    let sent = SmsLength.shortened(text, parts: parts, keeping: link)
                    #expect(SmsLength.parts(sent) <= parts)
                    let isWhole = sent.contains(link)
                    #expect(isWhole || !sent.contains("token"), "\(sent)")
                    // 130 letters and more fit into two parts of 67.
                    #expect(isWhole == (parts > 1), "\(parts) \(length)")
                    if SmsLength.parts(text) <= parts { #expect(sent == text) }
                }
            }
        }
        #expect(SmsLength.shortened("abc", parts: 1, keeping: "") == "abc")
    }

    @Test func linksAreGoodForADayAndForNobodyElse() throws {
        let link = AcknowledgementLink(
            base: "https://c.example/ack", secret: Array("0123456789012345678901234".utf8))
        let other = AcknowledgementLink(
            base: "https://c.example/ack", secret: Array("0123456789012345678901235".utf8))
        let token = try #require(link.token(alerts: ["a1", "a2"], recipient: "zhang/mail", now: 1000))
        let claim = try link.verify(token, now: 86_400_999)
        #expect(
            claim.alerts == ["a1", "a2"] && claim.recipient == "zhang/mail" && claim.expiresAt == 86_401_000)
        #expect(throws: AcknowledgementLink.Refusal.expired) { try link.verify(token, now: 86_401_000) }
        #expect(throws: AcknowledgementLink.Refusal.forged) { try other.verify(token, now: 1000) }
        for index in token.indices {
            var changed = token
            changed.replaceSubrange(index...index, with: token[index] == "A" ? "B" : "A")
            #expect(throws: AcknowledgementLink.Refusal.forged) { try link.verify(changed, now: 1000) }
        }
        #expect(throws: AcknowledgementLink.Refusal.forged) { try link.verify("", now: 0) }
        #expect(
            link.make(alerts: ["a"], recipient: "z", now: 0)?.hasPrefix("https://c.example/ack?token=")
                == true)
        #expect(link.make(alerts: Array(repeating: "a", count: 9), recipient: "z", now: 0) == nil)
    }

    @Test func privateAddressesAreReachedOnlyIfTheyAreListed() throws {
        var list = HostList()
        for text in ["mail.bank.example", "*.sms.example", "10.1.0.0/16", "8.8.8.8", "localhost"] {
            let isTaken = list.add(text)
            #expect(isTaken, "\(text)")
        }
        for text in ["", "a b", "10.0.0.0/33", "http://x", "*.", "1.2.3.4/5/6"] {
            let isTaken = list.add(text)
            #expect(!isTaken, "\(text)")
        }
        #expect(
            list.allows(host: "mail.bank.example") && list.allows(host: "a.sms.example")
                && list.allows(host: "10.1.2.3"))
        for host in ["bank.example", "sms.example", "xmail.bank.example", "10.2.0.1", "evilsms.example"] {
            #expect(!list.allows(host: host), "\(host)")
        }
        for text in [
            "127.0.0.1", "10.2.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
            "100.64.0.1", "0.0.0.0", "224.0.0.1",
            "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "::ffff:10.2.0.1", "64:ff9b::a02:1",
            "2002:a02:1::", "ff02::1",
        ] {
            #expect(!list.allows(address: try #require(HostList.bytes(text))), "\(text)")
        }
        for text in ["1.1.1.1", "10.1.255.1", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1"] {
            #expect(list.allows(address: try #require(HostList.bytes(text))), "\(text)")
        }
        // The name is listed; where it leads to is not.
        #expect(throws: Fault.self) { try list.resolve("http://localhost:1/") }
        var local = list
        for text in ["127.0.0.1", "::1"] { _ = local.add(text) }
        #expect(try local.resolve("http://127.0.0.1:81/x") == "127.0.0.1:81:127.0.0.1")
        for url in [
            "http://user@mail.bank.example/", "ftp://mail.bank.example", "http://", "http://a:0/",
            "http://a b/", "http://[zz]/",
        ] {
            #expect(WebAddress(url) == nil, "\(url)")
        }
        #expect(WebAddress("https://Mail.Bank.Example\\@evil/")?.host == "mail.bank.example")
    }

    @Test func placesInAnAnswer() {
        let answer = Array(#"{"Code":"OK","n":0,"r":{"list":[{"id":"x"},7]},"ok":true}"#.utf8)
        for (path, text) in [("Code", "OK"), ("n", "0"), ("r.list[0].id", "x"), ("ok", "true")] {
            #expect(JsonPlace.text(path, in: answer) == text)
        }
        for path in ["code", "r", "r.list[2]", "r.list[0].id.x", ""] {
            #expect(JsonPlace.text(path, in: answer) == nil, "\(path)")
        }
        #expect(JsonPlace.text("Code", in: Array("<html>".utf8)) == nil)
    }

    @Test func secretsOfWebhooks() {
        #expect(StandardWebhook.secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?.count == 24)
        for bad in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_!!!!", "whsec_MfKQ9r8G"] {
            #expect(StandardWebhook.secret(bad) == nil)
        }
        let body = Array(#"{"test": 2432232314}"#.utf8)
        let secret = StandardWebhook.secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") ?? []
        let list = StandardWebhook.signatures(
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek", seconds: 1_614_265_330, body: body,
            secrets: [secret, Array(0..<24)])
        #expect(
            list.split(separator: " ").count == 2
                && list.hasPrefix("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1,"))
    }
}
