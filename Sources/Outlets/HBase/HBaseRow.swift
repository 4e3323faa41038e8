import Base

/// Makes a row of HBase of a record that a sink's topic has.
package struct HBaseRow: Sendable {
    package let key: HBaseKey
    /// Members of the record that become cells; nil: all.
    package let columns: [String]?

    package init(key: HBaseKey, columns: [String]?) {
        self.key = key
        self.columns = columns
    }

    package enum Failure: Error, Equatable, CustomStringConvertible {
        case key(HBaseKey.Failure)
        case notJson
        case noTime
        case empty

        package var description: String {
            switch self {
            case .key(let failure): failure.description
            case .notJson: "a value that is no JSON object"
            case .noTime: "an event time before 1970, which HBase does not take"
            case .empty: "all its columns are null"
            }
        }
    }

    /// `timestamp`: event time, milliseconds. What is null has no cell.
    package func make(_ value: UnsafeBufferPointer<UInt8>, timestamp: Int64) -> Result<
        HBaseTable.Row, Failure
    > {
        guard let record = JsonMembers(value) else { return .failure(.notJson) }
        guard timestamp > 0 else { return .failure(.noTime) }
        switch key.encode({ record.value($0) }) {
        case .failure(let failure): return .failure(.key(failure))
        case .success(let key):
            var cells: [(name: String, value: ArraySlice<UInt8>)] = []
            for (path, value) in record.members where columns?.contains(path) ?? true {
                if let value { cells.append((path, value)) }
            }
            if cells.isEmpty { return .failure(.empty) }
            return .success(HBaseTable.Row(key: key, timestamp: timestamp, cells: cells))
        }
    }
}
