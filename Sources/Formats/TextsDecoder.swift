import Base
import Records

/// Rows that come as one text for each field, or none, to columns. A text that is not of its field's type is
/// null.
package final class TextsDecoder {
    private let readers: [ColumnReader]
    private let tokens: UnsafeMutablePointer<Token>
    private let capacity: Int
    private let texts = Arena(capacity: 1 << 12)
    private var places: [TextReference?]

    package init(_ columns: [WireColumn], capacity: Int = Limits.rowsPerBatchMax) {
        readers = columns.enumerated().map { index, column in
            var column = column
            column.field.isOptional = true
            return ColumnReader(column: column, index: index)
        }
        self.capacity = capacity
        tokens = .allocate(capacity: max(1, capacity))
        places = Array(repeating: nil, count: capacity * columns.count)
    }

    deinit { tokens.deallocate() }

    package func removeAll() {
        texts.removeAll()
        for index in places.indices { places[index] = nil }
    }

    /// Keeps a copy of a text.
    package func set(_ row: Int, _ column: Int, _ text: UnsafeBufferPointer<UInt8>) {
        var reference = TextReference(offset: texts.count, count: 0)
        if let start = text.baseAddress { reference = texts.append(start, text.count) }
        places[row * readers.count + column] = reference
    }

    /// Fills rows 0..<`count` of the columns that have readers; empties the batch's arena first.
    package func decode(_ count: Int, into batch: Batch) {
        require(count <= capacity && count <= batch.capacity, "more rows than a batch holds")
        batch.arena.removeAll()
        batch.count = count
        for reader in readers {
            for row in 0..<count {
                let place = places[row * readers.count + reader.index]
                let kind: Token.Kind = place == nil ? .null : .string
                tokens[row] = Token(
                    start: place.map { UnsafePointer(texts.base + $0.offset) },
                    count: UInt32(place?.count ?? 0),
                    kind: kind.rawValue)
                batch.status[row] = 0
            }
            reader.read(tokens, stride: 1, into: batch)
        }
        for row in 0..<count {
            batch.status[row] = 0
            batch.statusField[row] = -1
        }
    }
}
