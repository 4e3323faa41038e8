import Base

/// The parts that topologies may name: their keys, readers, proofs and what runs them. A build has one, in
/// which each part is a line; no other code knows which there are.
package struct Catalogue: Sendable {
    /// The first is that of a source that names none.
    package let formats: [any FormatPart.Type]
    /// In the order in which a step is searched for them.
    package let operators: [any OperatorPart.Type]
    /// The first one's example is that of a sink.
    package let sinks: [any SinkPart.Type]

    package init(
        formats: [any FormatPart.Type] = [], operators: [any OperatorPart.Type] = [],
        sinks: [any SinkPart.Type] = []
    ) {
        for keys in [formats.map { $0.key }, operators.compactMap { $0.place.key }, sinks.map { $0.key }] {
            require(Set(keys).count == keys.count, "two parts have one key: \(keys)")
        }
        self.formats = formats
        self.operators = operators
        self.sinks = sinks
    }

    // What the language's page says of its parts, in Markdown.

    package var formatReference: String {
        text(of: formats.map { ("### Format `\($0.key)`\n\n", $0.reference) })
    }
    package var operatorReference: String { text(of: operators.map { ("", $0.reference) }) }
    package var sinkReference: String { text(of: sinks.map { ("", $0.reference) }) }

    private func text(of parts: [(heading: String, text: String)]) -> String {
        parts.map { "\($0.heading)\($0.text)\n" }.joined(separator: "\n")
    }
}
