import Base
import Records

/// Distinct values of one key over the panes of its ring.
///
/// Exact: the hashes of the values, each with a bit for every pane slot it was seen in, so that any range of
/// panes is counted exactly (up to collisions of 64 bits). Where more than `exactMax` different values are in
/// the panes, those of all panes so far go into registers of HyperLogLog, 4 KiB a pane; a pane that begins
/// after that is exact again. A range is counted exactly if no pane of it is in registers, and else
/// estimated.
final class DistinctSet {
    private let exactMax: Int
    private var slots: Int
    private var wordsPerValue: Int
    private var hashes: [UInt64] = []
    private var masks: [UInt64] = []
    /// Values that there is room for, those included that no pane has any more.
    private var capacity = 0
    /// By hash, a value's place in `hashes` + 1, with linear probing; empty while all are looked through as
    /// fast.
    private var places: [UInt32] = []
    /// Values that some pane has.
    private var live = 0
    /// Slots that hold anything, a bit each.
    private var used: [UInt64]
    /// By slot, the registers of those that are not exact; empty where there is none.
    private var sketches: [[UInt8]] = []
    /// The slots that were asked for last, a bit each, and what they come to, kept up to date, so that
    /// reading after each record costs no pass over the values. `unionCount` 0: nothing is kept.
    private var unionFirst = 0
    private var unionCount = 0
    private var unionMask: [UInt64]
    private var unionValues: Int64 = 0
    /// Of all values in them, where a slot of them has registers.
    private var unionSketch: HyperLogLog?

    init(slots: Int, exactMax: Int = Limits.distinctExactMax) {
        self.slots = slots
        self.exactMax = exactMax
        wordsPerValue = (slots + 63) / 64
        used = Array(repeating: 0, count: wordsPerValue)
        unionMask = used
    }

    var memoryBytes: Int {
        hashes.capacity * 8 + masks.capacity * 8 + places.capacity * 4 + wordsPerValue * 16
            + sketches.reduce(0) { $0 + 8 + ($1.isEmpty ? 0 : 32 + $1.capacity) }
            + (unionSketch == nil ? 0 : 32 + HyperLogLog.registerCount)
    }

    // MARK: Values

    /// What stands for a value.
    static func hash(_ text: TextReference, _ arena: Arena) -> UInt64 {
        hashBytes(arena.base + text.offset, text.count)
    }
    static func hash(_ value: Int64) -> UInt64 { hashInteger(value) }

    /// True if the panes so far have gone into registers: what was written of any of them is out of date.
    @discardableResult
    func add(_ hash: UInt64, slot: Int) -> Bool {
        if !sketches.isEmpty, !sketches[slot].isEmpty {
            addToSketch(hash, slot)
            return false
        }
        let found = find(hash)
        if found.map({ isUnseen($0) }) ?? true, live >= exactMax {
            turnToSketches()
            if sketches[slot].isEmpty { put(hash, slot, at: nil) } else { addToSketch(hash, slot) }
            return true
        }
        put(hash, slot, at: found)
        return false
    }

    private func find(_ hash: UInt64) -> Int? {
        if places.isEmpty { return hashes.firstIndex(of: hash) }
        return places.withUnsafeBufferPointer { places in
            hashes.withUnsafeBufferPointer { hashes in
                let mask = places.count &- 1
                var at = Int(truncatingIfNeeded: hash) & mask
                while places[at] != 0 {
                    let place = Int(places[at]) &- 1
                    if hashes[place] == hash { return place }
                    at = (at &+ 1) & mask
                }
                return nil
            }
        }
    }

    /// True for a value that no pane has.
    private func isUnseen(_ place: Int) -> Bool {
        for word in place * wordsPerValue..<(place + 1) * wordsPerValue where masks[word] != 0 {
            return false
        }
        return true
    }

    private func isInUnion(_ place: Int) -> Bool {
        for word in 0..<wordsPerValue where masks[place * wordsPerValue + word] & unionMask[word] != 0 {
            return true
        }
        return false
    }

    /// Marks a value as seen in a slot whose values are exact; `found`: where it stands already.
    private func put(_ hash: UInt64, _ slot: Int, at found: Int?) {
        let (word, bit) = (slot >> 6, UInt64(1) << UInt64(slot & 63))
        let place = found ?? append(hash)
        let base = place * wordsPerValue
        if masks[base + word] & bit != 0 { return }
        if isUnseen(place) { live += 1 }
        if unionCount > 0, unionMask[word] & bit != 0, !isInUnion(place) {
            unionValues += 1
            unionSketch?.add(hash)
        }
        masks[base + word] |= bit
        used[word] |= bit
    }

    private func addToSketch(_ hash: UInt64, _ slot: Int) {
        let (register, rank) = (HyperLogLog.register(of: hash), HyperLogLog.rank(of: hash))
        guard rank > sketches[slot][register] else { return }
        sketches[slot][register] = rank
        if unionCount > 0, unionMask[slot >> 6] & 1 << UInt64(slot & 63) != 0 { unionSketch?.add(hash) }
    }

    // MARK: Room

    /// Few values are looked through as fast as they are found by a table.
    private static let scanned = 16

    private func append(_ hash: UInt64) -> Int {
        if hashes.count == capacity { makeRoom() }
        hashes.append(hash)
        for _ in 0..<wordsPerValue { masks.append(0) }
        if !places.isEmpty { index(hashes.count - 1) }
        return hashes.count - 1
    }

    private func index(_ place: Int) {
        let mask = places.count - 1
        var at = Int(truncatingIfNeeded: hashes[place]) & mask
        while places[at] != 0 { at = (at + 1) & mask }
        places[at] = UInt32(place + 1)
    }

    /// Drops the values that no pane has. Where few are dropped, room for twice as many, up to a quarter more
    /// than are counted exactly, so that the next time is as far away.
    private func makeRoom() {
        dropUnseen()
        if live * 4 >= capacity * 3 {
            capacity = max(min(max(8, capacity * 2), exactMax + exactMax / 4 + 1), live + live / 4 + 1)
            hashes.reserveCapacity(capacity)
            masks.reserveCapacity(capacity * wordsPerValue)
        }
        guard capacity > Self.scanned else { return }
        var count = 32
        while count * 3 < capacity * 4 { count *= 2 }
        places = Array(repeating: 0, count: count)
        for place in hashes.indices { index(place) }
    }

    private func dropUnseen() {
        var kept = 0
        for place in hashes.indices where !isUnseen(place) {
            hashes[kept] = hashes[place]
            for word in 0..<wordsPerValue {
                masks[kept * wordsPerValue + word] = masks[place * wordsPerValue + word]
            }
            kept += 1
        }
        hashes.removeLast(hashes.count - kept)
        masks.removeLast(masks.count - kept * wordsPerValue)
    }

    // MARK: Panes

    /// Forgets what was seen in `count` slots from `first` on, cyclically.
    func clear(firstSlot first: Int, count: Int) {
        var isAny: UInt64 = 0
        for word in 0..<wordsPerValue { isAny |= used[word] & bits(of: word, first, count) }
        if isAny == 0 { return }
        for word in 0..<wordsPerValue {
            let gone = bits(of: word, first, count)
            if unionMask[word] & gone != 0 { unionCount = 0 }
            var left = sketches.isEmpty ? 0 : used[word] & gone
            while left != 0 {
                sketches[word << 6 + left.trailingZeroBitCount] = []
                left &= left &- 1
            }
            used[word] &= ~gone
        }
        for place in hashes.indices where !isUnseen(place) {
            for word in 0..<wordsPerValue {
                masks[place * wordsPerValue + word] &= ~bits(of: word, first, count)
            }
            if isUnseen(place) { live -= 1 }
        }
    }

    /// The bits of a word that stand for `count` slots from `first` on, cyclically.
    @inline(__always)
    private func bits(of word: Int, _ first: Int, _ count: Int) -> UInt64 {
        func part(_ low: Int, _ high: Int) -> UInt64 {
            let (low, high) = (max(low - word << 6, 0), min(high - word << 6, 64))
            return high <= low ? 0 : (~0 >> UInt64(64 - (high - low))) << UInt64(low)
        }
        return part(first, min(first + count, slots)) | part(0, first + count - slots)
    }

    private func turnToSketches() {
        if sketches.isEmpty { sketches = Array(repeating: [], count: slots) }
        for slot in 0..<slots where used[slot >> 6] & 1 << UInt64(slot & 63) != 0 && sketches[slot].isEmpty {
            sketches[slot] = Array(repeating: 0, count: HyperLogLog.registerCount)
        }
        for place in hashes.indices {
            let (register, rank) = (
                HyperLogLog.register(of: hashes[place]), HyperLogLog.rank(of: hashes[place])
            )
            for word in 0..<wordsPerValue {
                var bits = masks[place * wordsPerValue + word]
                while bits != 0 {
                    let slot = word << 6 + bits.trailingZeroBitCount
                    sketches[slot][register] = max(sketches[slot][register], rank)
                    bits &= bits &- 1
                }
            }
        }
        hashes.removeAll(keepingCapacity: true)
        masks.removeAll(keepingCapacity: true)
        for at in places.indices { places[at] = 0 }
        live = 0
        unionCount = 0
    }

    // MARK: Reading

    /// Distinct values in `count` slots from `first` on, cyclically.
    func estimate(firstSlot first: Int, count: Int) -> Int64 {
        guard count > 0 else { return 0 }
        if unionFirst != first || unionCount != count { unite(first, count) }
        return unionSketch?.estimate ?? unionValues
    }

    private func unite(_ first: Int, _ count: Int) {
        (unionFirst, unionCount) = (first, count)
        for word in 0..<wordsPerValue { unionMask[word] = bits(of: word, first, count) }
        unionSketch = nil
        if !sketches.isEmpty {
            for step in 0..<count {
                let sketch = sketches[(first + step) % slots]
                if !sketch.isEmpty { unionSketch = unionSketch ?? HyperLogLog() }
                if !sketch.isEmpty { unionSketch?.unite(sketch) }
            }
        }
        unionValues = 0
        for place in hashes.indices where isInUnion(place) {
            unionValues += 1
            unionSketch?.add(hashes[place])
        }
    }

    // MARK: As bytes

    /// Appends what was seen in those of the eight slots of a segment that `wanted` says, a bit each: the
    /// values, each with a byte of bits that says in which of them; which of the slots are in registers; and
    /// for each of these the pairs of register and rank.
    func write(slots range: Range<Int>, _ wanted: UInt8, to bytes: Arena) {
        // A segment's slots begin at a multiple of eight, and lie in one word.
        let (word, shift) = (range.lowerBound >> 6, UInt64(range.lowerBound & 63))
        func bits(_ place: Int) -> UInt8 {
            UInt8(truncatingIfNeeded: masks[place * wordsPerValue + word] >> shift) & wanted
        }
        bytes.appendVarint(UInt64(hashes.indices.count { bits($0) != 0 }))
        for place in hashes.indices where bits(place) != 0 {
            bytes.appendWord(hashes[place])
            bytes.appendByte(bits(place))
        }
        let sketched = range.filter { slot in
            wanted & 1 << UInt8(slot - range.lowerBound) != 0 && !sketches.isEmpty && !sketches[slot].isEmpty
        }
        bytes.appendByte(sketched.reduce(0) { $0 | 1 << UInt8($1 - range.lowerBound) })
        for slot in sketched {
            let registers = sketches[slot]
            bytes.appendVarint(UInt64(registers.count { $0 != 0 }))
            var before = 0
            for register in registers.indices where registers[register] != 0 {
                bytes.appendVarint(UInt64(register - before))
                bytes.appendByte(registers[register])
                before = register
            }
        }
    }

    /// Puts back what `write` appended; `places`: where each of the slots is now, nil for those that are
    /// gone. They hold nothing before. However many values come, they stay exact: while state is put back
    /// together, panes may be there that leave a moment later.
    func read(into places: [Int?], _ reader: inout BinaryReader) {
        for _ in 0..<reader.count(below: reader.left / 9 + 1) {
            let (hash, bits) = (reader.word64(), reader.byte())
            for (index, slot) in places.enumerated() where bits & 1 << UInt8(index) != 0 {
                if let slot { put(hash, slot, at: find(hash)) }
            }
        }
        let sketched = reader.byte()
        for index in 0..<8 where sketched & 1 << UInt8(index) != 0 {
            var registers = [UInt8](repeating: 0, count: HyperLogLog.registerCount)
            var register = 0
            for _ in 0..<reader.count(below: HyperLogLog.registerCount + 1) {
                register += reader.count(below: HyperLogLog.registerCount)
                let rank = reader.byte()
                guard register < registers.count, rank <= HyperLogLog.rankMax else { return reader.fail() }
                registers[register] = rank
            }
            guard index < places.count else { return reader.fail() }
            guard let slot = places[index] else { continue }
            if sketches.isEmpty { sketches = Array(repeating: [], count: slots) }
            sketches[slot] = registers
            used[slot >> 6] |= 1 << UInt64(slot & 63)
            unionCount = 0
        }
    }

    /// The same of one slot by itself.
    func write(pane slot: Int, to bytes: Arena) {
        let first = slot & ~7
        write(slots: first..<min(first + 8, slots), 1 << UInt8(slot & 7), to: bytes)
    }

    /// Puts one slot back that was written by itself, from the place `bit` of its segment.
    func read(pane bit: Int, into slot: Int, _ reader: inout BinaryReader) {
        var places = [Int?](repeating: nil, count: 8)
        places[bit] = slot
        read(into: places, &reader)
    }
}
