import Base
import Records

/// The accounts of a task and the money that is on its way to them.
package final class FundFlowState: OperatorState {
    package let store: FundFlowStore
    /// What of the store's counts of limits has been told.
    package var toldLots = 0
    package var toldPaths = 0
    /// Money that was sent and arrives later, by target.
    private let arrivals: OrderedBuffer
    private let row = Arena(capacity: 1 << 12)
    /// Before the keys of `arrivals`; those of the store begin with less.
    private static let arrivalTag: UInt8 = 0xFF

    package init(_ rules: FundRules, tracksChanges: Bool) {
        store = FundFlowStore(rules: rules)
        arrivals = OrderedBuffer(tracksChanges: tracksChanges)
    }

    /// Sends clean money and parts, as `FundPart` writes them one after the other, to an account.
    package func deliver(
        _ account: UnsafeBufferPointer<UInt8>, clean: Int64, _ parts: UnsafeBufferPointer<UInt8>,
        at time: Int64
    ) {
        row.removeAll()
        row.appendZigzag(clean)
        row.appendBlob(parts)
        arrivals.insert(
            time: time, input: 0, key: account,
            row: UnsafeBufferPointer(start: UnsafePointer(row.base), count: row.count),
            contentStart: 0)
    }

    /// Puts what was there first, before `time`, on its account, and tells which; nil: nothing is left.
    package func receiveFirst(before time: Int64) -> UnsafeBufferPointer<UInt8>? {
        guard let entry = arrivals.removeFirst(before: time) else { return nil }
        var reader = BinaryReader(arrivals.row(of: entry))
        let clean = reader.zigzag()
        let account = arrivals.key(of: entry)
        receive(account, clean: clean, reader.blob(), at: entry.time)
        return account
    }

    private func receive(
        _ account: UnsafeBufferPointer<UInt8>, clean: Int64, _ parts: UnsafeBufferPointer<UInt8>,
        at time: Int64
    ) {
        var reader = BinaryReader(parts)
        var read: [FundPart] = []
        while !reader.isAtEnd, let part = FundPart(&reader) { read.append(part) }
        let status = store.receive(account, parts: read, clean: clean, time: time)
        verify(status == .done && reader.isValid, "money that was sent cannot be received")
    }

    // MARK: Changes

    package func drainChanges(into out: Arena, _ body: (Range<Int>, Range<Int>?) -> Void) {
        store.drainChanges(into: out, body)
        arrivals.drainChanges(into: out) { sequence, value in body(Self.append(sequence, to: out), value) }
    }

    package func forEach(into out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        store.forEachEntry(into: out, body)
        arrivals.forEach(into: out) { sequence, value in
            if let value { body(Self.append(sequence, to: out), value) }
        }
    }

    private static func append(_ sequence: UInt64, to out: Arena) -> Range<Int> {
        let start = out.count
        out.appendByte(arrivalTag)
        out.appendVarint(sequence)
        return start..<out.count
    }

    package func restore(key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?) -> Bool {
        guard key.first == Self.arrivalTag else { return store.restore(key, value) }
        var reader = BinaryReader(UnsafeBufferPointer(rebasing: key.dropFirst()))
        return arrivals.restore(reader.varint(), value) && reader.isValid
    }

    package func finishRestore() {
        store.finishRestore()
        arrivals.finishRestore()
    }

    package var keyCount: Int { store.accountCount }
    package var memoryBytes: Int { store.memoryBytes + arrivals.memoryBytes }
    package var lastDue: Int64 { arrivals.last }
}
