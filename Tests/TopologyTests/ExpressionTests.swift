import Records
import Testing
import Topology

/// Precedence, types and the split of aggregates, read off the printed typed tree.
@Suite struct ExpressionTests {
    /// The tree of a condition or of a computed field over: b bool ($0), i and j int, d decimal(2), e
    /// decimal(4),
    /// t text, s timestamp, u duration ($7).
    private func tree(_ text: String) throws -> String {
        let yaml = """
            topology: t
            zone: UTC
            sources:
              in:
                file: { path: x }
                time: { field: s }
                schema: { b: bool, i: int, j: int, d: decimal(2), e: decimal(4), t: text, s: timestamp, u: duration }
            steps:
              step:
                from: in
                fields:
                  x: |-
                    \(text)
            sinks: { all: { file: { path: y }, from: step } }
            """
        let result = Samples.read(yaml)
        #expect(result.diagnostics == [], "\(text)")
        return try #require(result.spec).steps[0].derived[0].expression.description
    }

    @Test(
        "Operators bind in the usual order",
        arguments: [
            ("i + j * 2", "($1:int + ($2:int * 2:int):int):int"),
            ("(i + j) * 2", "(($1:int + $2:int):int * 2:int):int"),
            ("i - j - 1", "(($1:int - $2:int):int - 1:int):int"),
            ("-i * j", "((negate $1:int):int * $2:int):int"),
            ("- - 5", "5:int"),
            ("b or b and b", "($0:bool or ($0:bool and $0:bool):bool):bool"),
            ("not b and b", "((not $0:bool):bool and $0:bool):bool"),
            ("not i == j", "(not ($1:int == $2:int):bool):bool"),
            ("i + 1 > j and b", "((($1:int + 1:int):int > $2:int):bool and $0:bool):bool"),
            ("i not in [1, -2]", "(not ($1:int in [1, -2]):bool):bool"),
            ("i in 0..j + 1", "($1:int in 0:int..($2:int + 1:int):int):bool"),
            ("d in 0..5", "($3:decimal(2) in 0:int..5:int):bool"),
            ("t is not null or b", "((not ($5:text is null):bool):bool or $0:bool):bool"),
            ("if b then i else j + 1", "(if $0:bool then $1:int else ($2:int + 1:int):int):int"),
            ("1 + if b then i else j", "(1:int + (if $0:bool then $1:int else $2:int):int):int"),
            ("if b then null else d", "(if $0:bool then null:decimal(2) else $3:decimal(2)):decimal(2)"),
        ]
    )
    func precedence(_ text: String, _ expected: String) throws {
        #expect(try tree(text) == expected)
    }

    @Test(
        "Numbers, times and durations have the types that the language says",
        arguments: [
            ("d + e", "decimal(4)"), ("d * e", "decimal(6)"), ("d * i", "decimal(2)"),
            ("d / i", "decimal(2)"),
            ("i / j", "decimal(6)"), ("d / e", "decimal(6)"), ("i / d", "decimal(6)"), ("i % j", "int"),
            ("12.50", "decimal(2)"), ("d > i", "bool"), ("s - s", "duration"), ("s + 5m", "timestamp"),
            ("u * 3", "duration"), ("u + 1d", "duration"), ("if b then i else e", "decimal(4)"),
            ("least(i, d, e)", "decimal(4)"), ("coalesce(null, d, 1)", "decimal(2)"), ("round(e, 0)", "int"),
            ("round(i, 2)", "decimal(2)"), ("floor(e)", "int"), ("abs(u)", "duration"),
            ("number(t, 3)", "decimal(3)"),
            ("hour(s)", "int"), ("date(s)", "text"), ("start_of_day(s)", "timestamp"),
            ("seconds(s - s)", "int"),
            ("length(concat(t, text(d)))", "int"), ("contains(t, 'a\\'b')", "bool"),
            ("greatest(s, s)", "timestamp"), ("least(t, t)", "text"), ("d % e", "decimal(4)"),
            ("u % 5m", "duration"),
            ("u / 2", "duration"), ("u * e", "duration"), ("u / u", "decimal(6)"), ("sqrt(d)", "decimal(6)"),
            ("power(i, 2, 0)", "int"), ("distance(e, e, e, e)", "decimal(3)"), ("matches(t, '^a$')", "bool"),
            ("extract(t, 'a(b)')", "text"), ("position(t, 'a')", "int"), ("split(t, ',', 0)", "text"),
            ("week(s)", "int"), ("start_of_month(s)", "timestamp"),
        ]
    )
    func types(_ text: String, _ type: String) throws {
        #expect(try tree(text).hasSuffix(":\(type)"))
    }

    @Test("The zone of a time function: its own, the window's, the topology's")
    func zones() throws {
        let text = Samples.merchantRisk
            .replacing("latency: 3s", with: "zone: Europe/London")
            .replacing(
                "night: count(",
                with: "own: \"count(hour(event_time, 'Europe/Berlin') > 5)\", night: count("
            )
            .replacing("largest: max(amount)", with: "largest: max(hour(event_time))")
        let spec = try #require(Samples.read(text).spec)
        #expect(spec.steps[1].aggregates[2].description.contains("Europe/London"))
        #expect(spec.steps[3].aggregates[1].description.contains("Europe/Berlin"))
        #expect(spec.steps[3].aggregates[2].description.contains("Asia/Shanghai"))
    }

    @Test("Equal aggregates are kept once, also across results")
    func aggregatesOnce() throws {
        let text = Samples.merchantRisk.replacing(
            "aggregate: { daily_amount: sum(amount) / days() }",
            with: """
                aggregate:
                      daily_amount: sum(amount) / days()
                      half: sum( amount ) / 2
                      paid: sum(amount, kind == "paid") + count()
                      sizes: quantile(amount, 0.5) + stddev(amount) + avg(amount)
                      latest: last(kind)
                """
        )
        let result = Samples.read(text)
        #expect(result.diagnostics == [])
        let step = try #require(result.spec).steps[2]
        #expect(
            step.aggregates.map(\.description) == [
                "sum($3:decimal(2)):decimal(2)", "days():int",
                "sum($3:decimal(2) where ($2:text == \"paid\":text):bool):decimal(2)", "count():int",
                "quantile(perMille: 500)($3:decimal(2)):decimal(2)", "stddev($3:decimal(2)):decimal(4)",
                "avg($3:decimal(2)):decimal(2)", "last($2:text):text",
            ]
        )
        #expect(step.outputs[1].expression.description == "($0:decimal(2) / 2:int):decimal(2)")
    }
}
