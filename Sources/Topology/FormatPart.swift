/// A format that the records of a source may be written in. The catalogue lists its type; a value of it is
/// what one source says under `format:`. `DecodableFormat`, of `Formats`, adds what reads the records.
package protocol FormatPart: Sendable {
    /// What stands under `format:`, and in the hash of what a topology computes: it never changes.
    static var key: String { get }
    /// What it reads and its options, for the language's page, in Markdown.
    static var reference: String { get }
    /// What a source may say beside `type`. `FormatOption.encoding` and `FormatOption.null` are read for
    /// every format that has them.
    static var options: [String] { get }
    /// How it is written where its name does not stand alone; nil: it may.
    static var needs: String? { get }
    /// Reads its options (nil: its name stands alone); mistakes go into the context.
    static func read(_ options: MappingReader?, _ context: ReadingContext) -> Self
    /// What its options change in what a topology computes, where two values of it read the same records as
    /// different rows.
    var logic: String { get }
    /// Why records of a topic cannot be read by it, though files can; nil: they can.
    var topicLack: String? { get }
    /// Compares what `read` has read with the fields that the schema takes from the records.
    func check(_ declared: [WireField], _ options: MappingReader, _ context: ReadingContext)
}

extension FormatPart {
    package static var needs: String? { nil }
    package var logic: String { "" }
    package var topicLack: String? { nil }
    package func check(_ declared: [WireField], _ options: MappingReader, _ context: ReadingContext) {}
}

/// Options that formats have in common.
package enum FormatOption {
    /// What the records are written in: `SourceSpec.encoding`.
    package static let encoding = "encoding"
    /// Texts that are null in every field: a part of each field's reading.
    package static let null = "null"
    /// What every format has.
    package static let all = [encoding, null] + ValueStyle.keys
}
