import Base
import Records
import State
import Topology

/// The best rows of one instant and key: what `TopSpec` says.
///
/// All rows of an instant come out of the buffer in one go, those of a key side by side, and `advance` ends
/// it, so nothing is remembered from one release to the next; what waits is in the buffer.
final class TopOperator: StreamOperator {
    private let spec: TopSpec
    private let kept: KeptRow
    /// The best rows of the group, best first; their bytes are the buffer's, which takes in none meanwhile.
    private var best: [(value: Int64, row: UnsafeBufferPointer<UInt8>)] = []
    private var key = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
    private var time = Int64.min

    init(_ spec: TopSpec, _ context: OperatorContext) {
        self.spec = spec
        kept = KeptRow(context.inputs[0].schema)
        best.reserveCapacity(spec.count + 1)
    }

    func take(_ input: OperatorInput, row: Int, _ state: NoState, into out: RowBuffer) {
        let key = input.key(of: row)
        if !best.isEmpty, !isEqual(key, self.key) { flush(into: out) }
        self.key = key
        time = input.times[row]
        let column = input.columns[spec.by]
        guard column.valid[row] == 1 else { return }
        let value = column.values[row]
        if best.count == spec.count, let last = best.last, !isBetter(value, than: last.value) { return }
        // Behind those that are equal: they came before.
        var (low, high) = (0, best.count)
        while low < high {
            let middle = (low + high) / 2
            if isBetter(value, than: best[middle].value) { high = middle } else { low = middle + 1 }
        }
        best.insert((value, input.bytes(of: row)), at: low)
        if best.count > spec.count { best.removeLast() }
    }

    func advance(to time: Int64, _ state: NoState, into out: RowBuffer) {
        guard !best.isEmpty, self.time < time else { return }
        out.setOrder(passing: self.time)
        flush(into: out)
    }

    private func isBetter(_ a: Int64, than b: Int64) -> Bool { spec.isLeast ? a < b : a > b }

    private func isEqual(_ a: UnsafeBufferPointer<UInt8>, _ b: UnsafeBufferPointer<UInt8>) -> Bool {
        a.count == b.count && a.elementsEqual(b)
    }

    private func flush(into out: RowBuffer) {
        for (rank, entry) in best.enumerated() {
            kept.decode(entry.row)
            out.begin(time: time, origin: kept.decoder.origins[0])
            out.copy(kept.batch.columns, 0, kept.batch.arena, to: 0)
            out.set(spec.fieldCount, Int64(rank) + 1)
        }
        best.removeAll(keepingCapacity: true)
    }
}
