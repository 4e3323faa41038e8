/// Looks for a pattern in texts, byte by byte once: of each instruction at most one way stands at a place. Of
/// one thread; what it needs is allocated once.
package final class PatternMatcher {
    private let code: [TextPattern.Instruction]
    /// Slots of a way: begin and end of the match and of its first group.
    private static let slots = 4

    /// Ways by preference, each an instruction and where its slots are.
    fileprivate struct Ways {
        var instructions: [Int] = []
        var slots: [Int] = []
        /// The last step in which an instruction was put in.
        var marks: [Int]
    }

    private var now: Ways
    private var next: Ways
    private var stack: [(instruction: Int, slot: Int, value: Int)] = []
    private var step = 0
    private var work: [Int] = [-1, -1, -1, -1]
    private var found: [Int] = [-1, -1, -1, -1]

    package init(_ pattern: TextPattern) {
        code = pattern.code
        now = Ways(marks: Array(repeating: -1, count: pattern.code.count))
        next = now
        now.slots.reserveCapacity(Self.slots * code.count)
        next.slots.reserveCapacity(Self.slots * code.count)
    }

    /// True if it is anywhere in the text.
    package func matches(_ text: UnsafeBufferPointer<UInt8>) -> Bool { run(text, isSearch: true) }

    /// Bytes of the first match's first group, or of the match if there is no group; nil: there is none.
    package func extract(_ text: UnsafeBufferPointer<UInt8>, group: Int) -> Range<Int>? {
        guard run(text, isSearch: false), found[2 * group] >= 0, found[2 * group + 1] >= 0 else { return nil }
        return found[2 * group]..<found[2 * group + 1]
    }

    /// The leftmost match; of those that begin there the one that its repetitions prefer. `isSearch`: any
    /// will do.
    private func run(_ text: UnsafeBufferPointer<UInt8>, isSearch: Bool) -> Bool {
        now.instructions.removeAll(keepingCapacity: true)
        now.slots.removeAll(keepingCapacity: true)
        var isFound = false
        var at = 0
        while true {
            step += 1
            // A way may begin here, behind those that began before.
            if !isFound {
                for slot in 0..<Self.slots { work[slot] = -1 }
                now.add(0, text, at, step, code, &stack, &work)
            }
            if now.instructions.isEmpty, isFound { return true }
            let (scalar, width) = Self.scalar(text, at)
            next.instructions.removeAll(keepingCapacity: true)
            next.slots.removeAll(keepingCapacity: true)
            ways: for way in now.instructions.indices {
                switch code[now.instructions[way]] {
                case .scalar(let ranges):
                    guard width > 0, Self.holds(ranges, scalar) else { continue }
                    for slot in 0..<Self.slots { work[slot] = now.slots[Self.slots * way + slot] }
                    next.add(now.instructions[way] + 1, text, at + width, step + 1, code, &stack, &work)
                case .match:
                    if isSearch { return true }
                    isFound = true
                    for slot in 0..<Self.slots { found[slot] = now.slots[Self.slots * way + slot] }
                    // Those behind it are preferred less.
                    break ways
                default: continue
                }
            }
            if width == 0 { return isFound }
            swap(&now, &next)
            at += width
        }
    }

    @inline(__always)
    private static func holds(_ ranges: [ClosedRange<UInt32>], _ scalar: UInt32) -> Bool {
        for range in ranges where scalar <= range.upperBound { return scalar >= range.lowerBound }
        return false
    }

    /// The scalar at a place and its bytes; 0 at the end.
    @inline(__always)
    private static func scalar(_ text: UnsafeBufferPointer<UInt8>, _ at: Int) -> (UInt32, Int) {
        guard at < text.count else { return (0, 0) }
        let first = UInt32(text[at])
        if first < 0x80 { return (first, 1) }
        let width = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
        guard at + width <= text.count else { return (0xFFFD, text.count - at) }
        var value = first & (width == 2 ? 0x1F : width == 3 ? 0x0F : 0x07)
        for place in 1..<width { value = value << 6 | UInt32(text[at + place] & 0x3F) }
        return (value, width)
    }
}

extension PatternMatcher.Ways {
    /// Follows an instruction to all that wait for a scalar or match, by preference. `work`: the slots of the
    /// way.
    mutating func add(
        _ start: Int, _ text: UnsafeBufferPointer<UInt8>, _ at: Int, _ step: Int,
        _ code: [TextPattern.Instruction],
        _ stack: inout [(instruction: Int, slot: Int, value: Int)], _ work: inout [Int]
    ) {
        stack.removeAll(keepingCapacity: true)
        stack.append((start, -1, 0))
        while let entry = stack.popLast() {
            // What a group's begin or end was before this way was gone.
            if entry.slot >= 0 {
                work[entry.slot] = entry.value
                continue
            }
            guard marks[entry.instruction] != step else { continue }
            marks[entry.instruction] = step
            switch code[entry.instruction] {
            case .jump(let to): stack.append((to, -1, 0))
            case .split(let first, let second):
                stack.append((second, -1, 0))
                stack.append((first, -1, 0))
            case .begin: if at == 0 { stack.append((entry.instruction + 1, -1, 0)) }
            case .end: if at == text.count { stack.append((entry.instruction + 1, -1, 0)) }
            case .boundary(let isOne):
                let (before, after) = (
                    at > 0 && Self.isWord(text[at - 1]), at < text.count && Self.isWord(text[at])
                )
                if (before != after) == isOne { stack.append((entry.instruction + 1, -1, 0)) }
            case .save(let slot):
                if slot < work.count {
                    stack.append((0, slot, work[slot]))
                    work[slot] = at
                }
                stack.append((entry.instruction + 1, -1, 0))
            case .scalar, .match:
                instructions.append(entry.instruction)
                slots.append(contentsOf: work)
            }
        }
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        byte &- 0x30 <= 9 || (byte | 0x20) &- 0x61 <= 25 || byte == 0x5F
    }
}
