import Dataflow
import Records

/// TSV records to columns.
package final class TsvDecoder: RecordDecoder {
    private var records: DelimitedRecords<TsvFields>

    package init(_ columns: [WireColumn], _ format: TsvFormat, of records: RecordShape) {
        self.records = DelimitedRecords(
            columns, TsvFields(hasEscapes: format.hasEscapes), header: format.columns.names(of: records),
            optionalColumn: records.optionalField, encoding: records.encoding, capacity: records.capacity,
            options: format.columns)
    }

    package func setHeader(_ names: [String]) { records.setHeader(names) }

    package func decode(_ raw: RawRecords, into batch: Batch) { records.decode(raw, into: batch) }

    package func explain(_ row: Int, of batch: Batch, into text: Arena) {
        records.explain(row, of: batch, into: text)
    }
}
