import Base
import Records

/// Reads one message after the other by a program. Lengths are held against the bytes that are left, and what
/// nests has a limit. Of a field that comes twice the last counts, and messages that come twice are one.
struct ProtobufMachine {
    private let program: ProtobufProgram
    private let target: BinaryColumns
    private var row = 0
    private var slots: UnsafeMutablePointer<UInt8>
    private var tokens: UnsafeMutablePointer<Token>
    /// By node: the last message, counted, in which it was there.
    private var seen: [Int]
    private var turn = 0
    private(set) var at: UnsafePointer<UInt8>

    init(_ program: ProtobufProgram, _ target: BinaryColumns) {
        self.program = program
        self.target = target
        slots = target.slots
        tokens = target.tokens
        seen = program.nodes.map { _ in 0 }
        at = UnsafePointer(program.bytes.base)
    }

    /// False: the bytes are no message.
    mutating func run(_ bytes: UnsafePointer<UInt8>, _ count: Int, row: Int, place: Int) -> Bool {
        self.row = row
        turn += 1
        tokens = target.tokens + row * target.width
        slots = target.slots + place * program.slotCount * BinaryColumns.slotSize
        for column in 0..<target.width {
            target.valid[column][row] = 0
            tokens[column].kind = Token.Kind.missing.rawValue
        }
        at = bytes
        return message(0, bytes + count, depth: 0)
    }

    private mutating func message(_ index: Int, _ end: UnsafePointer<UInt8>, depth: Int) -> Bool {
        if seen[index] != turn {
            seen[index] = turn
            preset(index)
        }
        return program.nodes.withUnsafeBufferPointer { nodes in
            nodes[index].near.withUnsafeBufferPointer { near in
                fields(near, nodes[index].far, end, depth)
            }
        }
    }

    private func preset(_ index: Int) {
        for preset in program.nodes[index].presets {
            if let token = preset.token {
                tokens[preset.column] = Token(
                    start: UnsafePointer(program.bytes.base + preset.part.offset),
                    count: UInt32(preset.part.count), kind: token.rawValue)
            } else {
                set(preset.value, preset.column)
            }
        }
    }

    private mutating func fields(
        _ near: UnsafeBufferPointer<ProtobufAction>, _ far: [(number: Int, action: ProtobufAction)],
        _ end: UnsafePointer<UInt8>, _ depth: Int
    ) -> Bool {
        while at < end {
            var tag: UInt64 = 0
            guard varint(&tag, end) else { return false }
            let number = Int(truncatingIfNeeded: tag &>> 3)
            let wire = UInt8(truncatingIfNeeded: tag & 7)
            guard number > 0, number < 1 << 29 else { return false }
            var action = ProtobufAction()
            if number < near.count {
                action = near[number]
            } else if !far.isEmpty, let found = far.first(where: { $0.number == number }) {
                action = found.action
            }
            if action.kind == .skip {
                guard skip(wire, number, end, depth: depth) else { return false }
            } else if action.wire != wire || action.kind == .refuse {
                if action.column >= 0 { target.fail(.wrongType, row, Int(action.column)) }
                guard skip(wire, number, end, depth: depth) else { return false }
            } else {
                guard value(action, end, depth) else { return false }
            }
        }
        return at == end
    }

    // MARK: Bytes

    @inline(__always)
    private mutating func varint(_ value: inout UInt64, _ end: UnsafePointer<UInt8>) -> Bool {
        var result: UInt64 = 0
        var shift: UInt64 = 0
        while at < end, shift < 70 {
            let byte = at[0]
            at += 1
            result |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 {
                value = result
                return true
            }
            shift &+= 7
        }
        return false
    }

    private mutating func length(_ count: inout Int, _ end: UnsafePointer<UInt8>) -> Bool {
        var value: UInt64 = 0
        guard varint(&value, end), value <= UInt64(end - at) else { return false }
        count = Int(value)
        return true
    }

    private mutating func skip(_ wire: UInt8, _ number: Int, _ end: UnsafePointer<UInt8>, depth: Int) -> Bool
    {
        var value: UInt64 = 0
        var count = 0
        switch wire {
        case 0: return varint(&value, end)
        case 1: count = 8
        case 5: count = 4
        case 2: guard length(&count, end) else { return false }
        case 3:
            // A group, up to its own end.
            guard depth < Limits.schemaDepthMax else { return false }
            while at < end {
                guard varint(&value, end) else { return false }
                let inner = Int(truncatingIfNeeded: value &>> 3)
                if value & 7 == 4 { return inner == number }
                guard inner > 0, skip(UInt8(value & 7), inner, end, depth: depth + 1) else { return false }
            }
            return false
        default: return false
        }
        guard count <= end - at else { return false }
        at += count
        return true
    }

    /// The bits of a number of any width.
    private mutating func bits(_ wire: UInt8, _ value: inout UInt64, _ end: UnsafePointer<UInt8>) -> Bool {
        switch wire {
        case 0: return varint(&value, end)
        case 1:
            guard end - at >= 8 else { return false }
            value = UInt64(littleEndian: UnsafeRawPointer(at).loadUnaligned(as: UInt64.self))
            at += 8
        default:
            guard end - at >= 4 else { return false }
            value = UInt64(UInt32(littleEndian: UnsafeRawPointer(at).loadUnaligned(as: UInt32.self)))
            at += 4
        }
        return true
    }

    // MARK: Values

    private func set(_ value: Int64, _ column: Int) {
        target.values[column][row] = value
        target.valid[column][row] = 1
    }

    private mutating func value(_ action: ProtobufAction, _ end: UnsafePointer<UInt8>, _ depth: Int) -> Bool {
        let column = Int(action.column)
        var raw: UInt64 = 0
        var count = 0
        switch action.kind {
        case .enter:
            guard depth < Limits.schemaDepthMax, length(&count, end) else { return false }
            return message(Int(action.a), at + count, depth: depth + 1)
        case .text:
            guard length(&count, end) else { return false }
            tokens[column] = Token(start: at, count: UInt32(count), kind: Token.Kind.string.rawValue)
            if !isUtf8(at, count) { target.fail(.malformed, row, column) }
            at += count
        case .number, .numberToken:
            guard bits(action.wire, &raw, end) else { return false }
            putNumber(raw, action, column)
        case .bool, .boolToken:
            guard varint(&raw, end) else { return false }
            if action.kind == .bool {
                set(raw == 0 ? 0 : 1, column)
            } else {
                put(raw == 0 ? "false" : "true", raw == 0 ? .false : .true, column)
            }
        case .fraction, .fractionToken:
            guard bits(action.wire, &raw, end) else { return false }
            putFraction(raw, action, column)
        case .symbol:
            guard varint(&raw, end) else { return false }
            putSymbol(Int64(Int32(truncatingIfNeeded: raw)), Int(action.a), column)
        case .instant, .span:
            guard length(&count, end) else { return false }
            return putTime(at + count, column, isSpan: action.kind == .span)
        case .skip, .refuse: return false
        }
        return true
    }

    private func putNumber(_ raw: UInt64, _ action: ProtobufAction, _ column: Int) {
        var value = Int64(bitPattern: raw)
        switch action.signs {
        case 1: value = Int64(bitPattern: raw &>> 1) ^ (0 &- Int64(bitPattern: raw & 1))
        case 2:
            guard raw <= UInt64(Int64.max) else {
                if action.kind == .numberToken { return put(String(raw), .number, column) }
                return target.fail(.outOfRange, row, column)
            }
        case 3: value = Int64(Int32(truncatingIfNeeded: raw))
        default: break
        }
        if action.kind == .numberToken { return put(String(value), .number, column) }
        if let scaled = BinaryNumber.scaled(value, by: action.b, divides: false) {
            set(scaled, column)
        } else {
            target.fail(.outOfRange, row, column)
        }
    }

    private func putFraction(_ raw: UInt64, _ action: ProtobufAction, _ column: Int) {
        let isSingle = action.wire == 5
        let value =
            isSingle
            ? Double(Float(bitPattern: UInt32(truncatingIfNeeded: raw))) : Double(bitPattern: raw)
        if action.kind == .fractionToken {
            let text = isSingle ? Float(value).description : value.description
            return put(text, value.isFinite ? .number : .string, column)
        }
        switch BinaryNumber.decimal(
            value, isSingle: isSingle, scale: Int(action.b), isRounded: action.flag == 1)
        {
        case .success(let number): set(number, column)
        case .failure(let failure): target.fail(failure.status, row, column)
        }
    }

    private func putSymbol(_ number: Int64, _ names: Int, _ column: Int) {
        let names = program.enums[names]
        var (low, high) = (0, names.count)
        while low < high {
            let middle = (low + high) / 2
            if names[middle].number < number { low = middle + 1 } else { high = middle }
        }
        guard low < names.count, names[low].number == number else {
            return target.fail(.wrongType, row, column)
        }
        let name = names[low].name
        tokens[column] = Token(
            start: UnsafePointer(program.bytes.base + name.offset), count: UInt32(name.count),
            kind: Token.Kind.string.rawValue)
    }

    /// Seconds and nanoseconds; what is less than a millisecond is cut.
    private mutating func putTime(_ end: UnsafePointer<UInt8>, _ column: Int, isSpan: Bool) -> Bool {
        var (seconds, nanos): (Int64, Int64) = (0, 0)
        while at < end {
            var tag: UInt64 = 0
            var raw: UInt64 = 0
            guard varint(&tag, end) else { return false }
            switch tag {
            case 8:
                guard varint(&raw, end) else { return false }
                seconds = Int64(bitPattern: raw)
            case 16:
                guard varint(&raw, end) else { return false }
                nanos = Int64(Int32(truncatingIfNeeded: raw))
            default:
                let number = Int(truncatingIfNeeded: tag &>> 3)
                guard number > 0, skip(UInt8(tag & 7), number, end, depth: 0) else { return false }
            }
        }
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        let (time, carried) = product.addingReportingOverflow(
            isSpan ? nanos / 1_000_000 : floorDivide(nanos, 1_000_000))
        if overflow || carried || (!isSpan && !EpochTime.writable.contains(time)) {
            target.fail(.outOfRange, row, column)
        } else {
            set(time, column)
        }
        return true
    }

    /// Digits and words; used for what is read as a text would be, which is rare.
    private func put(_ text: String, _ kind: Token.Kind, _ column: Int) {
        let slot = slots + Int(program.slots[column]) * BinaryColumns.slotSize
        var count = 0
        for byte in text.utf8.prefix(BinaryColumns.slotSize) {
            slot[count] = byte
            count += 1
        }
        tokens[column] = Token(start: slot, count: UInt32(count), kind: kind.rawValue)
    }
}
