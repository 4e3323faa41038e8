import Base
import CYaml

/// Reads one YAML 1.1 document into a tree, over libyaml's events. Strict: duplicate keys, anchors, aliases,
/// tags and further documents are mistakes, since each of them can make a file say what it does not show.
package struct YamlReader {
    /// nil if the text is not YAML or goes past a limit; other mistakes leave the tree whole.
    package static func read(_ text: String, file: String) -> (root: YamlNode?, diagnostics: [Diagnostic]) {
        var reader = YamlReader(text, file: file)
        let root = reader.readStream()
        return (root, reader.diagnostics)
    }

    private let file: String
    private let text: String
    private let scalars: [Unicode.Scalar]
    private var diagnostics: [Diagnostic] = []
    /// On the heap, since libyaml keeps its address.
    private let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)

    /// True once something was refused without which the values are not what was meant.
    private var isUncertain = false

    private struct Stop: Error {}

    private init(_ text: String, file: String) {
        self.file = file
        self.text = text
        // libyaml skips a byte order mark before it starts to count.
        var scalars = Array(text.utf8.count > Limits.yamlBytesMax ? "".unicodeScalars : text.unicodeScalars)
        if scalars.first == "\u{FEFF}" { scalars.removeFirst() }
        self.scalars = scalars
    }

    private mutating func readStream() -> YamlNode? {
        guard text.utf8.count <= Limits.yamlBytesMax else {
            parser.deallocate()
            report(Position(line: 1, column: 1), "the file is larger than \(Limits.yamlBytesMax >> 10) KiB")
            return nil
        }
        var bytes = Array(text.utf8)
        return bytes.withUnsafeMutableBufferPointer { buffer in
            guard yaml_parser_initialize(parser) == 1 else { unreachable("libyaml has no memory") }
            defer {
                yaml_parser_delete(parser)
                parser.deallocate()
            }
            yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
            yaml_parser_set_input_string(parser, buffer.baseAddress, buffer.count)
            return try? readDocument()
        }
    }

    private mutating func readDocument() throws(Stop) -> YamlNode? {
        var event = try next()
        yaml_event_delete(&event)
        event = try next()
        let first = event.type
        yaml_event_delete(&event)
        guard first == YAML_DOCUMENT_START_EVENT else {
            report(Position(line: 1, column: 1), "the file is empty")
            return nil
        }
        let root = try readNode(depth: 1)
        event = try next()
        yaml_event_delete(&event)
        event = try next()
        let position = Self.position(event.start_mark)
        let last = event.type
        yaml_event_delete(&event)
        guard last == YAML_STREAM_END_EVENT else {
            report(position, "a second document begins here; a file holds one, so take out the '---' line")
            throw Stop()
        }
        return isUncertain ? nil : root
    }

    /// The event belongs to the caller.
    private mutating func next() throws(Stop) -> yaml_event_t {
        var event = yaml_event_t()
        if yaml_parser_parse(parser, &event) == 1 { return event }
        reportSyntax()
        throw Stop()
    }

    private mutating func readNode(depth: Int) throws(Stop) -> YamlNode {
        var event = try next()
        defer { yaml_event_delete(&event) }
        return try readNode(event, depth: depth)
    }

    private mutating func readNode(_ event: yaml_event_t, depth: Int) throws(Stop) -> YamlNode {
        let position = Self.position(event.start_mark)
        guard depth <= Limits.yamlDepthMax else {
            report(position, "nested more than \(Limits.yamlDepthMax) deep")
            throw Stop()
        }
        switch event.type {
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            refuse(anchor: scalar.anchor, tag: scalar.tag, at: position)
            return YamlNode(.scalar(self.scalar(event)), at: position)
        case YAML_SEQUENCE_START_EVENT:
            refuse(anchor: event.data.sequence_start.anchor, tag: event.data.sequence_start.tag, at: position)
            return YamlNode(.sequence(try readSequence(depth: depth)), at: position)
        case YAML_MAPPING_START_EVENT:
            refuse(anchor: event.data.mapping_start.anchor, tag: event.data.mapping_start.tag, at: position)
            return YamlNode(.mapping(try readMapping(depth: depth)), at: position)
        default:
            report(position, "aliases (*name) are not allowed; put a text that begins with * in quotes")
            throw Stop()
        }
    }

    private mutating func readSequence(depth: Int) throws(Stop) -> [YamlNode] {
        var nodes: [YamlNode] = []
        while true {
            var event = try next()
            defer { yaml_event_delete(&event) }
            if event.type == YAML_SEQUENCE_END_EVENT { return nodes }
            nodes.append(try readNode(event, depth: depth + 1))
        }
    }

    private mutating func readMapping(depth: Int) throws(Stop) -> [YamlEntry] {
        var entries: [YamlEntry] = []
        var lines: [String: Int] = [:]
        while true {
            var event = try next()
            defer { yaml_event_delete(&event) }
            if event.type == YAML_MAPPING_END_EVENT { return entries }
            let key = try readNode(event, depth: depth + 1)
            let value = try readNode(depth: depth + 1)
            guard case .scalar(let scalar) = key.content else {
                report(key.position, "a key must be a name, not \(key.kind)")
                continue
            }
            if let line = lines[scalar.text] {
                report(key.position, "'\(scalar.text)' is given twice; the first is in line \(line)")
                continue
            }
            lines[scalar.text] = key.position.line
            entries.append(YamlEntry(key: scalar.text, keyPosition: key.position, value: value))
        }
    }

    private func scalar(_ event: yaml_event_t) -> YamlScalar {
        let data = event.data.scalar
        let bytes = UnsafeBufferPointer(start: data.value, count: data.length)
        let text = String(decoding: bytes, as: UTF8.self)
        let style: YamlScalar.Style =
            switch data.style {
            case YAML_SINGLE_QUOTED_SCALAR_STYLE: .singleQuoted
            case YAML_DOUBLE_QUOTED_SCALAR_STYLE: .doubleQuoted
            case YAML_LITERAL_SCALAR_STYLE, YAML_FOLDED_SCALAR_STYLE: .block
            default: .plain
            }
        guard style != .block, event.start_mark.line == event.end_mark.line else {
            return YamlScalar(text, style: style, columns: [])
        }
        return YamlScalar(
            text,
            style: style,
            columns: columns(of: text, style, event.start_mark, event.end_mark)
        )
    }

    /// The column of each character of a value that stands in one line, and of its end.
    private func columns(
        of text: String,
        _ style: YamlScalar.Style,
        _ start: yaml_mark_t,
        _ end: yaml_mark_t
    ) -> [Int] {
        let first = start.column + 1
        let count = text.unicodeScalars.count
        guard style != .plain else { return Array(first...first + count) }
        var columns: [Int] = []
        var at = start.index + 1
        while columns.count < count, at < min(end.index, scalars.count) {
            columns.append(first + at - start.index)
            if style == .singleQuoted {
                at += scalars[at] == "'" ? 2 : 1
            } else if scalars[at] == "\\", at + 1 < scalars.count {
                let escape: [Unicode.Scalar: Int] = ["x": 2, "u": 4, "U": 8]
                at += 2 + (escape[scalars[at + 1]] ?? 0)
            } else {
                at += 1
            }
        }
        // A column too few cannot happen, but a wrong one is better than a stop.
        while columns.count <= count { columns.append(first + at - start.index) }
        return columns
    }

    // MARK: Mistakes

    private mutating func refuse(
        anchor: UnsafeMutablePointer<yaml_char_t>?,
        tag: UnsafeMutablePointer<yaml_char_t>?,
        at position: Position
    ) {
        isUncertain = isUncertain || anchor != nil || tag != nil
        if anchor != nil {
            report(position, "anchors (&name) are not allowed; put a text that begins with & in quotes")
        }
        if tag != nil {
            report(position, "tags (!name) are not allowed; put a text that begins with ! in quotes")
        }
    }

    private mutating func reportSyntax() {
        let problem = parser.pointee.problem.map { String(cString: $0) } ?? "not YAML"
        var position = Self.position(parser.pointee.problem_mark)
        if parser.pointee.error == YAML_READER_ERROR {
            position = self.position(ofByte: parser.pointee.problem_offset)
        }
        let offender = parser.pointee.problem_mark.index
        let isBacktick = scalars.indices.contains(offender) && scalars[offender] == "`"
        if isBacktick, problem == "found character that cannot start any token" {
            report(position, "a text that begins with a backtick must be in quotes, like \"`Invoice No`\"")
        } else {
            report(position, Self.explain(problem))
        }
    }

    /// libyaml's messages, with what to do about the ones that people meet.
    private static func explain(_ problem: String) -> String {
        switch problem {
        case "did not find expected ',' or '}'", "did not find expected ',' or ']'":
            return "\(problem); inside { } and [ ] a text with , [ ] { } must be in quotes"
        case "mapping values are not allowed in this context":
            return "a second ': ' in one line; check the indentation, or put the text in quotes"
        case "found character that cannot start any token":
            return "a tab or another character that YAML does not allow here; indent with spaces"
        case "did not find expected key", "did not find expected '-' indicator",
            "could not find expected ':'":
            return "\(problem); check the indentation of this line"
        default: return "not YAML: \(problem)"
        }
    }

    private func position(ofByte offset: Int) -> Position {
        var position = Position(line: 1, column: 1)
        for scalar in String(decoding: text.utf8.prefix(offset), as: UTF8.self).unicodeScalars {
            position =
                scalar == "\n"
                ? Position(line: position.line + 1, column: 1)
                : Position(line: position.line, column: position.column + 1)
        }
        return position
    }

    private mutating func report(_ position: Position, _ message: String) {
        diagnostics.append(Diagnostic(file: file, at: position, message))
    }

    private static func position(_ mark: yaml_mark_t) -> Position {
        Position(line: mark.line + 1, column: mark.column + 1)
    }
}
