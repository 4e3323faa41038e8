import Dataflow
import Records
import Topology

/// `format: csv`: the characters that records are written in.
package struct CsvFormat: DecodableFormat, Hashable {
    package var delimiter: UInt8 = 0x2C
    /// nil: no field is in quotes, and a quotation mark is a letter.
    package var quote: UInt8? = 0x22
    /// Within quotes the character behind it stands for itself; nil: a doubled quote stands for one.
    package var escape: UInt8?
    /// Blanks and tabs around fields and column names are no part of them, unless they stand in quotes.
    package var isTrimmed = false
    package var columns = ColumnOptions()

    package init() {}

    package static let key = "csv"
    package static let options =
        FormatOption.all + ["delimiter", "quote", "escape", "trim"] + ColumnOptions.keys

    // MARK: Records

    package func makeDecoder(_ columns: [WireColumn], of records: RecordShape) -> any RecordDecoder {
        CsvDecoder(
            columns, header: self.columns.names(of: records), optionalColumn: records.optionalField,
            dialect: self, encoding: records.encoding, capacity: records.capacity)
    }

    package func fileLayout(of records: RecordShape) -> FileLayout {
        FileLayout(
            format: Self.key,
            fields: columns.apply(
                to: FileLayout.Fields(
                    delimiter: delimiter, quote: quote, escape: quote == nil ? nil : escape,
                    isTrimmed: isTrimmed,
                    skippedLines: columns.skippedLines,
                    columns: columns.layout(of: records) { CsvHeader.names($0, self) })))
    }

    package func record(_ values: [GivenValue], of records: RecordShape) -> String {
        let quote = quote.map { String(UnicodeScalar($0)) } ?? ""
        return columns.texts(values, of: records).map { text in
            guard let text else { return "" }
            return quote.isEmpty ? text : quote + text.replacing(quote, with: quote + quote) + quote
        }.joined(separator: String(UnicodeScalar(delimiter)))
    }
}
