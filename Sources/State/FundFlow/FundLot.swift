/// An amount of money on an account that is alike in everything.
struct FundLot {
    var amount: Int64
    var disbursed: Int64
    /// `clean`: no loan.
    var loan: UInt32
    var hop: Int32
    var path: FundPath

    static let clean = UInt32.max
    var isClean: Bool { loan == Self.clean }

    static func clean(_ amount: Int64) -> FundLot {
        FundLot(amount: amount, disbursed: 0, loan: clean, hop: 0, path: FundPath(bytes: []))
    }
}

/// The lots of an account that has tainted ones. Clean lots are among them under `fifo` only.
final class FundBook {
    var lots: ContiguousArray<FundLot> = []
    /// Lots before this one are gone.
    var head = 0
    var tainted: Int64 = 0
    /// No lot expires before this time has passed.
    var end = Int64.max

    var count: Int { lots.count - head }
}
