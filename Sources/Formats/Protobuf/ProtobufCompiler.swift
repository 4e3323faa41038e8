import Base
import Records

/// Makes the program that reads the wanted columns of messages.
struct ProtobufCompiler {
    private struct Want {
        var column: Int
        var path: ArraySlice<String>
    }

    private let schema: ProtobufSchema
    private let columns: [WireColumn]
    private let program = ProtobufProgram()

    static func compile(_ columns: [WireColumn], _ schema: ProtobufSchema, message: String) throws(Fault)
        -> ProtobufProgram
    {
        guard let root = schema.messages[message] else {
            throw Fault(.user, "it has no message '\(message)'")
        }
        let compiler = ProtobufCompiler(schema: schema, columns: columns)
        let program = compiler.program
        program.slots = columns.map { _ in -1 }
        program.shown = "message \(message)"
        program.place = root.place
        let wants = columns.indices.map { Want(column: $0, path: columns[$0].path[...]) }
        _ = try compiler.node(root, wants)
        program.tokenColumns.sort()
        return program
    }

    private init(schema: ProtobufSchema, columns: [WireColumn]) {
        self.schema = schema
        self.columns = columns
    }

    private func node(_ message: ProtobufMessage, _ wants: [Want]) throws(Fault) -> Int {
        let index = program.nodes.count
        guard index < Limits.schemaTypesMax else { throw Fault(.user, "the paths lead through too much") }
        program.nodes.append(ProtobufNode(near: [], far: [], presets: []))
        var actions: [(number: Int, action: ProtobufAction)] = []
        var presets: [ProtobufPreset] = []
        for name in Set(wants.compactMap(\.path.first)).sorted() {
            let own = wants.filter { $0.path.first == name }.map {
                Want(column: $0.column, path: $0.path.dropFirst())
            }
            guard let field = message.fields.first(where: { $0.name == name }) else {
                refuse(own, "\(message.name) has no field '\(name)'")
                continue
            }
            let action = try action(field, own)
            actions.append((field.number, action))
            if action.column >= 0, let preset = preset(field, action) { presets.append(preset) }
        }
        let most = actions.map(\.number).filter { $0 < ProtobufProgram.nearMax }.max() ?? -1
        var near = [ProtobufAction](repeating: ProtobufAction(), count: most + 1)
        for (number, action) in actions where number <= most { near[number] = action }
        program.nodes[index] = ProtobufNode(
            near: near, far: actions.filter { $0.number > most }, presets: presets)
        return index
    }

    private func refuse(_ wants: [Want], _ why: String) {
        for want in wants { program.problems.append((want.column, why)) }
    }

    private func action(_ field: ProtobufField, _ wants: [Want]) throws(Fault) -> ProtobufAction {
        let deeper = wants.filter { !$0.path.isEmpty }
        var action = ProtobufAction()
        action.wire = Self.wire(field.type)
        func refused(_ why: String) -> ProtobufAction {
            refuse(wants, why)
            action.kind = .refuse
            action.column = Int16(wants[0].column)
            return action
        }
        if field.isRepeated { return refused("it is \(field.shown), whose values are not read") }
        if field.type == ProtobufField.message, let name = field.typeName, let inner = schema.messages[name] {
            if deeper.count == wants.count {
                action.kind = .enter
                action.a = Int32(try node(inner, wants))
                return action
            }
            guard wants.count == 1, let column = wants.first?.column else {
                return refused("it is \(field.shown), and its fields are read as well")
            }
            return try wellKnown(name, inner, column, action)
                ?? refused("it is \(field.shown); say which field of it")
        }
        guard wants.count == 1, deeper.isEmpty, let column = wants.first?.column else {
            return refused("its path leads through \(field.shown); a path leads through messages only")
        }
        guard let leaf = leaf(field, column, action) else {
            let type = columns[column].field.type
            let hint = type == .text ? "; numbers: true takes numbers and booleans as they are written" : ""
            return refused("it is \(field.shown), and the field \(type)\(hint)")
        }
        return leaf
    }

    /// Messages that are values: times, and values that may be missing.
    private func wellKnown(
        _ name: String, _ message: ProtobufMessage, _ column: Int, _ action: ProtobufAction
    ) throws(Fault) -> ProtobufAction? {
        var action = action
        switch (name, columns[column].field.type) {
        case ("google.protobuf.Timestamp", .timestamp): action.kind = .instant
        case ("google.protobuf.Duration", .duration): action.kind = .span
        case (_, _)
        where name.hasPrefix("google.protobuf.") && name.hasSuffix("Value") && message.fields.count == 1
            && message.fields[0].name == "value":
            action.kind = .enter
            action.a = Int32(try node(message, [Want(column: column, path: ["value"])]))
            return action
        default: return nil
        }
        action.column = Int16(column)
        return action
    }

    // MARK: Values

    private static func wire(_ type: Int) -> UInt8 {
        switch type {
        case ProtobufField.double, ProtobufField.fixed64, ProtobufField.sfixed64: 1
        case ProtobufField.float, ProtobufField.fixed32, ProtobufField.sfixed32: 5
        case ProtobufField.string, ProtobufField.bytes, ProtobufField.message: 2
        case ProtobufField.group: 3
        default: 0
        }
    }

    private func leaf(_ field: ProtobufField, _ column: Int, _ base: ProtobufAction) -> ProtobufAction? {
        var action = base
        action.column = Int16(column)
        let wire = columns[column]
        let takesNumbers = wire.reading.takesNumbers
        // What it is instead, where it is not there, is read as a text would be.
        let isToken = field.preset != nil
        switch field.type {
        case ProtobufField.string, ProtobufField.bytes:
            guard field.type == ProtobufField.string || wire.field.type == .text else { return nil }
            action.kind = .text
        case ProtobufField.enumeration:
            guard wire.field.type == .text, let names = field.typeName.flatMap({ schema.enums[$0] }) else {
                return nil
            }
            action.kind = .symbol
            action.a = Int32(program.enums.count)
            program.enums.append(
                names.values.map { ($0.number, program.bytes.append($0.name)) }.sorted {
                    $0.number < $1.number
                })
        case ProtobufField.bool:
            switch wire.field.type {
            case .bool: action.kind = isToken ? .boolToken : .bool
            case .text where takesNumbers: action.kind = .boolToken
            default: return nil
            }
        case ProtobufField.double, ProtobufField.float:
            switch wire.field.type {
            case .int, .decimal:
                action.kind = isToken ? .fractionToken : .fraction
                action.b = Int64(wire.field.type.scale)
                action.flag = wire.isRounded ? 1 : 0
            case .text where takesNumbers: action.kind = .fractionToken
            default: return nil
            }
        default:
            guard Self.isInteger(field.type) else { return nil }
            action.signs = Self.signs(field.type)
            switch wire.field.type {
            case .int, .decimal, .duration:
                action.kind = isToken ? .numberToken : .number
                action.b = Decimal.powerOfTen(wire.field.type.scale)
            case .timestamp: action.kind = .numberToken
            case .text where takesNumbers: action.kind = .numberToken
            case .bool where !wire.reading.trues.isEmpty || !wire.reading.falses.isEmpty:
                action.kind = .numberToken
            default: return nil
            }
        }
        note(action, column)
        return action
    }

    private static func isInteger(_ type: Int) -> Bool {
        switch type {
        case ProtobufField.int32, ProtobufField.int64, ProtobufField.uint32, ProtobufField.uint64,
            ProtobufField.sint32, ProtobufField.sint64, ProtobufField.fixed32, ProtobufField.fixed64,
            ProtobufField.sfixed32, ProtobufField.sfixed64:
            true
        default: false
        }
    }

    /// 0: 64 bits as they are; 1: zigzag; 2: without a sign; 3: 32 bits as they are.
    private static func signs(_ type: Int) -> UInt8 {
        switch type {
        case ProtobufField.sint32, ProtobufField.sint64: 1
        case ProtobufField.uint64, ProtobufField.fixed64, ProtobufField.uint32, ProtobufField.fixed32: 2
        case ProtobufField.sfixed32, ProtobufField.int32: 3
        default: 0
        }
    }

    private func note(_ action: ProtobufAction, _ column: Int) {
        switch action.kind {
        case .text, .symbol: break
        case .numberToken, .boolToken, .fractionToken:
            program.slots[column] = Int32(program.slotCount)
            program.slotCount += 1
        default: return
        }
        program.tokenColumns.append(column)
    }

    /// nil: it is null.
    private func preset(_ field: ProtobufField, _ action: ProtobufAction) -> ProtobufPreset? {
        let column = Int(action.column)
        if field.hasPresence, field.preset == nil { return nil }
        let text = field.preset
        switch action.kind {
        case .bool, .number, .fraction: return ProtobufPreset(column: column, token: nil)
        case .text:
            return ProtobufPreset(column: column, token: .string, part: program.bytes.append(text ?? ""))
        case .symbol:
            let values = field.typeName.flatMap { schema.enums[$0]?.values } ?? []
            let first = values.first(where: { $0.number == 0 }) ?? values.first
            let name: String = text ?? first?.name ?? ""
            return ProtobufPreset(column: column, token: .string, part: program.bytes.append(name))
        case .numberToken, .fractionToken:
            return ProtobufPreset(column: column, token: .number, part: program.bytes.append(text ?? "0"))
        case .boolToken:
            let isTrue = text == "true"
            return ProtobufPreset(
                column: column, token: isTrue ? .true : .false,
                part: program.bytes.append(isTrue ? "true" : "false"))
        default: return nil
        }
    }
}
