import Base
import Foundation
import Http
import Testing

@testable import Outlets

/// Goal: a mail in Chinese arrives whole, in the form that mail programs read, and a refusal is understood.
/// Method: aiosmtpd takes it and Python's own parser reads it; where there is none, only the bytes are looked
/// at.
@Suite struct MailTests {
    /// A mail server whose address is `port`; it refuses some addresses.
    private final class Server {
        static let script = """
            import json, sys, time
            from email import message_from_bytes, policy
            from aiosmtpd.controller import Controller
            class Handler:
                async def handle_RCPT(self, server, session, envelope, address, options):
                    if address.startswith('gone'): return '550 no such user'
                    if address.startswith('busy'): return '450 later'
                    envelope.rcpt_tos.append(address)
                    return '250 OK'
                async def handle_DATA(self, server, session, envelope):
                    m = message_from_bytes(envelope.content, policy=policy.default)
                    parts = [p.get_content() for p in m.walk() if not p.is_multipart()]
                    longest = max(len(l) for l in envelope.content.split(b'\\r\\n'))
                    print(json.dumps({'from': envelope.mail_from, 'to': envelope.rcpt_tos, 'subject': m['Subject'], 'id': m['Message-ID'],
                        'references': m['References'], 'sender': str(m['From']), 'who': str(m['To']), 'date': str(m['Date']), 'text': parts[0], 'html': parts[1],
                        'defects': len(m.defects), 'longest': longest}), flush=True)
                    return '250 OK'
            c = Controller(Handler(), hostname='127.0.0.1', port=0)
            c.port = int(sys.argv[1])
            c.start()
            print('ready', flush=True)
            time.sleep(60)
            """
        static let python = "/usr/bin/python3"

        static let isThere: Bool = {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: python)
            process.arguments = ["-c", "import aiosmtpd"]
            process.standardError = FileHandle.nullDevice
            guard (try? process.run()) != nil else { return false }
            process.waitUntilExit()
            return process.terminationStatus == 0
        }()

        let port = Int.random(in: 33_000..<60_000)
        private let process = Process()
        private let pipe = Pipe()

        init() throws {
            process.executableURL = URL(fileURLWithPath: Self.python)
            process.arguments = ["-c", Self.script, "\(port)"]
            process.standardOutput = pipe
            try process.run()
            #expect(line() == "ready")
        }

        deinit {
            process.terminate()
            process.waitUntilExit()
        }

        func line() -> String {
            var bytes: [UInt8] = []
            while let byte = pipe.fileHandleForReading.readData(ofLength: 1).first, byte != 10 {
                bytes.append(byte)
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    @Test(
        .enabled(if: Server.isThere, "skipped: no aiosmtpd for /usr/bin/python3 (Debian's python3-aiosmtpd)"))
    func aMailInChineseArrivesWhole() throws {
        let server = try Server()
        let text = """
            allow: [127.0.0.1]
            channels: { mail: { email: { url: "smtp://127.0.0.1:\(server.port)", from: 风险监测中心 <risk@bank.example>, tls: none } } }
            people:
              zhang: { name: 张伟, language: zh, mail: zhang@bank.example }
              gone: { mail: gone@bank.example }
              busy: { mail: busy@bank.example }
            routes: [{ name: all, to: [zhang/mail] }]
            link: { base: "https://millrace.bank.example/ack", secret: "${env:SECRET}" }
            """
        let config = try #require(
            NotifyReaderTests.read(text).config, "\(NotifyReaderTests.read(text).diagnostics)")
        let channel = try #require(config.channels["mail"])
        let sender = ChannelSender(config, channel, clock: ManualClock(1_764_300_000_000))
        var alert = NotifyReaderTests.alert("a1", .critical, customer: "深圳市长风贸易有限公司（跨境电商）一二三四五六七八九十")
        alert.message = "五分钟内成交 51,200.00 元 <b>& \"急\" 😀"
        func message(_ to: String) throws -> NotifyMessage {
            NotifyMessage(
                topology: "t", route: "all", contact: try #require(NotifyContact(to)), kind: .alert, step: 0,
                createdAt: 1_764_300_000_000,
                giveUpAt: 1_764_300_100_000, alerts: [alert])
        }
        let sent = try message("zhang/mail")
        #expect(sender.send(sent).verdict == .delivered)
        let mail = try #require(
            try JSONSerialization.jsonObject(with: Data(server.line().utf8)) as? [String: Any])
        func part(_ name: String) -> String { mail[name] as? String ?? "" }
        #expect(part("subject") == "[严重] 深圳市长风贸易有限公司（跨境电商）一二三四五六七八九十 fabricated-volume")
        #expect(
            part("id") == "<\(sent.id)@bank.example>"
                && part("references") == "<thread-\(sent.thread ?? "")@bank.example>")
        #expect(part("from") == "risk@bank.example" && mail["to"] as? [String] == ["zhang@bank.example"])
        #expect(part("sender") == "风险监测中心 <risk@bank.example>" && part("who") == "张伟 <zhang@bank.example>")
        #expect(part("text").contains("处置措施：冻结额度") && part("text").contains(alert.message))
        #expect(
            part("html").contains("&lt;b&gt;&amp; &quot;急&quot; 😀")
                && part("html").contains("<a href=\"https://millrace.bank.example/ack?token="))
        #expect(part("date").hasPrefix("Fri, 28 Nov 2025 03:20:00"))
        #expect(mail["defects"] as? Int == 0 && mail["longest"] as? Int ?? 999 <= 200)
        // What the server says decides whether it is tried again.
        let gone = sender.send(try message("gone/mail"))
        #expect(gone.verdict == .dead && gone.code == 550)
        let busy = sender.send(try message("busy/mail"))
        #expect(busy.verdict == .refused && busy.code == 450)
        // TLS that was asked for and is not there is no mail in the clear.
        let strict = try #require(NotifyReaderTests.read(text.replacing(", tls: none", with: "")).config)
        #expect(
            ChannelSender(strict, try #require(strict.channels["mail"]), clock: ManualClock(0)).send(sent)
                .verdict != .delivered)
        // An address that is not allowed is not reached, whatever the configuration says of its name.
        var closed = config
        closed.allowed = HostList()
        let refused = ChannelSender(closed, channel, clock: ManualClock(0)).send(sent)
        #expect(refused.verdict == .dead && refused.text.contains("not in 'allow'"))
    }

    @Test func noHeaderComesFromAnAlert() throws {
        let from = try #require(MailAddress("Desk <risk@bank.example>"))
        var to = try #require(MailAddress("z@bank.example"))
        to.name = "Zhang\r\nBcc: x@y.z"
        let bytes = MailMessage.bytes(
            from: from, to: to, subject: "a\r\nBcc: x@y.z", text: "b", id: "msg_1", thread: nil,
            milliseconds: 0)
        let head = String(decoding: bytes, as: UTF8.self).components(separatedBy: "\r\n\r\n")[0]
        #expect(!head.components(separatedBy: "\r\n").contains { $0.hasPrefix("Bcc") })
        for bad in [
            "a", "a@", "@b", "a@b@c", "a b@c.d", "a@b.c\r\nRCPT TO:<x@y.z>", "<a@b.c", "a@b.c>", "张@b.c",
        ] { #expect(MailAddress(bad) == nil, "\(bad)") }
        let client = try SmtpClient()
        #expect(throws: Fault.self) {
            try client.send(
                SmtpMessage(
                    url: "smtp://127.0.0.1:1", requiresTls: false, from: "a@b.c", to: ["x@y.z>\r\nDATA"],
                    bytes: []))
        }
        #expect(throws: Fault.self) {
            try client.send(
                SmtpMessage(
                    url: "file:///etc/passwd", requiresTls: false, from: "a@b.c", to: ["a@b.c"], bytes: []))
        }
    }

    @Test func whatStatusesMean() {
        func verdict(_ status: Int) -> SendOutcome.Verdict {
            ChannelSender.outcome(status, ["retry-after": "7"], now: 0).verdict
        }
        for status in [200, 201, 204] { #expect(verdict(status) == .delivered) }
        for status in [408, 425, 429, 500, 502, 503, 599] { #expect(verdict(status) == .refused) }
        for status in [301, 302, 307, 400, 401, 403, 404, 422, 100] { #expect(verdict(status) == .dead) }
        #expect(verdict(410) == .gone)
        #expect(ChannelSender.outcome(429, ["retry-after": "7"], now: 0).retryAfter == 7000)
    }
}
