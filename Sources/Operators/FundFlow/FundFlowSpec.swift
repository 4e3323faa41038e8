import Base
import Records
import Topology

/// `fund_flow:` follows the money of loans over accounts: each disbursement taints its amount on an account,
/// and the transfers of the step's input carry taint on.
///
/// Rows are taken in event-time order; of one instant, disbursements come first, then what transfers bring,
/// then transfers. A transfer takes money from its source when it happens, and its target has it `settle`
/// later. What is taken, what ends, and what is kept is defined by `FundFlowStore`.
///
/// Money goes from any account to any other, so all rows come to one task, in whichever partitions they lie:
/// the result is that of one ordered list of all. A partition that is quiet for its source's `idle` is not
/// waited for; where it wakes up with transfers that are older than what has been taken, they are late.
///
/// Each tainted part of a transfer is a row, so that sums over the rows are complete: the transfer's fields,
/// then the columns of `resultFields`. Where the money is followed no further (`left`), since the transfer
/// goes `outside`, since it is the one after the last of `hops`, or since the part is below `least`, the
/// target has it as clean money, and so its balance is right. A transfer that goes outside may name no
/// target; then nobody has it.
///
/// Transfers and disbursements of an amount that is not above zero, and transfers to the same account, change
/// nothing. Those without an amount or without a name that they need, or with one that is longer than
/// `Limits.fundNameBytesMax`, go to the dead letters.
package struct FundFlowSpec: RunnableOperator {
    package enum Method: String, Sendable, CaseIterable {
        case fifo
        case proRata = "pro_rata"
    }

    /// Columns of the first input, the disbursements.
    package var account: Int
    package var loan: Int
    package var disbursed: Int
    /// Columns of the second input, the transfers.
    package var source: Int
    package var target: Int
    package var amount: Int
    /// True for transfers whose money is not followed: the target has it as clean money. nil: all are
    /// followed.
    package var outside: Expression?
    package var method: Method
    /// Milliseconds; amounts are units of the amount field's scale.
    package var within: Int64
    package var hops: Int
    package var least: Int64
    package var opening: Int64
    package var settle: Int64
    package var amountType: ValueType

    package static var place: OperatorPlace {
        .step(key: "fund_flow", takesOne: true) { FundFlowReader(step: $0).read($1) }
    }

    package static func otherInputs(of step: MappingReader) -> [OtherInput] {
        let disbursements = step["fund_flow"]?.mapping?.first { $0.key == "disbursements" }?.value
        return disbursements?.mapping?.first { $0.key == "from" }.map {
            [OtherInput($0.value, "from", example: "from: loans")]
        } ?? []
    }

    package static let reference = """
        **`fund_flow: { source, target, amount, disbursements: { from, loan, account, amount }, within: W }`.** Follows the money of loans over accounts: each
        disbursement taints its amount on an account, and the transfers of the step's input carry taint on, up to W after the disbursement. Rows are taken in
        event-time order; of one instant, disbursements come first, then what transfers bring, then transfers. A transfer takes money from its source when it happens,
        and its target has it `settle` later (1 s). Money goes from any account to any other, so all rows come to one task, in whichever partitions they lie.

        Each part of a transfer that is a loan's is a row, so that sums over rows are complete: the transfer's fields, `loan`, `tainted` (the part that is the loan's),
        `hop` (transfers since the disbursement), `origin` (its account), `path`, `disbursed_at`, `left`. Where money is followed no further, `left` is true:
        the transfer goes `outside` (a condition), it is the one after the last of `hops` (5), or the part is below `least`. Its target has that money all the same, as
        clean money: its balance is right, its taint is not. A transfer that goes outside may name no target. `opening` is what an account has that was never seen.

        `method: fifo` spends lots as they came, clean money first. With `pro_rata` a transfer takes of each lot
        amount x lot / balance, rounded as running sums: clean money first, then the lots as they came, the first k together give the floor of their share.
        So the parts add up to the amount to the last unit, and each is less than one unit from its exact share. Without an amount, or a name that is
        needed, a transfer or disbursement is a dead letter; one of nothing, below zero, or to the same account changes nothing. `limit: { memory }`.
        """

    package var reach: Int64 { within }
    package var name: String { "fund flow" }
    package var computed: [(input: Int, name: String, expression: Expression)] {
        outside.map { [(1, "outside", $0)] } ?? []
    }
    package var order: RowOrder { .eventTime }

    package var definition: String? {
        "fund flow in one task, \(method.rawValue) within \(ValueText.duration(within)) settling in \(ValueText.duration(settle)), amounts "
            + "\(amountType)"
    }

    /// The columns that a row has besides those of the transfer.
    package static func resultFields(_ amount: ValueType) -> [Field] {
        [
            Field(name: "loan", type: .text),
            // The part of the transfer's amount that is the loan's.
            Field(name: "tainted", type: amount),
            // Transfers since the disbursement, this one too.
            Field(name: "hop", type: .int),
            // The account of the disbursement.
            Field(name: "origin", type: .text),
            Field(name: "path", type: .text),
            Field(name: "disbursed_at", type: .timestamp),
            // True if the money is not followed beyond this transfer.
            Field(name: "left", type: .bool),
        ]
    }

    package var expressions: [Expression] { [outside].compactMap { $0 } }
    package var isWhole: Bool { true }

    package func addBound(to bound: inout OperatorBound, _ figures: OperatorFigures) {
        let lots = Int64(Limits.fundLotsPerAccountMax)
        bound.lines.append(
            figures.per("account", "accounts", OperatorBound.keyBytes + 40, figures.keys)
                + "; with money of loans at most "
                + "\(StateBound.size(lots * (64 + Int64(Limits.fundPathBytesMax)))) in \(lots) parcels")
        bound.bytesMax = nil
    }

    package func logic(_ text: LogicText) -> String {
        text.dump(
            self, columns: ["account": 0, "loan": 0, "disbursed": 0, "source": 1, "target": 1, "amount": 1])
    }

    package func makeOperator(_ context: OperatorContext) -> any StreamOperator {
        FundFlowOperator(self, context)
    }
}
