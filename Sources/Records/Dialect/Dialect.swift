/// How the records of a source are written, beyond that they are JSON or CSV.
package struct Dialect: Hashable, Sendable {
    /// nil: UTF-8, or made so by whoever hands the records over.
    package var encoding: TextEncoding? {
        didSet { if let encoding { encodingName = encoding.name } }
    }
    /// What the records were written in, for messages; nil: UTF-8.
    package private(set) var encodingName: String?

    // Of CSV:

    package var delimiter: UInt8 = 0x2C
    /// nil: no field is in quotes, and a quotation mark is a letter.
    package var quote: UInt8? = 0x22
    /// Within quotes the character behind it stands for itself; nil: a doubled quote stands for one.
    package var escape: UInt8?
    /// Blanks and tabs around fields and column names are no part of them, unless they stand in quotes.
    package var isTrimmed = false
    /// Lines of a file before its header, or before its first record.
    package var skippedLines = 0
    /// The line before a file's first record names its columns. Records of a topic never have one.
    package var hasHeader = true
    /// The columns of a file without a header, and of a topic, in order; nil: the fields of the schema.
    package var columns: [String]?

    package init() {}
}
