import Base
import Dataflow
import Records
import Testing

@testable import Formats

/// Bytes and schemas that somebody hostile has made: what comes of them is refused, and soon.
@Suite struct AvroFuzzTests {
    private static let columns = [
        WireColumn("id", .text, optional: true), WireColumn("amount", .decimal(scale: 2), optional: true),
        WireColumn("inner.when", .timestamp, optional: true),
        WireColumn("either", .text, optional: true, numbers: true),
        WireColumn("tags.a", .text, optional: true),
    ]
    private static let schema = AvroDecoderTests.record([
        AvroDecoderTests.field("id", "\"string\""),
        AvroDecoderTests.field(
            "amount", "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,\"scale\":2}"),
        AvroDecoderTests.field("nulls", "{\"type\":\"array\",\"items\":\"null\"}"),
        AvroDecoderTests.field(
            "grid", "{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":\"null\"}}"),
        AvroDecoderTests.field(
            "inner",
            "[\"null\",\(AvroDecoderTests.record([AvroDecoderTests.field("when", "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}"), AvroDecoderTests.field("self", "[\"null\",\"R\"]")], name: "I"))]"
        ),
        AvroDecoderTests.field("either", "[\"null\",\"long\",\"string\",\"double\",\"boolean\"]"),
        AvroDecoderTests.field("tags", "{\"type\":\"map\",\"values\":\"string\"}"),
    ])

    private func value(_ random: inout SplitMix64, depth: Int = 0) -> AvroValue {
        let choice = random.next() % 5
        let either: AvroValue =
            switch choice {
            case 0: .null
            case 1: .number(Int64(truncatingIfNeeded: random.next()))
            case 2: .text("t")
            case 3: .double(Double(Int64(truncatingIfNeeded: random.next() % 1000)) / 8)
            default: .bool(true)
            }
        let inner: AvroValue =
            random.next() % 2 == 0
            ? .branch(0, .null)
            : .branch(
                1,
                .record([
                    .number(1_683_000_000_000),
                    depth < 3 && random.next() % 2 == 0
                        ? .branch(1, value(&random, depth: depth + 1)) : .branch(0, .null),
                ]))
        return .record([
            .text("id"), .raw(AvroValue.bigEndian(Int64(truncatingIfNeeded: random.next() % 100_000))),
            .list([.null, .null], sized: random.next() % 2 == 0),
            .list([.list([.null], sized: false)], sized: false),
            inner, .branch(Int(choice), either), .map([("a", .text("x")), ("b", .text("y"))]),
        ])
    }

    @Test(arguments: [UInt64(1), 2])
    func damagedRecords(seed: UInt64) throws {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let harness = Harness(try AvroDecoderTests.decoder(Self.columns, Self.schema), Self.columns)
        var good = 0
        for _ in 0..<4_000 {
            var bytes = value(&random).bytes
            let whole = harness.decode([bytes])[0]
            #expect(whole.status == .good, "\(harness.explain())")
            for _ in 0..<Int(random.next() % 3 + 1) {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            switch random.next() % 4 {
            case 0: bytes.removeLast(Int(random.next() % UInt64(bytes.count + 1)))
            case 1: bytes += [0]
            case 2:
                bytes.insert(
                    contentsOf: [UInt8](repeating: 0xFF, count: 9),
                    at: Int(random.next() % UInt64(bytes.count)))
            default: break
            }
            let row = harness.decode([bytes])[0]
            if row.status == .good { good += 1 } else { #expect(!harness.explain().isEmpty) }
        }
        #expect(good < 4_000)
    }

    /// Lengths and counts that no record has bytes for, in each place that has one.
    @Test func hostileLengths() throws {
        let harness = Harness(try AvroDecoderTests.decoder(Self.columns, Self.schema), Self.columns)
        let huge = [Int64.max, .min, -1, 1 << 40, -(1 << 40), 1 << 62].map { AvroValue.zigzag($0) }
        let head = AvroValue.text("i").bytes + AvroValue.raw([1]).bytes
        for number in huge {
            for prefix in [
                [], AvroValue.text("i").bytes, head, head + [0], head + [0, 0], head + [0, 0, 0, 0],
            ] {
                for tail in [[], [UInt8](repeating: 0, count: 20), number + number] {
                    let row = harness.decode([prefix + number + tail])[0]
                    #expect(row.status != .good)
                    #expect(!harness.explain().isEmpty)
                }
            }
        }
        // A million rows of a million nulls would take no bytes but all the time there is.
        let rows = AvroValue.zigzag(500_000) + (0..<500_000).flatMap { _ in AvroValue.zigzag(1 << 50) + [0] }
        #expect(harness.decode([Array((head + [0] + rows).prefix(1 << 20))])[0].status == .malformed)
    }

    @Test func hostileSchemas() throws {
        func compiled(_ text: String) -> Fault? {
            do throws(Fault) {
                let schema = try AvroSchemaReader.read([Array(text.utf8)])
                _ = try AvroCompiler.compile(Self.columns, writer: schema, reader: schema)
                return nil
            } catch { return error }
        }
        #expect(compiled(Self.schema) == nil)
        // Deep, wide, and of itself.
        #expect(compiled(String(repeating: "[", count: 100_000)) != nil)
        #expect(compiled(String(repeating: "{\"type\":\"array\",\"items\":", count: 2000) + "\"int\"") != nil)
        let many = (0..<9_000).map { AvroDecoderTests.field("f\($0)", "\"int\"") }
        #expect(compiled(AvroDecoderTests.record(many)) == nil)
        #expect(
            compiled(AvroDecoderTests.record(many + many.map { $0.replacing("\"f", with: "\"g") })) != nil)
        // Each record has two of the next: 2^30 fields, if they were written out.
        var nested = "\"int\""
        for level in (0..<30).reversed() {
            nested = AvroDecoderTests.record(
                [
                    AvroDecoderTests.field("a", nested),
                    AvroDecoderTests.field("b", level == 29 ? "\"int\"" : "\"L\(level + 1)\""),
                ],
                name: "L\(level)")
        }
        _ = compiled(nested)
        // A record of itself and nothing else has no end, and no bytes.
        let endless = AvroDecoderTests.record([
            AvroDecoderTests.field("id", "\"R\""), AvroDecoderTests.field("b", "\"R\""),
        ])
        if compiled(endless) == nil {
            let harness = Harness(try AvroDecoderTests.decoder(Self.columns, endless), Self.columns)
            #expect(harness.decode([[0, 0, 0]])[0].status != .good)
        }
        for text in [
            "", "nul", "{}", "{\"type\":\"record\"}", "{\"type\":\"record\",\"name\":\"R\"}", "[]",
            "[[\"int\"]]", "\"R\"", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}",
            "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[]}", "1e999", "{\"type\":{\"type\":{}}}",
            "\"\\ud800\"",
        ] {
            #expect(compiled(text) != nil, "\(text)")
        }
        var random = SplitMix64(seed: 3)
        for _ in 0..<5000 {
            var bytes = Array(Self.schema.utf8)
            for _ in 0..<2 {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(
                    truncatingIfNeeded: random.next() % 128)
            }
            _ = compiled(String(decoding: bytes, as: UTF8.self))
        }
    }
}
