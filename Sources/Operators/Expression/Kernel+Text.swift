import Base
import Glibc
import Records
import Topology

extension Kernel {
    func runText(_ a: Column, into output: Column, arena: Arena, rows: Selection) {
        switch self {
        case .inTexts(let members):
            map(a, output, rows) { packed in
                let text = bytes(packed, arena)
                return (members.contains { $0.elementsEqual(text) } ? 1 : 0, 1)
            }
        case .length:
            map(a, output, rows) { packed in
                // Scalars begin at every byte that does not continue one.
                (Int64(bytes(packed, arena).reduce(0) { $0 + ($1 & 0xC0 != 0x80 ? 1 : 0) }), 1)
            }
        case .lower: map(a, output, rows) { (changeCase($0, arena, toUpper: false), 1) }
        case .upper: map(a, output, rows) { (changeCase($0, arena, toUpper: true), 1) }
        case .trim:
            map(a, output, rows) { packed in
                let text = TextReference(packed: packed)
                let content = bytes(packed, arena)
                func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0D) }
                guard let first = content.firstIndex(where: { !isSpace($0) }),
                    let last = content.lastIndex(where: { !isSpace($0) })
                else { return (TextReference(offset: text.offset, count: 0).packed, 1) }
                return (TextReference(offset: text.offset + first, count: last - first + 1).packed, 1)
            }
        case .text(let type):
            map(a, output, rows) { value in
                if type == .text { return (value, 1) }
                return (arena.append(ValueText.string(value, type)).packed, 1)
            }
        case .parseNumber(let scale):
            map(a, output, rows) { packed in
                let text = TextReference(packed: packed)
                switch Decimal.parse(arena.base + text.offset, text.count, scale: scale) {
                case .success(let value): return (value, 1)
                case .failure: return (0, 0)
                }
            }
        case .date(let zone):
            var cursor = zone.cursor()
            map(a, output, rows) { time in
                guard isDated(time) else { return (0, 2) }
                let day = zone.localDay(containing: time, &cursor)
                return (arena.append(CivilTime.dateString(day: day)).packed, 1)
            }
        case .parseTime(let program, let zone):
            map(a, output, rows) { packed in
                let text = TextReference(packed: packed)
                return readTime(program, zone, arena.base + text.offset, text.count).map { ($0, 1) } ?? (0, 0)
            }
        case .timeText(let pattern, let zone):
            var cursor = zone.cursor()
            var bytes: [UInt8] = []
            map(a, output, rows) { time in
                guard isDated(time) else { return (0, 2) }
                bytes.removeAll(keepingCapacity: true)
                pattern.write(time, offset: zone.offset(atMilliseconds: time, &cursor), to: &bytes)
                return (
                    bytes.withUnsafeBufferPointer { buffer in
                        buffer.baseAddress.map { arena.append($0, buffer.count).packed }
                            ?? TextReference(offset: 0, count: 0).packed
                    }, 1
                )
            }
        case .matches(let matcher): map(a, output, rows) { (matcher.matches(bytes($0, arena)) ? 1 : 0, 1) }
        case .extract(let matcher, let group):
            map(a, output, rows) { packed in
                guard let found = matcher.extract(bytes(packed, arena), group: group) else { return (0, 0) }
                let offset = TextReference(packed: packed).offset + found.lowerBound
                return (TextReference(offset: offset, count: found.count).packed, 1)
            }
        default: unreachable("text kernel \(self)")
        }
    }

    func runText(_ a: Column, _ b: Column, into output: Column, arena: Arena, rows: Selection) {
        switch self {
        case .compareText(let operation):
            map(a, b, output, rows) { (holds(operation, compareBytes($0, $1, arena)) ? 1 : 0, 1) }
        case .startsWith:
            map(a, b, output, rows) { x, y in
                let (text, part) = (bytes(x, arena), bytes(y, arena))
                return (text.count >= part.count && equal(text, 0, part) ? 1 : 0, 1)
            }
        case .endsWith:
            map(a, b, output, rows) { x, y in
                let (text, part) = (bytes(x, arena), bytes(y, arena))
                return (text.count >= part.count && equal(text, text.count - part.count, part) ? 1 : 0, 1)
            }
        case .contains:
            map(a, b, output, rows) { x, y in
                let (text, part) = (bytes(x, arena), bytes(y, arena))
                guard part.count > 0 else { return (1, 1) }
                guard text.count >= part.count else { return (0, 1) }
                for at in 0...text.count - part.count where text[at] == part[0] && equal(text, at, part) {
                    return (1, 1)
                }
                return (0, 1)
            }
        case .position:
            map(a, b, output, rows) { x, y in
                let text = bytes(x, arena)
                guard let place = find(bytes(y, arena), in: text, from: 0) else { return (0, 0) }
                return (Int64(text[..<place].reduce(0) { $0 + ($1 & 0xC0 != 0x80 ? 1 : 0) }), 1)
            }
        default: unreachable("text kernel \(self)")
        }
    }

    func runText(_ operands: [Column], into output: Column, arena: Arena, rows: Selection) {
        switch self {
        case .substring: return substring(operands, output, arena, rows)
        case .replace: return TextParts.replace(operands, output, arena, rows)
        case .split: return TextParts.split(operands, output, arena, rows)
        case .extremeText(let isLeast):
            return TextParts.extremes(operands, isLeast: isLeast, output, arena, rows)
        default: break
        }
        for index in 0..<rows.count {
            let row = rows[index]
            guard haveValues(operands, row, else: output) else { continue }
            let count = operands.reduce(0) { $0 + TextReference(packed: $1.values[row]).count }
            guard count <= Limits.textBytesMax else {
                output.valid[row] = 2
                continue
            }
            arena.reserve(count)
            let start = arena.count
            for operand in operands {
                let text = TextReference(packed: operand.values[row])
                _ = arena.append(arena.base + text.offset, text.count)
            }
            output.values[row] = TextReference(offset: start, count: count).packed
            output.valid[row] = 1
        }
    }

    /// `substring(text, start, count)` in Unicode scalars from 0. A start or a count below 0 is as 0, and
    /// what lies beyond the text is left out.
    private func substring(_ operands: [Column], _ output: Column, _ arena: Arena, _ rows: Selection) {
        let (source, from, length) = (operands[0], operands[1], operands[2])
        for index in 0..<rows.count {
            let row = rows[index]
            let state = both(both(source.valid[row], from.valid[row]), length.valid[row])
            guard state == 1 else {
                output.valid[row] = state
                continue
            }
            let text = TextReference(packed: source.values[row])
            let content = bytes(text.packed, arena)
            let first = max(0, from.values[row])
            let (sum, overflow) = first.addingReportingOverflow(max(0, length.values[row]))
            let end = overflow ? Int64.max : sum
            var scalar: Int64 = -1
            var start = content.count
            var stop = content.count
            for (position, byte) in content.enumerated() where byte & 0xC0 != 0x80 {
                scalar += 1
                if scalar == first { start = position }
                if scalar == end {
                    stop = position
                    break
                }
            }
            output.values[row] =
                TextReference(offset: text.offset + start, count: max(0, stop - start)).packed
            output.valid[row] = 1
        }
    }

    func timePart(_ part: TimePart, _ zone: TimeZoneTable, _ a: Column, _ output: Column, _ rows: Selection) {
        var cursor = zone.cursor()
        func local(_ time: Int64) -> Int64 { time + zone.offset(atMilliseconds: time, &cursor) }
        let hour: Int64 = 3_600_000
        let day = 24 * hour
        @inline(__always) func map(
            _ a: Column, _ output: Column, _ rows: Selection, _ body: (Int64) -> (Int64, UInt8)
        ) {
            self.map(a, output, rows) { isDated($0) ? body($0) : (0, 2) }
        }
        switch part {
        case .hour: map(a, output, rows) { (positiveRemainder(local($0), day) / hour, 1) }
        case .second: map(a, output, rows) { (positiveRemainder(local($0), 60_000) / 1000, 1) }
        case .week: map(a, output, rows) { (isoWeek(floorDivide(local($0), day)), 1) }
        case .quarter:
            map(a, output, rows) {
                (Int64(CivilTime.civil(day: floorDivide(local($0), day)).month + 2) / 3, 1)
            }
        case .startOfWeek:
            map(a, output, rows) {
                let ordinal = floorDivide(local($0), day)
                return (zone.startOfDay(ordinal: ordinal - positiveRemainder(ordinal + 3, 7)), 1)
            }
        case .startOfMonth:
            map(a, output, rows) {
                let ordinal = floorDivide(local($0), day)
                return (zone.startOfDay(ordinal: ordinal - Int64(CivilTime.civil(day: ordinal).day) + 1), 1)
            }
        case .minute: map(a, output, rows) { (positiveRemainder(local($0), hour) / 60_000, 1) }
        // 1970-01-01 was a Thursday.
        case .weekday: map(a, output, rows) { (positiveRemainder(floorDivide(local($0), day) + 3, 7) + 1, 1) }
        case .day: map(a, output, rows) { (Int64(CivilTime.civil(day: floorDivide(local($0), day)).day), 1) }
        case .month:
            map(a, output, rows) { (Int64(CivilTime.civil(day: floorDivide(local($0), day)).month), 1) }
        case .year:
            map(a, output, rows) { (Int64(CivilTime.civil(day: floorDivide(local($0), day)).year), 1) }
        case .startOfDay: map(a, output, rows) { (zone.startOfDay(containing: $0, &cursor), 1) }
        }
    }
}

/// The week of ISO 8601: that of its Thursday, counted in the Thursday's year.
private func isoWeek(_ day: Int64) -> Int64 {
    let thursday = day - positiveRemainder(day + 3, 7) + 3
    let year = CivilTime.civil(day: thursday).year
    var first = thursday
    // The first of January is at most 52 weeks before.
    while CivilTime.civil(day: first - 7).year == year { first -= 7 }
    return (thursday - first) / 7 + 1
}

/// nil: no time, or one without a zone where there is none.
func readTime(_ program: TimeProgram, _ zone: TimeZoneTable?, _ bytes: UnsafePointer<UInt8>, _ count: Int)
    -> Int64?
{
    guard let parsed = program.parse(bytes, count) else { return nil }
    if parsed.hasZone { return parsed.milliseconds }
    return zone?.utc(local: parsed.milliseconds)
}

/// False for the numbers that no calendar gives a date.
@inline(__always)
private func isDated(_ time: Int64) -> Bool {
    time >= -CivilTime.millisecondsMax && time <= CivilTime.millisecondsMax
}

@inline(__always)
private func positiveRemainder(_ value: Int64, _ divisor: Int64) -> Int64 {
    let remainder = value % divisor
    return remainder < 0 ? remainder + divisor : remainder
}

@inline(__always)
func bytes(_ packed: Int64, _ arena: Arena) -> UnsafeBufferPointer<UInt8> {
    let text = TextReference(packed: packed)
    return UnsafeBufferPointer(start: arena.base + text.offset, count: text.count)
}

@inline(__always)
private func equal(_ text: UnsafeBufferPointer<UInt8>, _ at: Int, _ part: UnsafeBufferPointer<UInt8>) -> Bool
{
    guard part.count > 0, let whole = text.baseAddress, let start = part.baseAddress else { return true }
    return memcmp(whole + at, start, part.count) == 0
}

/// -1, 0 or 1, byte by byte, which for UTF-8 is the order of scalars.
@inline(__always)
func compareBytes(_ a: Int64, _ b: Int64, _ arena: Arena) -> Int {
    let (left, right) = (TextReference(packed: a), TextReference(packed: b))
    let order = memcmp(arena.base + left.offset, arena.base + right.offset, min(left.count, right.count))
    if order != 0 { return order < 0 ? -1 : 1 }
    return left.count == right.count ? 0 : (left.count < right.count ? -1 : 1)
}

/// ASCII in place of a copy; anything else by Unicode's rules, which the standard library knows.
private func changeCase(_ packed: Int64, _ arena: Arena, toUpper: Bool) -> Int64 {
    let text = TextReference(packed: packed)
    let content = bytes(packed, arena)
    if content.contains(where: { $0 >= 0x80 }) {
        let string = String(decoding: content, as: UTF8.self)
        return arena.append(toUpper ? string.uppercased() : string.lowercased()).packed
    }
    arena.reserve(text.count)
    let start = arena.count
    for position in 0..<text.count {
        let byte = arena.base[text.offset + position]
        let isLetter = toUpper ? byte >= 0x61 && byte <= 0x7A : byte >= 0x41 && byte <= 0x5A
        arena.base[start + position] = isLetter ? byte ^ 0x20 : byte
    }
    arena.count = start + text.count
    return TextReference(offset: start, count: text.count).packed
}
