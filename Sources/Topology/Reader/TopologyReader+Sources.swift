import Base
import Records

/// A source with all the fields of its schema; which of them are decoded is decided at the end.
struct SourceDraft {
    var name: String
    var origin = SourceSpec.Origin.kafka(topic: "", start: .earliest)
    var format = SourceSpec.Format.json
    var wire: [WireField] = []
    var derived: [DerivedField] = []
    var timeField = 0
    var outOfOrder: Int64 = 0
    var idle: Int64 = 5000
    var ahead = Limits.aheadMillisecondsDefault
    var position: Position
    /// Fields with mistakes.
    var brokenFields: Set<String> = []
    var isBroken = false

    var fields: [Field] {
        wire.map(\.field) + derived.map { Field(name: $0.name, type: $0.expression.type, isOptional: $0.isOptional) }
    }
}

extension TopologyReader {
    mutating func readSources(_ node: YamlNode) {
        for member in mapping(node, "name: { kafka: { topic: orders }, … }") ?? [] {
            let before = diagnostics.count
            var draft = SourceDraft(name: member.key, position: member.keyPosition)
            readSource(member, into: &draft)
            draft.isBroken = diagnostics[before...].contains { $0.severity == .error }
            sources.append(draft)
        }
        if sources.isEmpty, node.members != nil { fail(node.position, "a topology has at least one source") }
    }

    private mutating func readSource(_ member: YamlNode.Member, into draft: inout SourceDraft) {
        let what = "source '\(member.key)'"
        checkName(member)
        let known = ["kafka", "file", "generate", "format", "time", "schema"]
        let fields = fields(member.value, known, of: what, required: ["time", "schema"])
        let origins = ["kafka", "file", "generate"].filter { fields[$0] != nil }
        if origins.count != 1, member.value.members != nil {
            fail(member.keyPosition, "\(what) needs exactly one of kafka, file and generate, like kafka: { topic: orders }")
        }
        if let node = fields["kafka"] { readKafkaOrigin(node, what, &draft) }
        if let node = fields["file"] {
            let file = self.fields(node, ["path"], of: "file of \(what)", required: ["path"])
            if let path = file["path"].flatMap({ scalar($0, "a path") }) { draft.origin = .file(path: path) }
        }
        if let node = fields["generate"] { readGenerate(node, what, &draft) }
        if let node = fields["format"] { draft.format = choice(node, [.json, .csv]) ?? draft.format }
        var timeZone = zone
        let time = fields["time"].map {
            self.fields($0, ["field", "out_of_order", "idle", "ahead", "zone"], of: "time of \(what)", required: ["field"])
        }
        if let node = time?["zone"] { timeZone = zone(node) ?? timeZone }
        if let node = time?["out_of_order"] { draft.outOfOrder = duration(node) ?? 0 }
        if let node = time?["idle"] { draft.idle = duration(node) ?? draft.idle }
        if let node = time?["ahead"] { draft.ahead = duration(node) ?? draft.ahead }
        if let node = fields["schema"] { readSchema(node, what, timeZone, &draft) }
        guard let node = time?["field"], let name = scalar(node, "the name of the event time field") else { return }
        guard let index = draft.fields.firstIndex(where: { $0.name == name }) else {
            if !draft.brokenFields.contains(name) {
                fail(node.position, "unknown field '\(name)'\(hint(name, among: draft.fields.map(\.name)))")
            }
            return
        }
        draft.timeField = index
        if draft.fields[index].type != .timestamp {
            fail(node.position, "the event time is a timestamp; field '\(name)' is a \(draft.fields[index].type)")
        } else if draft.fields[index].isOptional {
            fail(node.position, "the event time cannot be optional; take the '?' off field '\(name)'")
        }
    }

    private mutating func readKafkaOrigin(_ node: YamlNode, _ what: String, _ draft: inout SourceDraft) {
        let kafka = fields(node, ["topic", "start"], of: "kafka of \(what)", required: ["topic"])
        var start = SourceSpec.Start.earliest
        if let node = kafka["start"] { start = choice(node, [.earliest, .latest]) ?? start }
        if let node = kafka["topic"], let topic = topic(node) { draft.origin = .kafka(topic: topic, start: start) }
    }

    private mutating func readGenerate(_ node: YamlNode, _ what: String, _ draft: inout SourceDraft) {
        let generate = fields(node, ["rate", "merchants", "seed"], of: "generate of \(what)", required: ["rate"])
        var spec = GenerateSpec(rate: 1000, merchants: 200, seed: 1)
        if let node = generate["rate"] { spec.rate = integer(node, in: 1...10_000_000).map(Int.init) ?? spec.rate }
        if let node = generate["merchants"] { spec.merchants = integer(node, in: 1...1_000_000).map(Int.init) ?? spec.merchants }
        if let node = generate["seed"] { spec.seed = integer(node, in: 0...Int64.max).map(UInt64.init) ?? spec.seed }
        draft.origin = .generate(spec)
    }

    /// A topic's name within Kafka's rules.
    mutating func topic(_ node: YamlNode) -> String? {
        guard let name = scalar(node, "a topic") else { return nil }
        let isGood = name.utf8.allSatisfy { byte in
            (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A) || (byte >= 0x30 && byte <= 0x39) || "._-".utf8.contains(byte)
        }
        if isGood, !name.isEmpty, name.utf8.count <= 249, name != ".", name != ".." { return name }
        fail(node.position, "'\(name)' is no topic's name: letters, digits, '.', '_' and '-', at most 249 of them")
        return nil
    }

    mutating func checkName(_ member: YamlNode.Member) {
        let isGood = member.key.unicodeScalars.allSatisfy {
            $0.properties.isAlphabetic || ("0"..."9").contains($0) || $0 == "_" || $0 == "-"
        }
        if !isGood || member.key.isEmpty || member.key.utf8.count > 200 {
            fail(member.keyPosition, "'\(member.key)' is no good name: letters, digits, '_' and '-'")
        }
    }

    // MARK: Schema

    /// `text`, `decimal(2)`, `int?`.
    mutating func type(_ node: YamlNode) -> (type: ValueType, isOptional: Bool)? {
        guard var text = scalar(node, "a type, like text, int or decimal(2)") else { return nil }
        let whole = text
        let isOptional = text.hasSuffix("?")
        if isOptional { text.removeLast() }
        switch text {
        case "text": return (.text, isOptional)
        case "int": return (.int, isOptional)
        case "bool": return (.bool, isOptional)
        case "timestamp": return (.timestamp, isOptional)
        case "duration": return (.duration, isOptional)
        default: break
        }
        if text.hasPrefix("decimal(") && text.hasSuffix(")") {
            if let scale = Int(text.dropFirst(8).dropLast()), (0...Limits.decimalScaleMax).contains(scale) {
                return (.number(scale: scale), isOptional)
            }
            fail(node.position, "decimal takes the digits after the point, from 0 to \(Limits.decimalScaleMax), like decimal(2)")
            return nil
        }
        let types = ["text", "int", "bool", "decimal(2)", "timestamp", "duration"]
        let advice = ["float", "double", "number", "decimal", "money"].contains(text) ? "; money and other fractions are decimal(2)" : hint(text, among: types)
        fail(node.position, "unknown type '\(whole)'\(advice)")
        return nil
    }

    private mutating func readSchema(_ node: YamlNode, _ what: String, _ timeZone: String?, _ draft: inout SourceDraft) {
        let members = mapping(node, "order_id: text") ?? []
        if members.isEmpty, node.members != nil { fail(node.position, "the schema of \(what) has no field") }
        if members.count > Limits.columnsMax { fail(node.position, "more than \(Limits.columnsMax) fields") }
        var pending: [(member: YamlNode.Member, from: YamlNode, text: String, type: ValueType, isOptional: Bool)] = []
        let declared = Set(members.map(\.key))
        for member in members {
            var typeNode: YamlNode? = member.value
            var options: [String: YamlNode] = [:]
            if member.value.members != nil {
                options = fields(member.value, ["type", "from", "zone", "round"], of: "field '\(member.key)'", required: ["type"])
                typeNode = options["type"]
            }
            guard let typeNode, let (type, isOptional) = type(typeNode) else {
                draft.brokenFields.insert(member.key)
                continue
            }
            var wire = WireField(path: [member.key], field: Field(name: member.key, type: type, isOptional: isOptional))
            wire.zone = type == .timestamp ? timeZone : nil
            if let node = options["zone"] { wire.zone = zone(node) }
            if let node = options["round"], let text = scalar(node, "true or false") {
                if text != "true" && text != "false" { fail(node.position, "'round' is true or false, not '\(text)'") }
                wire.isRounded = text == "true"
            }
            guard let from = options["from"] else {
                draft.wire.append(wire)
                continue
            }
            guard let text = scalar(from, "a field's name or an expression") else {
                draft.brokenFields.insert(member.key)
                continue
            }
            if let path = wirePath(text), path.count > 1 || !declared.contains(path[0]) {
                wire.path = path
                draft.wire.append(wire)
            } else {
                pending.append((member, from, text, type, isOptional))
            }
        }
        for field in pending {
            let scope = Scope(columns: draft.fields, broken: draft.brokenFields, zone: timeZone)
            guard let expression = expression(field.text, field.from, scope, "an expression") else {
                draft.brokenFields.insert(field.member.key)
                continue
            }
            guard let typed = converted(expression, to: field.type) else {
                fail(start(of: field.from), "field '\(field.member.key)' is declared \(field.type), but this is a \(expression.type)")
                draft.brokenFields.insert(field.member.key)
                continue
            }
            draft.derived.append(DerivedField(name: field.member.key, expression: typed, isOptional: field.isOptional))
        }
    }

    /// `customer.id`, `` `Invoice No` ``: a name on the wire; nil for anything that has to be computed.
    private func wirePath(_ text: String) -> [String]? {
        guard let syntax = try? Parser.parse(text), case .name(let path) = syntax.node else { return nil }
        return path
    }

    /// A number may be declared with more places than it is computed with, not with fewer.
    private func converted(_ expression: Expression, to type: ValueType) -> Expression? {
        if expression.type == type { return expression }
        guard expression.type.isNumber, type.isNumber, type.scale > expression.type.scale else { return nil }
        return Expression(.call(.round(places: type.scale), [expression]), type, at: expression.position)
    }
}
