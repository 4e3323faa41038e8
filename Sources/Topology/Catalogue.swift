/// The parts that topologies may name: their keys, readers, proofs and what runs them. A build has one, in which each part is
/// a line; no other code knows which there are.
package struct Catalogue: Sendable {
    /// The first is that of a source that names none.
    package var formats: [any FormatPart.Type]
    /// In the order in which a step is searched for them.
    package var operators: [any OperatorPart.Type]

    package init(formats: [any FormatPart.Type] = [], operators: [any OperatorPart.Type] = []) {
        self.formats = formats
        self.operators = operators
    }

    /// What the language's page says of each format, in Markdown.
    package var formatReference: String {
        formats.map { "### Format `\($0.key)`\n\n\($0.reference)\n" }.joined(separator: "\n")
    }
}
