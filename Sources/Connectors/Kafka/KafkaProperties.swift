import Base

/// A file of settings as Kafka's tools take it with `--command-config`: `java.util.Properties`, in UTF-8.
///
/// A line is a name, then `=`, `:` or blanks, then the value. Lines that begin with `#` or `!` are comments,
/// a backslash at the end of a line joins the next one to it, and elsewhere it takes the meaning from the
/// character that follows; `\t \n \r \f \uXXXX` are what they are in Java. Values are never printed.
package enum KafkaProperties {
    package struct Entry: Equatable, Sendable {
        package var name: String
        package var value: String
        /// Where it begins, from 1.
        package var line: Int
    }

    /// `file`: what mistakes call it.
    package static func read(_ text: String, file: String) throws(Fault) -> [Entry] {
        var entries: [Entry] = []
        for (line, scalars) in logicalLines(text) {
            var rest = scalars[...]
            let name = try take(&rest, file, line) { $0 == "=" || $0 == ":" || isBlank($0) }
            rest = rest.drop(while: isBlank)
            if rest.first == "=" || rest.first == ":" { rest = rest.dropFirst().drop(while: isBlank) }
            let value = try take(&rest, file, line) { _ in false }
            guard !name.isEmpty else {
                throw Fault(.user, "\(file):\(line): a name is missing; write NAME=VALUE")
            }
            if let first = entries.first(where: { $0.name == name }) {
                throw Fault(
                    .user, "\(file):\(line): \(name) is given twice; the first is in line \(first.line)")
            }
            entries.append(Entry(name: name, value: value, line: line))
        }
        return entries
    }

    private static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
        scalar == " " || scalar == "\t" || scalar == "\u{C}"
    }

    /// Lines without blanks in front and comments, joined where one goes on.
    private static func logicalLines(_ text: String) -> [(line: Int, scalars: [Unicode.Scalar])] {
        var lines: [(line: Int, scalars: [Unicode.Scalar])] = []
        var isJoined = false
        var number = 0
        // A return with a line feed is one character here, and so one line end.
        for natural in text.split(
            omittingEmptySubsequences: false, whereSeparator: { $0 == "\n" || $0 == "\r" || $0 == "\r\n" })
        {
            number += 1
            var scalars = Array(natural.unicodeScalars.drop(while: isBlank))
            if number == 1, scalars.first == "\u{FEFF}" { scalars.removeFirst() }
            if !isJoined, scalars.isEmpty || scalars[0] == "#" || scalars[0] == "!" { continue }
            let goesOn = scalars.reversed().prefix { $0 == "\\" }.count % 2 == 1
            if goesOn { scalars.removeLast() }
            if isJoined { lines[lines.count - 1].scalars += scalars } else { lines.append((number, scalars)) }
            isJoined = goesOn
        }
        return lines.filter { !$0.scalars.isEmpty }
    }

    /// Takes characters up to one that ends them, with their escapes resolved.
    private static func take(
        _ rest: inout ArraySlice<Unicode.Scalar>, _ file: String, _ line: Int,
        until isEnd: (Unicode.Scalar) -> Bool
    ) throws(Fault) -> String {
        var text = String.UnicodeScalarView()
        // Units of UTF-16, of which two may make a character.
        var units: [UInt16] = []
        func flush() {
            text.append(contentsOf: String(decoding: units, as: UTF16.self).unicodeScalars)
            units = []
        }
        while let scalar = rest.first, !isEnd(scalar) {
            rest = rest.dropFirst()
            guard scalar == "\\", let escaped = rest.first else {
                flush()
                text.append(scalar)
                continue
            }
            rest = rest.dropFirst()
            if escaped == "u" {
                let digits = String(String.UnicodeScalarView(rest.prefix(4)))
                guard digits.utf8.count == 4, digits.utf8.allSatisfy({ $0 != 0x2B && $0 != 0x2D }),
                    let unit = UInt16(digits, radix: 16)
                else {
                    throw Fault(
                        .user,
                        "\(file):\(line): \\u needs four hexadecimal digits; write \\\\ for a backslash")
                }
                units.append(unit)
                rest = rest.dropFirst(4)
                continue
            }
            flush()
            let meanings: [Unicode.Scalar: Unicode.Scalar] = ["t": "\t", "n": "\n", "r": "\r", "f": "\u{C}"]
            text.append(meanings[escaped] ?? escaped)
        }
        flush()
        return String(text)
    }

    /// What stands in its place here, for settings that only Java's clients have.
    static let javaOnly: [String: String] = [
        "sasl.jaas.config": "write sasl.username and sasl.password",
        "ssl.truststore.location": "write ssl.ca.location, a file of certificates in PEM",
        "ssl.truststore.password": "write ssl.ca.location, a file of certificates in PEM",
        "ssl.truststore.type": "write ssl.ca.location, a file of certificates in PEM",
        "ssl.keystore.type":
            "ssl.keystore.location takes PKCS#12, ssl.key.location and ssl.certificate.location take PEM",
        "sasl.login.callback.handler.class": "leave it out",
        "sasl.client.callback.handler.class": "leave it out",
    ]
}
