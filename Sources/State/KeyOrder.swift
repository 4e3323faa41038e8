import Base
import Glibc
import Records

/// Puts ids into the order of their keys' bytes: a radix sort of eight bytes at a time, the first ones first,
/// which passes over what all keys begin with and over bytes in which none differ; a few keys are compared.
/// Keeps its memory. Used by one thread.
package final class KeyOrder {
    private struct Item {
        /// Eight bytes of the key, the first one highest; 0 beyond its end.
        var word: UInt64 = 0
        var start: UnsafePointer<UInt8>
        var count: Int
        var id: UInt32
    }

    /// Items whose keys are the same up to a byte.
    private struct Run {
        var low: Int
        var high: Int
        var at: Int
    }

    private var items: [Item] = []
    private var spare: [Item] = []
    private var runs: [Run] = []
    private let written = Arena(capacity: 1 << 12)

    package init() {}

    /// As many are compared with each other; more are sorted by their bytes.
    private static let few = 24

    /// `write`: appends what stands for a key in the order; nil: the key itself.
    package func sort(
        _ ids: inout [UInt32], of keys: KeyTable, write: ((UnsafeBufferPointer<UInt8>, Arena) -> Void)? = nil
    ) {
        if ids.count < 2 { return }
        fill(ids, keys, write)
        runs.append(Run(low: 0, high: items.count, at: 0))
        if spare.count < items.count, items.count > Self.few { spare = items }
        items.withUnsafeMutableBufferPointer { items in
            spare.withUnsafeMutableBufferPointer { spare in
                while let run = runs.popLast() {
                    let part = UnsafeMutableBufferPointer(rebasing: items[run.low..<run.high])
                    if part.count <= Self.few {
                        compare(part, from: run.at)
                    } else {
                        split(part, run, spare)
                    }
                }
            }
            for place in ids.indices { ids[place] = items[place].id }
        }
    }

    private func fill(
        _ ids: [UInt32], _ keys: KeyTable, _ write: ((UnsafeBufferPointer<UInt8>, Arena) -> Void)?
    ) {
        let nothing = UnsafePointer(written.base)
        items.removeAll(keepingCapacity: true)
        guard let write else {
            for id in ids {
                let key = keys.key(of: id)
                items.append(Item(start: key.baseAddress ?? nothing, count: key.count, id: id))
            }
            return
        }
        written.removeAll()
        for id in ids {
            let start = written.count
            write(keys.key(of: id), written)
            items.append(Item(start: nothing, count: written.count - start, id: id))
        }
        // The arena may have moved while it grew.
        var start = UnsafePointer(written.base)
        for place in items.indices {
            items[place].start = start
            start += items[place].count
        }
    }

    /// Insertion, since there are few.
    private func compare(_ items: UnsafeMutableBufferPointer<Item>, from at: Int) {
        for place in 1..<max(1, items.count) {
            let item = items[place]
            var free = place
            while free > 0, precedes(item, items[free - 1], from: at) {
                items[free] = items[free - 1]
                free -= 1
            }
            items[free] = item
        }
    }

    private func precedes(_ one: Item, _ other: Item, from at: Int) -> Bool {
        let common = min(one.count, other.count)
        let difference = common > at ? memcmp(one.start + at, other.start + at, common - at) : 0
        return difference == 0 ? one.count < other.count : difference < 0
    }

    /// Sorts by the first eight bytes in which keys differ; those of which these are the same are runs to be
    /// sorted.
    private func split(
        _ items: UnsafeMutableBufferPointer<Item>, _ run: Run, _ spare: UnsafeMutableBufferPointer<Item>
    ) {
        let at = run.at + common(items, from: run.at)
        var (differing, isSorted, isAtEnd) = (UInt64(0), true, true)
        for place in items.indices {
            let word = Self.word(items[place], at)
            items[place].word = word
            differing |= word ^ items[0].word
            if place > 0, word < items[place - 1].word { isSorted = false }
            if items[place].count > at + 8 { isAtEnd = false }
        }
        if !isSorted { distribute(items, differing, spare) }
        var low = 0
        while low < items.count {
            var high = low + 1
            while high < items.count, items[high].word == items[low].word { high += 1 }
            if high - low > 1 {
                if isAtEnd {
                    // The same bytes, but for zeros at the end.
                    var part = UnsafeMutableBufferPointer(rebasing: items[low..<high])
                    part.sort { $0.count < $1.count }
                } else {
                    runs.append(Run(low: run.low + low, high: run.low + high, at: at + 8))
                }
            }
            low = high
        }
    }

    /// How many bytes from `at` on are the same in all keys.
    private func common(_ items: UnsafeMutableBufferPointer<Item>, from at: Int) -> Int {
        let first = items[0]
        var common = max(0, first.count - at)
        for item in items {
            if item.count - at < common { common = max(0, item.count - at) }
            var same = 0
            while same < common, item.start[at + same] == first.start[at + same] { same += 1 }
            common = same
            if common == 0 { break }
        }
        return common
    }

    @inline(__always)
    private static func word(_ item: Item, _ at: Int) -> UInt64 {
        let left = item.count - at
        if left >= 8 {
            return UInt64(bigEndian: UnsafeRawPointer(item.start + at).loadUnaligned(as: UInt64.self))
        }
        var word: UInt64 = 0
        for place in 0..<max(0, left) { word |= UInt64(item.start[at + place]) << UInt64(56 - 8 * place) }
        return word
    }

    /// By the bytes of `word` in which items differ, the last one first.
    private func distribute(
        _ items: UnsafeMutableBufferPointer<Item>, _ differing: UInt64,
        _ spare: UnsafeMutableBufferPointer<Item>
    ) {
        guard var from = items.baseAddress, var to = spare.baseAddress else { return }
        let count = items.count
        var isSwapped = false
        var starts = InlineArray<256, Int>(repeating: 0)
        for shift in stride(from: UInt64(0), to: 64, by: 8) where differing >> shift & 255 != 0 {
            for byte in starts.indices { starts[byte] = 0 }
            for place in 0..<count { starts[Int(from[place].word >> shift & 255)] += 1 }
            var next = 0
            for byte in starts.indices { (starts[byte], next) = (next, next + starts[byte]) }
            for place in 0..<count {
                let byte = Int(from[place].word >> shift & 255)
                to[starts[byte]] = from[place]
                starts[byte] += 1
            }
            swap(&from, &to)
            isSwapped.toggle()
        }
        if isSwapped { to.update(from: from, count: count) }
    }
}
