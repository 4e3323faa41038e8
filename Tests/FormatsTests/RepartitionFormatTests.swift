import Base
import Dataflow
import Formats
import Records
import Testing

/// Goal: what goes into a repartition topic comes out again, and nothing else does harm.
@Suite struct RepartitionFormatTests {
    static let fields = [
        Field(name: "key", type: .text), Field(name: "amount", type: .decimal(scale: 2), isOptional: true),
        Field(name: "note", type: .text, isOptional: true), Field(name: "flag", type: .bool),
        Field(name: "count", type: .int), Field(name: "time", type: .timestamp),
        Field(name: "span", type: .duration),
        Field(name: "a", type: .int, isOptional: true), Field(name: "b", type: .int, isOptional: true),
    ]

    /// Columns of random values, at the edges now and then, and the bytes that the encoder makes of each row.
    final class Source {
        let columns = fields.map { Column($0.type, capacity: 64) }
        let arena = Arena(capacity: 16)
        let encoder: RepartitionEncoder

        init() { encoder = RepartitionEncoder(fields, columns: columns) }

        func fill(_ row: Int, _ random: inout SplitMix64) {
            for (field, column) in zip(fields, columns) {
                column.valid[row] = field.isOptional && random.next() % 3 == 0 ? 0 : 1
                switch field.type {
                case .text:
                    let count = random.next() % 4 == 0 ? 0 : Int(random.next() % 300)
                    column.values[row] = arena.append(String(repeating: "é", count: count)).packed
                case .bool: column.values[row] = Int64(random.next() % 2)
                case .timestamp:
                    column.values[row] = Int64(random.next() % 4_000_000_000_000) - 2_000_000_000_000
                default:
                    let edges: [Int64] = [0, 1, -1, .max, .min, 63, 64, -64, -65]
                    column.values[row] =
                        random.next() % 2 == 0
                        ? edges[Int(random.next() % UInt64(edges.count))] : Int64(bitPattern: random.next())
                }
            }
        }

        func encode(_ row: Int, _ origin: RepartitionOrigin) -> [UInt8] {
            encoder.encode(row, arena: arena, origin)
            return Array(UnsafeBufferPointer(start: encoder.bytes.base, count: encoder.bytes.count))
        }

        func mark(_ partition: Int32, _ watermark: Int64, isIdle: Bool) -> [UInt8] {
            encoder.encodeMark(partition: partition, watermark: watermark, isIdle: isIdle)
            return Array(UnsafeBufferPointer(start: encoder.bytes.base, count: encoder.bytes.count))
        }

        func texts(_ row: Int) -> [String?] {
            columns.map { $0.valid[row] == 1 ? ValueText.string($0.values[row], $0.type, arena: arena) : nil }
        }
    }

    static func origin(_ random: inout SplitMix64) -> RepartitionOrigin {
        RepartitionOrigin(
            source: Int32(random.next() % 5), partition: Int32(random.next() % 8),
            offset: Int64(random.next() >> 1),
            appended: random.next() % 4 == 0 ? -1 : Int64(random.next() % 4_000_000_000_000),
            writer: Int32(random.next() % 8),
            watermark: random.next() % 4 == 0 ? .min : Int64(random.next() % 4_000_000_000_000) - 1_000_000)
    }

    static func decoder(partitions: Int = 8, fields: [Field] = fields) -> (RepartitionDecoder, Harness) {
        let decoder = RepartitionDecoder(fields, partitions: partitions, capacity: 64)
        return (decoder, Harness(decoder, fields.map { WireColumn($0.name, $0.type) }, capacity: 64))
    }

    @Test func rowsAndMarksComeBackAsTheyWere() {
        print("seed 1")
        var random = SplitMix64(seed: 1)
        let (decoder, harness) = Self.decoder()
        for _ in 0..<200 {
            let source = Source()
            var records: [[UInt8]] = []
            var origins: [RepartitionOrigin] = []
            for row in 0..<64 {
                source.fill(row, &random)
                origins.append(Self.origin(&random))
                let isMark = row % 5 == 0
                let origin = origins[row]
                records.append(
                    isMark
                        ? source.mark(origin.writer, origin.watermark, isIdle: row % 2 == 0)
                        : source.encode(row, origin))
            }
            let rows = harness.decode(records)
            for row in 0..<64 {
                let got = decoder.origins[row]
                #expect(got.writer == origins[row].writer && got.watermark == origins[row].watermark)
                if row % 5 == 0 {
                    #expect(rows[row].status == .mark)
                    #expect(decoder.idle[row] == (row % 2 == 0 ? 1 : 0))
                } else {
                    #expect(rows[row] == Row(status: .good, values: source.texts(row)))
                    #expect(got.source == origins[row].source && got.partition == origins[row].partition)
                    #expect(got.offset == origins[row].offset && got.appended == origins[row].appended)
                    #expect(decoder.idle[row] == 0)
                }
            }
        }
    }

    /// Every truncation of a value is malformed; a flipped bit may change a value, and never reads beyond it.
    @Test func damagedValuesAreRefusedOrRead() {
        print("seed 2")
        var random = SplitMix64(seed: 2)
        let (_, harness) = Self.decoder()
        var good = 0
        for turn in 0..<60 {
            let source = Source()
            source.fill(0, &random)
            let value =
                turn % 10 == 0
                ? source.mark(3, 1_000_000, isIdle: false) : source.encode(0, Self.origin(&random))
            for count in 0..<value.count {
                #expect(harness.decode([Array(value[..<count])])[0].status == .malformed, "cut to \(count)")
            }
            for index in value.indices {
                for bit in 0..<8 {
                    var damaged = value
                    damaged[index] ^= 1 << UInt8(bit)
                    let status = harness.decode([damaged])[0].status
                    #expect([.good, .mark, .malformed].contains(status))
                    // The build before wrote the same rows.
                    let isFormer = index == 0 && damaged[0] == 2
                    if index < 6, index != 1, !isFormer {
                        #expect(status == .malformed, "head byte \(index)")
                    }
                    if status == .good { good += 1 }
                    _ = harness.explain()
                }
            }
            for _ in 0..<200 {
                let noise = (0..<Int(random.next() % 80)).map { _ in UInt8(truncatingIfNeeded: random.next())
                }
                #expect(harness.decode([Array(value.prefix(6)) + noise])[0].status != .nullValue)
            }
        }
        // Bits of the values themselves.
        #expect(good > 0)
    }

    @Test func recordsOfOthersAreMalformed() {
        var random = SplitMix64(seed: 3)
        let source = Source()
        source.fill(0, &random)
        let value = source.encode(
            0, RepartitionOrigin(partition: 7, offset: 5, appended: 6, watermark: 7))
        #expect(Self.decoder().1.decode([value])[0].status == .good)
        // A partition that does not exist.
        #expect(Self.decoder(partitions: 7).1.decode([value])[0].status == .malformed)
        // The same types by other names.
        var others = Self.fields
        others[7].name = "c"
        #expect(Self.decoder(fields: others).1.decode([value])[0].status == .malformed)
        let harness = Self.decoder().1
        #expect(
            harness.decode([nil, value + [0], Array(repeating: 1, count: Limits.recordBytesMax + 1)]).map(
                \.status)
                == [.nullValue, .malformed, .oversized])
        #expect(harness.explain(1).contains("not a repartition record of version 3"))
    }

    /// Goal: what the build before has left in a repartition topic is read: its rows are the same, its marks
    /// say less.
    @Test func recordsOfTheBuildBeforeAreRead() {
        var random = SplitMix64(seed: 4)
        let source = Source()
        source.fill(0, &random)
        let row = source.encode(0, RepartitionOrigin(partition: 7, offset: 5, appended: 6, watermark: 7))
        let (decoder, harness) = Self.decoder()
        #expect(
            [3, 2, 1, 4].map { harness.decode([[$0] + row.dropFirst()])[0].status } == [
                .good, .good, .malformed, .malformed,
            ])
        // Mark and watermark; with idle; with a claim, which nobody asks for any more; with what it did not
        // know.
        let head = Array(row[2..<6])
        let marks: [[UInt8]] = [5, 7, 13, 21].map { [2, $0] + head + [6, 14] }
        #expect(harness.decode(marks).map(\.status) == [.mark, .mark, .mark, .malformed])
        #expect((0..<3).map { decoder.origins[$0].watermark } == [7, 7, 7] && decoder.origins[2].writer == 3)
        #expect((0..<3).map { decoder.idle[$0] } == [0, 1, 0])
        #expect((0..<3).allSatisfy { decoder.atEnd[$0] == 0 && decoder.asks[$0] == 0 })
    }
}
