/// A mapping of which only some keys are allowed.
package struct MappingReader {
    package let context: ReadingContext
    /// For messages: `step paid`.
    package let what: String
    /// Where a missing key is reported.
    package let position: Position
    private var entries: [String: YamlEntry] = [:]
    /// Keys that somebody meant with an unknown one, whose absence is no second mistake.
    private var misspelled: Set<String> = []

    /// Reports a node that is no mapping, and unknown keys.
    package init?(
        _ node: YamlNode,
        _ what: String,
        keys: [String],
        at position: Position,
        _ context: ReadingContext,
        example: String
    ) {
        self.context = context
        self.what = what
        self.position = position
        guard case .mapping(let list) = node.content else {
            let place = node.isNull ? position : node.position
            context.error(place, "\(what) needs a mapping, not \(node.kind); write \(example)")
            return nil
        }
        for entry in list {
            if keys.contains(entry.key) {
                entries[entry.key] = entry
            } else {
                context.error(
                    entry.keyPosition,
                    "\(what) has no '\(entry.key)'\(NearestName.hint(entry.key, among: keys))"
                )
                if let meant = NearestName.nearest(to: entry.key, among: keys) { misspelled.insert(meant) }
            }
        }
    }

    /// The value of a key that is there.
    package subscript(_ key: String) -> YamlNode? { entries[key]?.value }

    /// True if the key is there, be it misspelled.
    package func isGiven(_ key: String) -> Bool { entries[key] != nil || misspelled.contains(key) }

    package func keyPosition(_ key: String) -> Position { entries[key]?.keyPosition ?? position }

    /// The value of a key, or a mistake.
    package func required(_ key: String, example: String) -> YamlNode? {
        if let entry = entries[key] { return entry.value }
        if misspelled.contains(key) { return nil }
        context.error(position, "\(what) needs '\(key)'; write \(example)")
        return nil
    }

    package func requiredText(_ key: String, example: String) -> ScalarText? {
        required(key, example: example).flatMap { context.scalar($0, key, example: example) }
    }

    package func text(_ key: String, example: String) -> ScalarText? {
        self[key].flatMap { context.scalar($0, key, example: example) }
    }
}

extension ReadingContext {
    /// The entries of a mapping of things with names of the author's choosing; wrong names are left out.
    package func named(_ node: YamlNode, _ what: String, example: String) -> [YamlEntry] {
        guard case .mapping(let entries) = node.content else {
            error(node.position, "\(what) needs a mapping, not \(node.kind); write \(example)")
            return []
        }
        if entries.isEmpty { error(node.position, "\(what) is empty; write \(example)") }
        return entries
    }

    /// Reports a name that is no `[A-Za-z_][A-Za-z0-9_-]*` of at most 100 letters.
    package func checkName(_ entry: YamlEntry, _ what: String) -> Bool {
        let bytes = Array(entry.key.utf8)
        let isGood =
            !bytes.isEmpty && bytes.count <= 100 && !Self.isDigit(bytes[0]) && bytes[0] != 0x2D
            && bytes.allSatisfy { Self.isLetter($0) || Self.isDigit($0) || $0 == 0x5F || $0 == 0x2D }
        if !isGood {
            error(
                entry.keyPosition,
                "'\(entry.key)' is no name for a \(what); names have letters, digits, _ and -, and begin "
                    + "with a letter"
            )
        }
        return isGood
    }

    package static func isLetter(_ byte: UInt8) -> Bool { byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A }
    package static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

    /// A name, or a list of names, each with its place.
    package func names(_ node: YamlNode, _ what: String, example: String) -> [ScalarText]? {
        guard case .sequence(let nodes) = node.content else {
            return scalar(node, what, example: example).map { [$0] }
        }
        guard !nodes.isEmpty else {
            error(node.position, "\(what) is an empty list; write \(example)")
            return nil
        }
        let names = nodes.compactMap { scalar($0, what, example: example) }
        guard names.count == nodes.count else { return nil }
        for (index, name) in names.enumerated()
        where names[..<index].contains(where: { $0.text == name.text }) {
            error(name.position, "'\(name.shown)' is named twice")
            return nil
        }
        return names
    }

    /// A topic name by Kafka's rules.
    package func topic(_ node: YamlNode) -> String? {
        guard let text = scalar(node, "topic", example: "topic: orders") else { return nil }
        let isGood =
            text.text.utf8.count <= 249 && text.text != "." && text.text != ".."
            && text.text.utf8.allSatisfy { Self.isLetter($0) || Self.isDigit($0) || "._-".utf8.contains($0) }
        if isGood { return text.text }
        error(
            text.position,
            "'\(text.shown)' is no topic name; Kafka takes letters, digits, '.', '_' and '-', at most 249"
        )
        return nil
    }
}
