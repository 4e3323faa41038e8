import Base
import Records
import Security

/// An address with the name of whose it is.
package struct MailAddress: Sendable, Equatable {
    package var name: String
    package var address: String

    /// `risk@bank.example` or `Risk desk <risk@bank.example>`; nil: it is none, or has a line end.
    package init?(_ text: String) {
        guard !text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else {
            return nil
        }
        var name = ""
        var address = text
        if text.hasSuffix(">"), let open = text.lastIndex(of: "<") {
            name = String(text[..<open])
            address = String(text[text.index(after: open)...].dropLast())
        }
        while name.hasSuffix(" ") { name.removeLast() }
        while name.hasPrefix(" ") { name.removeFirst() }
        if name.count >= 2, name.hasPrefix("\""), name.hasSuffix("\"") {
            name = String(name.dropFirst().dropLast())
        }
        let parts = address.split(separator: "@", omittingEmptySubsequences: false)
        let isVisible: (Unicode.Scalar) -> Bool = {
            $0.value > 0x20 && $0.value < 0x7F && !"<>()[]\\,;:\"".unicodeScalars.contains($0)
        }
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }),
            address.unicodeScalars.allSatisfy(isVisible), address.count <= 254
        else { return nil }
        self.name = name
        self.address = address
    }

    package var domain: String { String(address.split(separator: "@").last ?? "") }
}

/// A mail in the form of RFC 5322 and MIME: text and simple HTML, both in UTF-8.
package enum MailMessage {
    /// `milliseconds` since 1970 become its date. `thread`: mails of one are shown together.
    package static func bytes(
        from: MailAddress, to: MailAddress, subject: String, text: String, id: String, thread: String?,
        milliseconds: Int64
    ) -> [UInt8] {
        let boundary = "=_\(id)"
        var lines = [
            "From: \(header(from))", "To: \(header(to))",
            "Subject: \(encoded(MessageWriter.line(subject), "Subject: ".count))",
            "Date: \(date(milliseconds))", "Message-ID: <\(id)@\(from.domain)>",
        ]
        if let thread {
            lines.append("In-Reply-To: <thread-\(thread)@\(from.domain)>")
            lines.append("References: <thread-\(thread)@\(from.domain)>")
        }
        lines += [
            "Auto-Submitted: auto-generated", "MIME-Version: 1.0",
            "Content-Type: multipart/alternative; boundary=\"\(boundary)\"", "",
        ]
        for (type, content) in [("plain", text), ("html", html(text))] {
            lines += [
                "--\(boundary)", "Content-Type: text/\(type); charset=utf-8",
                "Content-Transfer-Encoding: base64", "",
            ]
            let letters = Array(Base64Text.encode(Array(content.utf8)).utf8)
            for start in stride(from: 0, to: letters.count, by: 76) {
                lines.append(String(decoding: letters[start..<min(start + 76, letters.count)], as: UTF8.self))
            }
        }
        lines += ["--\(boundary)--", ""]
        return Array(lines.joined(separator: "\r\n").utf8)
    }

    private static func header(_ address: MailAddress) -> String {
        if address.name.isEmpty { return address.address }
        let name = MessageWriter.line(address.name)
        let isPlain = name.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C }
        return "\(isPlain ? "\"\(name)\"" : encoded(name, 6)) <\(address.address)>"
    }

    /// RFC 2047: words of at most 75 characters, none of which divides a character. `used`: columns of the
    /// first line that are taken.
    static func encoded(_ text: String, _ used: Int) -> String {
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }), !text.contains("=?"),
            used + text.utf8.count <= 200
        {
            return text
        }
        var words: [String] = []
        var bytes: [UInt8] = []
        for character in text.unicodeScalars {
            let next = Array(String(character).utf8)
            if bytes.count + next.count > 42 {
                words.append("=?UTF-8?B?\(Base64Text.encode(bytes))?=")
                bytes = []
            }
            bytes += next
        }
        if !bytes.isEmpty { words.append("=?UTF-8?B?\(Base64Text.encode(bytes))?=") }
        return words.joined(separator: "\r\n ")
    }

    static func html(_ text: String) -> String {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line -> String in
            let escaped = escape(String(line))
            guard let at = (line.firstRange(of: "https://") ?? line.firstRange(of: "http://"))?.lowerBound
            else { return escaped }
            let url = line[at...].prefix { $0 != " " }
            let link = escape(String(url))
            return
                "\(escape(String(line[..<at])))<a href=\"\(link)\">\(link)</a>\(escape(String(line[url.endIndex...])))"
        }
        return
            "<!DOCTYPE html><html><head><meta charset=\"utf-8\"></head><body><p>\(lines.joined(separator: "<br>\n"))</p></body></html>"
    }

    private static func escape(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
    }

    /// `Sat, 28 Nov 2026 08:00:00 +0000`
    static func date(_ milliseconds: Int64) -> String {
        let day = floorDivide(milliseconds, CivilTime.dayMilliseconds)
        let civil = CivilTime.civil(day: day)
        let seconds = (milliseconds - day * CivilTime.dayMilliseconds) / 1000
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let week = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][Int(((day + 3) % 7 + 7) % 7)]
        let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][
            Int(civil.month - 1)]
        return
            "\(week), \(two(civil.day)) \(month) \(civil.year) \(two(seconds / 3600)):\(two(seconds / 60 % 60)):\(two(seconds % 60)) +0000"
    }
}
