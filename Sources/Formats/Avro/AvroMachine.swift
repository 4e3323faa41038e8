import Base
import Glibc
import Records

/// Carries a program out on one record after the other. What a record says of itself is never believed: each
/// length is held against the bytes that are left, and what may repeat without taking bytes is counted.
struct AvroMachine {
    private let code: UnsafeMutablePointer<AvroInstruction>
    private let table: UnsafeMutablePointer<Int32>
    private let bytes: UnsafeMutablePointer<UInt8>
    private let parts: UnsafeMutablePointer<TextReference>
    private let slotOf: UnsafeMutablePointer<Int32>
    private let slotCount: Int
    private let target: BinaryColumns
    private let values: UnsafeMutablePointer<UnsafeMutablePointer<Int64>>
    private let valid: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>>
    private var tokens: UnsafeMutablePointer<Token>
    private var slots: UnsafeMutablePointer<UInt8>
    private(set) var at: UnsafePointer<UInt8>
    private var end: UnsafePointer<UInt8>
    private var row = 0
    /// Items and calls that the record may still have.
    private var budget = 0
    private var depth = 0
    /// The instruction at which the record was seen to be none; -1: it goes on behind its end.
    private(set) var failedAt = -1

    /// Items that take no bytes, in one record, beyond as many as it has bytes.
    private static let freeItems = 1 << 16

    init(_ program: AvroProgram, _ target: BinaryColumns) {
        self.target = target
        (code, table) = (program.code, program.table)
        (bytes, parts) = (program.bytes, program.parts)
        (slotOf, slotCount) = (program.slots, program.slotCount)
        (values, valid) = (target.values, target.valid)
        tokens = target.tokens
        slots = target.slots
        at = UnsafePointer(program.bytes)
        end = at
    }

    /// False: the bytes are no record of the schema. `place`: of the row among those that have slots.
    @inline(__always)
    mutating func run(_ record: UnsafePointer<UInt8>, _ count: Int, row: Int, place: Int) -> Bool {
        self.row = row
        tokens = target.tokens + row &* target.width
        slots = target.slots + place &* slotCount &* BinaryColumns.slotSize
        at = record
        end = record + count
        budget = count &+ Self.freeItems
        depth = 0
        failedAt = -1
        return run(0) && at == end
    }

    /// Bytes of the record that begins here; nil: there is none.
    mutating func length(_ start: UnsafePointer<UInt8>, _ count: Int) -> Int? {
        _ = run(start, count, row: 0, place: 0)
        return failedAt < 0 ? start.distance(to: at) : nil
    }

    // MARK: Bytes

    @inline(__always)
    private mutating func varint(_ value: inout UInt64) -> Bool {
        guard at < end else { return false }
        let first = at[0]
        at += 1
        if first < 0x80 {
            value = UInt64(first)
            return true
        }
        var result = UInt64(first & 0x7F)
        var shift: UInt64 = 7
        while at < end, shift < 64 {
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

    @inline(__always)
    private mutating func number(_ value: inout Int64) -> Bool {
        var raw: UInt64 = 0
        guard varint(&raw) else { return false }
        value = Int64(bitPattern: raw &>> 1) ^ (0 &- Int64(bitPattern: raw & 1))
        return true
    }

    /// A length that is there.
    @inline(__always)
    private mutating func length(_ count: inout Int) -> Bool {
        var value: Int64 = 0
        guard number(&value), value >= 0, value <= Int64(end - at) else { return false }
        count = Int(value)
        return true
    }

    // MARK: Instructions

    private mutating func run(_ start: Int) -> Bool {
        var next = start
        while true {
            let one = code[next]
            next &+= 1
            guard step(one, &next) else {
                if failedAt < 0 { failedAt = next &- 1 }
                return false
            }
            if one.code == .end { return true }
        }
    }

    @inline(__always)
    private mutating func step(_ one: AvroInstruction, _ next: inout Int) -> Bool {
        let column = Int(one.column)
        switch one.code {
        case .end: return true
        case .skipBytes:
            guard Int(one.a) <= end - at else { return false }
            at += Int(one.a)
        case .skipNumbers:
            var left = one.a
            var value: UInt64 = 0
            while left > 0 {
                guard varint(&value) else { return false }
                left &-= 1
            }
        case .skipText:
            var count = 0
            guard length(&count) else { return false }
            at += count
        case .branch:
            var branch: Int64 = 0
            guard number(&branch), branch >= 0, branch < one.b else { return false }
            next = Int(table[Int(one.a) &+ Int(branch)])
        case .jump: next = Int(one.a)
        case .null: setNull(column, one)
        case .text:
            var count = 0
            guard length(&count) else { return false }
            tokens[column] = Token(start: at, count: UInt32(count), kind: Token.Kind.string.rawValue)
            if !isUtf8(at, count) { target.fail(.malformed, row, column) }
            at += count
        case .number:
            var value: Int64 = 0
            guard number(&value) else { return false }
            put(BinaryNumber.scaled(value, by: one.b, divides: one.flag == 1), column)
        case .time:
            var value: Int64 = 0
            guard number(&value) else { return false }
            putTime(value, one, column)
        case .bool:
            guard at < end, at[0] <= 1 else { return false }
            set(Int64(at[0]), column)
            at += 1
        case .symbol:
            var index: Int64 = 0
            guard number(&index), index >= 0, index < one.b else { return false }
            putSymbol(Int(one.a) &+ Int(index), column)
        case .decimal:
            var count = Int(one.a)
            if count < 0 { guard length(&count) else { return false } }
            guard count <= end - at else { return false }
            let number = BinaryNumber.bigEndian(at, count)
            at += count
            put(number.flatMap { BinaryNumber.scaled($0, by: one.b, divides: one.flag == 1) }, column)
        case .fraction:
            guard let value = fraction(Int(one.a)) else { return false }
            putFraction(value, one, column)
        case .skipBlocks:
            guard skipBlocks(next, isMap: one.flag == 1) else { return false }
            next = Int(one.a)
        default: return rare(one, &next)
        }
        return true
    }

    /// What most schemas have nothing of.
    @inline(never)
    private mutating func rare(_ one: AvroInstruction, _ next: inout Int) -> Bool {
        let column = Int(one.column)
        switch one.code {
        case .refuse: target.fail(.wrongType, row, column)
        case .call: return call(Int(one.a))
        case .preset: return preset(one)
        case .pick:
            guard pick(Int(one.a), isMap: one.flag == 1) else { return false }
            next = Int(table[Int(one.a)])
        case .uuid:
            guard end - at >= 16 else { return false }
            let slot = slot(of: column)
            tokens[column] = Token(
                start: slot, count: UInt32(Self.writeUuid(at, to: slot)), kind: Token.Kind.string.rawValue)
            at += 16
        case .numberToken:
            var value: Int64 = 0
            guard number(&value) else { return false }
            putDigits(value, scale: 0, column)
        case .decimalToken:
            var count = Int(one.a)
            if count < 0 { guard length(&count) else { return false } }
            guard count <= end - at else { return false }
            let number = BinaryNumber.bigEndian(at, count)
            at += count
            if let number {
                putDigits(number, scale: Int(one.b), column)
            } else {
                target.fail(.outOfRange, row, column)
            }
        case .boolToken:
            guard at < end, at[0] <= 1 else { return false }
            let kind = at[0] == 1 ? Token.Kind.true : .false
            let slot = slot(of: column)
            tokens[column] = Token(
                start: slot, count: UInt32(Self.write(at[0] == 1 ? "true" : "false", to: slot)),
                kind: kind.rawValue)
            at += 1
        case .fractionToken:
            guard let value = fraction(Int(one.a)) else { return false }
            let slot = slot(of: column)
            let text = one.a == 4 ? Float(value).description : value.description
            tokens[column] = Token(
                start: slot, count: UInt32(Self.write(text, to: slot)),
                kind: value.isFinite ? Token.Kind.number.rawValue : Token.Kind.string.rawValue)
        default: unreachable("an instruction of none")
        }
        return true
    }

    // MARK: Values

    @inline(__always)
    private func set(_ value: Int64, _ column: Int) {
        values[column][row] = value
        valid[column][row] = 1
    }

    @inline(__always)
    private func put(_ value: Int64?, _ column: Int) {
        if let value { set(value, column) } else { target.fail(.outOfRange, row, column) }
    }

    @inline(__always)
    private func setNull(_ column: Int, _ one: AvroInstruction) {
        tokens[column].kind = (one.a == 1 ? Token.Kind.missing : .null).rawValue
        valid[column][row] = 0
        if one.flag == 1 { target.fail(.missingField, row, column) }
    }

    @inline(__always)
    private func putTime(_ value: Int64, _ one: AvroInstruction, _ column: Int) {
        var time = value
        var overflows = false
        if one.b > 1 {
            (time, overflows) = value.multipliedReportingOverflow(by: one.b)
        } else if one.b < 0 {
            time = floorDivide(value, 0 &- one.b)
        }
        if one.flag != 0 { time = local(time, column) }
        put(overflows || !EpochTime.writable.contains(time) ? nil : time, column)
    }

    @inline(never)
    private func local(_ time: Int64, _ column: Int) -> Int64 {
        guard let zone = target.readers[column].column.zone, EpochTime.writable.contains(time) else {
            return time
        }
        return zone.utc(local: time)
    }

    @inline(__always)
    private func putSymbol(_ part: Int, _ column: Int) {
        let symbol = parts[part]
        guard symbol.offset >= 0, symbol.count < 1 << 24 else {
            return target.fail(.wrongType, row, column)
        }
        tokens[column] = Token(
            start: UnsafePointer(self.bytes + symbol.offset), count: UInt32(symbol.count),
            kind: Token.Kind.string.rawValue)
    }

    private mutating func fraction(_ size: Int) -> Double? {
        guard end - at >= size else { return nil }
        defer { at += size }
        let raw = UnsafeRawPointer(at)
        if size == 4 {
            return Double(Float(bitPattern: UInt32(littleEndian: raw.loadUnaligned(as: UInt32.self))))
        }
        return Double(bitPattern: UInt64(littleEndian: raw.loadUnaligned(as: UInt64.self)))
    }

    private func putFraction(_ value: Double, _ one: AvroInstruction, _ column: Int) {
        switch BinaryNumber.decimal(value, isSingle: one.a == 4, scale: Int(one.b), isRounded: one.flag == 1)
        {
        case .success(let number): set(number, column)
        case .failure(let failure): target.fail(failure.status, row, column)
        }
    }

    // MARK: Digits

    private func slot(of column: Int) -> UnsafeMutablePointer<UInt8> {
        slots + Int(slotOf[column]) * BinaryColumns.slotSize
    }

    private func putDigits(_ value: Int64, scale: Int, _ column: Int) {
        let slot = slot(of: column)
        tokens[column] = Token(
            start: slot, count: UInt32(Decimal.write(Int128(value), scale: scale, to: slot)),
            kind: Token.Kind.number.rawValue)
    }

    private static func write(_ text: String, to slot: UnsafeMutablePointer<UInt8>) -> Int {
        var count = 0
        for byte in text.utf8.prefix(BinaryColumns.slotSize) {
            slot[count] = byte
            count += 1
        }
        return count
    }

    private static func writeUuid(_ bytes: UnsafePointer<UInt8>, to slot: UnsafeMutablePointer<UInt8>) -> Int
    {
        func digit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 0x30 + nibble : 0x57 + nibble }
        var count = 0
        for index in 0..<16 {
            if index == 4 || index == 6 || index == 8 || index == 10 {
                slot[count] = 0x2D
                count += 1
            }
            slot[count] = digit(bytes[index] >> 4)
            slot[count + 1] = digit(bytes[index] & 15)
            count += 2
        }
        return count
    }

    // MARK: What repeats

    private mutating func call(_ routine: Int) -> Bool {
        budget &-= 1
        depth &+= 1
        guard budget >= 0, depth <= Limits.schemaDepthMax else { return false }
        defer { depth &-= 1 }
        return run(routine)
    }

    /// How many items come next, 0: no more; nil: it makes no sense. `size`: their bytes, if they are said.
    private mutating func block(_ size: inout Int) -> Int64? {
        var count: Int64 = 0
        guard number(&count), count > Int64.min else { return nil }
        size = -1
        if count < 0 {
            guard length(&size) else { return nil }
            count = 0 &- count
        }
        return count
    }

    private mutating func skipBlocks(_ item: Int, isMap: Bool) -> Bool {
        while true {
            var size = 0
            guard let count = block(&size) else { return false }
            if count == 0 { return true }
            if size >= 0 {
                at += size
                continue
            }
            for _ in 0..<count {
                budget &-= 1
                guard budget >= 0 else { return false }
                if isMap {
                    var name = 0
                    guard length(&name) else { return false }
                    at += name
                }
                guard run(item) else { return false }
            }
        }
    }

    /// Table: where to go on; the routine of other items; how many are wanted; for each its place, or the
    /// part that is its name, its routine, and one for where it is missing.
    private mutating func pick(_ place: Int, isMap: Bool) -> Bool {
        let other = Int(table[place + 1])
        let wanted = Int(table[place + 2])
        let entries = table + place + 3
        var found: UInt64 = 0
        var index: Int64 = 0
        while true {
            var size = 0
            guard let count = block(&size) else { return false }
            if count == 0 { break }
            for _ in 0..<count {
                budget &-= 1
                guard budget >= 0 else { return false }
                var name = 0
                let start: UnsafePointer<UInt8>
                if isMap { guard length(&name) else { return false } }
                start = at
                at += name
                var routine = other
                for entry in 0..<wanted {
                    let key = entries[3 * entry]
                    let isIt =
                        isMap ? isName(start, name, parts[Int(key)]) : Int64(key) == index
                    guard isIt else { continue }
                    routine = Int(entries[3 * entry + 1])
                    found |= 1 << UInt64(entry)
                }
                index &+= 1
                guard run(routine) else { return false }
            }
        }
        for entry in 0..<wanted where found & (1 << UInt64(entry)) == 0 {
            guard run(Int(entries[3 * entry + 2])) else { return false }
        }
        return true
    }

    private func isName(_ text: UnsafePointer<UInt8>, _ count: Int, _ name: TextReference) -> Bool {
        count == name.count && memcmp(text, bytes + name.offset, count) == 0
    }

    /// A value of the schema's own bytes.
    private mutating func preset(_ one: AvroInstruction) -> Bool {
        let (at, end) = (at, end)
        let part = parts[Int(one.a)]
        self.at = UnsafePointer(bytes + part.offset)
        self.end = self.at + part.count
        let isGood = run(Int(one.b))
        (self.at, self.end) = (at, end)
        return isGood
    }
}
