import Base
import Records

/// The way of a loan's money: the account of the disbursement, then for each transfer the tainted amount of
/// it, its event time and its target. Where lots were merged or the way is too long, a gap stands for what
/// differs or is left out.
///
/// Bytes: entries of a tag and its fields; an account is a count and bytes.
package struct FundPath: Equatable, Sendable {
    package private(set) var bytes: [UInt8]

    enum Tag: UInt8 { case start, move, gap }

    package struct Step: Equatable {
        /// Nil: the first account, or one behind a gap.
        package var amount: Int64?
        package var time: Int64?
        package var account: [UInt8]
        package var isGap: Bool
    }

    package init(bytes: [UInt8]) { self.bytes = bytes }

    package init(start account: UnsafeBufferPointer<UInt8>, scratch: Arena) {
        scratch.removeAll()
        scratch.appendByte(Tag.start.rawValue)
        scratch.appendBlob(account)
        bytes = Self.copy(scratch)
    }

    /// True if something is left out.
    package var isShortened: Bool { steps.contains { $0.isGap } }

    package var steps: [Step] {
        var steps: [Step] = []
        visit { step, _ in steps.append(step) }
        return steps
    }

    /// With one more transfer, at the end of which the money is on `target`. Where the path is too long, it
    /// loses its middle, and `shortened` is one more.
    func moved(
        _ amount: Int64, at time: Int64, from source: UnsafeBufferPointer<UInt8>,
        to target: UnsafeBufferPointer<UInt8>, scratch: Arena, shortened: inout Int
    ) -> FundPath {
        scratch.removeAll()
        appendAll(to: scratch, until: bytes.count)
        Self.append(move: amount, time, target, to: scratch)
        if scratch.count > Limits.fundPathBytesMax {
            shortened += 1
            // Where it began and the newest transfer.
            var first = 0
            visit { _, end in if first == 0 { first = end } }
            scratch.removeAll()
            appendAll(to: scratch, until: bytes.first == Tag.start.rawValue ? first : 0)
            Self.append(gap: source, to: scratch)
            Self.append(move: amount, time, target, to: scratch)
        }
        return FundPath(bytes: Self.copy(scratch))
    }

    /// What two paths to `account` have in common, then a gap.
    func merged(_ other: FundPath, at account: UnsafeBufferPointer<UInt8>, scratch: Arena) -> FundPath {
        if self == other { return self }
        let equal = zip(bytes, other.bytes).prefix { $0 == $1 }.count
        var common = 0
        visit { _, end in if end <= equal { common = end } }
        scratch.removeAll()
        appendAll(to: scratch, until: common)
        Self.append(gap: account, to: scratch)
        if scratch.count > Limits.fundPathBytesMax {
            scratch.removeAll()
            Self.append(gap: account, to: scratch)
        }
        return FundPath(bytes: Self.copy(scratch))
    }

    var isWellFormed: Bool {
        guard bytes.count > 0, bytes.count <= Limits.fundPathBytesMax else { return false }
        return visit { _, _ in }
    }

    /// `A1 -100.00@2026-01-02T03:04:05.000Z-> A2`, with `... A3` for a gap.
    package func text(scale: Int) -> String {
        var text = ""
        visit { step, _ in
            let account = String(decoding: step.account, as: UTF8.self)
            if let amount = step.amount, let time = step.time {
                text += " -\(Decimal.string(amount, scale: scale))@\(CivilTime.string(time))-> "
            } else if step.isGap {
                text += text.isEmpty ? "... " : " ... "
            }
            text += account
        }
        return text
    }

    /// Calls `body` with each step and where its bytes end; false if the bytes are not a path.
    @discardableResult
    private func visit(_ body: (_ step: Step, _ end: Int) -> Void) -> Bool {
        bytes.withUnsafeBufferPointer { bytes in
            var reader = BinaryReader(bytes)
            while !reader.isAtEnd {
                guard let tag = Tag(rawValue: reader.byte()) else { return false }
                let amount = tag == .move ? reader.zigzag() : nil
                let time = tag == .move ? reader.zigzag() : nil
                let account = Array(reader.blob())
                guard reader.isValid else { return false }
                body(
                    Step(amount: amount, time: time, account: account, isGap: tag == .gap),
                    bytes.count - reader.left)
            }
            return true
        }
    }

    private func appendAll(to scratch: Arena, until end: Int) {
        bytes.withUnsafeBufferPointer { bytes in
            if let start = bytes.baseAddress { _ = scratch.append(start, end) }
        }
    }

    private static func append(
        move amount: Int64, _ time: Int64, _ target: UnsafeBufferPointer<UInt8>, to scratch: Arena
    ) {
        scratch.appendByte(Tag.move.rawValue)
        scratch.appendZigzag(amount)
        scratch.appendZigzag(time)
        scratch.appendBlob(target)
    }

    private static func append(gap account: UnsafeBufferPointer<UInt8>, to scratch: Arena) {
        scratch.appendByte(Tag.gap.rawValue)
        scratch.appendBlob(account)
    }

    private static func copy(_ scratch: Arena) -> [UInt8] {
        Array(UnsafeBufferPointer(start: scratch.base, count: scratch.count))
    }
}
