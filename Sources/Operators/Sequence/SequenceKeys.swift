import Records
import State

/// The key by which records go together: the step's, and the columns that narrow it.
final class SequenceKeys {
    private let by: [Int]
    private let key = Arena(capacity: 256)

    init(by: [Int]) { self.by = by }

    /// Valid until the next one is made. A null is a value like any other here.
    func key(of input: OperatorInput, _ row: Int) -> UnsafeBufferPointer<UInt8> {
        let own = input.key(of: row)
        if by.isEmpty { return own }
        key.removeAll()
        key.appendBlob(own)
        for column in by {
            let from = input.columns[column]
            key.appendByte(from.valid[row])
            guard from.valid[row] == 1 else { continue }
            if from.type == .text {
                key.appendBlob(input.text(column, row))
            } else {
                key.appendZigzag(from.values[row])
            }
        }
        return UnsafeBufferPointer(start: UnsafePointer(key.base), count: key.count)
    }

    /// The step's key in one that `key(of:_:)` made.
    func ownKey(_ key: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8> {
        if by.isEmpty { return key }
        var reader = BinaryReader(key)
        return reader.blob()
    }
}
