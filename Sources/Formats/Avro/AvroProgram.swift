import Base
import Records

/// What an instruction does with the bytes that come next.
enum AvroCode: UInt8 {
    /// The routine, or the record, is over.
    case end
    /// `a` bytes.
    case skipBytes
    /// `a` numbers.
    case skipNumbers
    /// A text or bytes, with their length.
    case skipText
    /// Blocks of items, each by the routine behind the instruction; goes on at `a`. `flag` 1: of a map.
    case skipBlocks
    /// A routine at `a`.
    case call
    /// The number of a branch, of `b`; goes on where the table at `a` says.
    case branch
    case jump
    /// There is no value: `flag` 1: and needs to be none; `a` 1: the writer has no such field.
    case null
    /// The value does not fit the column.
    case refuse
    /// The value of `a`, in bytes that the schema has, by the routine at `b`.
    case preset
    /// Items by place or name: `a` is where their table begins.
    case pick
    /// A number by the factor `b`; `flag` 1: divided by it.
    case number
    /// A number as a time: by `b` if that is positive, divided by it if it is negative; `flag` 1: as clocks
    /// show it in the column's zone, 2: so if it has one.
    case time
    case bool
    case text
    /// A number that stands for a text of the table at `a`, of `b`.
    case symbol
    /// An integer of bytes, the highest first, by the factor `b`, `flag` 1: divided by it; `a`: how many
    /// bytes, -1: their number stands before them.
    case decimal
    /// A fraction of `a` bytes; `b`: places; `flag` 1: rounded.
    case fraction
    /// 16 bytes as the text of a UUID.
    case uuid
    // As tokens, for what is read as a text would be.
    case numberToken
    case boolToken
    case fractionToken
    /// As `decimal`; `b`: its places.
    case decimalToken
}

struct AvroInstruction {
    var code: AvroCode
    var flag: UInt8 = 0
    var column: Int16 = -1
    var a: Int32 = 0
    var b: Int64 = 0
}

/// How records of one writer's schema become columns: instructions that are carried out from the first byte
/// of a record on. Nothing of the schema is looked at any more. Made by `AvroCompiler`.
final class AvroProgram: @unchecked Sendable {
    // Written once, when it is made.
    let code: UnsafeMutablePointer<AvroInstruction>
    let codeCount: Int
    let table: UnsafeMutablePointer<Int32>
    private let tableCount: Int
    /// Symbols, names of keys and values that schemas preset, one behind the other.
    let bytes: UnsafeMutablePointer<UInt8>
    /// Parts of `bytes`.
    let parts: UnsafeMutablePointer<TextReference>
    /// Columns that are typed from tokens.
    let tokenColumns: [Int]
    /// By column, its slot for digits, -1: it needs none.
    let slots: UnsafeMutablePointer<Int32>
    let slotCount: Int
    /// By instruction: the field it is about, for messages.
    let places: [String]
    /// Why no value of a column, or none of a branch, can be read.
    let problems: [(column: Int, text: String)]
    /// `record shop.Order`
    let shown: String

    struct Parts {
        var code: [AvroInstruction] = []
        var table: [Int32] = []
        var bytes: [UInt8] = []
        var parts: [TextReference] = []
        var tokenColumns: [Int] = []
        var slots: [Int32] = []
        var slotCount = 0
        var places: [String] = []
        var problems: [(column: Int, text: String)] = []
        var shown = ""
    }

    init(_ made: Parts) {
        func copy<T>(_ list: [T]) -> UnsafeMutablePointer<T> {
            let copy = UnsafeMutablePointer<T>.allocate(capacity: max(1, list.count))
            for (index, element) in list.enumerated() { (copy + index).initialize(to: element) }
            return copy
        }
        code = copy(made.code)
        codeCount = made.code.count
        table = copy(made.table)
        tableCount = made.table.count
        bytes = copy(made.bytes)
        parts = copy(made.parts)
        slots = copy(made.slots)
        tokenColumns = made.tokenColumns
        slotCount = made.slotCount
        places = made.places
        problems = made.problems
        shown = made.shown
    }

    deinit {
        code.deallocate()
        table.deallocate()
        bytes.deallocate()
        parts.deallocate()
        slots.deallocate()
    }
}
