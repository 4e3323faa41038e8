/// The text of a scalar with its parameters put in, and where each character of it stands in the file.
package struct ScalarText {
    package var text: String
    /// As it is written in the file.
    package var written: String
    /// True if a value from the environment or a file was put in, which no message may show.
    package var isSecret = false
    package var position: Position
    /// The column of each Unicode scalar of `text` and of its end; empty where they are not known.
    package var columns: [Int]

    package init(text: String, position: Position, columns: [Int]) {
        self.text = text
        written = text
        self.position = position
        self.columns = columns
    }

    /// For messages.
    package var shown: String { isSecret ? written : text }

    package func position(at offset: Int) -> Position {
        guard !columns.isEmpty else { return position }
        return Position(line: position.line, column: columns[min(max(offset, 0), columns.count - 1)])
    }

    /// A part of it, by offsets in Unicode scalars.
    package func slice(_ range: Range<Int>) -> ScalarText {
        let scalars = text.unicodeScalars
        let start = scalars.index(scalars.startIndex, offsetBy: range.lowerBound)
        let end = scalars.index(start, offsetBy: range.count)
        var part = ScalarText(
            text: String(scalars[start..<end]),
            position: position(at: range.lowerBound),
            columns: columns.isEmpty ? [] : Array(columns[range.lowerBound...range.upperBound])
        )
        part.isSecret = isSecret
        if isSecret { part.written = written }
        return part
    }

    /// Text and `{…}` parts of a template, in order; `{{` and `}}` are braces. Braces inside quotes belong to
    /// the part. nil in place of a part that is not closed, with its offset.
    package func templateParts() -> Result<[TemplatePart], ExpressionMistake> {
        let scalars = Array(text.unicodeScalars)
        var parts: [TemplatePart] = []
        var plain = String.UnicodeScalarView()
        var at = 0
        while at < scalars.count {
            let scalar = scalars[at]
            if scalar == "{" || scalar == "}", at + 1 < scalars.count, scalars[at + 1] == scalar {
                plain.append(scalar)
                at += 2
                continue
            }
            guard scalar == "{" else {
                plain.append(scalar)
                at += 1
                continue
            }
            guard let end = Self.closingBrace(scalars, after: at) else {
                return .failure(
                    ExpressionMistake(offset: at, message: "'{' is not closed; write {{ for a brace")
                )
            }
            if !plain.isEmpty { parts.append(.text(String(plain))) }
            plain = String.UnicodeScalarView()
            parts.append(.expression(slice(at + 1..<end)))
            at = end + 1
        }
        if !plain.isEmpty { parts.append(.text(String(plain))) }
        return .success(parts)
    }

    package enum TemplatePart {
        case text(String)
        case expression(ScalarText)
    }

    private static func closingBrace(_ scalars: [Unicode.Scalar], after start: Int) -> Int? {
        var quote: Unicode.Scalar?
        var at = start + 1
        while at < scalars.count {
            let scalar = scalars[at]
            if let open = quote {
                if scalar == "\\", open != "`" { at += 1 } else if scalar == open { quote = nil }
            } else if scalar == "\"" || scalar == "'" || scalar == "`" {
                quote = scalar
            } else if scalar == "}" {
                return at
            }
            at += 1
        }
        return nil
    }
}
