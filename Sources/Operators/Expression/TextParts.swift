import Base
import Glibc
import Records

/// Texts that are made of parts of others, as loops over columns.
enum TextParts {
    /// Each place of the second text in the first becomes the third, from the left; an empty one has no
    /// place.
    static func replace(_ operands: [Column], _ output: Column, _ arena: Arena, _ rows: Selection) {
        for index in 0..<rows.count {
            let row = rows[index]
            guard haveValues(operands, row, else: output) else { continue }
            let (packed, pattern, replacement) = (
                operands[0].values[row], operands[1].values[row], operands[2].values[row]
            )
            let (wanted, other) = (
                TextReference(packed: pattern).count, TextReference(packed: replacement).count
            )
            var places = 0
            var at = 0
            while let place = find(bytes(pattern, arena), in: bytes(packed, arena), from: at), wanted > 0 {
                places += 1
                at = place + wanted
            }
            output.valid[row] = 1
            guard places > 0 else {
                output.values[row] = packed
                continue
            }
            let count = TextReference(packed: packed).count + places * (other - wanted)
            guard count <= Limits.textBytesMax else {
                output.valid[row] = 2
                continue
            }
            // Nothing moves from here on.
            arena.reserve(count)
            let (text, part, instead) = (
                bytes(packed, arena), bytes(pattern, arena), bytes(replacement, arena)
            )
            let start = arena.count
            at = 0
            while let place = find(part, in: text, from: at) {
                append(text, at..<place, to: arena)
                append(instead, 0..<other, to: arena)
                at = place + wanted
            }
            append(text, at..<text.count, to: arena)
            output.values[row] = TextReference(offset: start, count: count).packed
        }
    }

    private static func append(_ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, to arena: Arena) {
        guard !range.isEmpty, let base = text.baseAddress else { return }
        _ = arena.append(base + range.lowerBound, range.count)
    }

    /// The part at a place from 0 between the marks; an empty mark divides nothing.
    static func split(_ operands: [Column], _ output: Column, _ arena: Arena, _ rows: Selection) {
        for index in 0..<rows.count {
            let row = rows[index]
            guard haveValues(operands, row, else: output) else { continue }
            let reference = TextReference(packed: operands[0].values[row])
            let (text, mark) = (bytes(reference.packed, arena), bytes(operands[1].values[row], arena))
            var (left, start) = (operands[2].values[row], 0)
            output.valid[row] = left < 0 ? 0 : 1
            while left > 0, output.valid[row] == 1 {
                if mark.count > 0, let place = find(mark, in: text, from: start) {
                    start = place + mark.count
                    left -= 1
                } else {
                    output.valid[row] = 0
                }
            }
            let end = mark.count > 0 ? find(mark, in: text, from: start) ?? text.count : text.count
            output.values[row] = TextReference(offset: reference.offset + start, count: end - start).packed
        }
    }

    static func extremes(
        _ operands: [Column], isLeast: Bool, _ output: Column, _ arena: Arena, _ rows: Selection
    ) {
        for index in 0..<rows.count {
            let row = rows[index]
            output.valid[row] = operands.reduce(1) { both($0, $1.valid[row]) }
            guard output.valid[row] == 1 else { continue }
            var best = operands[0].values[row]
            for operand in operands.dropFirst() {
                let order = compareBytes(operand.values[row], best, arena)
                if isLeast ? order < 0 : order > 0 { best = operand.values[row] }
            }
            output.values[row] = best
        }
    }
}

/// Where `part` is in `text` at `from` or behind it.
func find(_ part: UnsafeBufferPointer<UInt8>, in text: UnsafeBufferPointer<UInt8>, from: Int) -> Int? {
    guard part.count > 0, let wanted = part.baseAddress else { return from <= text.count ? from : nil }
    guard let base = text.baseAddress else { return nil }
    var at = from
    while text.count - at >= part.count {
        guard let next = memchr(base + at, Int32(part[0]), text.count - at - part.count + 1) else {
            return nil
        }
        at = UnsafeRawPointer(next) - UnsafeRawPointer(base)
        if memcmp(base + at, wanted, part.count) == 0 { return at }
        at += 1
    }
    return nil
}
