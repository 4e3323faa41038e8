import Dataflow
import Formats

extension FileLayout {
    static var jsonLines: FileLayout { JsonFormat().fileLayout(of: RecordShape(fields: [])) }

    static func csv(_ dialect: CsvFormat = CsvFormat()) -> FileLayout {
        dialect.fileLayout(of: RecordShape(fields: []))
    }
}
