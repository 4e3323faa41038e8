import Base
import Formats
import Records
import Testing

/// Where a path leads: through objects, to the last of members of one name, and nowhere else without a word.
@Suite struct JsonPathTests {
    private func decode(_ text: String, _ names: [String], _ type: ValueType = .text) -> Row {
        let columns = names.map { WireColumn($0, type, optional: true) }
        return Harness(JsonDecoder(columns), columns).decode(text)
    }

    /// Of a member that stands twice the last counts, as in other readers.
    @Test(
        arguments: [
            (#"{"x":"1","x":"2"}"#, "x", "2"), (#"{"x":"1","x":null}"#, "x", nil),
            (#"{"x":"1","\u0078":"2"}"#, "x", "2"),
            (#"{"c":{"id":"A"},"c":null}"#, "c.id", nil), (#"{"c":{"id":"A"},"c":{}}"#, "c.id", nil),
            (#"{"c":{"id":"A"},"c":{"id":"B"}}"#, "c.id", "B"), (#"{"c":{"id":"A","id":"B"}}"#, "c.id", "B"),
            (#"{"c":[],"c":{"id":"B"}}"#, "c.id", "B"), (#"{"c":7,"c":{"id":"B"}}"#, "c.id", "B"),
            (#"{"c":7,"c":null}"#, "c.id", nil),
            (#"{"a":{"b":{"c":"1"}},"a":{"b":{}}}"#, "a.b.c", nil),
            (#"{"a":{"b":{"c":"1"},"b":{"d":"2"}}}"#, "a.b.c", nil),
            (#"{"a":{"b":[]},"a":{"b":{"c":"1"}}}"#, "a.b.c", "1"), (#"{"a":{"b":[]},"a":{}}"#, "a.b.c", nil),
        ] as [(String, String, String?)])
    func theLastMemberCounts(text: String, path: String, expected: String?) {
        #expect(decode(text, [path]) == Row(status: .good, values: [expected]))
    }

    /// All members below a repeated one are the last one's, whatever came before.
    @Test func nothingOfAnEarlierMemberStays() {
        #expect(
            decode(#"{"c":{"a":"1","b":"2"},"c":{"b":"3"}}"#, ["c.a", "c.b"])
                == Row(status: .good, values: [nil, "3"]))
        #expect(
            decode(#"{"c":{"a":"1"},"d":{"a":"2"},"c":{}}"#, ["c.a", "d.a"])
                == Row(status: .good, values: [nil, "2"]))
    }

    @Test(arguments: [
        (
            #"{"items":[{"price":"1"}]}"#, "items.price",
            "field 'items.price' lies behind an array, 'items'; a path leads through objects only"
        ),
        (
            #"{"a":{"b":[]}}"#, "a.b.c",
            "field 'a.b.c' lies behind an array, 'a.b'; a path leads through objects only"
        ),
        (
            #"{"a":"{\"b\":1}"}"#, "a.b",
            "field 'a.b' lies behind a value that is no object, 'a'; a path leads through objects only"
        ),
        (
            #"{"a":7}"#, "a.b",
            "field 'a.b' lies behind a value that is no object, 'a'; a path leads through objects only"
        ),
        (
            #"{"a":false}"#, "a.b.c.d",
            "field 'a.b.c.d' lies behind a value that is no object, 'a'; a path leads through objects only"
        ),
        (
            #"{"c":{"id":"A"},"c":["x"]}"#, "c.id",
            "field 'c.id' lies behind an array, 'c'; a path leads through objects only"
        ),
    ])
    func noWayThrough(text: String, path: String, expected: String) {
        for type in [ValueType.text, .int, .decimal(scale: 2), .bool, .timestamp, .duration] {
            for isOptional in [false, true] {
                let columns = [
                    WireColumn("n", .int, optional: true), WireColumn(path, type, optional: isOptional),
                ]
                let harness = Harness(JsonDecoder(columns), columns)
                #expect(harness.decode(text) == Row(status: .wrongType, field: 1), "\(type)")
                #expect(harness.explain() == expected)
            }
        }
    }

    @Test func deepPathsAreFollowed() {
        let names = (0..<64).map { "n\($0)" }
        let text = names.map { "{\"\($0)\":" }.joined() + "\"x\"" + String(repeating: "}", count: names.count)
        #expect(decode(text, [names.joined(separator: ".")]) == Row(status: .good, values: ["x"]))
    }

    /// Names with what JSON must escape are those names and no others.
    @Test func namesWithSigns() {
        #expect(decode(#"{"a\\b":"1"}"#, [#"a\b"#]) == Row(status: .good, values: ["1"]))
        #expect(decode(#"{"a\b":"1"}"#, [#"a\b"#]) == Row(status: .good, values: [nil]))
        #expect(decode(#"{"a\"b":"1"}"#, [#"a"b"#]) == Row(status: .good, values: ["1"]))
        #expect(decode(#"{"a\u0022b":"1"}"#, [#"a"b"#]) == Row(status: .good, values: ["1"]))
    }

    @Test func whatHelpsIsSaid() {
        let columns = [WireColumn("order.amount", .int)]
        let harness = Harness(JsonDecoder(columns), columns)
        _ = harness.decode(#"{"order.amount":1}"#)
        #expect(
            harness.explain()
                == "field 'order.amount' is missing; a whole number was expected; a member whose name has a dot is written from: \"`order.amount`\""
        )
        _ = harness.decode("[{},{}]")
        #expect(
            harness.explain()
                == "not a well-formed JSON object: [{},{}]; a record is one object on one line, not an array of them; a file that is one is read with format: { type: json, layout: documents }"
        )
        _ = harness.decode("\u{0}\u{0}\u{0}\u{0}\u{5}{}")
        #expect(
            harness.explain().hasSuffix(
                "; it begins with the five bytes of a schema registry; format: { type: json, framing: confluent } takes them off"
            ))
    }

    /// Random objects with members of few names against a plain reading of the same members.
    @Test(arguments: [UInt64(5), 6])
    func againstPlainReading(seed: UInt64) {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let paths = ["a", "b.a", "b.c", "c.a.b", "c.b"]
        let columns = paths.map { WireColumn($0, .text, optional: true) }
        let harness = Harness(JsonDecoder(columns), columns)
        var seen: Set<RowStatus> = []
        for _ in 0..<20_000 {
            let members = object(&random, depth: 0)
            let row = harness.decode(text(.object(members), &random))
            seen.insert(row.status)
            var values: [String?] = []
            var isGood = true
            for path in paths {
                switch find(path.split(separator: ".").map(String.init)[...], in: .object(members)) {
                case .value(let text): values.append(text)
                case .none: values.append(nil)
                case .wrong: isGood = false
                }
            }
            #expect((row.status == .good) == isGood, "\(members): \(row)")
            if isGood { #expect(row.values == values, "\(members)") }
        }
        #expect(seen == [.good, .wrongType])
    }

    private indirect enum Json {
        case text(String)
        case number, null, array
        case object([(name: String, value: Json)])
    }

    private enum Found {
        case value(String)
        case none, wrong
    }

    private func find(_ path: ArraySlice<String>, in json: Json) -> Found {
        switch (json, path.first) {
        case (.text(let text), nil): return .value(text)
        case (.null, _): return .none
        case (.object(let members), let name?):
            guard let last = members.last(where: { $0.name == name }) else { return .none }
            return find(path.dropFirst(), in: last.value)
        default: return .wrong
        }
    }

    private func object(_ random: inout SplitMix64, depth: Int) -> [(name: String, value: Json)] {
        (0..<Int(random.next() % 5)).map { _ in
            let name = ["a", "b", "c"].randomElement(using: &random) ?? ""
            switch random.next() % 16 {
            case 0: return (name, .array)
            case 1: return (name, .number)
            case 2, 3, 4: return (name, .null)
            case 5, 6, 7, 8, 9: return (name, .text("\(random.next() % 100)"))
            default: return (name, depth > 3 ? .null : .object(object(&random, depth: depth + 1)))
            }
        }
    }

    private func text(_ json: Json, _ random: inout SplitMix64) -> String {
        switch json {
        case .text(let text): "\"\(text)\""
        case .number: "7"
        case .null: "null"
        case .array: "[{\"a\":\"1\"},[]]"
        case .object(let members):
            "{"
                + members.map { "\"\($0.name)\":\(text($0.value, &random))" }.joined(
                    separator: random.next() % 2 == 0 ? "," : " , ") + "}"
        }
    }
}
