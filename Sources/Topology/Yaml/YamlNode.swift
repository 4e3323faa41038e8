/// A piece of a YAML file, and where it begins.
package struct YamlNode: Hashable, Sendable {
    package indirect enum Content: Hashable, Sendable {
        case scalar(YamlScalar)
        case sequence([YamlNode])
        case mapping([YamlEntry])
    }

    package var content: Content
    package var position: Position

    package init(_ content: Content, at position: Position) {
        self.content = content
        self.position = position
    }

    package var scalar: YamlScalar? { if case .scalar(let scalar) = content { scalar } else { nil } }
    package var mapping: [YamlEntry]? { if case .mapping(let entries) = content { entries } else { nil } }
    package var sequence: [YamlNode]? { if case .sequence(let nodes) = content { nodes } else { nil } }

    /// True for `null`, `~` and nothing at all, unquoted.
    package var isNull: Bool {
        guard let scalar, !scalar.isQuoted else { return false }
        return scalar.text.isEmpty || scalar.text == "~" || scalar.text == "null"
    }

    /// What it is, for a message.
    package var kind: String {
        switch content {
        case .scalar: isNull ? "nothing" : "a value"
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }
}

package struct YamlScalar: Hashable, Sendable {
    package enum Style: Hashable, Sendable { case plain, singleQuoted, doubleQuoted, block }

    package var text: String
    package var style: Style
    package var isQuoted: Bool { style != .plain }
    /// The column in the file of each character (Unicode scalar) of the text, and of its end; empty if the
    /// value goes over several lines.
    package var columns: [Int]

    package init(_ text: String, style: Style, columns: [Int]) {
        self.text = text
        self.style = style
        self.columns = columns
    }
}

package struct YamlEntry: Hashable, Sendable {
    package var key: String
    package var keyPosition: Position
    package var value: YamlNode

    package init(key: String, keyPosition: Position, value: YamlNode) {
        self.key = key
        self.keyPosition = keyPosition
        self.value = value
    }
}
