import Base
import Records

/// One aggregate over records that are all at hand; `distinct` and `quantile` are exact.
package final class LastAggregate {
    private let aggregate: Aggregate
    private let words: UnsafeMutablePointer<Int64>
    /// Of `distinct` and `quantile`: all values.
    private var values: [Int64] = []

    /// None that is about a window's panes or days.
    package init(_ aggregate: Aggregate) {
        self.aggregate = aggregate
        words = .allocate(capacity: max(1, aggregate.words))
    }

    deinit { words.deallocate() }

    package func clear() {
        values.removeAll(keepingCapacity: true)
        if aggregate.isSketch { words[0] = 0 } else { aggregate.clear(words) }
    }

    /// `place`: greater, the later the record came.
    package func add(_ value: Int64, at place: Int64, _ arena: Arena) {
        switch aggregate {
        case .records: words[0] += 1
        case .distinct, .quantile: values.append(value)
        default: aggregate.addAny(value, place, to: words, arena: arena)
        }
    }

    package func addNull() { if case .sum(isCounted: true) = aggregate { words[3] += 1 } }

    /// 1 and the value, 0 where there is none, 2 where it does not fit.
    package func read(_ arena: Arena) -> (value: Int64, valid: UInt8) {
        switch aggregate {
        case .distinct(let isText, _):
            if isText { return (distinctTexts(arena), 1) }
            values.sort()
            var count: Int64 = values.isEmpty ? 0 : 1
            for (one, next) in zip(values, values.dropFirst()) where one != next { count += 1 }
            return (count, 1)
        case .quantile(let perMille):
            guard !values.isEmpty else { return (0, 0) }
            values.sort()
            return (values[(perMille * values.count + 999) / 1000 - 1], 1)
        default: return aggregate.read(words, isFilled: true, arena: arena)
        }
    }

    private func distinctTexts(_ arena: Arena) -> Int64 {
        func bytes(_ packed: Int64) -> UnsafeBufferPointer<UInt8> {
            let text = TextReference(packed: packed)
            return UnsafeBufferPointer(start: arena.base + text.offset, count: text.count)
        }
        values.sort { bytes($0).lexicographicallyPrecedes(bytes($1)) }
        var count: Int64 = values.isEmpty ? 0 : 1
        for (one, next) in zip(values, values.dropFirst()) where !bytes(one).elementsEqual(bytes(next)) {
            count += 1
        }
        return count
    }
}
