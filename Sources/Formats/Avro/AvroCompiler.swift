import Base
import Records

/// Makes the program that reads the wanted columns of records of one writer's schema, by the rules by which
/// Avro resolves it with a reader's, if there is one (specification, "Schema Resolution").
struct AvroCompiler {
    /// A column, and what is left of its path at the type that is looked at.
    struct Want {
        var column: Int
        var path: ArraySlice<String>
    }

    let writer: AvroSchema
    /// nil: what the writer says counts.
    let reader: AvroSchema?
    let columns: [WireColumn]
    var made = AvroProgram.Parts()
    /// By column: some place gives it as a token; another, straight away.
    var usesTokens: [Bool]
    private var usesValues: [Bool]
    /// True in the second turn, which knows which columns are tokens.
    private var isLast = false
    /// Of types that contain themselves or are large, the routine that skips each; -1: it is to be made.
    private var routines: [Int: Int] = [:]
    private var calls: [(instruction: Int, type: Int)] = []
    private var opened: Set<Int> = []
    /// The last place that something leads to: no instruction before it may become larger.
    private var mark = 0
    /// Where in the record the compiler is.
    var place: [String] = []

    static func compile(_ columns: [WireColumn], writer: AvroSchema, reader: AvroSchema?) throws(Fault)
        -> AvroProgram
    {
        var first = AvroCompiler(columns, writer, reader)
        try first.run()
        var second = AvroCompiler(columns, writer, reader)
        second.isLast = true
        second.usesTokens = first.usesTokens
        second.usesValues = first.usesValues
        try second.run()
        second.made.tokenColumns = columns.indices.filter { second.usesTokens[$0] }
        second.made.shown = writer.types[writer.root].shown
        return AvroProgram(second.made)
    }

    private init(_ columns: [WireColumn], _ writer: AvroSchema, _ reader: AvroSchema?) {
        (self.columns, self.writer, self.reader) = (columns, writer, reader)
        usesTokens = columns.map { _ in false }
        usesValues = usesTokens
        made.slots = columns.map { _ in -1 }
    }

    private mutating func run() throws(Fault) {
        let wants = columns.indices.map { Want(column: $0, path: columns[$0].path[...]) }
        try value(writer.root, reader?.root, wants, depth: 0)
        try emit(.end)
        try finish()
    }

    // MARK: Instructions

    @discardableResult
    mutating func emit(_ code: AvroCode, flag: UInt8 = 0, column: Int = -1, a: Int = 0, b: Int64 = 0)
        throws(Fault) -> Int
    {
        guard made.code.count < Limits.schemaInstructionsMax else {
            throw Fault(
                .user, "reading it would take more than \(Limits.schemaInstructionsMax) instructions")
        }
        made.code.append(
            AvroInstruction(code: code, flag: flag, column: Int16(column), a: Int32(a), b: b))
        made.places.append(place.joined(separator: "."))
        return made.code.count - 1
    }

    mutating func part(_ bytes: [UInt8]) -> Int {
        made.parts.append(TextReference(offset: made.bytes.count, count: bytes.count))
        made.bytes += bytes
        return made.parts.count - 1
    }

    mutating func slot(_ column: Int) {
        guard made.slots[column] < 0 else { return }
        made.slots[column] = Int32(made.slotCount)
        made.slotCount += 1
    }

    /// A place gives the column as a token.
    mutating func useTokens(_ column: Int) { usesTokens[column] = true }

    /// True if the value has to be a token, since it is one elsewhere.
    mutating func useValues(_ column: Int) -> Bool {
        usesValues[column] = true
        return isLast && usesTokens[column]
    }

    mutating func problem(_ column: Int, _ text: String) {
        guard !made.problems.contains(where: { $0.column == column && $0.text == text }) else { return }
        made.problems.append((column, text))
    }

    private mutating func nulls(_ wants: [Want], isMissing: Bool = false) throws(Fault) {
        for want in wants {
            let field = columns[want.column].field
            try emit(.null, flag: field.isOptional ? 0 : 1, column: want.column, a: isMissing ? 1 : 0)
        }
    }

    private mutating func refuse(_ wants: [Want], _ type: Int, _ why: String) throws(Fault) {
        for want in wants {
            problem(want.column, why)
            try emit(.refuse, column: want.column)
        }
        try skip(type, depth: 0)
    }

    // MARK: Values

    /// `type`: of the writer; `resolved`: of the reader, which takes it as that.
    private mutating func value(_ type: Int, _ resolved: Int?, _ wants: [Want], depth: Int) throws(Fault) {
        guard !wants.isEmpty else { return try skip(type, depth: depth) }
        guard depth < Limits.schemaDepthMax else { throw Fault(.user, "its types lie too deep") }
        if case .union(let branches) = writer.types[type].kind {
            return try union(branches, resolved, wants, depth: depth)
        }
        var resolved = resolved
        if let other = resolved, let reader {
            guard let match = AvroResolution.match(type, of: writer, other, of: reader) else {
                return try refuse(
                    wants, type,
                    "the writer has \(writer.types[type].shown) and the schema of the source "
                        + reader.types[other].shown)
            }
            resolved = match
        }
        let leaves = wants.filter { $0.path.isEmpty }
        let deeper = wants.filter { !$0.path.isEmpty }
        switch writer.types[type].kind {
        case .record(let fields):
            guard leaves.isEmpty else {
                return try refuse(wants, type, "it is a record; say which field of it")
            }
            try record(fields, resolved, deeper, depth: depth)
        case .null: try nulls(wants)
        case .array(let item), .map(let item):
            let isMap = if case .map = writer.types[type].kind { true } else { false }
            let other = resolved.flatMap { AvroResolution.item(of: $0, reader) }
            try repeated(item, other, wants, type, isMap: isMap, depth: depth)
        default:
            guard deeper.isEmpty, let leaf = leaves.first, leaves.count == 1 else {
                return try refuse(
                    wants, type,
                    "its path leads through \(writer.types[type].shown); a path leads through records, "
                        + "maps and places of arrays only")
            }
            try self.leaf(type, resolved, leaf.column)
        }
    }

    private mutating func union(_ branches: [Int], _ resolved: Int?, _ wants: [Want], depth: Int)
        throws(Fault)
    {
        let table = made.table.count
        made.table += branches.map { _ in Int32(0) }
        try emit(.branch, a: table, b: Int64(branches.count))
        var jumps: [Int] = []
        for (index, branch) in branches.enumerated() {
            made.table[table + index] = label()
            try value(branch, resolved, wants, depth: depth + 1)
            if index + 1 < branches.count { jumps.append(try emit(.jump)) }
        }
        for jump in jumps { made.code[jump].a = label() }
    }

    private mutating func record(
        _ fields: [AvroField], _ resolved: Int?, _ wants: [Want], depth: Int
    ) throws(Fault) {
        var left = wants
        for field in fields {
            let (name, type) = AvroResolution.name(of: field, among: fields, resolved, reader)
            let own = left.filter { $0.path.first == name }
            left.removeAll { $0.path.first == name }
            place.append(field.name)
            try value(
                field.type, type, own.map { Want(column: $0.column, path: $0.path.dropFirst()) },
                depth: depth + 1)
            place.removeLast()
        }
        // What the writer does not have.
        while let want = left.first, let name = want.path.first {
            let own = left.filter { $0.path.first == name }
            left.removeAll { $0.path.first == name }
            place.append(name)
            try missing(name, resolved, own, depth: depth)
            place.removeLast()
        }
    }

    private mutating func missing(_ name: String, _ resolved: Int?, _ wants: [Want], depth: Int)
        throws(Fault)
    {
        guard let reader, let resolved, case .record(let fields) = reader.types[resolved].kind,
            let field = fields.first(where: { $0.name == name }), let preset = field.fallback
        else {
            for want in wants where !columns[want.column].field.isOptional {
                problem(want.column, "\(writer.types[writer.root].shown) has no '\(name)'")
            }
            return try nulls(wants, isMissing: true)
        }
        let bytes = try AvroDefault.encoded(preset, field.type, reader)
        let part = part(bytes)
        let instruction = try emit(.preset, a: part)
        let jump = try emit(.jump)
        made.code[instruction].b = Int64(label())
        // The value is one of the reader's.
        var inner = AvroCompiler(columns, reader, nil)
        (inner.made, inner.usesTokens, inner.usesValues) = (made, usesTokens, usesValues)
        (inner.isLast, inner.place, inner.mark) = (isLast, place, mark)
        try inner.value(
            field.type, nil, wants.map { Want(column: $0.column, path: $0.path.dropFirst()) },
            depth: depth + 1)
        try inner.emit(.end)
        // Its own routines are of the reader's types.
        try inner.finish()
        (made, usesTokens, usesValues) = (inner.made, inner.usesTokens, inner.usesValues)
        mark = made.code.count
        made.code[jump].a = label()
    }

    /// The routines that were called and are not there yet.
    private mutating func finish() throws(Fault) {
        while let call = calls.first(where: { routines[$0.type] == nil }) {
            routines[call.type] = Int(label())
            opened = [call.type]
            try skipMembers(call.type, depth: 0)
            try emit(.end)
        }
        for call in calls { made.code[call.instruction].a = Int32(routines[call.type] ?? 0) }
    }

    /// Values of a map by name, items of an array by place: `[0]`.
    private mutating func repeated(
        _ item: Int, _ resolved: Int?, _ wants: [Want], _ type: Int, isMap: Bool, depth: Int
    ) throws(Fault) {
        func isPlace(_ name: String) -> Bool { name.hasPrefix("[") && name.hasSuffix("]") }
        let wrong = wants.first { $0.path.isEmpty || isPlace($0.path.first ?? "") == isMap }
        let names = Set(wants.compactMap(\.path.first)).sorted()
        guard wrong == nil, names.count <= 64 else {
            return try refuse(
                wants, type,
                isMap
                    ? "it is a map; a value of it is read by its name, from: attributes.channel"
                    : "it is an array, whose rows are not read; an item of it is read by its place, from: "
                        + "\"items[0].price\"")
        }
        let table = made.table.count
        made.table += Array(repeating: 0, count: 3 + 3 * names.count)
        try emit(.pick, flag: isMap ? 1 : 0, a: table)
        made.table[table + 1] = label()
        made.table[table + 2] = Int32(names.count)
        try skip(item, depth: depth + 1)
        try emit(.end)
        for (index, name) in names.enumerated() {
            let own = wants.filter { $0.path.first == name }.map {
                Want(column: $0.column, path: $0.path.dropFirst())
            }
            let entry = table + 3 + 3 * index
            made.table[entry] =
                isMap ? Int32(part(Array(name.utf8))) : Int32(name.dropFirst().dropLast()) ?? -1
            made.table[entry + 1] = label()
            place.append(name)
            try value(item, resolved, own, depth: depth + 1)
            try emit(.end)
            made.table[entry + 2] = label()
            try nulls(own)
            try emit(.end)
            place.removeLast()
        }
        made.table[table] = label()
    }

    // MARK: What is not read

    mutating func skip(_ type: Int, depth: Int) throws(Fault) {
        switch writer.types[type].kind {
        case .null: break
        case .boolean: try skipBytes(1)
        case .int, .long, .enumeration: try skipNumber()
        case .float: try skipBytes(4)
        case .double: try skipBytes(8)
        case .fixed(let size): try skipBytes(size)
        case .bytes, .string: try emit(.skipText)
        case .array, .map, .union, .record:
            // What contains itself, or is large, is a routine.
            if opened.contains(type) || depth > 8 || made.code.count > Limits.schemaInstructionsMax / 10 {
                calls.append((try emit(.call), type))
                return
            }
            opened.insert(type)
            try skipMembers(type, depth: depth)
            opened.remove(type)
        }
    }

    private mutating func skipMembers(_ type: Int, depth: Int) throws(Fault) {
        switch writer.types[type].kind {
        case .record(let fields):
            for field in fields {
                place.append(field.name)
                try skip(field.type, depth: depth + 1)
                place.removeLast()
            }
        case .union(let branches):
            let table = made.table.count
            made.table += branches.map { _ in Int32(0) }
            try emit(.branch, a: table, b: Int64(branches.count))
            var jumps: [Int] = []
            for (index, branch) in branches.enumerated() {
                made.table[table + index] = label()
                try skip(branch, depth: depth + 1)
                if index + 1 < branches.count { jumps.append(try emit(.jump)) }
            }
            for jump in jumps { made.code[jump].a = label() }
        case .array(let item), .map(let item):
            let isMap = if case .map = writer.types[type].kind { true } else { false }
            let instruction = try emit(.skipBlocks, flag: isMap ? 1 : 0)
            try skip(item, depth: depth + 1)
            try emit(.end)
            made.code[instruction].a = label()
        default: try skip(type, depth: depth)
        }
    }

    private mutating func skipBytes(_ count: Int) throws(Fault) {
        if let last = made.code.last, made.code.count > mark, last.code == .skipBytes {
            let sum = Int(last.a) + count
            if sum <= Limits.recordBytesMax {
                made.code[made.code.count - 1].a = Int32(sum)
                return
            }
        }
        try emit(.skipBytes, a: count)
    }

    private mutating func skipNumber() throws(Fault) {
        if let last = made.code.last, made.code.count > mark, last.code == .skipNumbers {
            made.code[made.code.count - 1].a += 1
        } else {
            try emit(.skipNumbers, a: 1)
        }
    }

    /// Where the next instruction stands; something leads there.
    private mutating func label() -> Int32 {
        mark = made.code.count
        return Int32(mark)
    }
}
