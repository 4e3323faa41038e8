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
        | `format` | `json`, or `avro` for the rows of one step: a record of the step's fields, of a window `topology`, `step` and the records `key`, `window` and `values`; a member without a value is null, money is `decimal`, a time `timestamp-millis`, a duration a `long` of milliseconds; what is no letter, digit or `_` in a name is `_`. With `{ type: avro, registry: { url: … } }` (as of a source) the schema is registered as `TOPIC-value` when a lane starts, and a zero byte and its id stand before each record |
        """

    package let topic: String
    package let rowFormat: RowFormat

    package static func read(_ node: YamlNode, _ scope: SinkScope) -> Self? {
        guard let mapping = scope.mapping(node, of: Self.self, keys: ["topic", "format"]) else { return nil }
        var format = RowFormat.json
        if let node = mapping["format"] {
            guard let read = RowFormat.read(node, mapping.keyPosition("format"), scope) else { return nil }
            format = read
        }
        return mapping.required("topic", example: "topic: risk-alerts").flatMap { scope.outputTopic($0) }.map
        {
            Self(topic: $0, rowFormat: format)
        }
    }

    package var delivery: SinkDelivery { .topic(topic) }
    package var shown: String { "topic \(topic)" }
    package var logic: String {
        let format = if case .avro = rowFormat { ", format: avro" } else { "" }
        return "{kafka: {topic: \(JsonText.quoted(topic))\(format)}}"
    }
}
