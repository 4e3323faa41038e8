import Base
import Records

/// Which money an outgoing transfer takes.
package enum FundMethod: Equatable, Sendable {
    /// The oldest first, clean money too, by the order in which it came to the account.
    case fifo
    /// Of every lot in proportion to its amount. Lots stand in the order clean, then as they came; the lots
    /// up to and including the k-th give floor(amount x sum of the first k / balance) together, so that the
    /// parts add up to the amount exactly and each is less than one unit away from its exact share (rounding
    /// of running sums; the largest remainders would have to be sorted, and bring no part nearer than that).
    case proRata
}

/// What is declared of a fund flow. Amounts are units of 10^-scale of the amount field, times milliseconds.
package struct FundRules: Sendable {
    package var method: FundMethod
    /// Money is followed until so long after its disbursement, inclusive; then it is clean. Also: an account
    /// that nothing touched for longer is forgotten.
    package var within: Int64
    /// Transfers over which money is followed; at the next one it leaves.
    package var hops: Int
    /// A tainted part of a transfer below this is not followed further; it leaves.
    package var least: Int64
    /// Clean money of an account before its first record.
    package var opening: Int64
    /// Lots per account; over it lots are merged.
    package var lots: Int

    package init(
        method: FundMethod, within: Int64, hops: Int = 5, least: Int64 = 1, opening: Int64 = 0,
        lots: Int = Limits.fundLotsPerAccountMax
    ) {
        require(within > 0 && hops >= 0 && opening >= 0 && lots >= 2, "fund flow rules")
        self.method = method
        self.within = within
        self.hops = min(hops, Limits.fundHopsMax)
        self.least = least
        self.opening = opening
        self.lots = min(lots, Limits.fundLotsPerAccountMax)
    }

    /// The last moment at which money that was disbursed then is followed.
    @inline(__always)
    func end(of time: Int64) -> Int64 {
        let (end, overflow) = time.addingReportingOverflow(within)
        return overflow ? .max : end
    }
}

package enum FundStatus: Equatable, Sendable {
    case done
    /// The amount is zero or negative: nothing changed.
    case notPositive
    /// Source and target are one account: nothing changed.
    case sameAccount
    /// The name of an account or a loan is empty or longer than `Limits.fundNameBytesMax` (a transfer that
    /// goes outside needs none for its target), or a part is not one that `send` made: nothing changed.
    case malformed
}

/// What becomes of a tainted part that a transfer takes.
package enum FundFate: UInt8, Sendable {
    /// It is tainted on the target as well.
    case carried
    /// It leaves, and the target has it as clean money: it is declared to go outside, it was moved as often
    /// as is followed, or it is less than is followed.
    case outside, hops, small
}

/// A tainted part of one transfer.
package struct FundPart: Equatable, Sendable {
    package var loan: [UInt8]
    package var amount: Int64
    /// Event time of the loan's disbursement.
    package var disbursed: Int64
    /// Transfers since the disbursement, this one too.
    package var hop: Int
    package var fate: FundFate
    /// From the account of the disbursement to the target.
    package var path: FundPath

    package init(
        loan: [UInt8], amount: Int64, disbursed: Int64, hop: Int, fate: FundFate = .carried, path: FundPath
    ) {
        self.loan = loan
        self.amount = amount
        self.disbursed = disbursed
        self.hop = hop
        self.fate = fate
        self.path = path
    }

    /// For the way to the task that has the target.
    package func append(to bytes: Arena) {
        loan.withUnsafeBufferPointer { bytes.appendBlob($0) }
        bytes.appendZigzag(amount)
        bytes.appendZigzag(disbursed)
        bytes.appendVarint(UInt64(hop))
        bytes.appendByte(fate.rawValue)
        path.bytes.withUnsafeBufferPointer { bytes.appendBlob($0) }
    }

    package init?(_ reader: inout BinaryReader) {
        loan = Array(reader.blob())
        amount = reader.zigzag()
        disbursed = reader.zigzag()
        hop = reader.count(below: Limits.fundHopsMax + 2)
        guard let fate = FundFate(rawValue: reader.byte()) else { return nil }
        self.fate = fate
        path = FundPath(bytes: Array(reader.blob()))
        guard reader.isValid, isPlausible, path.isWellFormed else { return nil }
    }

    var isPlausible: Bool {
        amount > 0 && hop >= 0 && hop <= Limits.fundHopsMax + 1 && loan.count > 0
            && loan.count <= Limits.fundNameBytesMax && path.bytes.count > 0
            && path.bytes.count <= Limits.fundPathBytesMax
    }
}

/// What a transfer took from its source.
package struct FundSend: Equatable, Sendable {
    package var status: FundStatus
    /// Oldest lot first: all the taint that the transfer takes. Only those with the fate `carried` are
    /// tainted on the target.
    package var parts: [FundPart] = []
    /// What the target receives as clean money: the amount without the parts that are carried.
    package var clean: Int64 = 0
    /// Taint in `clean`, counted as left: of parts with another fate.
    package var left: Int64 = 0
    /// Money in `clean` that the account was not known to have.
    package var unknown: Int64 = 0

    init(status: FundStatus) { self.status = status }
}

/// Where a loan's money went, as one task saw it. Every unit that was disbursed is in exactly one place:
///
///     disbursed == held + (sent - received) + left + expired
///
/// summed over all tasks, where `held` is on the tasks' accounts (`verify` counts it there) and sent -
/// received is on its way between accounts.
package struct FundLedger: Equatable, Sendable {
    package var disbursed: Int128 = 0
    package var received: Int128 = 0
    package var sent: Int128 = 0
    package var left: Int128 = 0
    package var expired: Int128 = 0

    package init() {}

    /// What is on the task's accounts.
    package var held: Int128 { disbursed + received - sent - left - expired }
    /// Summed over all tasks: sent, not yet received.
    package var inFlight: Int128 { sent - received }

    package static func += (sum: inout FundLedger, other: FundLedger) {
        sum.disbursed += other.disbursed
        sum.received += other.received
        sum.sent += other.sent
        sum.left += other.left
        sum.expired += other.expired
    }
}
