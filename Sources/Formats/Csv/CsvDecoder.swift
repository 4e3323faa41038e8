import Base
import Dataflow
import Records

/// CSV records (RFC 4180, in the characters of a dialect) to columns. Quoted fields may hold delimiters, line
/// ends and doubled quotes. An empty field is null; one with quotes around nothing is an empty text, and null
/// where no text is wanted.
package final class CsvDecoder: RecordDecoder {
    private var records: DelimitedRecords<CsvFields>

    /// - Parameters:
    ///   - header: the names of all fields in the order of the record, wanted or not; nil: the wanted
    ///     columns.
    ///   - optionalColumn: a field that may stand behind those of `header`, or be missing with its delimiter.
    ///   - encoding: of which the records were made UTF-8, for dead letters.
    package init(
        _ columns: [WireColumn], header: [String]? = nil, optionalColumn: String? = nil,
        dialect: CsvFormat = CsvFormat(), encoding: String? = nil, capacity: Int = Limits.rowsPerBatchMax
    ) {
        records = DelimitedRecords(
            columns, CsvFields(dialect), header: header, optionalColumn: optionalColumn, encoding: encoding,
            capacity: capacity, options: dialect.columns)
    }

    package func setHeader(_ names: [String]) { records.setHeader(names) }

    package func decode(_ raw: RawRecords, into batch: Batch) { records.decode(raw, into: batch) }

    package func explain(_ row: Int, of batch: Batch, into text: Arena) {
        records.explain(row, of: batch, into: text)
    }
}
