import Base
import Records

extension Aggregate {
    /// Adds one record, to whatever needs no sketch; `records` are counted by whoever keeps them.
    func addAny(_ value: Int64, _ time: Int64, to words: Accumulator, arena: Arena) {
        switch self {
        case .count: words[0] += 1
        case .sum(let isCounted):
            store128(load128(words) &+ Int128(value), words)
            if isCounted { words[2] += 1 }
        case .minimum(let isCounted):
            words[0] = min(words[0], value)
            if isCounted { words[1] += 1 }
        case .maximum(let isCounted):
            words[0] = max(words[0], value)
            if isCounted { words[1] += 1 }
        default: add(value, time, to: words, arena: arena)
        }
    }

    /// Adds one record. For the aggregates that have no loop of their own.
    @inline(__always)
    func add(_ value: Int64, _ time: Int64, to words: Accumulator, arena: Arena) {
        switch self {
        case .average:
            store128(load128(words) &+ Int128(value), words)
            words[2] += 1
        case .deviation: Deviation.add(value, to: words)
        case .first:
            if time < words[0] {
                words[0] = time
                words[1] = value
            }
        case .last:
            if time >= words[0] {
                words[0] = time
                words[1] = value
            }
        case .firstText, .lastText:
            let isWanted = self == .firstText ? time < words[0] : time >= words[0]
            guard isWanted else { return }
            let text = TextReference(packed: value)
            words[0] = time
            Aggregate.storeText(arena.base + text.offset, text.count, at: words + 1)
        case .leastText, .greatestText:
            let text = TextReference(packed: value)
            addExtreme(arena.base + text.offset, text.count, to: words)
        case .days: words[0] = 1
        default: break
        }
    }
}
