import Engine
import Records
import Testing
import Topology

/// The design's example reads without a word, and every part of it arrives typed and resolved.
@Suite struct ExampleTests {
    @Test("The design's example has no diagnostics, with the system's own time zones")
    func readsWithoutDiagnostics() throws {
        let result = TopologyReader.read(Samples.merchantRisk, file: "topology.yaml")
        #expect(result.diagnostics.map(\.description) == [])
        #expect(result.spec != nil)
    }

    @Test("Sources: only the fields that something uses are decoded, and columns follow")
    func sources() throws {
        let spec = try #require(Samples.read(Samples.merchantRisk).spec)
        let source = try #require(spec.sources.first)
        // order_id is used by nothing.
        #expect(source.wire.map(\.field.name) == ["merchant_id", "buyer_id", "kind", "amount", "event_time"])
        #expect(source.schema.fields.map(\.type) == [.text, .text, .text, .decimal(scale: 2), .timestamp])
        #expect(source.timeField == 4)
        #expect((source.outOfOrder, source.idle, source.ahead) == (2000, 5000, 300_000))
        #expect(spec.steps.map(\.name) == ["paid", "turnover", "baseline", "today"])
        #expect(spec.steps[0].condition?.description == "($2:text == \"paid\":text):bool")
        #expect(spec.steps.map(\.key) == [[], [0], [0], [0]])
    }

    @Test("Steps: windows and aggregates, each aggregate once")
    func steps() throws {
        let spec = try #require(Samples.read(Samples.merchantRisk).spec)
        let windows = spec.steps.map { $0.window }
        #expect(windows[1]?.length == .milliseconds(size: 300_000, slide: 10_000))
        #expect(windows[2]?.length == .days(size: 30, slide: 1, zone: "Asia/Shanghai"))
        #expect(windows[2]?.excludesCurrent == true)
        #expect(windows[3]?.length == .days(size: 1, slide: 1, zone: "Asia/Shanghai"))
        #expect(
            spec.steps[1].aggregates.map(\.description) == [
                "count():int", "sum($3:decimal(2)):decimal(2)", "max($3:decimal(2)):decimal(2)",
                "distinct($1:text):int",
            ]
        )
        #expect(
            spec.steps[2].outputs.map(\.expression.description) == ["($0:decimal(2) / $1:int):decimal(2)"]
        )
        #expect(
            spec.steps[3].aggregates.map(\.description) == [
                "sum($3:decimal(2)):decimal(2)",
                "count(where (hour(zone: \"Asia/Shanghai\")($4:timestamp):int in 0:int..5:int):bool):int",
                "count():int",
            ]
        )
        #expect(spec.steps[3].outputs.map(\.expression.type) == [.decimal(scale: 2), .decimal(scale: 6)])
    }

    @Test("Rules and sinks: scope, mentioned columns, message, key pattern")
    func rulesAndSinks() throws {
        let spec = try #require(Samples.read(Samples.merchantRisk).spec)
        let rule = try #require(spec.rules.first)
        #expect(rule.on == [3, 2])
        #expect(
            rule.scope.fields.map(\.name) == [
                "merchant_id", "today.amount", "today.night", "baseline.daily_amount",
            ]
        )
        #expect(
            rule.when.description
                == "(($1:decimal(2) > (5:int * $3:decimal(2)):decimal(2)):bool and ($3:decimal(2) > "
                + "100.00:decimal(2)):bool):bool"
        )
        #expect(rule.mentioned == [1, 3])
        #expect(
            rule.condition == "today.amount > 5 * baseline.daily_amount and baseline.daily_amount > 100.00"
        )
        #expect(rule.message.count == 6)
        #expect(rule.severity == .high)
        guard let metrics = spec.sinks[1].metrics,
            case .steps(let steps) = spec.sinks[1].input
        else {
            Issue.record("merchants is a redis sink of steps")
            return
        }
        #expect(metrics.key == [.text("merchant:"), .field("merchant_id")])
        #expect((metrics.ttl, steps) == (172_800_000, [1, 3]))
    }
}
