import Records

/// `matches(t, "^[0-9]+$")` and `extract(t, "id=([0-9]+)")`.
enum PatternFunctions {
    typealias Call = (Function, [Expression], ValueType)

    static func check(_ name: String, _ arguments: [Syntax], in checker: inout ExpressionChecker) -> Call? {
        let operand = checker.expecting(.text, arguments[0], name)
        guard case .text(let text) = arguments[1].node else {
            checker.report(arguments[1], "the pattern must be a written text, like \"^[0-9]+$\"")
            return nil
        }
        let pattern: TextPattern
        do throws(TextPattern.Mistake) {
            pattern = try TextPattern(text)
        } catch {
            checker.report(arguments[1], "in the pattern, at character \(error.offset + 1): \(error.message)")
            return nil
        }
        if name == "extract", pattern.groupCount > 1 {
            checker.report(
                arguments[1],
                "extract gives one group; write (?:…) for the groups that are only there to hold together")
            return nil
        }
        guard let operand else { return nil }
        return name == "matches"
            ? (.matches(pattern), [operand], .bool) : (.extract(pattern), [operand], .text)
    }
}
