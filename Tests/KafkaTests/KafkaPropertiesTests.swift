import Base
import Connectors
import Testing

/// Goal: files that Kafka's tools read with `--command-config` are read as Java reads them, mistakes are told
/// with their place, and no value is ever in a message.
@Suite struct KafkaPropertiesTests {
    @Test(
        arguments: [
            ("a=b", ["a=b"]), ("a = b ", ["a=b "]), ("a:b", ["a=b"]), ("a b", ["a=b"]), ("a\tb c", ["a=b c"]),
            ("a", ["a="]), ("a=", ["a="]),
            ("a==b", ["a==b"]), ("a = = b", ["a== b"]), ("  a=b\n\n# c=d\n ! e=f\ng=h", ["a=b", "g=h"]),
            ("a=b\r\nc=d\re=f", ["a=b", "c=d", "e=f"]),
            ("a=b\\\n   c\nd=e", ["a=bc", "d=e"]), ("a=b\\\\\nc=d", ["a=b\\", "c=d"]),
            ("a=b\\\n# no comment", ["a=b# no comment"]),
            ("a\\=\\:\\ b=c", ["a=: b=c"]), ("a=\\t\\n\\r\\f\\q\\\\", ["a=\t\n\r\u{C}q\\"]),
            ("a=\\u00e9\\uD83D\\uDE00!", ["a=é😀!"]), ("a=é", ["a=é"]),
            ("\u{FEFF}a=b", ["a=b"]), ("a=b # c", ["a=b # c"]), ("a=b\\", ["a=b"]), ("", []), ("\\", []),
            ("a=\"b\"", ["a=\"b\""]),
        ] as [(String, [String])])
    func read(text: String, expected: [String]) throws {
        #expect(try KafkaProperties.read(text, file: "f").map { "\($0.name)=\($0.value)" } == expected)
    }

    @Test func lines() throws {
        #expect(try KafkaProperties.read("#\na=1\\\n2\\\n3\n\nb=4", file: "f").map(\.line) == [2, 6])
    }

    @Test(arguments: [
        ("a=1\n=SECRET", "f:2: a name is missing; write NAME=VALUE"),
        ("a=1\nb=2\n\na=SECRET", "f:4: a is given twice; the first is in line 1"),
        ("a=SECRET\\u12x4", "f:1: \\u needs four hexadecimal digits; write \\\\ for a backslash"),
        ("a=SECRET\\u+123", "f:1: \\u needs four hexadecimal digits; write \\\\ for a backslash"),
        ("a=SECRET\\u12", "f:1: \\u needs four hexadecimal digits; write \\\\ for a backslash"),
    ])
    func mistakes(text: String, message: String) {
        let fault = #expect(throws: Fault.self) { try KafkaProperties.read(text, file: "f") }
        #expect(fault?.detail == message && fault?.domain == .user)
    }

    @Test(arguments: [
        ("linger.ms", "SECRET", "f:7: linger.ms: its value is not valid"),
        ("group.id", "SECRET", "f:7: group.id cannot be changed: it is given by --group"),
        (
            "fetch.wait.max.msec", "SECRET",
            "f:7: fetch.wait.max.msec: there is no such librdkafka setting; did you mean fetch.wait.max.ms?"
        ),
        (
            "sasl.jaas.config", "SECRET",
            "f:7: sasl.jaas.config is a setting of Java's clients; write sasl.username and sasl.password"
        ),
    ])
    func settings(name: String, value: String, message: String) {
        var settings = KafkaSettings(bootstrapServers: "127.0.0.1:1", raw: [name: value])
        settings.places = [name: "f:7"]
        let fault = #expect(throws: Fault.self) { try settings.check() }
        #expect(fault?.detail == message)
    }

    @Test func everyTextEndsInSettingsOrAMistake() {
        let seed = UInt64.random(in: 1...1_000_000)
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let pieces = [
            "a", "b", "=", ":", " ", "\t", "\\", "\n", "\r\n", "\\u", "00e9", "D83D", "#", "!", "é", "\u{0}",
            "\u{1F600}",
        ]
        for _ in 0..<3000 {
            let text = (0..<Int.random(in: 0...20, using: &random)).map { _ in
                pieces.randomElement(using: &random)!
            }.joined()
            guard let entries = try? KafkaProperties.read(text, file: "f") else { continue }
            #expect(
                Set(entries.map(\.name)).count == entries.count && entries.allSatisfy { !$0.name.isEmpty },
                "\(text.debugDescription)")
        }
    }
}
