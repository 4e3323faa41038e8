import Base
import Records

/// What is done with a field of a message.
struct ProtobufAction {
    enum Kind: UInt8 {
        case skip
        /// The message of the node `a`.
        case enter
        /// `google.protobuf.Timestamp` and `Duration`.
        case instant, span
        case text, bool
        /// By the factor `b`.
        case number
        /// A float or double; `b`: places, `flag` 1: rounded.
        case fraction
        /// A name of the enum `a`.
        case symbol
        case numberToken, boolToken, fractionToken
        case refuse
    }

    var kind = Kind.skip
    /// How it is written: 0 varint, 1 eight bytes, 2 with a length, 5 four bytes.
    var wire: UInt8 = 0
    var flag: UInt8 = 0
    /// Numbers: as they are, zigzag, or without a sign.
    var signs: UInt8 = 0
    var column: Int16 = -1
    var a: Int32 = 0
    var b: Int64 = 1
}

/// A message on the way to wanted fields.
struct ProtobufNode {
    /// By field number, as far as they go.
    var near: [ProtobufAction]
    /// Those with larger numbers.
    var far: [(number: Int, action: ProtobufAction)]
    /// What its fields are where they are not there but the message is.
    var presets: [ProtobufPreset]
}

struct ProtobufPreset {
    var column: Int
    /// nil: straight into the column.
    var token: Token.Kind?
    var value: Int64 = 0
    /// Bytes of the token.
    var part = TextReference(offset: 0, count: 0)
}

/// How messages of one type become columns. Made by `ProtobufCompiler`; only read.
final class ProtobufProgram: @unchecked Sendable {
    var nodes: [ProtobufNode] = []
    var enums: [[(number: Int64, name: TextReference)]] = []
    /// Texts of presets and names of enums. Written while it is made, and never moved afterwards.
    let bytes = Arena(capacity: 256)
    var tokenColumns: [Int] = []
    var slots: [Int32] = []
    var slotCount = 0
    var problems: [(column: Int, text: String)] = []
    var shown = ""
    /// Of the message in its file, as records with a frame say it.
    var place: [Int] = []

    static let nearMax = 128
}
