import Topology

/// Reads `{salt:16}{account}|{event_time:reversed}|{id}`.
struct HBaseKeyReader {
    private let context: ReadingContext
    private let fields: HBaseFields

    init(_ context: ReadingContext, _ fields: HBaseFields) {
        self.context = context
        self.fields = fields
    }

    func read(_ pattern: ScalarText) -> [HBaseKey.Part]? {
        switch pattern.templateParts() {
        case .failure(let mistake):
            context.report(mistake, pattern)
            return nil
        case .success(let found): return read(found, pattern)
        }
    }

    private func read(_ found: [ScalarText.TemplatePart], _ pattern: ScalarText) -> [HBaseKey.Part]? {
        let before = context.diagnostics.count
        var parts: [HBaseKey.Part] = []
        for part in found {
            switch part {
            case .text(let text):
                if text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F || $0 == 0x25 }) {
                    context.error(
                        pattern.position, "a text of the key has no spaces, no control characters and no %")
                }
                if case .field(let name, .plain)? = parts.last, let first = text.utf8.first,
                    ReadingContext.isLetter(first) || ReadingContext.isDigit(first) || first >= 0x80
                {
                    context.error(
                        pattern.position,
                        "what stands behind {\(name)} begins with a sign like |, which tells where the field ends"
                    )
                }
                parts.append(.text(text))
            case .expression(let text):
                guard let part = field(text, isFirst: parts.isEmpty) else { continue }
                if case .field(let name, .plain)? = parts.last {
                    context.error(
                        text.position,
                        "a text must stand between {\(name)} and this, like |: texts have no fixed length")
                }
                parts.append(part)
            }
        }
        if HBaseKey(parts).fields.isEmpty, context.diagnostics.count == before {
            context.error(
                pattern.position, "the key names no field, so all rows would be one; write {account} in it")
        }
        return context.diagnostics.count == before ? parts : nil
    }

    private func field(_ text: ScalarText, isFirst: Bool) -> HBaseKey.Part? {
        let words = text.text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(
            String.init)
        let name = words[0]
        if name == "salt" {
            guard words.count == 2, let count = Int(words[1]), 2...256 ~= count else {
                context.error(text.position, "a salt has a number from 2 to 256: {salt:16}")
                return nil
            }
            if !isFirst { context.error(text.position, "the salt stands at the beginning of the key") }
            return .salt(count)
        }
        guard words.count == 2 else {
            fields.check(name, text, context)
            return .field(name, .plain)
        }
        let forms = HBaseKey.Form.allCases.filter { $0 != .plain }
        guard let form = forms.first(where: { $0.rawValue == words[1] }) else {
            let known = forms.map(\.rawValue)
            context.error(
                text.position,
                "there is no {\(name):\(words[1])}; a time is {\(name):reversed} or {\(name):ordered}"
                    + NearestName.hint(words[1], among: known))
            return nil
        }
        fields.check(name, text, context, isTime: true)
        return .field(name, form)
    }
}
