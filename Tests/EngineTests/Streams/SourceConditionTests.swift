import Base
import Engine
import Foundation
import Testing
import Topology

/// Goal: rows that do not meet a source's `where` are seen by no step, operator or window, but move event
/// time; whatever reads the source. Method: the same topology with the condition in a step of its own.
@Suite struct SourceConditionTests {
    static func text(_ condition: String, _ name: String, _ step: String) -> String {
        """
        topology: t
        latency: 1d
        sources:
          e:
            kafka: { topic: e }
            key: id
            time: { field: at, out_of_order: 500ms }
            \(condition.isEmpty ? "# all" : condition)
            schema: { id: text, kind: text?, amount: int, at: { type: timestamp, unit: ms } }
        steps:
        \(step)
          sums: { from: \(name), key: id, window: { size: 10s }, aggregate: { n: count(), s: sum(amount) } }
          best: { from: \(name), key: id, top: { count: 1, by: amount } }
          once: { from: \(name), deduplicate: { by: id, within: 3s } }
          pairs: { from: \(name), join: { stream: \(name), on: id, within: 1s, as: other } }
          both: { from: [\(name), once] }
        sinks:
          sums: { kafka: { topic: sums }, from: [sums] }
          best: { kafka: { topic: best }, from: [best] }
          once: { kafka: { topic: once }, from: [once] }
          pairs: { kafka: { topic: pairs }, from: [pairs] }
          both: { kafka: { topic: both }, from: [both] }
        """
    }

    @Test(arguments: [1, 3]) func isAsAStepThatAllRead(partitions: Int) throws {
        var results: [[String]] = []
        let condition = "where: kind == \"a\" and matches(id, \"^i[0-5]$\")"
        for text in [
            Self.text(condition, "e", ""), Self.text("", "f", "  f:\n    from: e\n    \(condition)"),
        ] {
            let cluster = try TaskCluster(text, partitions: partitions)
            var random = SplitMix64(seed: 9)
            for index in 0..<400 {
                let id = "i\(random.next() % 8)"
                let kind = ["\"a\"", "\"b\"", "null"][Int(random.next() % 3)]
                try cluster.append(
                    "e", key: id,
                    "{\"id\":\"\(id)\",\"kind\":\(kind),\"amount\":\(random.next() % 50),\"at\":\(1000 + index * 100)}"
                )
            }
            try cluster.run(&random, until: 1_000_000)
            #expect(cluster.deadCount == 0)
            let outputs = cluster.outputs.map { "\($0.sink) \($0.text)" }.sorted()
            #expect(outputs.count > 100)
            #expect(!outputs.contains { $0.contains("\"kind\":\"b\"") || $0.contains("i7") })
            results.append(outputs)
        }
        #expect(results[0] == results[1])
    }
}
