/// How the fields of a text lie side by side: what separates them, what stands before and behind the records,
/// and what the columns are called.
struct DelimitedGuess {
    var options: [String] = []
    var doubts: [String] = []
    var names: [String] = []
    var rows: [[String]] = []

    private static let delimiters: [Character] = [",", ";", "\t", "|"]

    init(_ text: String, isWhole: Bool, recordsMax: Int) {
        let lines = Self.lines(text, isWhole: isWhole, atMost: recordsMax + 1100)
        let sample = Array(lines.prefix(400))
        var best: (delimiter: Character, width: Int, share: Double) = (",", 1, 0)
        for delimiter in Self.delimiters {
            var widths: [Int: Int] = [:]
            for line in sample { widths[Self.fields(line, delimiter).count, default: 0] += 1 }
            // The width that most lines have, among those of more than one field.
            guard
                let (width, number) = widths.filter({ $0.key > 1 }).max(by: {
                    ($0.value, $0.key) < ($1.value, $1.key)
                })
            else { continue }
            let share = Double(number) / Double(sample.count)
            if share > best.share + 0.05 || (share > best.share - 0.05 && width > best.width) {
                best = (delimiter, width, share)
            }
        }
        let delimiter = best.delimiter
        let parsed = lines.map { Self.fields($0, delimiter) }
        // Lines above the header may be as wide, of nothing.
        func filled(_ row: [String]) -> Int { row.count { !Self.trim($0).isEmpty } }
        let usual = parsed.filter { $0.count == best.width }.map(filled).sorted()
        let least = usual.isEmpty ? 0 : (usual[usual.count / 2] + 1) / 2
        let first = parsed.firstIndex { $0.count == best.width && filled($0) >= least } ?? 0
        var end = parsed.count
        if isWhole { while end > first + 1, parsed[end - 1].count != best.width { end -= 1 } }
        if delimiter != "," {
            options.append(delimiter == "\t" ? "delimiter: tab" : "delimiter: \"\(delimiter)\"")
        }
        let isTrimmed = parsed[first..<end].prefix(200).contains { row in
            row.contains { $0.first == " " || $0.first == "\t" || $0.last == " " || $0.last == "\t" }
        }
        if isTrimmed { options.append("trim: true") }
        func trimmed(_ row: [String]) -> [String] { isTrimmed ? row.map(Self.trim) : row }
        let head = trimmed(parsed[first])
        let hasHeader = Self.isHeader(head, trimmed(first + 1 < end ? parsed[first + 1] : []))
        let isDouble = hasHeader && Set(head.filter { !$0.isEmpty }).count < head.filter { !$0.isEmpty }.count
        if hasHeader, !isDouble {
            names = head
            if first > 0 { options.append("skip: \(first)") }
        } else {
            var counts: [String: Int] = [:]
            names = (0..<best.width).map { index in
                let name = hasHeader && !head[index].isEmpty ? head[index] : "c\(index + 1)"
                counts[name, default: 0] += 1
                let count = counts[name] ?? 1
                return count == 1 ? name : "\(name)_\(count)"
            }
            let skipped = hasHeader ? first + 1 : first
            if skipped > 0 { options.append("skip: \(skipped)") }
            options.append("columns: [\(names.map(GuessedColumn.quoted).joined(separator: ", "))]")
            doubts.append(
                hasHeader
                    ? "the header has a name twice; the second is called NAME_2"
                    : "there is no header; the columns are named by their places")
        }
        let body = parsed[(hasHeader ? first + 1 : first)..<end].map(trimmed)
        if end < parsed.count, let start = lines[end].first(where: { !$0.isWhitespace }) {
            let text = Self.fields(lines[end], delimiter)[0].prefix(20)
            let footer = text.isEmpty ? String(start) : String(text)
            options.append("footer: \(GuessedColumn.quoted(footer, always: true))")
            doubts.append("what stands behind the last record seems to be no record")
        }
        rows = body.filter { $0.count == best.width }.prefix(recordsMax).map { $0 }
        let odd = body.count - body.count { $0.count == best.width }
        if odd > 0 {
            let isShort = body.contains { $0.count < best.width }
            if isShort { options.append("short: fill") }
            if body.contains(where: { $0.count > best.width }) { options.append("long: cut") }
            doubts.append("\(odd) of \(body.count) records have another number of fields than \(best.width)")
        }
    }

    /// Records by line ends outside of quotes; empty ones are none, and one that is cut off neither.
    private static func lines(_ text: String, isWhole: Bool, atMost: Int) -> [String] {
        var lines: [String] = []
        var line = String.UnicodeScalarView()
        var isQuoted = false
        let scalars = text.unicodeScalars
        let isReturn = !scalars.prefix(65_536).contains("\n") && scalars.prefix(65_536).contains("\r")
        for scalar in scalars {
            if scalar == "\"" { isQuoted.toggle() }
            if scalar == (isReturn ? "\r" : "\n"), !isQuoted || line.count > 65_536 {
                if line.last == "\r" { line.removeLast() }
                if !line.isEmpty { lines.append(String(line)) }
                line = String.UnicodeScalarView()
                isQuoted = false
                if lines.count == atMost { return lines }
            } else {
                line.append(scalar)
            }
        }
        if isWhole, !line.isEmpty { lines.append(String(line)) }
        return lines
    }

    private static func fields(_ line: String, _ delimiter: Character) -> [String] {
        var fields: [String] = []
        var field = ""
        var isQuoted = false
        var wasQuote = false
        for letter in line {
            if letter == "\"" {
                if !isQuoted, trim(field).isEmpty, !wasQuote {
                    isQuoted = true
                    field = ""
                } else if isQuoted {
                    isQuoted = false
                    wasQuote = true
                    continue
                } else if wasQuote {
                    field.append(letter)
                    isQuoted = true
                } else {
                    field.append(letter)
                }
            } else if letter == delimiter, !isQuoted {
                fields.append(field)
                field = ""
            } else {
                field.append(letter)
            }
            wasQuote = false
        }
        fields.append(field)
        return fields
    }

    private static func trim(_ text: String) -> String {
        let head = text.drop { $0 == " " || $0 == "\t" }
        return String(head.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    }

    /// A header has names, and what stands below it has values.
    private static func isHeader(_ head: [String], _ next: [String]) -> Bool {
        func isValue(_ text: String) -> Bool {
            guard let first = text.first else { return false }
            return first.isNumber
                || ((first == "-" || first == "+" || first == ".")
                    && text.dropFirst().first?.isNumber == true)
        }
        if head.contains(where: isValue) { return false }
        return next.isEmpty || next.contains(where: isValue) || head != next
    }
}
