import Base
import Records

/// What a window keeps for one aggregate, and how many 64-bit words of a pane that takes.
package enum Aggregate: Hashable, Sendable {
    /// Every record of the key; always the first aggregate of a window.
    case records
    /// Records with a non-null argument that meet the condition.
    case count
    /// `isCounted`: words of its own say how many values and how many nulls there were; a sum of nothing but
    /// nulls is null. Not needed where the argument always has a value.
    case sum(isCounted: Bool)
    case average(scale: Int, argumentScale: Int)
    /// `isCounted`: a word of its own says how many values there were; without any it is null. Not needed
    /// where every record of the window has a value: then the number of records says it.
    case minimum(isCounted: Bool)
    case maximum(isCounted: Bool)
    case first, last
    case firstText, lastText
    /// The first word is 1 where there is a text.
    case leastText, greatestText
    /// Exact for up to `exactMax` values.
    case distinct(isText: Bool, exactMax: Int)
    case deviation(scale: Int, argumentScale: Int)
    case quantile(perMille: Int)
    /// Calendar days of the window from the key's first record in it on; `perPane` days are a pane.
    case days(perPane: Int)
    case windowStart, windowEnd

    /// Bytes of a text that `first`, `last`, `min` and `max` keep; longer ones are cut at a character.
    package static let textBytesKept = 63

    package var words: Int {
        switch self {
        case .records, .count, .minimum(isCounted: false), .maximum(isCounted: false), .days: 1
        case .sum(isCounted: false), .minimum, .maximum, .first, .last: 2
        case .average: 3
        case .sum: 4
        case .deviation: Deviation.words
        case .firstText, .lastText, .leastText, .greatestText: 9
        // Kept outside the pane, behind a handle in the block's header.
        case .distinct, .quantile: 0
        case .windowStart, .windowEnd: 0
        }
    }

    /// What leaves a window cannot be subtracted: the next one must be looked for.
    var isExtreme: Bool {
        switch self {
        case .minimum, .maximum, .first, .last, .firstText, .lastText, .leastText, .greatestText: true
        default: false
        }
    }

    package var isSketch: Bool {
        switch self {
        case .distinct, .quantile: true
        default: false
        }
    }
}

/// A pane's words for one aggregate. All functions take the address of the first of them.
typealias Accumulator = UnsafeMutablePointer<Int64>

@inline(__always)
func load128(_ words: Accumulator) -> Int128 { UnsafeRawPointer(words).loadUnaligned(as: Int128.self) }

@inline(__always)
func store128(_ value: Int128, _ words: Accumulator) {
    UnsafeMutableRawPointer(words).storeBytes(of: value, as: Int128.self)
}

extension Aggregate {
    func clear(_ to: Accumulator) {
        for word in 0..<words { to[word] = 0 }
        switch self {
        case .minimum: to[0] = .max
        case .maximum: to[0] = .min
        case .first, .firstText: to[0] = .max
        case .last, .lastText: to[0] = .min
        default: break
        }
    }

    /// Adds what `from` holds to `to`, where every record in `from` is later than those in `to` or any order
    /// does (ties of `first` and `last` aside).
    func merge(_ from: Accumulator, into to: Accumulator) {
        switch self {
        case .records, .count: to[0] += from[0]
        case .sum(let isCounted):
            store128(load128(to) + load128(from), to)
            if isCounted { (to[2], to[3]) = (to[2] + from[2], to[3] + from[3]) }
        case .average:
            store128(load128(to) + load128(from), to)
            to[2] += from[2]
        case .deviation: Deviation.merge(from, into: to)
        case .minimum(let isCounted):
            to[0] = min(to[0], from[0])
            if isCounted { to[1] += from[1] }
        case .maximum(let isCounted):
            to[0] = max(to[0], from[0])
            if isCounted { to[1] += from[1] }
        case .first, .firstText: if from[0] < to[0] { to.update(from: from, count: words) }
        case .last, .lastText: if from[0] >= to[0] { to.update(from: from, count: words) }
        case .leastText, .greatestText: if isBetter(from, than: to) { to.update(from: from, count: words) }
        case .distinct, .quantile, .days, .windowStart, .windowEnd: break
        }
    }

    /// Takes what `from` holds out of `to`; true if it cannot be taken out and `to` must be merged anew.
    func subtract(_ from: Accumulator, outOf to: Accumulator) -> Bool {
        switch self {
        case .records, .count: to[0] -= from[0]
        case .sum(let isCounted):
            store128(load128(to) - load128(from), to)
            if isCounted { (to[2], to[3]) = (to[2] - from[2], to[3] - from[3]) }
        case .average:
            store128(load128(to) - load128(from), to)
            to[2] -= from[2]
        case .deviation: Deviation.subtract(from, outOf: to)
        // Where the extreme is what stands for none, what is left has no other either.
        case .minimum(let isCounted):
            if isCounted { to[1] -= from[1] }
            return from[0] != .max && from[0] == to[0]
        case .maximum(let isCounted):
            if isCounted { to[1] -= from[1] }
            return from[0] != .min && from[0] == to[0]
        case .first, .firstText: return from[0] != .max && from[0] == to[0]
        case .last, .lastText: return from[0] != .min && from[0] == to[0]
        case .leastText, .greatestText: return from[0] == 1 && Aggregate.compareTexts(from, to) == 0
        case .distinct, .quantile, .days, .windowStart, .windowEnd: break
        }
        return false
    }

    /// The value of one that its total alone tells: 1 and the value, 0 where there is none, 2 where it does
    /// not fit. Text values are appended to `arena`. `isFilled`: the total has records.
    func read(_ from: Accumulator, isFilled: Bool, arena: Arena) -> (value: Int64, valid: UInt8) {
        switch self {
        case .records, .count: return (from[0], 1)
        case .sum(let isCounted):
            return isCounted && from[2] == 0 && from[3] > 0 ? (0, 0) : narrow(load128(from))
        case .average(let scale, let argumentScale):
            if from[2] == 0 { return (0, 0) }
            let factor = Int128(Decimal.powerOfTen(scale - argumentScale))
            let (product, overflow) = load128(from).multipliedReportingOverflow(by: factor)
            return overflow ? (0, 2) : narrow(Decimal.divideHalfEven(product, Int128(from[2])))
        case .minimum(let isCounted), .maximum(let isCounted):
            return (isCounted ? from[1] > 0 : isFilled) ? (from[0], 1) : (0, 0)
        case .first: return from[0] == .max ? (0, 0) : (from[1], 1)
        case .last: return from[0] == .min ? (0, 0) : (from[1], 1)
        case .firstText, .lastText:
            if from[0] == .max || from[0] == .min { return (0, 0) }
            let bytes = UnsafeMutableRawPointer(from + 1).assumingMemoryBound(to: UInt8.self)
            return (arena.append(bytes + 1, Int(bytes[0])).packed, 1)
        case .leastText, .greatestText:
            if from[0] == 0 { return (0, 0) }
            let bytes = UnsafeMutableRawPointer(from + 1).assumingMemoryBound(to: UInt8.self)
            return (arena.append(bytes + 1, Int(bytes[0])).packed, 1)
        case .deviation(let scale, let argumentScale):
            return Deviation.read(from, places: scale - argumentScale)
        case .distinct, .quantile, .days, .windowStart, .windowEnd: unreachable("read without its panes")
        }
    }

    private func narrow(_ value: Int128) -> (value: Int64, valid: UInt8) {
        guard let narrow = Int64(exactly: value) else { return (0, 2) }
        return (narrow, 1)
    }

    /// Takes a text if what is kept of it is less, or greater, than what is there.
    func addExtreme(_ text: UnsafePointer<UInt8>, _ count: Int, to words: Accumulator) {
        if words[0] == 1 {
            let bytes = UnsafeMutableRawPointer(words + 1).assumingMemoryBound(to: UInt8.self)
            let order = Self.compare(text, Self.keptCount(text, count), bytes + 1, Int(bytes[0]))
            guard self == .leastText ? order < 0 : order > 0 else { return }
        }
        words[0] = 1
        Self.storeText(text, count, at: words + 1)
    }

    private func isBetter(_ from: Accumulator, than to: Accumulator) -> Bool {
        guard from[0] == 1, to[0] == 1 else { return from[0] == 1 }
        let order = Self.compareTexts(from, to)
        return self == .leastText ? order < 0 : order > 0
    }

    private static func compareTexts(_ a: Accumulator, _ b: Accumulator) -> Int {
        let left = UnsafeMutableRawPointer(a + 1).assumingMemoryBound(to: UInt8.self)
        let right = UnsafeMutableRawPointer(b + 1).assumingMemoryBound(to: UInt8.self)
        return compare(left + 1, Int(left[0]), right + 1, Int(right[0]))
    }

    private static func compare(
        _ a: UnsafePointer<UInt8>, _ count: Int, _ b: UnsafePointer<UInt8>, _ other: Int
    ) -> Int {
        for index in 0..<min(count, other) where a[index] != b[index] { return a[index] < b[index] ? -1 : 1 }
        return count == other ? 0 : count < other ? -1 : 1
    }

    private static func keptCount(_ text: UnsafePointer<UInt8>, _ count: Int) -> Int {
        var kept = min(count, textBytesKept)
        // Not in the middle of a character.
        if kept < count { while kept > 0, text[kept] & 0xC0 == 0x80 { kept -= 1 } }
        return kept
    }

    /// Keeps the text in the 8 words after the time.
    static func storeText(_ text: UnsafePointer<UInt8>, _ count: Int, at words: Accumulator) {
        let kept = keptCount(text, count)
        let bytes = UnsafeMutableRawPointer(words).assumingMemoryBound(to: UInt8.self)
        bytes[0] = UInt8(kept)
        (bytes + 1).update(from: text, count: kept)
    }
}
