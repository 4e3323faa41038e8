/// One lot of an account.
package struct FundHolding: Equatable, Sendable {
    /// Nil: clean money.
    package var loan: [UInt8]?
    package var amount: Int64
    package var disbursed: Int64
    package var hop: Int
    package var path: FundPath
}
