import Base
import Foundation
import Testing
import Topology

/// Goal: an operator takes in all that stands behind `from`, and may read what one of its kind has made.
@Suite struct OperatorInputTests {
    static func run(_ steps: String, _ records: [(source: String, key: String, json: String)]) throws
        -> [String]
    {
        let cluster = try TaskCluster(
            """
            topology: t
            latency: 1d
            sources:
              one:
                kafka: { topic: one }
                time: { field: time, out_of_order: 5s }
                schema: { id: int, user: text, kind: text, time: { type: timestamp, unit: ms } }
              other:
                kafka: { topic: other }
                time: { field: time, out_of_order: 5s }
                schema: { id: int, user: text, kind: text, time: { type: timestamp, unit: ms } }
            steps:
            \(steps)
            sinks:
              found: { kafka: { topic: found }, from: [found] }
            """, partitions: 1)
        for record in records { try cluster.append(record.source, key: record.key, record.json) }
        var random = SplitMix64(seed: 1)
        try cluster.run(&random, until: 1_000_000)
        return cluster.outputs.filter { $0.sink == "found" }.map(\.text)
    }

    static func record(_ source: String, _ id: Int, _ kind: String, _ time: Int) -> (
        source: String, key: String, json: String
    ) {
        (source, "u", "{\"id\":\(id),\"user\":\"u\",\"kind\":\"\(kind)\",\"time\":\(time)}")
    }

    @Test func unionsGoIntoOperators() throws {
        let records = [
            Self.record("one", 1, "a", 1000), Self.record("other", 2, "b", 2000),
            Self.record("one", 3, "a", 3000),
            Self.record("other", 4, "b", 3000),
        ]
        let pairs = try Self.run(
            "  found: { from: [one, other], key: user, sequence: { first: kind == \"a\", then: kind == \"b\", within: 1h } }",
            records)
        #expect(pairs.count == 1)
        #expect(pairs.first?.contains("\"id\":2") == true && pairs.first?.contains("\"first.id\":1") == true)
        let best = try Self.run(
            "  found: { from: [one, other], key: user, top: { count: 1, by: id } }", records)
        #expect(best.count == 3 && best.last?.contains("\"id\":4") == true)
    }

    @Test func operatorsReadTheirLike() throws {
        let records = (1...6).map { Self.record("one", $0, $0 % 3 == 0 ? "b" : "a", $0 * 1000) }
        let twice = try Self.run(
            """
              once: { from: one, key: user, sequence: { first: kind == "a", then: kind == "b", within: 1h } }
              found: { from: once, key: user, sequence: { repeat: id > 0, times: 2, within: 1h } }
            """, records)
        #expect(twice.count == 1)
        #expect(twice.first?.contains("\"sequence_time_before\":\"1970-01-01T00:00:06") == true, "\(twice)")
        let ranks = try Self.run(
            """
              once: { from: one, key: user, top: { count: 2, by: id } }
              found: { from: once, key: kind, top: { count: 1, by: rank, order: least } }
            """, records)
        #expect(ranks.count == 6 && ranks.first?.contains("\"rank_before\":1,") == true, "\(ranks)")
    }

    @Test func pairsGoIntoSessions() throws {
        let records = (1...4).flatMap {
            [Self.record("one", $0, "a", $0 * 1000), Self.record("other", $0, "b", $0 * 1000 + 1)]
        }
        let found = try Self.run(
            """
              found:
                from: one
                key: user
                join: { stream: other, on: id, within: 1s }
                window: { gap: 10s, max: 1h }
                aggregate: { pairs: count(other.kind == "b") }
            """, records)
        #expect(found.count == 1 && found.first?.contains("\"pairs\":4,") == true, "\(found)")
    }
}
