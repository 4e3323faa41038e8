import Base
import Dataflow
import Formats
import Records
import Testing

/// Rows as JSON objects: the bytes that writing them member by member gives.
@Suite struct JsonRowEncoderTests {
    private static let types: [ValueType] = [.text, .int, .decimal(scale: 2), .bool, .timestamp, .duration]
    private static let names = ["a", "b.c", "say \"hi\"", "中", "tab\t", "", "\\"]

    private func filled(_ random: inout SplitMix64, _ arena: Arena) -> [Column] {
        (0..<Int(random.next() % 8)).map { _ in
            let column = Column(Self.types.randomElement(using: &random) ?? .int, capacity: 4)
            for row in 0..<4 {
                // A null is 0, a number that does not fit 2.
                column.valid[row] = UInt8(random.next() % 3)
                switch column.type {
                case .text:
                    column.values[row] =
                        arena.append(["", "x", "\"\n", "é\\"].randomElement(using: &random) ?? "").packed
                case .bool: column.values[row] = Int64(random.next() % 2)
                case .timestamp: column.values[row] = Int64(random.next() % 2_000_000_000_000)
                default: column.values[row] = Int64(bitPattern: random.next()) >> Int64(random.next() % 60)
                }
            }
            return column
        }
    }

    /// Members that take so many columns.
    private func members(_ columns: inout Int, depth: Int, _ random: inout SplitMix64) -> [RowMember] {
        (0..<Int(random.next() % 5)).map { _ in
            let name = Self.names.randomElement(using: &random) ?? ""
            switch random.next() % 4 {
            case 0: return .constant(name, Self.names.randomElement(using: &random) ?? "")
            case 1 where depth < 3: return .group(name, members(&columns, depth: depth + 1, &random))
            default:
                guard columns > 0 else { return .constant(name, "none left") }
                columns -= 1
                return .column(name)
            }
        }
    }

    private func write(
        _ members: [RowMember], _ row: Int, _ columns: inout ArraySlice<Column>, _ arena: Arena,
        _ json: inout JsonWriter
    ) {
        json.beginObject()
        for member in members {
            switch member {
            case .constant(let name, let text): json.member(name, text)
            case .group(let name, let members):
                json.name(name)
                write(members, row, &columns, arena, &json)
            case .column(let name):
                let column = columns.removeFirst()
                json.name(name)
                json.value(
                    column.values[row], valid: column.valid[row] == 1, column.type, arena: arena,
                    exactly: true)
            }
        }
        json.endObject()
    }

    @Test(arguments: [UInt64(61), 62, 63])
    func againstWritingMemberByMember(seed: UInt64) {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        for _ in 0..<2000 {
            let arena = Arena(capacity: 64)
            let columns = filled(&random, arena)
            var left = columns.count
            let members = members(&left, depth: 0, &random) + (0..<left).map { .column("rest\($0)") }
            let encoder = JsonRowEncoder(members)
            // What stands in the bytes already stays.
            let bytes = Arena(capacity: 64)
            var expected = "before"
            _ = bytes.append(expected)
            for row in 0..<4 {
                encoder.encode(row, of: columns, arena: arena, into: bytes)
                var json = JsonWriter()
                var rest = columns[...]
                write(members, row, &rest, arena, &json)
                expected += json.string
            }
            #expect(bytes.string(TextReference(offset: 0, count: bytes.count)) == expected)
        }
    }
}
