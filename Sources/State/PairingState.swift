import Base
import Records

/// Rows that wait for a partner of their key: on two sides, for a join, or on one, for a sequence. And of
/// which keys a partner was refused, so that its absence is not told as a fact.
package final class PairingState: OperatorState {
    /// Each with a time of its own to wait for.
    package let sides: [WaitingRows]
    package let lost: LostKeys
    private let limits: RowLimits
    private static let lostTag: UInt8 = 2

    /// `waits`: for how long after its time a row of each side may find a partner.
    package init(waits: [Int64], limits: RowLimits, tracksChanges: Bool) {
        require(waits.count == 1 || waits.count == 2, "rows wait on one side or on two")
        sides = waits.enumerated().map {
            WaitingRows(within: $1, tag: UInt8($0), tracksChanges: tracksChanges)
        }
        lost = LostKeys(span: waits.reduce(0, +), tag: Self.lostTag, tracksChanges: tracksChanges)
        self.limits = limits
    }

    /// Adds a row, which is not older than any of its side, unless a limit does not let it.
    package func add(
        _ key: UnsafeBufferPointer<UInt8>, _ row: UnsafeBufferPointer<UInt8>, side: Int,
        isMatched: Bool = false, at time: Int64
    ) -> RowLimit? {
        let other = sides.count > 1 ? sides[1 - side].usedBytes : 0
        return sides[side].add(key, row, at: time, isMatched: isMatched, limits, other: other)
    }

    /// The row whose time is over first, if that is before `time`, and the last moment that it had.
    package func nextOver(before time: Int64) -> (side: Int, slot: Int32, due: Int64)? {
        let first = sides[0].nextOver(before: time).map { (0, $0.slot, $0.due) }
        guard sides.count > 1, let second = sides[1].nextOver(before: time) else { return first }
        if let first, first.2 <= second.due { return first }
        return (1, second.slot, second.due)
    }

    // MARK: Changes

    package func drainChanges(into out: Arena, _ body: (Range<Int>, Range<Int>?) -> Void) {
        for side in sides { side.drainChanges(into: out, body) }
        lost.drainChanges(into: out, body)
    }

    package func forEach(into out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        for side in sides { side.forEach(into: out, body) }
        lost.forEach(into: out, body)
    }

    package func restore(key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?) -> Bool {
        guard let tag = key.first else { return false }
        let rest = UnsafeBufferPointer(rebasing: key[1...])
        if tag == Self.lostTag { return lost.restore(key: rest, value: value) }
        return Int(tag) < sides.count && sides[Int(tag)].restore(key: rest, value: value)
    }

    package func finishRestore() { for side in sides { side.finishRestore() } }

    package var keyCount: Int { sides.reduce(0) { $0 + $1.keyCount } }
    package var memoryBytes: Int { sides.reduce(lost.memoryBytes) { $0 + $1.memoryBytes } }
    package var partnersMost: Int { sides.count > 1 ? sides.reduce(1) { max($0, $1.rowsOfKeyMost) } : 1 }
    package var lastDue: Int64 { sides.reduce(.min) { max($0, $1.lastDue) } }
}
