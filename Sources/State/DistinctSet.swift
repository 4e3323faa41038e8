import Base
import Glibc
import Records

/// Distinct values of one key over the panes of its ring: exact while there are few, then HyperLogLog
/// (Flajolet, Fusy, Gandouet, Meunier 2007; 4,096 registers a pane, standard error 1.6 %).
///
/// Exact: the hashes of the values, each with a bit for every pane slot it was seen in, so that any range of
/// panes is counted exactly (up to 64-bit hash collisions).
final class DistinctSet {
    static let registers = 4096
    private static let indexBits = 12

    private var slots: Int
    private var wordsPerValue: Int
    private var hashes: [UInt64] = []
    private var masks: [UInt64] = []
    /// Registers of each pane slot, once there are too many values.
    private var sketches: [[UInt8]]?
    /// The union of the range that was asked for last, kept up to date, so that reading after each record
    /// costs no merge: registers, and the sum of 2^-register in units of 2^-51.
    private var union: [UInt8] = []
    private var unionFirst = 0
    private var unionCount = 0
    private var unionInverse: UInt64 = 0
    private var unionZeros = 0

    init(slots: Int) {
        self.slots = slots
        wordsPerValue = (slots + 63) / 64
    }

    var memoryBytes: Int {
        hashes.capacity * 8 + masks.capacity * 8 + (sketches?.reduce(0) { $0 + $1.count + 32 } ?? 0)
    }

    /// Moves what was seen in these panes to their slots in a larger ring, and forgets the rest.
    func grow(to count: Int, oldest: Int64, newest: Int64) {
        let (oldSlots, oldWords, oldMasks, oldSketches) = (slots, wordsPerValue, masks, sketches)
        slots = count
        wordsPerValue = (count + 63) / 64
        unionCount = 0
        if oldSketches != nil { sketches = Array(repeating: [], count: count) }
        masks = Array(repeating: 0, count: hashes.count * wordsPerValue)
        for pane in oldest...newest {
            let (from, to) = (WindowStore.slot(pane, oldSlots), WindowStore.slot(pane, count))
            if let oldSketches { sketches?[to] = oldSketches[from] }
            for index in hashes.indices
            where oldMasks[index * oldWords + from >> 6] & (1 << UInt64(from & 63)) != 0 {
                masks[index * wordsPerValue + to >> 6] |= 1 << UInt64(to & 63)
            }
        }
    }

    func clear(slot: Int) {
        if sketches != nil {
            sketches?[slot] = []
            if isInUnion(slot) { unionCount = 0 }
            return
        }
        let (word, bit) = (slot >> 6, UInt64(1) << UInt64(slot & 63))
        for index in hashes.indices { masks[index * wordsPerValue + word] &= ~bit }
    }

    /// What stands for a value.
    static func hash(_ text: TextReference, _ arena: Arena) -> UInt64 { hashBytes(arena.base + text.offset, text.count) }
    static func hash(_ value: Int64) -> UInt64 { hashWord(hashWord(UInt64(bitPattern: value)), seed: 1) }

    func add(_ hash: UInt64, slot: Int) {
        if sketches != nil { return addToSketch(hash, slot) }
        let (word, bit) = (slot >> 6, UInt64(1) << UInt64(slot & 63))
        if let index = hashes.firstIndex(of: hash) {
            masks[index * wordsPerValue + word] |= bit
            return
        }
        if hashes.count == Limits.distinctExactMax { dropUnseen() }
        if hashes.count == Limits.distinctExactMax {
            turnToSketch()
            return addToSketch(hash, slot)
        }
        hashes.append(hash)
        masks.append(contentsOf: repeatElement(0, count: wordsPerValue))
        masks[(hashes.count - 1) * wordsPerValue + word] |= bit
    }

    /// Distinct values in `count` slots from `first` on, cyclically.
    func estimate(firstSlot: Int, count: Int) -> Int64 {
        guard count > 0 else { return 0 }
        if sketches != nil { return estimateSketch(firstSlot, count) }
        var result: Int64 = 0
        for index in hashes.indices {
            let base = index * wordsPerValue
            if wordsPerValue == 1 {
                if masks[base] & rangeMask(firstSlot, count) != 0 { result += 1 }
            } else if isSeen(base, firstSlot, count) {
                result += 1
            }
        }
        return result
    }

    private func rangeMask(_ first: Int, _ count: Int) -> UInt64 {
        func below(_ bits: Int) -> UInt64 { bits >= 64 ? .max : (1 << UInt64(bits)) - 1 }
        let end = first + count
        if end <= slots { return below(end) & ~below(first) }
        return (below(slots) & ~below(first)) | below(end - slots)
    }

    private func isSeen(_ base: Int, _ first: Int, _ count: Int) -> Bool {
        for step in 0..<count {
            let slot = (first + step) % slots
            if masks[base + slot >> 6] & (1 << UInt64(slot & 63)) != 0 { return true }
        }
        return false
    }

    private func dropUnseen() {
        var kept = 0
        for index in hashes.indices {
            let range = index * wordsPerValue..<(index + 1) * wordsPerValue
            guard masks[range].contains(where: { $0 != 0 }) else { continue }
            hashes[kept] = hashes[index]
            for word in 0..<wordsPerValue { masks[kept * wordsPerValue + word] = masks[range.lowerBound + word] }
            kept += 1
        }
        hashes.removeLast(hashes.count - kept)
        masks.removeLast(masks.count - kept * wordsPerValue)
    }

    private func turnToSketch() {
        sketches = Array(repeating: [], count: slots)
        for index in hashes.indices {
            for slot in 0..<slots
            where masks[index * wordsPerValue + slot >> 6] & (1 << UInt64(slot & 63)) != 0 {
                addToSketch(hashes[index], slot)
            }
        }
        hashes = []
        masks = []
    }

    private func addToSketch(_ hash: UInt64, _ slot: Int) {
        if sketches?[slot].isEmpty == true { sketches?[slot] = Array(repeating: 0, count: Self.registers) }
        let register = Int(hash >> UInt64(64 - Self.indexBits))
        let rank = UInt8(min((hash << UInt64(Self.indexBits)).leadingZeroBitCount, 64 - Self.indexBits) + 1)
        if let old = sketches?[slot][register], rank > old { sketches?[slot][register] = rank }
        if isInUnion(slot) { raise(register, to: rank) }
    }

    private func isInUnion(_ slot: Int) -> Bool { (slot - unionFirst + slots) % slots < unionCount }

    private func raise(_ register: Int, to rank: UInt8) {
        let old = union[register]
        guard rank > old else { return }
        union[register] = rank
        unionInverse -= Self.inverse(old)
        unionInverse += Self.inverse(rank)
        if old == 0 { unionZeros -= 1 }
    }

    private static func inverse(_ rank: UInt8) -> UInt64 { rank > 51 ? 0 : 1 << UInt64(51 - rank) }

    private func unite(_ first: Int, _ count: Int) {
        union = [UInt8](repeating: 0, count: Self.registers)
        unionFirst = first
        unionCount = count
        for step in 0..<count {
            let sketch = sketches?[(first + step) % slots] ?? []
            guard !sketch.isEmpty else { continue }
            union.withUnsafeMutableBufferPointer { union in
                sketch.withUnsafeBufferPointer { sketch in
                    for register in 0..<Self.registers { union[register] = max(union[register], sketch[register]) }
                }
            }
        }
        unionInverse = union.reduce(0) { $0 + Self.inverse($1) }
        unionZeros = union.reduce(0) { $0 + ($1 == 0 ? 1 : 0) }
    }

    private func estimateSketch(_ first: Int, _ count: Int) -> Int64 {
        if unionFirst != first || unionCount != count { unite(first, count) }
        let size = Double(Self.registers)
        let inverse = Double(unionInverse) / Double(UInt64(1) << 51)
        let raw = 0.7213 / (1 + 1.079 / size) * size * size / inverse
        // Linear counting where many registers are empty, as in the paper.
        let estimate = raw <= 2.5 * size && unionZeros > 0 ? size * log(size / Double(unionZeros)) : raw
        return Int64(estimate.rounded())
    }

    // MARK: As bytes

    /// 0: nothing; 1: hashes; 2: pairs of register and rank.
    private enum Form {
        static let empty: UInt8 = 0
        static let hashes: UInt8 = 1
        static let registers: UInt8 = 2
        /// Nothing in this slot, but the set counts by sketch.
        static let emptySketch: UInt8 = 3
    }

    /// Appends what was seen in one slot.
    func write(slot: Int, to bytes: Arena) {
        if let sketches {
            let registers = sketches[slot]
            guard !registers.isEmpty else { return bytes.appendByte(Form.emptySketch) }
            bytes.appendByte(Form.registers)
            bytes.appendVarint(UInt64(registers.reduce(0) { $0 + ($1 == 0 ? 0 : 1) }))
            var before = 0
            for register in registers.indices where registers[register] != 0 {
                bytes.appendVarint(UInt64(register - before))
                bytes.appendByte(registers[register])
                before = register
            }
            return
        }
        let (word, bit) = (slot >> 6, UInt64(1) << UInt64(slot & 63))
        let seen = hashes.indices.filter { masks[$0 * wordsPerValue + word] & bit != 0 }
        bytes.appendByte(seen.isEmpty ? Form.empty : Form.hashes)
        guard !seen.isEmpty else { return }
        bytes.appendVarint(UInt64(seen.count))
        for index in seen { bytes.appendWord(hashes[index]) }
    }

    /// Replaces what one slot holds by what `write` appended.
    func read(slot: Int, _ reader: inout BinaryReader) {
        clear(slot: slot)
        switch reader.byte() {
        case Form.empty: break
        case Form.hashes:
            for _ in 0..<reader.count(below: Limits.distinctExactMax + 1) { add(reader.word64(), slot: slot) }
        case Form.registers:
            if sketches == nil { turnToSketch() }
            var registers = [UInt8](repeating: 0, count: Self.registers)
            var register = 0
            for _ in 0..<reader.count(below: Self.registers + 1) {
                register += reader.count(below: Self.registers)
                let rank = reader.byte()
                guard register < Self.registers, rank <= 64 - Self.indexBits + 1 else { return reader.fail() }
                registers[register] = rank
            }
            sketches?[slot] = registers
            unionCount = 0
        case Form.emptySketch: if sketches == nil { turnToSketch() }
        default: reader.fail()
        }
    }
}
