import Base
import CSimdjson
import Records

/// Where a decoder of binary records puts what it finds: numbers and the like straight into their columns;
/// texts, and what is read as a text would be, as tokens, which `ColumnReader` types a column at a time.
final class BinaryColumns {
    let readers: [ColumnReader]
    let width: Int
    let tokens: UnsafeMutablePointer<Token>
    /// Of the columns of the batch under way.
    let values: UnsafeMutablePointer<UnsafeMutablePointer<Int64>>
    let valid: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>>
    private(set) var status: UnsafeMutablePointer<UInt8>
    private(set) var statusField: UnsafeMutablePointer<Int16>
    /// Digits of numbers that are read as texts: so many bytes for each value of a row that may need them.
    private(set) var slots: UnsafeMutablePointer<UInt8>
    private var slotBytes = 0
    static let slotSize = 48

    init(_ columns: [WireColumn], capacity: Int) {
        readers = columns.enumerated().map { ColumnReader(column: $1, index: $0) }
        width = columns.count
        tokens = .allocate(capacity: max(1, capacity * columns.count))
        values = .allocate(capacity: max(1, columns.count))
        valid = .allocate(capacity: max(1, columns.count))
        slots = .allocate(capacity: 1)
        // Set before each batch.
        status = UnsafeMutablePointer(bitPattern: 1)!
        statusField = UnsafeMutablePointer(bitPattern: 2)!
    }

    deinit {
        tokens.deallocate()
        values.deallocate()
        valid.deallocate()
        slots.deallocate()
    }

    /// The batch whose columns are filled next.
    func point(at batch: Batch) {
        for index in 0..<width {
            values[index] = batch.columns[index].values
            valid[index] = batch.columns[index].valid
        }
        status = batch.status
        statusField = batch.statusField
    }

    /// Makes room for so many slots; tokens that point into them are of no more use.
    func reserve(slots count: Int) {
        guard count * Self.slotSize > slotBytes else { return }
        slots.deallocate()
        slotBytes = count * Self.slotSize
        slots = .allocate(capacity: slotBytes)
    }

    /// The first mistake of a row counts.
    @inline(__always)
    func fail(_ failure: RowStatus, _ row: Int, _ column: Int) {
        guard status[row] == RowStatus.good.rawValue else { return }
        status[row] = failure.rawValue
        statusField[row] = Int16(truncatingIfNeeded: column)
    }

    /// Types the tokens of some rows.
    func read(_ columns: [Int], rows: Range<Int>, into batch: Batch) {
        for column in columns {
            readers[column].read(tokens + column, stride: width, rows: rows, into: batch)
        }
    }
}

/// True if the bytes are UTF-8. Most are ASCII, which is seen eight bytes at a time.
@inline(__always)
func isUtf8(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    let raw = UnsafeRawPointer(bytes)
    var seen: UInt64 = 0
    var at = 0
    while at &+ 8 <= count {
        seen |= raw.loadUnaligned(fromByteOffset: at, as: UInt64.self)
        at &+= 8
    }
    while at < count {
        seen |= UInt64(bytes[at])
        at &+= 1
    }
    return seen & 0x8080_8080_8080_8080 == 0 || mr_is_utf8(bytes, count) != 0
}
