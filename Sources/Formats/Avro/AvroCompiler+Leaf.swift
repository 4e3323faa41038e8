import Base
import Records

/// Values that are no records, as a column's type takes them.
extension AvroCompiler {
    /// `resolved`: of the reader, which is no union.
    mutating func leaf(_ type: Int, _ resolved: Int?, _ column: Int) throws(Fault) {
        let own = writer.types[type]
        let other = resolved.flatMap { reader?.types[$0] }
        if case .decimal(_, let scale)? = own.logical, case .decimal(_, let otherScale)? = other?.logical,
            scale != otherScale
        {
            return try refuse(
                column, type, "the writer has \(own.shown) and the schema of the source \(other?.shown ?? "")"
            )
        }
        let logical = own.logical ?? other?.logical
        if logical == .duration || logical == .bigDecimal {
            return try refuse(column, type, "\(own.shown) is not read")
        }
        switch columns[column].field.type {
        case .text: try text(type, logical, resolved, column)
        case .bool: try truth(type, column)
        case .int, .decimal, .duration: try number(type, logical, column)
        case .timestamp: try time(type, logical, column)
        }
    }

    private mutating func refuse(_ column: Int, _ type: Int, _ why: String) throws(Fault) {
        problem(column, why)
        try emit(.refuse, column: column)
        try skip(type, depth: 0)
    }

    private mutating func mismatch(_ column: Int, _ type: Int, _ hint: String = "") throws(Fault) {
        try refuse(
            column, type,
            "it is \(writer.types[type].shown), and the field \(columns[column].field.type)"
                + (hint.isEmpty ? "" : "; \(hint)"))
    }

    // MARK: Tokens

    private mutating func token(_ code: AvroCode, _ column: Int, a: Int = 0, b: Int64 = 0) throws(Fault) {
        useTokens(column)
        switch code {
        case .text, .symbol: break
        default: slot(column)
        }
        try emit(code, column: column, a: a, b: b)
    }

    private mutating func text(
        _ type: Int, _ logical: AvroType.Logical?, _ resolved: Int?, _ column: Int
    ) throws(Fault) {
        let takesNumbers = columns[column].reading.takesNumbers
        let hint = "numbers: true takes numbers and booleans as they are written"
        switch (writer.types[type].kind, logical) {
        case (.fixed, .uuid): try token(.uuid, column)
        case (.string, _), (.bytes, nil): try token(.text, column)
        case (.enumeration(let symbols, _), _): try symbol(symbols, resolved, column)
        case (.int, nil), (.long, nil):
            guard takesNumbers else { return try mismatch(column, type, hint) }
            try token(.numberToken, column)
        case (.boolean, _):
            guard takesNumbers else { return try mismatch(column, type, hint) }
            try token(.boolToken, column)
        case (.float, _), (.double, _):
            guard takesNumbers else { return try mismatch(column, type, hint) }
            try token(.fractionToken, column, a: size(of: type))
        case (_, .decimal(_, let scale)):
            guard takesNumbers else { return try mismatch(column, type, hint) }
            guard scale <= 18 else { return try mismatch(column, type, "at most 18 places are read") }
            try token(.decimalToken, column, a: bytes(of: type), b: Int64(scale))
        default: try mismatch(column, type)
        }
    }

    private mutating func symbol(_ symbols: [String], _ resolved: Int?, _ column: Int) throws(Fault) {
        var known: [String]?
        var fallback: String?
        if let resolved, case .enumeration(let symbols, let preset)? = reader?.types[resolved].kind {
            (known, fallback) = (symbols, preset)
        }
        let first = made.parts.count
        for symbol in symbols {
            let taken = known?.contains(symbol) ?? true ? symbol : fallback
            if let taken {
                _ = part(Array(taken.utf8))
            } else {
                // One that the reader does not know.
                made.parts.append(TextReference(offset: -1, count: 0))
            }
        }
        try token(.symbol, column, a: first, b: Int64(symbols.count))
    }

    private func size(of type: Int) -> Int {
        if case .float = writer.types[type].kind { 4 } else { 8 }
    }

    /// Of a decimal; -1: its length stands before it.
    private func bytes(of type: Int) -> Int {
        if case .fixed(let size) = writer.types[type].kind { size } else { -1 }
    }

    // MARK: Values

    private mutating func truth(_ type: Int, _ column: Int) throws(Fault) {
        let reading = columns[column].reading
        switch writer.types[type].kind {
        case .boolean:
            if useValues(column) { try token(.boolToken, column) } else { try emit(.bool, column: column) }
        case .string: try token(.text, column)
        case .int where !reading.trues.isEmpty || !reading.falses.isEmpty,
            .long where !reading.trues.isEmpty || !reading.falses.isEmpty:
            try token(.numberToken, column)
        default: try mismatch(column, type)
        }
    }

    private mutating func number(_ type: Int, _ logical: AvroType.Logical?, _ column: Int) throws(Fault) {
        let field = columns[column].field
        let scale = field.type.scale
        let isRounded = columns[column].isRounded
        switch (writer.types[type].kind, logical) {
        case (_, .decimal(_, let own)):
            if field.type == .duration { return try mismatch(column, type) }
            try decimal(type, own, column)
        case (.string, nil): try token(.text, column)
        case (.int, nil), (.long, nil):
            if useValues(column) { return try token(.numberToken, column) }
            try emit(.number, column: column, b: Decimal.powerOfTen(scale))
        case (.float, nil), (.double, nil):
            if field.type == .duration { return try mismatch(column, type) }
            if useValues(column) { return try token(.fractionToken, column, a: size(of: type)) }
            try emit(
                .fraction, flag: isRounded ? 1 : 0, column: column, a: size(of: type), b: Int64(scale))
        case (_, .timeMillis) where field.type == .duration:
            if useValues(column) { return try mixed(column, type) }
            try emit(.number, column: column, b: 1)
        case (_, .timeMicros) where field.type == .duration:
            if useValues(column) { return try mixed(column, type) }
            try emit(.number, flag: 1, column: column, b: 1000)
        case (_, .timeMillis), (_, .timeMicros): try mismatch(column, type, "declare it as duration")
        case (_, .date), (_, .timestamp), (_, .localTimestamp):
            try mismatch(column, type, "declare it as timestamp")
        default: try mismatch(column, type)
        }
    }

    private mutating func decimal(_ type: Int, _ own: Int, _ column: Int) throws(Fault) {
        let scale = columns[column].field.type.scale
        if own > scale, !columns[column].isRounded {
            let right = own <= Limits.decimalScaleMax ? "declare decimal(\(own)), or say " : "say "
            return try mismatch(column, type, "it has \(own) places: \(right)round: true")
        }
        guard abs(own - scale) <= 18 else { return try mismatch(column, type) }
        if useValues(column) {
            guard own <= 18 else { return try mixed(column, type) }
            return try token(.decimalToken, column, a: bytes(of: type), b: Int64(own))
        }
        try emit(
            .decimal, flag: own > scale ? 1 : 0, column: column, a: bytes(of: type),
            b: Decimal.powerOfTen(abs(own - scale)))
    }

    private mutating func time(_ type: Int, _ logical: AvroType.Logical?, _ column: Int) throws(Fault) {
        let factor: Int64
        var flag: UInt8 = 0
        switch (writer.types[type].kind, logical) {
        case (_, .timestamp(let digits)): factor = Self.factor(digits)
        case (_, .localTimestamp(let digits)):
            guard columns[column].zone != nil else {
                return try mismatch(column, type, "it has no zone; say zone: Asia/Shanghai")
            }
            (factor, flag) = (Self.factor(digits), 1)
        case (_, .date): (factor, flag) = (86_400_000, 2)
        case (.string, _): return try token(.text, column)
        case (.int, nil), (.long, nil): return try token(.numberToken, column)
        default: return try mismatch(column, type)
        }
        if useValues(column) { return try mixed(column, type) }
        try emit(.time, flag: flag, column: column, b: factor)
    }

    private static func factor(_ digits: Int) -> Int64 { digits == 3 ? 1 : digits == 6 ? -1000 : -1_000_000 }

    /// Branches of a union of which one is read as a text would be, and this one cannot be.
    private mutating func mixed(_ column: Int, _ type: Int) throws(Fault) {
        try refuse(
            column, type,
            "its union has \(writer.types[type].shown) beside texts or plain numbers, which are not read as one field"
        )
    }
}
