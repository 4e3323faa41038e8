import Base
import Testing

@testable import Outlets

@Suite struct HBaseKeyTests {
    static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    static func key(_ pattern: String, _ values: [String: String]) throws -> Result<String, HBaseKey.Failure>
    {
        try HBaseKey(reading: pattern).encode { values[$0].map { bytes($0)[...] } }.map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    @Test func keysAreWhatOthersCompute() throws {
        // Goal: the key that a Java reader with CRC32 and Long.MAX_VALUE makes of the same record.
        #expect(Crc32.of(Self.bytes("123456789")) == 0xCBF4_3926)
        let values = ["account": "A-3", "event_time": "2026-01-05T00:00:03Z", "id": "m3"]
        #expect(
            try Self.key("{account}|{event_time:reversed}|{id}", values)
                == .success("A-3|9223370269283572807|m3"))
        #expect(try Self.key("{event_time:ordered}/{account}", values).get().hasSuffix("/A-3"))
        let salted = try Self.key("{salt:16}{account}|{id}", values).get()
        let salt = Crc32.of(Self.bytes("A-3|m3")) % 16
        #expect(salted == "0\(String(salt, radix: 16))A-3|m3")
    }

    @Test func aKeyIsOfOneRowOnly() throws {
        // Goal: other fields, another key, whatever the texts are; and what has no key says why.
        var random = SplitMix64(seed: 7)
        let letters = ["a", "|", "%", "7", "c", " ", "\n", "é", "/", "%7c"]
        var seen: [String: [String]] = [:]
        for _ in 0..<20_000 {
            let values = (0..<2).map { _ in
                (0..<Int.random(in: 1...3, using: &random)).map { _ in
                    letters.randomElement(using: &random) ?? ""
                }.joined()
            }
            let key = try Self.key("{a}|{b}", ["a": values[0], "b": values[1]]).get()
            #expect(seen[key] == nil || seen[key] == values, "\(key)")
            #expect(key.utf8.allSatisfy { $0 > 0x20 })
            seen[key] = values
        }
        #expect(try Self.key("{a}|{b}", ["a": "x"]) == .failure(.missing("b")))
        #expect(try Self.key("{a}|{b}", ["a": "", "b": "y"]) == .failure(.missing("a")))
        #expect(try Self.key("{a:reversed}", ["a": "noon"]) == .failure(.notATime("a")))
        #expect(try Self.key("{a:reversed}", ["a": "1969-12-31T23:59:59Z"]) == .failure(.notATime("a")))
        #expect(
            try Self.key("{a}", ["a": String(repeating: "x", count: 40_000)]) == .failure(.tooLong(40_000)))
        for pattern in ["{a", "{salt:1}{a}", "{salt:x}{a}", "{a:backwards}"] {
            #expect(throws: Fault.self) { try HBaseKey(reading: pattern) }
        }
    }

    @Test func rangesHoldTheRowsOfAnAccountAndNoOthers() throws {
        // Goal: over all salts, what lies in a range is exactly what has that first field and a time within
        // the bounds.
        var random = SplitMix64(seed: 11)
        let accounts = ["A", "A1", "A|1", "A%", "B"]
        for pattern in ["{salt:4}{a}|{t:reversed}|{id}", "{a}|{t:ordered}|{id}", "x:{a}/{id}"] {
            let key = try HBaseKey(reading: pattern)
            var rows: [(account: String, time: Int64, key: [UInt8])] = []
            for id in 0..<500 {
                let (account, second) = (
                    accounts.randomElement(using: &random) ?? "", Int64.random(in: 0..<60, using: &random)
                )
                let values = [
                    "a": account, "t": "2026-01-05T00:00:\(second < 10 ? "0" : "")\(second)Z", "id": "\(id)",
                ]
                let made = try key.encode { values[$0].map { Self.bytes($0)[...] } }.get()
                rows.append((account, 1_767_571_200_000 + second * 1000, made))
            }
            let (from, to) = (Int64(1_767_571_210_000), Int64(1_767_571_230_000))
            let bounds: [(Int64?, Int64?)] =
                key.boundsTime ? [(nil, nil), (from, nil), (nil, to), (from, to)] : [(nil, nil)]
            for account in accounts + ["nobody"] {
                for (from, to) in bounds {
                    let ranges = try #require(key.ranges(of: account, from: from, to: to))
                    #expect(ranges.count == key.salts ?? 1)
                    for row in rows {
                        let isWithin =
                            row.account == account && row.time >= from ?? 0 && row.time <= to ?? .max
                        let isFound = ranges.contains {
                            !row.key.lexicographicallyPrecedes($0.start)
                                && row.key.lexicographicallyPrecedes($0.end)
                        }
                        #expect(isFound == isWithin, "\(pattern) \(row.account) \(row.time) of \(account)")
                    }
                }
            }
        }
        #expect(try HBaseKey(reading: "{t:reversed}|{a}").ranges(of: "A", from: nil, to: nil) == nil)
    }
}

@Suite struct HBaseJsonTests {
    @Test func base64IsThatOfItsStandard() {
        for (text, encoded) in [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ] {
            #expect(Base64Text.encode(text.utf8) == encoded)
            #expect(Base64Text.decode(encoded) == Array(text.utf8))
        }
        for text in ["Z", "Zg=", "=g==", "Zg=v", "Zm9*", "===="] {
            let answer = "{\"Row\":[{\"key\":\"\(text)\",\"Cell\":[]}]}"
            #expect(HBaseJson.read(Array(answer.utf8), family: "f") == nil, "\(text)")
        }
    }

    @Test func whatIsPutIsWhatIsRead() throws {
        let value = Array("ü\"|".utf8)
        let rows = [
            HBaseTable.Row(key: [0x61, 0xFF], timestamp: 5, cells: [("a", value[...]), ("b.c", [][...])]),
            HBaseTable.Row(key: [0x62], timestamp: 1_767_571_200_000, cells: [("a", value[1...])]),
        ]
        let read = try #require(HBaseJson.read(HBaseJson.rows(rows[...], family: "f"), family: "f"))
        #expect(read.map(\.key) == rows.map(\.key))
        #expect(
            read[0].cells.map(\.name) == ["a", "b.c"] && read[0].cells[0].value == value
                && read[0].cells[1].value == [])
        #expect(read[1].cells[0].timestamp == 1_767_571_200_000)
        #expect(HBaseJson.read(Array(#"{ "Row" : [ ] }"#.utf8), family: "f")?.isEmpty == true)
        for text in [
            "", "{", "[]", #"{"Row":[{}]}"#, #"{"Row":[{"key":"YQ==","Cell":[{"column":"Zjph"}]}]}"#,
            "<html>",
        ] {
            #expect(HBaseJson.read(Array(text.utf8), family: "f") == nil, "\(text)")
        }
    }

    private func members(_ json: String) -> [String]? {
        Array(json.utf8).withUnsafeBufferPointer { JsonMembers($0) }?.members.map { member in
            "\(member.path)=\(member.value.map { String(decoding: $0, as: UTF8.self) } ?? "null")"
        }
    }

    @Test func membersAreFoundAtTheirPaths() {
        #expect(
            members(
                #" {"a":"x\"\u00e9\ud83d\ude00\n","b":-1.50,"c":null,"d":{"e":true,"f":{"g":"2"}},"h":[1,{"i":"]"}],"j":{}} "#
            )
                == ["a=x\"é😀\n", "b=-1.50", "c=null", "d.e=true", "d.f.g=2", #"h=[1,{"i":"]"}]"#])
        for json in [
            "", "1", "{", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, #"{"a":1}x"#, #"{"a":"\ud83d"}"#, #"{"a":"x}"#,
            #"{"a":[1}"#,
        ] {
            #expect(members(json) == nil, "\(json)")
        }
    }

    @Test func aRowHasWhatIsNotNullAndItsEventTime() throws {
        func make(_ json: String, _ time: Int64, _ columns: [String]? = nil) throws -> Result<
            HBaseTable.Row, HBaseRow.Failure
        > {
            let row = HBaseRow(key: try HBaseKey(reading: "{id}"), columns: columns)
            return Array(json.utf8).withUnsafeBufferPointer { row.make($0, timestamp: time) }
        }
        let row = try make(#"{"id":"7","note":null,"amount":"1.50"}"#, 1000).get()
        #expect(row.key == [0x37] && row.timestamp == 1000 && row.cells.map(\.name) == ["id", "amount"])
        #expect(
            try make(#"{"id":"7","amount":"1.50"}"#, 1000, ["amount"]).get().cells.map(\.name) == ["amount"])
        #expect(try make(#"{"id":"7","note":null}"#, 1000, ["note"]) == .failure(.empty))
        #expect(try make(#"{"id":"7"}"#, 0) == .failure(.noTime))
        #expect(try make("no", 1000) == .failure(.notJson))
        #expect(try make(#"{"id":null}"#, 1000) == .failure(.key(.missing("id"))))
    }
}
