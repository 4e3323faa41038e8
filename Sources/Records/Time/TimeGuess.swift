/// Which patterns a text could be a time of, among those that are common.
package enum TimeGuess {
    private static let dates = [
        "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y",
        "%Y年%m月%d日", "%Y%m%d", "%d %b %Y", "%d-%b-%Y", "%d/%b/%Y", "%b %d, %Y", "%b %d %Y", "%a, %d %b %Y",
        "%a %d %b %Y", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%b-%y", "%y%m%d", "%y/%m/%d", "%y-%m-%d",
    ]
    private static let times = [
        "%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%H:%M:%S,%f", "%I:%M:%S %p", "%I:%M %p", "%I:%M:%S%p", "%I:%M%p",
        "%p%I:%M:%S",
        "%p %I:%M:%S", "%p%I:%M", "%H.%M.%S", "%H.%M", "%H时%M分%S秒", "%H时%M分", "%H%M%S", "%H%M",
    ]
    private static let gaps = [" ", "T", ", ", "", ":", " - "]
    private static let offsets = ["", "%z", " %z"]
    private static let others = [
        "%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S %z %Y", "%a %b %d %Y %H:%M:%S %z",
    ]

    /// Compiled when first asked for.
    private static let candidates: [(pattern: TimePattern, program: TimeProgram)] = {
        var texts = dates + others
        for date in dates {
            for gap in gaps where !gap.isEmpty || date == "%Y%m%d" {
                for time in times { texts += offsets.map { date + gap + time + $0 } }
            }
        }
        return texts.compactMap { text in
            (try? TimePattern(text)).map { ($0, TimeProgram([$0])) }
        }
    }()

    /// The candidates by what their texts look like, so that few of them are tried.
    private static let byShape: [[UInt8]: [Int]] = {
        var shapes: [[UInt8]: [Int]] = [:]
        for (index, candidate) in candidates.enumerated() {
            let text = candidate.pattern.string(1_294_222_500_000, offset: 0)
            let offsets =
                candidate.pattern.text.contains("%z")
                ? ["+00:00", "+0000", "-00:00", "-0000", "+00", "Z", "UTC"] : [""]
            let head = text.dropLast(text.hasSuffix("+00:00") ? 6 : 0)
            var known: Set<[UInt8]> = []
            for offset in offsets {
                let sample = String(head) + (head.count < text.count ? offset : "")
                known.insert(shape(Array(sample.utf8)))
                guard candidate.pattern.steps.contains(.half) else { continue }
                for half in ["上午", "下午", "a.m.", "p.m."] {
                    known.insert(shape(Array(sample.replacing("AM", with: half).utf8)))
                }
            }
            for shape in known { shapes[shape, default: []].append(index) }
        }
        return shapes
    }()

    /// A text with every run of digits and every run of letters as one.
    private static func shape(_ text: [UInt8]) -> [UInt8] {
        var shape: [UInt8] = []
        for byte in text {
            let kind: UInt8 =
                byte &- 0x30 <= 9 ? 0x30 : byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A ? 0x61 : byte
            if kind != shape.last || (kind != 0x30 && kind != 0x61 && kind != 0x20) { shape.append(kind) }
        }
        return shape
    }

    /// The patterns that read every one of the texts, at most one a text reads by; the likeliest first. Texts
    /// that ISO 8601 is need none.
    package static func patterns(of texts: [String], atMost: Int = 2) -> [TimePattern] {
        guard let first = texts.first else { return [] }
        var left = byShape[shape(Array(first.utf8))] ?? []
        for text in texts {
            let bytes = Array(text.utf8)
            guard bytes.count <= 64 else { return [] }
            left = bytes.withUnsafeBufferPointer { buffer in
                guard let start = buffer.baseAddress else { return [] }
                return left.filter { index in
                    guard let parsed = candidates[index].program.parse(start, buffer.count) else {
                        return false
                    }
                    // 1970 to 2100, or what two digits of a year say.
                    return parsed.milliseconds > -31_536_000_000_000
                        && parsed.milliseconds < 4_102_444_800_000
                }
            }
            if left.isEmpty { return [] }
        }
        // One of several that always mean the same is enough.
        var found: [TimePattern] = []
        for index in left where found.count < atMost {
            let pattern = candidates[index].pattern
            let isNew = found.allSatisfy { other in
                texts.contains {
                    TimeProgram([other]).parse($0)?.milliseconds
                        != candidates[index].program.parse($0)?.milliseconds
                }
            }
            if isNew { found.append(pattern) }
        }
        return found
    }
}
