import Records

/// Functions between texts and times: `timestamp(t, "%d.%m.%Y", "Asia/Shanghai")` and `text(time,
/// "Asia/Shanghai", "%Y-%m")`.
enum TimeFunctions {
    typealias Call = (Function, [Expression], ValueType)

    /// The format may be left out, then the text is ISO 8601; so may the zone, then it is the file's. A text
    /// that is written there must be a time.
    static func timestamp(_ arguments: [Syntax], _ syntax: Syntax, in checker: inout ExpressionChecker)
        -> Call?
    {
        let operand = checker.expecting(.text, arguments[0], "timestamp")
        var zone = checker.scope.zone
        var text = "iso"
        if arguments.count > 1 {
            guard let written = self.written(arguments[1], "format", "%d.%m.%Y", in: &checker) else {
                return nil
            }
            text = written
        }
        if arguments.count > 2 {
            guard let named = self.zone(arguments[2], in: &checker) else { return nil }
            zone = named
        }
        guard let operand, let patterns = patterns(text, arguments, in: &checker) else { return nil }
        let hasOffset = patterns.allSatisfy { $0.steps.contains(.offset) }
        if case .literal(.text(let literal)) = operand.node {
            guard let parsed = TimeProgram(patterns).parse(literal) else {
                let wanted =
                    arguments.count > 1
                    ? "as '\(text)' says it" : "like 2023-01-05 or 2023-01-05T08:03:00+08:00"
                checker.report(arguments[0], "'\(literal)' is no time \(wanted)")
                return nil
            }
            if parsed.hasZone {
                return (.timestamp(patterns: patterns, zone: nil), [operand], .timestamp)
            }
        }
        guard zone != nil || hasOffset || !checker.scope.isComplete else {
            checker.report(
                syntax,
                "a text without an offset needs a time zone; write zone: Asia/Shanghai at the top of the file, or "
                    + "timestamp(t, \"\(text)\", \"Asia/Shanghai\")")
            return nil
        }
        return (.timestamp(patterns: patterns, zone: zone), [operand], .timestamp)
    }

    /// `text(time, "Asia/Shanghai")` is ISO 8601 with the offset.
    static func text(_ arguments: [Syntax], in checker: inout ExpressionChecker) -> Call? {
        let operand = checker.expecting(.timestamp, arguments[0], "text with a zone")
        guard let zone = zone(arguments[1], in: &checker) else { return nil }
        var pattern = try? TimePattern("iso")
        if arguments.count > 2 {
            guard let text = written(arguments[2], "format", "%Y-%m", in: &checker) else { return nil }
            do throws(TimePattern.Mistake) {
                pattern = try TimePattern(writing: text)
            } catch {
                checker.report(arguments[2], "'\(text)' is no format of times: \(error.message)")
                return nil
            }
        }
        guard let operand, let pattern else { return nil }
        return (.timeText(pattern, zone: zone), [operand], .text)
    }

    private static func patterns(
        _ text: String, _ arguments: [Syntax], in checker: inout ExpressionChecker
    ) -> [TimePattern]? {
        var patterns: [TimePattern] = []
        for text in TimePattern.names[text] ?? [text] {
            do throws(TimePattern.Mistake) {
                patterns.append(try TimePattern(text))
            } catch {
                checker.report(
                    arguments[min(1, arguments.count - 1)],
                    "'\(text)' is no format of times: \(error.message)")
                return nil
            }
        }
        return patterns
    }

    private static func written(
        _ syntax: Syntax, _ what: String, _ example: String, in checker: inout ExpressionChecker
    ) -> String? {
        if case .text(let text) = syntax.node { return text }
        checker.report(syntax, "the \(what) must be a written text, like \"\(example)\"")
        return nil
    }

    private static func zone(_ syntax: Syntax, in checker: inout ExpressionChecker) -> String? {
        guard let name = written(syntax, "zone", "Asia/Shanghai", in: &checker) else { return nil }
        if checker.scope.zones.isZone(name) { return name }
        checker.report(syntax, checker.scope.zones.mistake(name))
        return nil
    }
}
