import Topology

/// `file: { path }`. No worker writes it: a file takes no part in a transaction.
package struct FileSinkPart: SinkPart {
    package static let key = "file"
    package static let example = "file: { path: alerts.jsonl }"
    package static let reference = """
        `file: { path: alerts.jsonl }`: for `replay`, which writes every sink, whatever its kind, to
        `DIR/<sink>.jsonl`. `run` refuses the topology, since a file takes no part in a transaction.

        | key | |
        |---|---|
        | `path` | of no other sink, and of no source |
        """

    package let path: String

    package static func read(_ node: YamlNode, _ scope: SinkScope) -> Self? {
        scope.mapping(node, of: Self.self, keys: ["path"])?.requiredText(
            "path", example: "path: alerts.jsonl"
        )
        .map { Self(path: $0.text) }
    }

    package var delivery: SinkDelivery {
        .bounded(
            refusal: "writes the file \(path), which only `millrace replay` does, since a file takes no part "
                + "in a transaction; give it kafka: { topic: … } and read that topic, or take the sink out")
    }
    package var file: String? { path }
    package var shown: String { "file \(path)" }
    package var logic: String { "{file: {path: \(JsonText.quoted(path))}}" }
}
