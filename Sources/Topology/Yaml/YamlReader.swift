import Base
import CYaml

/// Reads one YAML document with libyaml into nodes with positions. Strict: no anchors, aliases, tags or
/// second document, and no key twice.
struct YamlReader {
    private var parser = yaml_parser_t()
    private let file: String
    private var diagnostics: [Diagnostic] = []

    static func read(_ text: String, file: String) -> (node: YamlNode?, diagnostics: [Diagnostic]) {
        guard text.utf8.count <= Limits.yamlBytesMax else {
            let message = "the file has \(text.utf8.count) bytes, at most \(Limits.yamlBytesMax) are read"
            return (nil, [Diagnostic(file: file, at: Position(line: 1, column: 1), message)])
        }
        var reader = YamlReader(file: file)
        return reader.read(text)
    }

    private init(file: String) { self.file = file }

    private mutating func read(_ text: String) -> (node: YamlNode?, diagnostics: [Diagnostic]) {
        guard yaml_parser_initialize(&parser) == 1 else { unreachable("no memory for libyaml") }
        defer { yaml_parser_delete(&parser) }
        let bytes = Array(text.utf8)
        let node: YamlNode? = bytes.withUnsafeBufferPointer { bytes in
            yaml_parser_set_input_string(&parser, bytes.baseAddress, bytes.count)
            return readDocument()
        }
        return (diagnostics.isEmpty ? node : nil, diagnostics)
    }

    private struct Event {
        var type: yaml_event_type_t
        var position: Position
        var text = ""
        var isQuoted = false
        var hasAnchor = false
        var hasTag = false
    }

    private mutating func next() -> Event? {
        var event = yaml_event_t()
        guard yaml_parser_parse(&parser, &event) == 1 else {
            let problem = parser.problem.map { String(cString: $0) } ?? "not YAML"
            let mark = parser.problem_mark
            let at = Position(line: Int(mark.line) + 1, column: Int(mark.column) + 1)
            fail(at, "this is not YAML: \(problem)")
            return nil
        }
        defer { yaml_event_delete(&event) }
        var result = Event(
            type: event.type,
            position: Position(line: Int(event.start_mark.line) + 1, column: Int(event.start_mark.column) + 1)
        )
        switch event.type {
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            result.text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            result.isQuoted = scalar.style != YAML_PLAIN_SCALAR_STYLE
            result.hasAnchor = scalar.anchor != nil
            result.hasTag = scalar.tag != nil
        case YAML_SEQUENCE_START_EVENT:
            result.hasAnchor = event.data.sequence_start.anchor != nil
            result.hasTag = event.data.sequence_start.tag != nil
        case YAML_MAPPING_START_EVENT:
            result.hasAnchor = event.data.mapping_start.anchor != nil
            result.hasTag = event.data.mapping_start.tag != nil
        default: break
        }
        return result
    }

    private mutating func fail(_ position: Position, _ message: String) {
        diagnostics.append(Diagnostic(file: file, at: position, message))
    }

    private mutating func readDocument() -> YamlNode? {
        guard next() != nil, let start = next() else { return nil }
        guard start.type == YAML_DOCUMENT_START_EVENT else {
            fail(Position(line: 1, column: 1), "the file is empty; a topology begins with 'topology: name'")
            return nil
        }
        guard let first = next(), let node = readNode(first, depth: 0) else { return nil }
        guard next() != nil, let end = next() else { return nil }
        if end.type != YAML_STREAM_END_EVENT { fail(end.position, "one file holds one document; a second begins here") }
        return node
    }

    private mutating func readNode(_ event: Event, depth: Int) -> YamlNode? {
        if depth > Limits.yamlDepthMax {
            fail(event.position, "nested deeper than \(Limits.yamlDepthMax) levels")
            return nil
        }
        if event.type == YAML_ALIAS_EVENT || event.hasAnchor {
            fail(event.position, "anchors and aliases (& and *) are not read; write the value out")
            return nil
        }
        if event.hasTag {
            fail(event.position, "tags (!) are not read")
            return nil
        }
        switch event.type {
        case YAML_SCALAR_EVENT:
            return YamlNode(content: .scalar(event.text, isQuoted: event.isQuoted), position: event.position)
        case YAML_SEQUENCE_START_EVENT:
            var items: [YamlNode] = []
            while let item = next() {
                if item.type == YAML_SEQUENCE_END_EVENT {
                    return YamlNode(content: .sequence(items), position: event.position)
                }
                guard let node = readNode(item, depth: depth + 1) else { return nil }
                items.append(node)
            }
            return nil
        case YAML_MAPPING_START_EVENT: return readMapping(event, depth: depth)
        default:
            fail(event.position, "a value was expected")
            return nil
        }
    }

    private mutating func readMapping(_ event: Event, depth: Int) -> YamlNode? {
        var members: [YamlNode.Member] = []
        var lines: [String: Int] = [:]
        while let key = next() {
            if key.type == YAML_MAPPING_END_EVENT {
                return YamlNode(content: .mapping(members), position: event.position)
            }
            guard key.type == YAML_SCALAR_EVENT, !key.hasAnchor, !key.hasTag else {
                fail(key.position, "a name was expected here")
                return nil
            }
            guard let valueEvent = next(), let value = readNode(valueEvent, depth: depth + 1) else { return nil }
            if let line = lines[key.text] {
                fail(key.position, "'\(key.text)' is here a second time; the first is in line \(line)")
            } else {
                lines[key.text] = key.position.line
                members.append(YamlNode.Member(key: key.text, keyPosition: key.position, value: value))
            }
        }
        return nil
    }
}
