import Base
import Foundation
import Glibc
import Records
import Testing
import Topology

@testable import Engine

/// Files in the style of banks, wallets and shops: what `guess` writes of them has no mistakes and reads
/// every record.
@Suite struct GuessTests {
    struct Sample: Sendable, CustomTestStringConvertible {
        var name: String
        var text: String
        /// iconv's name.
        var encoding: String?
        /// Parts of what is written.
        var parts: [String]
        var records: Int
        var testDescription: String { name }
    }

    private static func lines(
        _ head: [String], _ count: Int, _ line: (Int) -> String, tail: [String] = [], end: String = "\n"
    ) -> String {
        (head + (0..<count).map(line) + tail).joined(separator: end) + end
    }

    static let samples = [
        Sample(
            name: "a wallet's, with lines above the header",
            text: lines(["微信支付账单明细,,,", "昵称：[某人],,,", "----,,,", "交易时间,商品,金额(元),交易单号"], 20) {
                "2023-01-\($0 + 10) 08:0\($0 % 10):05,\"外卖,套餐\",¥\($0).50,\"10000\($0)\t\""
            },
            parts: [
                "{ type: csv, trim: true, skip: 3 }", "time: { field: \"交易时间\" }",
                "\"金额(元)\": { type: decimal(2), strip: \"¥\" }",
            ], records: 20),
        Sample(
            name: "a wallet's in GB 18030, padded, with a footer",
            text: lines(
                ["账号:[a]", "交易号      ,创建时间      ,金额（元） ,"], 20,
                { "20230101220010000\($0)\t,2023/1/\($0 + 1) \($0):05  ,\($0 * 7).50  ," },
                tail: ["--------", "共20笔记录"], end: "\r\n"),
            encoding: "gb18030",
            parts: [
                "encoding: gb18030", "trim: true", "skip: 1", "footer: \"--------\"",
                "format: \"%Y/%m/%d %H:%M\"", "\"交易号\": text", "\"金额（元）\": decimal(2)",
            ], records: 20),
        Sample(
            name: "a German bank's",
            text: lines(["Buchungstag;Empfänger;Betrag;Währung"], 20) {
                "\($0 + 10).01.2023;Müller & Söhne;\($0 % 2 == 0 ? "-" : "")1.\($0 + 100),50;EUR"
            },
            encoding: "windows-1252",
            parts: [
                "encoding: windows-1252", "delimiter: \";\"", "format: \"%d.%m.%Y\"",
                "Betrag: { type: decimal(2), decimal: \",\", thousands: \".\" }",
            ], records: 20),
        Sample(
            name: "an American bank's",
            text: lines(["Details\tPosting Date\tAmount\tBalance"], 30) {
                "DEBIT\t01/\($0 % 28 + 1 < 10 ? "0" : "")\($0 % 28 + 1)/2023\t-\($0).5\t(\($0 + 1).00)"
            },
            parts: [
                "delimiter: tab", "\"Posting Date\": { type: timestamp, format: \"%m/%d/%Y\" }",
                "Balance: { type: decimal(2), negative: parentheses }",
            ], records: 30),
        Sample(
            name: "a shop platform's",
            text: lines(["Name,Email,Total,Created at"], 20) {
                "#10\($0),c\($0 % 3)@x.com,\"1,\($0 + 100).00\",2023-01-05 08:\($0 + 10):00 +0800"
            },
            parts: [
                "Name: text", "Total: { type: decimal(2), thousands: \",\" }",
                "time: { field: \"Created at\" }", "key: Email (3 values)",
            ], records: 20),
        Sample(
            name: "steps, without a time",
            text: lines(["step,type,amount,nameOrig,isFraud"], 20) { "\($0 / 5),PAYMENT,\($0).25,C\($0),0" },
            parts: [
                "time: { of: 1970-01-01T00:00:00Z }", "no field was seen to be a time", "nameOrig: text",
                "isFraud: int",
            ], records: 20),
        Sample(
            name: "a pretty-printed array",
            text: "[\n"
                + (0..<12).map {
                    "  {\n    \"id\": \(45_000_000 + $0),\n    \"created_at\": \"2023-01-05T08:\($0 + 10):00+08:00\",\n    \"customer\": {\"id\": \($0 % 3)},\n    \"line_items\": [{\"sku\": \"a\"}]\n  }"
                }.joined(separator: ",\n") + "\n]\n",
            parts: [
                "layout: documents", "explode: line_items makes a row", "id: { type: text, numbers: true }",
                "\"customer.id\": { type: text, numbers: true }", "field: created_at",
            ], records: 12),
        Sample(
            name: "events",
            text: lines([], 20) {
                "{\"event\":\"login\",\"ts\":\(1_672_876_980_000 + $0 * 1000),\"user\":{\"id\":\"u\($0 % 4)\"},\"ok\":\($0 % 2 == 0),\"note\":\($0 % 3 == 0 ? "null" : "\"x\"")}"
            },
            parts: [
                "format: { type: json }", "ts: timestamp", "ok: bool", "note: text?", "user.id (4 values)",
            ], records: 20),
        Sample(
            name: "UTF-16",
            text: lines(["Datum,Konto,Saldo"], 20) { "2023-01-\($0 + 10) 10:00,DE00\($0),\"\($0),5\"" },
            encoding: "utf-16",
            parts: ["encoding: utf-16", "Saldo: { type: decimal(2), decimal: \",\" }", "Konto: text"],
            records: 20),
        Sample(
            name: "without a header",
            text: lines([], 20) { "2023-01-05 09:\($0 + 10):00|A0\($0)|\($0).00|\($0 % 2 == 0 ? "Y" : "N")" },
            parts: [
                "delimiter: \"|\"", "columns: [c1, c2, c3, c4]",
                "c4: { type: bool, \"true\": [\"Y\"], \"false\": [\"N\"] }",
            ], records: 20),
        Sample(
            name: "Chinese dates and percents",
            text: lines(["日期,商户号,费率"], 20) {
                "2023年1月\($0 + 1)日 下午3:0\($0 % 10),88800\($0 % 4),\($0 % 9).5%"
            },
            encoding: "gb18030",
            parts: [
                "format: \"%Y年%m月%d日 %p%I:%M\"", "\"商户号\": text",
                "\"费率\": { type: decimal(3), percent: true }",
            ], records: 20),
        Sample(
            name: "two days that could be months",
            text: lines(["day,v,missing"], 10) { "0\($0 % 9 + 1)/02/2023,\($0 == 3 ? "NA" : "\($0)")," },
            parts: [
                "format: \"%d/%m/%Y\"", "unsure: it could be \"%m/%d/%Y\" as well",
                "v: { type: int?, null: [\"NA\"] }", "missing: text?", "no value was seen",
            ], records: 10),
    ]

    @Test(arguments: samples)
    func reads(sample: Sample) throws {
        let path = NSTemporaryDirectory() + "/millrace-guess-\(UUID().uuidString).csv"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(Self.bytes(sample)).write(to: URL(fileURLWithPath: path))
        let yaml = try SourceGuess(path: path, name: "file", zone: nil).yaml
        for part in sample.parts { #expect(yaml.contains(part), "\(part)\n\(yaml)") }
        let (spec, diagnostics) = TopologyReader.read(yaml, file: "guess.yaml")
        var replay = try Replay(
            try #require(spec, "\(diagnostics)\n\(yaml)"), inputs: [("file", [path])], keepsResults: true)
        var (rows, dead) = (0, 0)
        _ = try replay.run(
            output: { outbox throws(Fault) in
                for record in outbox.records {
                    if record.destination == .deadLetter { dead += 1 } else { rows += 1 }
                }
            }, progress: { _, _, _ in })
        #expect(rows == sample.records && dead == 0, "\(rows) rows, \(dead) dead letters\n\(yaml)")
    }

    private static func bytes(_ sample: Sample) throws -> [UInt8] {
        switch sample.encoding {
        case nil: return Array(sample.text.utf8)
        case "utf-16":
            return [0xFF, 0xFE] + sample.text.utf16.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
        case "windows-1252": return Array(try #require(sample.text.data(using: .windowsCP1252)))
        case let name?:
            let converter = iconv_open(name, "UTF-8")
            defer { iconv_close(converter) }
            var input = sample.text.utf8.map { CChar(bitPattern: $0) }
            var output = [CChar](repeating: 0, count: input.count * 4)
            let (inputCount, outputCount) = (input.count, output.count)
            return input.withUnsafeMutableBufferPointer { input in
                output.withUnsafeMutableBufferPointer { output in
                    var (from, to) = (input.baseAddress, output.baseAddress)
                    var (left, room) = (inputCount, outputCount)
                    iconv(converter, &from, &left, &to, &room)
                    return output.prefix(outputCount - room).map { UInt8(bitPattern: $0) }
                }
            }
        }
    }

    /// Any bytes: a topology that has no mistakes, or a word why there is none.
    @Test func hostileFiles() throws {
        let seed: UInt64 = 404
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let path = NSTemporaryDirectory() + "/millrace-guess-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        for round in 0..<400 {
            var bytes = try Self.bytes(Self.samples[round % Self.samples.count])
            for _ in 0..<random.next() % 40 where !bytes.isEmpty {
                let at = Int(random.next() % UInt64(bytes.count))
                if random.next() % 2 == 0 {
                    bytes[at] = UInt8(truncatingIfNeeded: random.next())
                } else {
                    bytes.remove(at: at)
                }
            }
            if round % 7 == 0 { bytes = Array(bytes.prefix(Int(random.next() % 200))) }
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            let yaml: String
            do throws(Fault) { yaml = try SourceGuess(path: path, name: "file", zone: nil).yaml } catch {
                continue
            }
            let (spec, diagnostics) = TopologyReader.read(yaml, file: "guess.yaml")
            #expect(spec != nil, "\(diagnostics)\n\(yaml)")
        }
    }
}
