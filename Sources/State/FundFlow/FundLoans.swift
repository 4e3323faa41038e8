import Base
import Records

/// The loans whose money is or was on a task's accounts: ids for their names, a ledger each, and the sum of
/// the ledgers that were closed.
final class FundLoans {
    struct Row {
        var ledger = FundLedger()
        /// Newest disbursement of the loan that the task saw.
        var newest = Int64.min
        /// Lots that name the loan.
        var lots: Int32 = 0
        var isDirty = false
        /// What was drained last is not a removal.
        var isStored = false
        /// Where the newest lot of this loan stands, while room is made in an account.
        var position: Int32 = -1
    }

    let names = KeyTable(rowsMax: 1)
    var rows: ContiguousArray<Row> = []
    private(set) var dirty: [UInt32] = []
    var closed = FundLedger()
    var closedIsDirty = false
    /// Lots on the accounts, clean ones too, and bytes of their paths.
    private(set) var lotCount = 0
    private(set) var pathBytes = 0

    var memoryBytes: Int { names.memoryBytes + rows.capacity * MemoryLayout<Row>.stride }

    func intern(_ name: [UInt8]) -> UInt32 {
        name.withUnsafeBufferPointer { intern($0) }
    }

    func intern(_ name: UnsafeBufferPointer<UInt8>) -> UInt32 {
        guard let start = name.baseAddress else { unreachable("a loan without a name") }
        let known = names.count
        let id = names.intern(start, name.count)
        if names.count > known {
            if Int(id) == rows.count { rows.append(Row()) } else { rows[Int(id)] = Row() }
        }
        return id
    }

    func name(of id: UInt32) -> [UInt8] { Array(names.key(of: id)) }

    /// A lot is on an account now, or is no more.
    func keep(_ lot: FundLot) {
        lotCount += 1
        pathBytes += lot.path.bytes.count
        if !lot.isClean { rows[Int(lot.loan)].lots += 1 }
    }

    func drop(_ lot: FundLot) {
        lotCount -= 1
        pathBytes -= lot.path.bytes.count
        if !lot.isClean { rows[Int(lot.loan)].lots -= 1 }
    }

    /// To be called before the ledger of a loan changes.
    @inline(__always)
    func noteDirty(_ id: UInt32) {
        if rows[Int(id)].isDirty { return }
        rows[Int(id)].isDirty = true
        dirty.append(id)
    }

    /// Closes the ledgers of loans that are on no account here and were disbursed so long ago that their
    /// money is followed nowhere any more.
    func close(before time: Int64, rules: FundRules) {
        names.forEach { id in
            let row = rows[Int(id)]
            guard row.lots == 0, rules.end(of: row.newest) < time, row.ledger != FundLedger() else { return }
            noteDirty(id)
            closed += row.ledger
            closedIsDirty = true
            rows[Int(id)].ledger = FundLedger()
        }
    }

    /// Calls `body` with every loan that changed, and whether it is gone; then it is forgotten.
    func drain(_ body: (_ id: UInt32, _ isGone: Bool) -> Void) {
        for id in dirty {
            let row = rows[Int(id)]
            let isGone = row.lots == 0 && row.ledger == FundLedger()
            if !isGone || row.isStored { body(id, isGone) }
            rows[Int(id)].isDirty = false
            rows[Int(id)].isStored = !isGone
            if isGone { names.remove(id) }
        }
        dirty.removeAll(keepingCapacity: true)
        closedIsDirty = false
    }

    func removeAll() {
        names.forEach { names.remove($0) }
        dirty.removeAll()
        closed = FundLedger()
        closedIsDirty = false
        (lotCount, pathBytes) = (0, 0)
    }

    /// Forgets the loans that no lot and no ledger speaks of.
    func removeUnused() {
        names.forEach { id in
            let row = rows[Int(id)]
            if row.lots == 0, row.ledger == FundLedger(), !row.isDirty { names.remove(id) }
        }
    }
}

extension FundLedger {
    func append(to bytes: Arena) {
        for sum in [disbursed, received, sent, left, expired] {
            bytes.appendVarint(UInt64(truncatingIfNeeded: sum))
            bytes.appendZigzag(Int64(truncatingIfNeeded: sum >> 64))
        }
    }

    init(_ reader: inout BinaryReader) {
        func sum() -> Int128 {
            let low = reader.varint()
            return Int128(reader.zigzag()) << 64 | Int128(low)
        }
        disbursed = sum()
        received = sum()
        sent = sum()
        left = sum()
        expired = sum()
    }
}
