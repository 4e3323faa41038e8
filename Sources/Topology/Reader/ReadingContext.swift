import Base
import Records

/// What the readers of one file share: its mistakes, its parameters, the machine around it.
package final class ReadingContext {
    package let file: String
    package let catalogue: Catalogue
    package let environment: Environment
    package private(set) var diagnostics: [Diagnostic] = []
    package var parameters: [String: Parameter] = [:]
    /// False while the parameters themselves are read, which cannot refer to each other.
    package var hasParameters = false

    /// By name, of `models:`.
    package var models: [String: DeclaredModel] = [:]

    package struct DeclaredModel {
        /// nil: a mistake in it was reported.
        var model: ModelSpec?
        var position: Position
        var isUsed = false
    }

    package struct Parameter {
        /// nil: a mistake in it was reported.
        var value: ScalarText?
        var position: Position
        var isUsed = false
    }

    package init(file: String, catalogue: Catalogue, environment: Environment) {
        self.file = file
        self.catalogue = catalogue
        self.environment = environment
    }

    package var hasErrors: Bool { diagnostics.contains { $0.severity == .error } }

    package func error(_ position: Position, _ message: String) {
        diagnostics.append(Diagnostic(file: file, at: position, message))
    }

    package func warn(_ position: Position, _ message: String) {
        diagnostics.append(Diagnostic(.warning, file: file, at: position, message))
    }

    /// In the order of the file, the first `Limits.diagnosticsMax`.
    package func sortedDiagnostics() -> [Diagnostic] {
        // Ties stay in the order in which they were found.
        let sorted = diagnostics.enumerated().sorted { a, b in
            (a.element.position, a.offset) < (b.element.position, b.offset)
        }
        return sorted.prefix(Limits.diagnosticsMax).map(\.element)
    }

    // MARK: Scalars

    /// The text of a scalar with its parameters put in; a mistake if it is none or empty. `example` shows
    /// how to write it.
    package func scalar(_ node: YamlNode, _ what: String, example: String) -> ScalarText? {
        guard case .scalar(let scalar) = node.content, !node.isNull else {
            error(node.position, "\(what) needs a value, not \(node.kind); write \(example)")
            return nil
        }
        guard let text = interpolate(scalar, at: node.position) else { return nil }
        guard !text.text.isEmpty else {
            error(node.position, "\(what) is empty; write \(example)")
            return nil
        }
        return text
    }

    /// nil, with a mistake, for something that `${…}` names and that does not exist.
    package func interpolate(_ scalar: YamlScalar, at position: Position) -> ScalarText? {
        var result = ScalarText(text: scalar.text, position: position, columns: scalar.columns)
        guard scalar.text.contains("${") else { return result }
        let scalars = Array(scalar.text.unicodeScalars)
        let source = result
        var text = String.UnicodeScalarView()
        var columns: [Int] = []
        var isGood = true
        var at = 0
        while at < scalars.count {
            guard scalars[at] == "$", at + 1 < scalars.count, scalars[at + 1] == "{" else {
                text.append(scalars[at])
                columns.append(source.position(at: at).column)
                at += 1
                continue
            }
            guard let end = scalars[at...].firstIndex(of: "}") else {
                error(source.position(at: at), "'${' is not closed; write ${name}")
                return nil
            }
            var name = String.UnicodeScalarView()
            name.append(contentsOf: scalars[at + 2..<end])
            if let (value, isSecret) = value(of: String(name), at: source.position(at: at)) {
                text.append(contentsOf: value.unicodeScalars)
                columns += Array(repeating: source.position(at: at).column, count: value.unicodeScalars.count)
                result.isSecret = result.isSecret || isSecret
            } else {
                isGood = false
            }
            at = end + 1
        }
        guard isGood else { return nil }
        columns.append(source.position(at: scalars.count).column)
        result.text = String(text)
        result.columns = scalar.columns.isEmpty ? [] : columns
        return result
    }

    private func value(of name: String, at position: Position) -> (String, isSecret: Bool)? {
        if name.hasPrefix("env:") {
            let variable = String(name.dropFirst(4))
            if let value = environment.variable(variable) { return (value, true) }
            error(position, "the environment variable '\(variable)' is not set")
            return nil
        }
        if name.hasPrefix("file:") {
            let path = String(name.dropFirst(5))
            guard var value = environment.fileText(path) else {
                error(position, "the file '\(path)' cannot be read, or is larger than 64 KiB")
                return nil
            }
            if value.hasSuffix("\r\n") || value.hasSuffix("\n") { value.removeLast() }
            return (value, true)
        }
        guard hasParameters else {
            error(
                position,
                "a parameter cannot refer to another one; only ${env:NAME} and ${file:/path} are known here"
            )
            return nil
        }
        guard let parameter = parameters[name] else {
            let hint =
                parameters.isEmpty
                ? "; declare it: parameters: { \(name.isEmpty ? "spike" : name): 5 }"
                : NearestName.hint(name, among: parameters.keys.sorted())
            error(position, "no parameter '\(name)'\(hint)")
            return nil
        }
        parameters[name]?.isUsed = true
        return parameter.value.map { ($0.text, $0.isSecret) }
    }

    // MARK: Typed scalars

    /// Milliseconds.
    package func duration(_ node: YamlNode, _ what: String, least: Int64 = 0) -> Int64? {
        guard let text = scalar(node, what, example: "10s"), let parsed = parseDuration(text) else {
            return nil
        }
        guard parsed.milliseconds >= least else {
            error(text.position, "\(what) must be at least \(ValueText.duration(least))")
            return nil
        }
        return parsed.milliseconds
    }

    package func parseDuration(_ text: ScalarText) -> (count: Int64, unit: String, milliseconds: Int64)? {
        do {
            return try DurationText.parse(text.text)
        } catch {
            self.error(text.position, text.isSecret ? "'\(text.written)' is no duration" : error.message)
            return nil
        }
    }

    package func zone(_ node: YamlNode) -> String? {
        guard let text = scalar(node, "zone", example: "zone: Asia/Shanghai") else { return nil }
        if environment.zones.isZone(text.text) { return text.text }
        error(
            text.position,
            text.isSecret ? "'\(text.written)' is no time zone" : environment.zones.mistake(text.text)
        )
        return nil
    }

    package func integer(_ node: YamlNode, _ what: String, _ range: ClosedRange<Int>, example: String) -> Int?
    {
        guard let text = scalar(node, what, example: example) else { return nil }
        if let value = Int(text.text), range.contains(value) { return value }
        let limits =
            range.upperBound == .max
            ? "at least \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
        error(
            text.position,
            "\(what) must be a whole number \(limits), not '\(text.shown)'; write \(example)"
        )
        return nil
    }

    /// One of a few words.
    package func choice(_ node: YamlNode, _ what: String, _ words: [String]) -> String? {
        guard let text = scalar(node, what, example: words[0]) else { return nil }
        if words.contains(text.text) { return text.text }
        error(text.position, "\(what) must be \(Self.list(words, "or")), not '\(text.shown)'")
        return nil
    }

    package static func list(_ words: [String], _ conjunction: String) -> String {
        guard words.count > 1, let last = words.last else { return words.first ?? "" }
        return words.dropLast().joined(separator: ", ") + " \(conjunction) " + last
    }

    // MARK: Expressions

    /// Parses and checks; mistakes are reported at their place in the file.
    func check(
        _ text: ScalarText,
        _ checker: inout ExpressionChecker,
        hint: String = "",
        _ body: (inout ExpressionChecker, Syntax) -> Expression? = { $0.check($1) }
    ) -> Expression? {
        do {
            let syntax = try ExpressionParser.parse(text.text)
            return check(syntax, text, &checker, body)
        } catch {
            report(ExpressionMistake(offset: error.offset, message: error.message + hint), text)
            return nil
        }
    }

    func check(
        _ syntax: Syntax,
        _ text: ScalarText,
        _ checker: inout ExpressionChecker,
        _ body: (inout ExpressionChecker, Syntax) -> Expression? = { $0.check($1) }
    ) -> Expression? {
        checker.mistakes = []
        checker.position = { text.position(at: $0) }
        let expression = body(&checker, syntax)
        // What follows a secret cannot be told from it, so one mistake says all.
        for mistake in checker.mistakes.prefix(text.isSecret ? 1 : .max) { report(mistake, text) }
        return expression
    }

    package func report(_ mistake: ExpressionMistake, _ text: ScalarText) {
        let message =
            text.isSecret
            ? "'\(text.written)' is wrong once its values are put in, which are not shown"
            : mistake.message
        error(text.position(at: mistake.offset), message)
    }
}
