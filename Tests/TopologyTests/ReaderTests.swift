import Formats
import Records
import Testing

@testable import Topology

/// What the reader makes of files without mistakes, beyond the design's example.
@Suite struct ReaderTests {
    @Test("Parameters: default, --set, environment and file are put into values, and name the rule set")
    func parameters() throws {
        let text =
            mistakeBase
            .replacing("{ topic: orders }", with: "{ topic: \"${env:TOPIC}\" }")
            .replacing("topic: alerts", with: "topic: \"a-${file:/secret}\"")
        let plain = try #require(Samples.read(text).spec)
        guard case .kafka("orders", .earliest) = plain.sources[0].origin,
            case "a-hunter2"? = plain.sinks[0].topic
        else {
            Issue.record("values of the environment and of files are put in")
            return
        }
        #expect(plain.rules[0].when.description.contains("(5:int * "))
        let changed = try #require(Samples.read(text, parameters: ["spike": "6.5"]).spec)
        #expect(changed.rules[0].when.description.contains("(6.5:decimal(1) * "))
        #expect(plain.ruleset != changed.ruleset)
        #expect(plain.ruleset.hasPrefix("sha256:") && plain.ruleset.utf8.count == 71)
        #expect(plain.ruleset == Samples.read(text, parameters: ["spike": "5"]).spec?.ruleset)
    }

    @Test("--set of a parameter that is not declared names the nearest one")
    func unknownParameter() {
        #expect(
            Samples.read(mistakeBase, parameters: ["spke": "1"]).diagnostics
                == ["t:3:1: --set spke: no parameter 'spke'; did you mean 'spike'?"]
        )
    }

    @Test("A value from the environment or a file is in no diagnostic, whatever is wrong with it")
    func secrets() {
        for place in [
            "latency: 3s", "topology: risk", "{ topic: orders }", "field: at,", "id: text", "from: paid\n",
            "key: merchant\n",
            "kind == \"paid\"", "size: 5m", "slide: 1d", "zone: Asia/Shanghai", "until: yesterday",
            "sum(amount)\n",
            "on: paid", "severity: low", "message: \"{merchant} sold {sums.total}\"", "ttl: 2d",
            "key: \"m:{merchant}\"", "from: [sums, days]", "spike: 5",
        ] {
            let name = place.prefix { $0 != ":" }
            let value =
                place.contains(": ") && !place.hasPrefix("kind") && !place.hasPrefix("{")
                ? "\(name): \"{${env:SECRET}} ${env:SECRET}\"" : "\"${env:SECRET}\""
            let text = mistakeBase.replacing(
                place,
                with: value.contains("\n") || !place.hasSuffix("\n") ? value : value + "\n"
            )
            let result = Samples.read(text)
            #expect(result.spec == nil, "\(place)")
            #expect(!result.diagnostics.isEmpty)
            #expect(!result.diagnostics.joined().contains("hunter2"), "\(place): \(result.diagnostics)")
        }
    }

    @Test("Wire names, zones, rounding and computed fields of a CSV source")
    func derivedFields() throws {
        let text = """
            topology: retail
            zone: Europe/London
            sources:
              sales:
                file: { path: sales.csv }
                format: csv
                time: { field: at }
                schema:
                  invoice: { type: text, from: "`Invoice No`" }
                  price: { type: decimal(2), from: UnitPrice, round: true }
                  count: { type: int?, from: line.Quantity }
                  at: { type: timestamp, from: InvoiceDate, zone: Europe/Berlin }
                  seen: timestamp
                  amount: { from: price * count }
                  cents: { type: decimal(3)?, from: "round(amount, 1)" }
                  customer.id: text
                  invoice_again: { from: invoice }
            steps:
              step: { from: sales, key: [customer.id, invoice], where: cents > 0 and seen > at }
            sinks: { out: { file: { path: out }, from: step } }
            """
        let result = Samples.read(text)
        #expect(result.diagnostics == [])
        let source = try #require(result.spec).sources[0]
        #expect(
            source.wire.map(\.path) == [
                ["Invoice No"], ["UnitPrice"], ["line", "Quantity"], ["InvoiceDate"], ["seen"],
                ["customer", "id"],
            ]
        )
        #expect(source.wire.map(\.isRounded) == [false, true, false, false, false, false])
        #expect(source.wire.map(\.zone) == [nil, nil, nil, "Europe/Berlin", "Europe/London", nil])
        #expect(source.wire[2].field == Field(name: "count", type: .int, isOptional: true))
        #expect(source.derived.map(\.name) == ["amount", "cents", "invoice_again"])
        #expect(source.derived.map(\.isOptional) == [false, true, false])
        #expect(source.derived[1].expression.type == .decimal(scale: 3))
        #expect(
            source.schema.fields.map(\.name).suffix(4) == ["customer.id", "amount", "cents", "invoice_again"]
        )
    }

    @Test("What a schema and a format say of how fields are read; unused fields stay part of the record")
    func reading() throws {
        let result = Samples.read(formatBase)
        #expect(result.diagnostics == [])
        let spec = try #require(result.spec)
        let orders = spec.sources[0]
        #expect(orders.declared.map(\.name) == ["id", "amount", "at", "note"])
        let csv = try #require(orders.publishedFormat as? CsvFormat)
        #expect(csv.columns.names == ["id", "x", "amount", "at", "note"])
        #expect(csv.delimiter == 0x3B && csv.quote == 0x27 && csv.escape == 0x5C)
        #expect(csv.isTrimmed && csv.columns.skippedLines == 2 && !csv.columns.hasHeader)
        #expect(orders.encoding == .multiByte("GB18030") && orders.skipsTombstones)
        #expect(
            orders.wire.map(\.reading.nulls) == [
                ["NULL", "-", ""], ["n/a", "NULL", "-", ""], ["NULL", "-", ""], ["NULL", "-", ""],
            ])
        #expect(orders.wire.map(\.reading.unit) == [nil, nil, .s, nil])
        #expect(orders.wire[0].reading.takesNumbers && orders.wire[1].reading.isBase64)
        #expect(spec.sources[1].wire[0].reading.unit == .ms && spec.sources[1].encoding == .utf16)
        // A rule that no longer names a column leaves the record as it is.
        let less = Samples.read(
            formatBase.replacing(" and note == \"x\" and id != \"\"", with: "").replacing(
                "[all, feeds]", with: "feeds"))
        let pruned = try #require(less.spec).sources[0]
        #expect(pruned.wire.map(\.name) == ["amount", "at"] && pruned.declared == orders.declared)
        let deep = (0..<65).map { "n\($0)" }.joined(separator: ".")
        #expect(
            Samples.read(formatBase.replacing("a.b", with: deep)).diagnostics.first?.contains(
                "the path has 65 names, at most 64 are followed") == true)
    }

    @Test("Unused fields go, and every column still means the field that it was written for")
    func pruning() throws {
        let text = """
            topology: t
            sources:
              in:
                generate: { rate: 1, merchants: 1, seed: 7 }
                time: { field: at }
                schema:
                  unused: text
                  a: int
                  unused2: { from: a + 1 }
                  b: { type: int, from: a }
                  at: timestamp
                  c: { from: a + b }
                  who: text
            steps:
              last: { from: first, key: who, window: { size: 1h }, aggregate: { x: max(d) } }
              first: { from: in, fields: { d: c * 2, e: d + b } }
              alarm: { from: first, key: who, where: e > 1 }
            rules:
              r: { on: alarm, when: d > 5 and c > 1, risk: x, severity: low, message: "{e} of {who}" }
              s: { on: last, when: x > 5, risk: x, severity: low }
            """
        let result = Samples.read(text)
        #expect(result.diagnostics == [])
        let spec = try #require(result.spec)
        let source = spec.sources[0]
        #expect(source.schema.fields.map(\.name) == ["a", "at", "who", "b", "c"])
        #expect(source.timeField == 1)
        #expect(source.derived.map(\.expression.description) == ["$0:int", "($0:int + $3:int):int"])
        // In an order in which each step comes after what it reads.
        #expect(spec.steps.map(\.name) == ["first", "last", "alarm"])
        #expect(
            spec.steps[0].derived.map(\.expression.description) == [
                "($4:int * 2:int):int", "($5:int + $3:int):int",
            ]
        )
        #expect(spec.steps[0].schema.fields.map(\.name) == ["a", "at", "who", "b", "c", "d", "e"])
        #expect(spec.steps[1].aggregates[0].description == "max($5:int):int")
        #expect(spec.steps[1].key == [2])
        #expect(spec.steps[2].condition?.description == "($6:int > 1:int):bool")
        let rule = spec.rules[0]
        #expect(rule.when.description == "(($5:int > 5:int):bool and ($4:int > 1:int):bool):bool")
        #expect(rule.scope == spec.steps[2].schema)
        #expect(rule.mentioned == [4, 5])
        guard case .value(let first) = rule.message[0] else {
            Issue.record("the message begins with a value")
            return
        }
        #expect(first.description == "$6:int")
        // The bare name of a result, since one step is named.
        #expect(spec.rules[1].when.description == "($1:int > 5:int):bool")
        #expect(spec.rules[1].scope.fields.map(\.name) == ["who", "last.x"])
    }

    @Test("What nothing uses is a warning, not an error")
    func warnings() {
        let text =
            mistakeBase
            .replacing(
                "rules:\n",
                with: "rules:\n  quiet: { on: sums, when: total > 1, risk: x, severity: low }\n"
            )
            .replacing(
                "{ kafka: { topic: alerts } }",
                with: "{ kafka: { topic: alerts }, rules: [spike, big] }"
            )
            .replacing("{ spike: 5 }", with: "{ spike: 5, speed: 6 }")
            .replacing(
                "steps:\n",
                with:
                    "  other: { file: { path: x }, time: { field: t }, schema: { t: timestamp } "
                    + "}\nsteps:\n  idle: { from: orders }\n"
            )
        let result = Samples.read(text)
        #expect(result.spec != nil)
        #expect(
            result.diagnostics == [
                "t:3:25: warning: the parameter 'speed' is not used; write ${speed} where its value belongs",
                "t:17:3: warning: no step reads the source 'other'",
                "t:19:3: warning: no step, rule or sink uses the step 'idle'",
                "t:38:3: warning: no sink takes the alerts of the rule 'quiet'",
            ]
        )
    }

    @Test("Columns inside quoted scalars count the file's characters, with escapes and parameters")
    func columnsInQuotes() {
        func mistakes(_ condition: String) -> [String] {
            Samples.read(mistakeBase.replacing("kind == \"paid\"", with: condition)).diagnostics
        }
        #expect(
            mistakes("'kind == ''é'' and knd == ''x'''") == [
                "t:20:31: no field of orders 'knd'; did you mean 'kind'?"
            ]
        )
        #expect(
            mistakes(#""kind == \"\u00e9\" and knd > 1""#) == [
                "t:20:36: no field of orders 'knd'; did you mean 'kind'?"
            ]
        )
        #expect(
            mistakes("count > ${spike} and knd > 1") == [
                "t:20:33: no field of orders 'knd'; did you mean 'kind'?"
            ]
        )
        // Over several lines only the beginning is known.
        #expect(
            mistakes(">\n      kind == \"paid\"\n      and knd > 1") == [
                "t:20:12: no field of orders 'knd'; did you mean 'kind'?"
            ]
        )
    }

    @Test("Limits: size and nesting of the file, number of diagnostics")
    func limits() {
        let large = "topology: x # " + String(repeating: "x", count: 1 << 20)
        #expect(Samples.read(large).diagnostics == ["t:1:1: the file is larger than 1024 KiB"])
        let deep = "topology: " + String(repeating: "[", count: 40)
        #expect(Samples.read(deep).diagnostics == ["t:1:42: nested more than 32 deep"])
        let many = "topology: x\n" + (0..<200).map { "k\($0): 1\n" }.joined()
        #expect(Samples.read(many).diagnostics.count == 100)
        #expect(Samples.read("").diagnostics == ["t:1:1: the file is empty"])
        #expect(
            Samples.read("topology: \u{1}").diagnostics == [
                "t:1:11: not YAML: control characters are not allowed"
            ]
        )
        let chain = mistakeBase.replacing(
            "kind == \"paid\"",
            with: (0..<2000).map { "count == \($0)" }.joined(separator: " or ")
        )
        #expect(Samples.read(chain).diagnostics.count == 1)
    }
}
