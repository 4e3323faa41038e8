import Base
import Dataflow
import Formats
import Records
import Testing

/// Records of a topic in another encoding: read like those in UTF-8, and refused one by one where they are no
/// text of it.
@Suite struct EncodedDecoderTests {
    static let columns = [WireColumn("shop", .text), WireColumn("n", .int)]

    private func harness(_ encoding: TextEncoding, csv: Bool) throws -> Harness {
        let inner: any RecordDecoder =
            csv
            ? CsvDecoder(Self.columns, encoding: encoding.name, capacity: 16)
            : JsonDecoder(Self.columns, encoding: encoding.name, capacity: 16)
        return Harness(EncodedDecoder(inner, try Transcoder(encoding), capacity: 16), Self.columns)
    }

    private func utf16(_ text: String, isBig: Bool, hasMark: Bool) -> [UInt8] {
        ((hasMark ? [0xFEFF] : []) + Array(text.utf16)).flatMap { unit in
            isBig
                ? [UInt8(unit >> 8), UInt8(truncatingIfNeeded: unit)]
                : [UInt8(truncatingIfNeeded: unit), UInt8(unit >> 8)]
        }
    }

    @Test func gb18030() throws {
        for csv in [true, false] {
            let harness = try harness(try #require(TextEncoding.named("GBK") ?? nil), csv: csv)
            let names: [(String, [UInt8])] = [
                ("杭州", [0xBA, 0xBC, 0xD6, 0xDD]), ("义乌", [0xD2, 0xE5, 0xCE, 0xDA]),
                ("宁波", [0xC4, 0xFE, 0xB2, 0xA8]),
                ("a", [0x61]), ("𠀀", [0x95, 0x32, 0x82, 0x36]), ("€", [0xA2, 0xE3]),
            ]
            func record(_ name: [UInt8], _ number: Int) -> [UInt8] {
                csv
                    ? name + Array(",\(number)".utf8)
                    : Array("{\"shop\":\"".utf8) + name + Array("\",\"n\":\(number)}".utf8)
            }
            let records = names.enumerated().map { record($1.1, $0) as [UInt8]? }
            #expect(
                harness.decode(records)
                    == names.enumerated().map { Row(status: .good, values: [$1.0, "\($0)"]) })
            // Half a character, in the middle and at the end, and what is none.
            let good = record([0xBA, 0xBC], 7)
            for bad in [[0xBA], [0xFF], [0xBA, 0x20]] as [[UInt8]] {
                let place = csv ? 0 : 9
                let broken = Array(good[..<place]) + bad + Array(good[(place + 2)...])
                #expect(
                    harness.decode([good, broken, good]).map(\.status) == [.good, .malformed, .good], "\(bad)"
                )
                #expect(
                    harness.explain(1).hasPrefix("not GB18030: ")
                        && harness.explain(1).hasSuffix("does not have these bytes"))
            }
            #expect(
                harness.decode([nil, [UInt8](repeating: 0x61, count: Limits.recordBytesMax + 1), good]).map(
                    \.status) == [.nullValue, .oversized, .good])
        }
    }

    @Test func utf16() throws {
        for (name, isBig, hasMark) in [
            ("utf-16", false, true), ("utf-16", true, true), ("utf-16le", false, false),
            ("utf-16be", true, false),
        ] {
            let harness = try harness(try #require(TextEncoding.named(name) ?? nil), csv: true)
            let text = utf16("é🙂中,5", isBig: isBig, hasMark: hasMark)
            #expect(
                harness.decode([text, text]) == [
                    Row(status: .good, values: ["é🙂中", "5"]), Row(status: .good, values: ["é🙂中", "5"]),
                ], "\(name)")
            #expect(harness.decode([Array(text.dropLast())])[0].status == .malformed)
        }
        #expect(
            try harness(.utf16, csv: true).decode([utf16("a,5", isBig: false, hasMark: false)])[0].status
                == .malformed)
    }
}
