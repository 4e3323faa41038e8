import Base
import Engine
import Testing

/// Goal: a switch is where its acknowledgement says, or nothing is computed. Method: by hand; what many tasks
/// do at random is compared by the simulation and on a real Kafka.
@Suite struct SwitchedReplayTests {
    private static func text(_ limit: Int) -> RuleSetText {
        RuleSetText(
            file: "t.yaml",
            text: """
                topology: pace
                sources:
                  orders:
                    kafka: { topic: orders }
                    key: shop
                    time: { field: t, out_of_order: 1s, idle: 1s }
                    schema: { shop: text, buyer: text, t: timestamp }
                steps:
                  shops: { from: orders, key: shop, window: { size: 1h }, aggregate: { n: count() } }
                  buyers: { from: orders, key: buyer, window: { size: 1h }, aggregate: { n: count() } }
                rules:
                  many: { on: shops, when: n >= \(limit), clear: n < 1, risk: r, severity: low, message: "{n}" }
                sinks:
                  alerts: { kafka: { topic: alerts } }
                """, parameters: [:])
    }

    /// Six orders of a shop in task 0; rules that ask for 5, then for 3.
    private static func bundle(_ acknowledgement: String) throws -> Bundle {
        var bundle = Bundle(topology: "pace", group: "pace", partitions: 2)
        for (epoch, limit) in [5, 3].enumerated() {
            let text = Self.text(limit)
            let ruleset = try #require(text.read().spec?.ruleset)
            bundle.texts[ruleset] = text
            bundle.rulesets[Int64(epoch)] = ruleset
        }
        bundle.acknowledgements[0] = [acknowledgement]
        var log = Bundle.Log(topic: "orders", partition: 0, earliest: 0, from: 0)
        for offset in Int64(0)..<6 {
            log.records.append(
                LoggedRecord(
                    offset: offset, timestamp: 1_767_225_600_000 + offset, key: Array("s".utf8),
                    value: Array("{\"shop\":\"s\",\"buyer\":\"b\",\"t\":\(1_767_225_600_000 + offset)}".utf8))
            )
        }
        bundle.logs = [log]
        return bundle
    }

    private static func alerts(_ bundle: Bundle) throws -> [String] {
        var alerts: [String] = []
        try BundleReplay(bundle).alerts { value in alerts.append(String(decoding: value, as: UTF8.self)) }
        return alerts
    }

    @Test(arguments: [0, 1, 2, 4]) func theNewRulesJudgeFromTheFirstOffsetOn(_ first: Int) throws {
        let alerts = try Self.alerts(
            Self.bundle(
                "{\"epoch\":1,\"former\":0,\"first\":{\"orders\":\(first),\"pace-buyers-repartition\":0},"
                    + "\"writers\":{\"pace-buyers-repartition\":[-1,-1]}}"))
        #expect(alerts.count == 1 && alerts[0].contains("\"epoch\":1,"), "\(alerts)")
        // With the third order, or, of what is there already, with the change itself.
        let isOfChange = first > 2
        #expect(alerts[0].contains("\"reason\":\"activation\"") == isOfChange, "\(alerts)")
        #expect(alerts[0].contains("\"message\":\"\(isOfChange ? first : 3)\""), "\(alerts)")
    }

    @Test func whereTheWritersOfARepartitionTopicAreNotToldNothingIsComputed() throws {
        var bundle = try Self.bundle(
            "{\"epoch\":1,\"former\":0,\"first\":{\"orders\":2,\"pace-buyers-repartition\":1}}")
        var log = Bundle.Log(topic: "pace-buyers-repartition", partition: 0, earliest: 0, from: 0)
        log.records = [LoggedRecord(offset: 0, timestamp: 1, key: nil, value: [1, 2, 3])]
        bundle.logs.append(log)
        let made = bundle
        let fault = #expect(throws: Fault.self) { try Self.alerts(made) }
        #expect(
            fault?.detail.contains("does not say how far each writer of 'pace-buyers-repartition'") == true)
    }

    @Test func anAcknowledgementThatFollowsOnAnotherEpochIsRefused() throws {
        var bundle = try Self.bundle("{\"epoch\":1,\"former\":0,\"first\":{\"orders\":2}}")
        bundle.acknowledgements[0]?.append("{\"epoch\":3,\"former\":2,\"first\":{\"orders\":4}}")
        let made = bundle
        let fault = #expect(throws: Fault.self) { try Self.alerts(made) }
        #expect(fault?.detail.contains("went from epoch 2 to 3, and was at 1") == true)
    }
}
