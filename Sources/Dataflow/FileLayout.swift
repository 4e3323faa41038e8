import Base

/// How the files of a format are cut into records, once they are UTF-8.
package struct FileLayout: Sendable {
    /// The format's name, for messages.
    package var format: String
    /// nil: each line is a record, and an empty one is none.
    package var fields: Fields?
    /// Records are JSON values over any number of lines, or the elements of one array.
    package var hasDocuments = false

    /// Makes what cuts records out of the blocks of a container file, whose schema it is given; nil: its
    /// files are none. Throws what is wrong with the schema.
    package var container: (@Sendable (_ schema: [UInt8]) throws(Fault) -> any RecordCutter)?

    /// Why no file can be read; nil: files can be.
    package var refusal: String?

    package init(format: String, fields: Fields? = nil, hasDocuments: Bool = false) {
        self.hasDocuments = hasDocuments
        self.format = format
        self.fields = fields
    }

    /// Records of fields side by side.
    package struct Fields: Sendable {
        package var delimiter: UInt8
        /// A field that begins with it ends with it, and may hold line ends and, doubled, the quote itself.
        package var quote: UInt8?
        /// What stands behind it ends nothing: within quotes, or anywhere where there are no quotes.
        package var escape: UInt8?
        /// Blanks and tabs may stand before a quote.
        package var isTrimmed: Bool
        /// Lines before the header, or before the first record.
        package var skippedLines: Int
        package var columns: Columns
        /// The header is the first line that has it; nil: the first that is not empty.
        package var headerText: [UInt8]?
        /// Where a line begins with one of these, in quotes or not, the file's records are over.
        package var footers: [[UInt8]] = []

        package init(
            delimiter: UInt8, quote: UInt8? = nil, escape: UInt8? = nil, isTrimmed: Bool = false,
            skippedLines: Int = 0, columns: Columns
        ) {
            self.delimiter = delimiter
            self.quote = quote
            self.escape = escape
            self.isTrimmed = isTrimmed
            self.skippedLines = skippedLines
            self.columns = columns
        }
    }

    package enum Columns: Sendable {
        /// The first line that is not empty names them; nil: it is not UTF-8.
        case header(@Sendable (UnsafeBufferPointer<UInt8>) -> [String]?)
        /// So many. Where that is one, an empty line is a record.
        case count(Int)
    }
}

/// Finds the end of a record that does not say how long it is.
package protocol RecordCutter: AnyObject {
    /// Bytes of the record that begins here; nil: there is none.
    func length(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int?
}
