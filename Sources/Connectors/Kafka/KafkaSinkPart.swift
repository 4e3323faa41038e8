import Topology

/// `kafka: { topic }`: the lane itself publishes there, with `KafkaSink`.
package struct KafkaSinkPart: SinkPart {
    package static let key = "kafka"
    package static let example = "kafka: { topic: risk-alerts }"
    package static let reference = """
        `kafka: { topic: risk-alerts }`: a record for each alert or result, keyed like its step, its time the
        event time. It is published in the transaction that commits the positions (`guarantee: exactly-once`),
        or before them (`at-least-once`).

        | key | |
        |---|---|
        | `topic` | none that the topology reads or has for itself; the first start makes it |
        """

    package let topic: String

    package static func read(_ node: YamlNode, _ scope: SinkScope) -> Self? {
        scope.mapping(node, of: Self.self, keys: ["topic"])?.required("topic", example: "topic: risk-alerts")
            .flatMap { scope.outputTopic($0) }.map { Self(topic: $0) }
    }

    package var delivery: SinkDelivery { .topic(topic) }
    package var shown: String { "topic \(topic)" }
    package var logic: String { "{kafka: {topic: \(JsonText.quoted(topic))}}" }
}
