import Records
import Testing
import Topology

/// Goal: windows of a key that their source is not partitioned by read a topic of their own, and nothing else
/// changes.
@Suite struct RepartitionTests {
    static func text(key: String, guarantee: String = "exactly-once") -> String {
        """
        topology: risk
        guarantee: \(guarantee)
        sources:
          other: { kafka: { topic: other }, time: { field: at }, schema: { id: text, at: timestamp } }
          orders:
            kafka: { topic: orders }
            \(key)
            time: { field: at, out_of_order: 2s, idle: 500ms }
            schema: { id: text, merchant: text, buyer: text, city: text?, amount: decimal(2), at: timestamp }
        steps:
          others: { from: other, key: id, window: { size: 1m }, aggregate: { n: count() } }
          large: { from: orders, where: amount > 10.00, fields: { double: amount + amount } }
          shop: { from: large, key: merchant, window: { size: 5m, slide: 10s }, aggregate: { n: count() } }
          pair: { from: large, key: [buyer, merchant], window: { size: 1m }, aggregate: { n: count() } }
          buyer: { from: large, key: buyer, window: { size: 5m }, aggregate: { sum: sum(double) } }
          cities: { from: large, key: buyer, window: { size: 1m }, aggregate: { n: distinct(city) } }
          rich:
            from: large
            where: double > 100.00
            fields: { much: double * 2, unused: id }
            key: buyer
            window: { size: 5m }
            aggregate: { n: count(amount > 60.00), most: max(much) }
        rules:
          spike: { on: shop, when: n > 1, risk: r, severity: low }
          rich: { on: { buyer, rich }, when: rich.n > 1 and buyer.sum > 1.00, risk: r, severity: low }
        sinks:
          alerts: { kafka: { topic: alerts } }
          results: { kafka: { topic: results }, from: [shop, rich, pair, cities, others] }
          raw: { kafka: { topic: raw }, from: large }

        """
    }

    static func spec(key: String) throws -> TopologySpec {
        let result = Samples.read(text(key: key))
        return try #require(result.spec, "\(result.diagnostics)")
    }

    @Test func windowsOfOtherKeysGetTopics() throws {
        let spec = try Self.spec(key: "key: merchant")
        let split = spec.repartitioned()
        // One topic for the two windows that take in the same, one for the window with a condition of its
        // own. A key that has the source's field in it needs none: its records lie in one partition already.
        #expect(split.repartitions.map(\.topic) == ["risk-buyer-repartition", "risk-rich-repartition"])
        #expect(split.repartitions.map(\.origin) == [1, 1])
        #expect(split.repartitions.map(\.source) == [2, 3])
        #expect(split.sources.prefix(2).map(\.name) == ["other", "orders"])
        #expect(split.steps.prefix(spec.steps.count).map(\.name) == spec.steps.map(\.name))
        let inputs = Dictionary(
            uniqueKeysWithValues: split.steps.prefix(spec.steps.count).map { ($0.name, $0.input) })
        #expect(inputs["shop"] == .step(1) && inputs["pair"] == .step(1) && inputs["others"] == .source(0))
        #expect(
            inputs["buyer"] == .source(2) && inputs["cities"] == .source(2) && inputs["rich"] == .source(3))
        #expect(split.rules.map(\.on) == spec.rules.map(\.on))
        for repartition in split.repartitions {
            let source = split.sources[repartition.source]
            guard case .repartition(repartition.topic) = source.origin else {
                Issue.record("source \(source.name) reads something else")
                continue
            }
            #expect(source.schema.fields[source.timeField].name == "at")
            #expect(source.outOfOrder == 2000 && source.key == ["buyer"] && source.derived.isEmpty)
            #expect(source.wire.map(\.field) == source.schema.fields)
            let writer = split.steps[repartition.step]
            #expect(writer.window == nil && writer.key.map { writer.schema.fields[$0].name } == ["buyer"])
            #expect(repartition.columns.map { writer.schema.fields[$0] } == source.schema.fields)
        }
    }

    @Test func onlyWhatTheWindowReadsGoesThrough() throws {
        let split = try Self.spec(key: "key: merchant").repartitioned()
        #expect(split.sources[2].schema.fields.map(\.name) == ["buyer", "city", "at", "double"])
        #expect(split.sources[3].schema.fields.map(\.name) == ["buyer", "amount", "at", "much"])
        let rich = try #require(split.steps.first { $0.name == "rich" && $0.window != nil })
        #expect(rich.condition == nil && rich.derived.isEmpty && rich.key == [0])
        #expect(
            rich.aggregates.map(\.description) == [
                "count(where ($1:decimal(2) > 60.00:decimal(2)):bool):int",
                "max($3:decimal(2)):decimal(2)",
            ])
        let writer = split.steps[split.repartitions[1].step]
        #expect(writer.condition != nil && writer.derived.map(\.name) == ["much", "unused"])
        #expect(writer.input == .step(1))
    }

    @Test func oneKeyNeedsNothing() throws {
        for key in ["", "key: merchant"] {
            let text = Self.text(key: key)
                .replacing("key: buyer", with: "key: merchant").replacing(
                    "key: [buyer, merchant]", with: "key: merchant")
            let spec = try #require(Samples.read(text).spec)
            let split = spec.repartitioned()
            #expect(split.repartitions.isEmpty)
            #expect(split.sources.count == spec.sources.count && split.steps.count == spec.steps.count)
            #expect(split.steps.map(\.input) == spec.steps.map(\.input))
            #expect(spec.partitionKey(of: 1) == ["merchant"])
            #expect(spec.keyMistake(of: 1) == nil)
        }
    }

    /// The topologies that come with the program run as they are.
    @Test func theExampleComesOutUnchanged() throws {
        let spec = try #require(Samples.read(Samples.merchantRisk).spec)
        #expect(spec.repartitioned().repartitions.isEmpty)
        #expect(spec.repartitioned().sources.count == 1)
    }

    @Test func severalKeysNeedAWord() throws {
        let result = Samples.read(Self.text(key: ""))
        let warning =
            "source 'orders' has windows of different keys (shop by merchant; pair by buyer, merchant; "
            + "buyer by buyer), and with several partitions it matters which of them the topic's producers use; "
            + "write key: merchant if it is that one"
        #expect(result.diagnostics == ["t:5:3: warning: \(warning)"])
        let spec = try #require(result.spec)
        #expect(spec.partitionKey(of: 1) == nil)
        #expect(spec.repartitioned().repartitions.isEmpty)
        #expect(Samples.read(Self.text(key: "key: merchant")).diagnostics == [])
    }

    @Test func aSourceOfNoWindowsKeyIsRepartitionedForAll() throws {
        let split = try Self.spec(key: "key: [id]").repartitioned()
        #expect(split.repartitions.count == 4)
        #expect(
            split.steps.filter { $0.window != nil && $0.name != "others" }.allSatisfy { step in
                if case .source(let source) = step.input { source >= 2 } else { false }
            })
    }

    @Test func explainAndLatencyShowTheTopics() throws {
        let spec = try Self.spec(key: "key: merchant")
        let text = Explain.render(spec, format: .text)
        #expect(text.contains("  partitioned by: merchant\n"))
        #expect(text.contains("  risk-buyer-repartition: records of orders, partitioned by buyer\n"))
        let paths = LatencyProof.paths(spec)
        #expect(
            paths.filter { $0.rule == 0 }.allSatisfy { path in
                !path.terms.contains { $0.name == "repartition" }
            })
        #expect(
            paths.filter { $0.rule == 1 }.allSatisfy { path in
                path.terms.contains { $0.name == "repartition" }
            })
    }
}
