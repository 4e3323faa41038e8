import Base
import Dataflow
import Foundation
import Records
import Testing

@testable import Formats

/// Records of Avro: what each type becomes, how a writer's schema is resolved, what is refused.
@Suite struct AvroDecoderTests {
    static func field(_ name: String, _ type: String, more: String = "") -> String {
        "{\"name\":\"\(name)\",\"type\":\(type)\(more)}"
    }

    static func record(_ fields: [String], name: String = "R") -> String {
        "{\"type\":\"record\",\"name\":\"\(name)\",\"fields\":[\(fields.joined(separator: ","))]}"
    }

    static func decoder(_ columns: [WireColumn], _ writer: String, reader: String? = nil) throws
        -> AvroDecoder
    {
        let schema = try reader.map { try AvroSchemaReader.read([Array($0.utf8)]) }
        return AvroDecoder(columns, .fixed([Array(writer.utf8)], isFramed: false), reader: schema)
    }

    private static func program(_ columns: [WireColumn], _ writer: String, reader: String? = nil) throws
        -> AvroProgram
    {
        let schema = try reader.map { try AvroSchemaReader.read([Array($0.utf8)]) }
        return try AvroCompiler.compile(
            columns, writer: AvroSchemaReader.read([Array(writer.utf8)]), reader: schema)
    }

    /// One field `a` of a type, by what it is read as: the value, or the status.
    private func read(
        _ type: String, _ value: AvroValue, _ column: ValueType, optional: Bool = false,
        numbers: Bool = false, rounded: Bool = false, zone: TimeZoneTable? = nil
    ) throws -> String {
        let columns = [
            WireColumn("a", column, optional: optional, zone: zone, rounded: rounded, numbers: numbers)
        ]
        let harness = Harness(try Self.decoder(columns, Self.record([Self.field("a", type)])), columns)
        let row = harness.decode([value.bytes])[0]
        if row.status != .good {
            let why = harness.explain()
            #expect(why.contains("'a'"), "\(why)")
            return row.status.name
        }
        return row.values[0] ?? "null"
    }

    private static func logical(_ type: String, _ name: String, more: String = "") -> String {
        "{\"type\":\"\(type)\",\"logicalType\":\"\(name)\"\(more)}"
    }

    @Test func decimals() throws {
        func decimal(_ scale: Int) -> String {
            Self.logical("bytes", "decimal", more: ",\"precision\":18,\"scale\":\(scale)")
        }
        for (number, text) in [
            (0, "0.00"), (-1, "-0.01"), (127, "1.27"), (128, "1.28"), (-128, "-1.28"), (-129, "-1.29"),
        ] {
            #expect(
                try read(decimal(2), .raw(AvroValue.bigEndian(Int64(number))), .decimal(scale: 2)) == text)
        }
        for number in [Int64.max, .min, 1 << 31, -1 << 55] {
            let text = Decimal.string(number, scale: 2)
            #expect(try read(decimal(2), .raw(AvroValue.bigEndian(number)), .decimal(scale: 2)) == text)
            // Bytes that only repeat the sign.
            #expect(
                try read(decimal(2), .raw(AvroValue.bigEndian(number, size: 12)), .decimal(scale: 2)) == text)
        }
        let nine: [UInt8] = [0, 0x80, 0, 0, 0, 0, 0, 0, 0]
        #expect(try read(decimal(2), .raw(nine), .decimal(scale: 2)) == "NumberOutOfRange")
        #expect(try read(decimal(2), .raw([1] + nine), .decimal(scale: 2)) == "NumberOutOfRange")
        #expect(try read(decimal(2), .raw([]), .decimal(scale: 2)) == "NumberOutOfRange")
        #expect(try read(decimal(0), .raw([5]), .decimal(scale: 3)) == "5.000")
        #expect(
            try read(decimal(0), .raw(AvroValue.bigEndian(.max)), .decimal(scale: 1)) == "NumberOutOfRange")
        // More places than the field has are refused for every value, or rounded half to even.
        #expect(try read(decimal(3), .raw([100]), .decimal(scale: 2)) == "WrongType")
        #expect(try read(decimal(3), .raw([125]), .decimal(scale: 2), rounded: true) == "0.12")
        #expect(
            try read(decimal(3), .raw(AvroValue.bigEndian(135)), .decimal(scale: 2), rounded: true) == "0.14")
        let problem = try Self.program(
            [WireColumn("a", .decimal(scale: 2))], Self.record([Self.field("a", decimal(3))])
        )
        .problems[0]
        #expect(
            problem.text
                == "it is decimal(18, 3), and the field decimal(2); it has 3 places: declare decimal(3), or say round: true"
        )
    }

    @Test func times() throws {
        let zone = try TimeZoneTable.read("Asia/Shanghai")
        let stamp = ValueType.timestamp
        #expect(
            try read(Self.logical("long", "timestamp-millis"), .number(1), stamp)
                == "1970-01-01T00:00:00.001Z")
        #expect(
            try read(Self.logical("long", "timestamp-micros"), .number(-1), stamp)
                == "1969-12-31T23:59:59.999Z")
        #expect(
            try read(Self.logical("long", "timestamp-nanos"), .number(1_999_999), stamp)
                == "1970-01-01T00:00:00.001Z")
        #expect(
            try read(Self.logical("long", "timestamp-millis"), .number(.max), stamp) == "NumberOutOfRange")
        #expect(try read(Self.logical("int", "date"), .number(1), stamp) == "1970-01-02T00:00:00Z")
        #expect(
            try read(Self.logical("int", "date"), .number(1), stamp, zone: zone) == "1970-01-01T16:00:00Z")
        #expect(try read(Self.logical("int", "date"), .number(.max), stamp) == "NumberOutOfRange")
        let local = Self.logical("long", "local-timestamp-millis")
        #expect(try read(local, .number(0), stamp, zone: zone) == "1969-12-31T16:00:00Z")
        #expect(try read(local, .number(0), stamp) == "WrongType")
        // A plain number is what it is in JSON: milliseconds that are plausible.
        #expect(try read("\"long\"", .number(1_683_000_000_000), stamp) == "2023-05-02T04:00:00Z")
        #expect(try read("\"long\"", .number(1_683_000_000), stamp) == "NumberOutOfRange")
        #expect(try read("\"string\"", .text("2023-05-02T04:00:00Z"), stamp) == "2023-05-02T04:00:00Z")
        #expect(try read(Self.logical("int", "time-millis"), .number(1500), .duration) == "1s500ms")
        #expect(try read(Self.logical("long", "time-micros"), .number(1_500_000), .duration) == "1s500ms")
        #expect(try read(Self.logical("long", "timestamp-millis"), .number(1), .int) == "WrongType")
    }

    @Test func otherTypes() throws {
        #expect(try read("\"int\"", .number(-3), .int) == "-3")
        #expect(try read("\"long\"", .number(.min), .int) == String(Int64.min))
        #expect(try read("\"long\"", .number(7), .decimal(scale: 2)) == "7.00")
        #expect(try read("\"long\"", .number(.max), .decimal(scale: 2)) == "NumberOutOfRange")
        #expect(try read("\"double\"", .double(0.1), .decimal(scale: 2)) == "0.10")
        #expect(try read("\"double\"", .double(0.125), .decimal(scale: 2)) == "NumberOutOfRange")
        #expect(try read("\"double\"", .double(0.125), .decimal(scale: 2), rounded: true) == "0.12")
        #expect(try read("\"double\"", .double(.nan), .decimal(scale: 2)) == "NumberOutOfRange")
        #expect(try read("\"double\"", .double(9_007_199_254_740_994), .int) == "9007199254740994")
        #expect(try read("\"float\"", .float(0.1), .decimal(scale: 9)) == "0.100000000")
        #expect(try read("\"string\"", .text("12.5"), .decimal(scale: 2)) == "12.50")
        #expect(try read("\"string\"", .text("x"), .decimal(scale: 2)) == "WrongType")
        #expect(try read("\"boolean\"", .bool(true), .bool) == "true")
        #expect(try read("\"long\"", .number(5), .text) == "WrongType")
        #expect(try read("\"long\"", .number(.min), .text, numbers: true) == String(Int64.min))
        #expect(try read("\"boolean\"", .bool(false), .text, numbers: true) == "false")
        #expect(try read("\"double\"", .double(2.5), .text, numbers: true) == "2.5")
        #expect(try read("\"bytes\"", .raw(Array("é".utf8)), .text) == "é")
        #expect(try read("\"string\"", .raw([0xFF]), .text) == "MalformedRecord")
        let uuid = "{\"type\":\"fixed\",\"name\":\"U\",\"size\":16,\"logicalType\":\"uuid\"}"
        #expect(
            try read(uuid, .fixed((0..<16).map { UInt8($0 * 17) }), .text)
                == "00112233-4455-6677-8899-aabbccddeeff")
        let symbols = "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}"
        #expect(try read(symbols, .number(1), .text) == "B")
        let duration = "{\"type\":\"fixed\",\"name\":\"D\",\"size\":12,\"logicalType\":\"duration\"}"
        #expect(try read(duration, .fixed([UInt8](repeating: 1, count: 12)), .duration) == "WrongType")
        #expect(try read("[\"null\",\"string\"]", .branch(0, .null), .text, optional: true) == "null")
        #expect(try read("[\"null\",\"string\"]", .branch(0, .null), .text) == "MissingField")
        // Texts and numbers of one union are read as one field, whichever comes.
        let either = "[\"long\",\"null\",\"string\",\"double\"]"
        #expect(try read(either, .branch(0, .number(4)), .decimal(scale: 1)) == "4.0")
        #expect(try read(either, .branch(2, .text("4.5")), .decimal(scale: 1)) == "4.5")
        #expect(try read(either, .branch(3, .double(4.5)), .decimal(scale: 1)) == "4.5")
        #expect(try read("[\"long\",\"boolean\"]", .branch(1, .bool(true)), .int) == "WrongType")
        #expect(try read("[\"long\",\"boolean\"]", .branch(0, .number(1)), .int) == "1")
    }

    @Test func pathsLeadThroughRecordsMapsAndPlaces() throws {
        let item = Self.record([Self.field("sku", "\"string\""), Self.field("n", "\"int\"")], name: "Item")
        let writer = Self.record([
            Self.field("skipped", "{\"type\":\"map\",\"values\":{\"type\":\"array\",\"items\":\"double\"}}"),
            Self.field("items", "{\"type\":\"array\",\"items\":\(item)}"),
            Self.field("tags", "{\"type\":\"map\",\"values\":[\"null\",\"string\"]}"),
            Self.field("next", "[\"null\",\"R\"]"),
            Self.field("end", "\"string\""),
        ])
        func column(_ path: [String], _ type: ValueType) -> WireColumn {
            var column = WireColumn("x", type, optional: true)
            column.path = path
            return column
        }
        let columns = [
            column(["items", "[0]", "sku"], .text), column(["items", "[2]", "n"], .int),
            column(["tags", "a"], .text), column(["next", "end"], .text),
            column(["next", "next", "end"], .text),
            column(["end"], .text), column(["next", "items", "[0]", "sku"], .text),
        ]
        let harness = Harness(try Self.decoder(columns, writer), columns)
        func value(
            _ items: Int, _ tags: [(String, AvroValue)], _ next: AvroValue?, _ end: String, sized: Bool
        )
            -> AvroValue
        {
            .record([
                .map([("k", .list([.double(1), .double(2)], sized: sized))]),
                .list((0..<items).map { .record([.text("s\($0)"), .number(Int64($0))]) }, sized: sized),
                .map(tags), next.map { .branch(1, $0) } ?? .branch(0, .null), .text(end),
            ])
        }
        for sized in [false, true] {
            let inner = value(1, [], nil, "inner", sized: sized)
            let outer = value(
                3, [("a", .branch(1, .text("A"))), ("b", .branch(0, .null))], inner, "outer", sized: sized)
            let rows = harness.decode([
                outer.bytes, value(1, [("a", .branch(0, .null))], outer, "top", sized: sized).bytes,
                value(0, [], nil, "", sized: sized).bytes,
            ])
            #expect(rows[0].values == ["s0", "2", "A", "inner", nil, "outer", "s0"])
            #expect(rows[1].values == ["s0", nil, nil, "outer", "inner", "top", "s0"])
            #expect(rows[2].values == [nil, nil, nil, nil, nil, "", nil])
        }
        let wrong = try Self.program(
            [
                column(["items"], .text), column(["items", "sku"], .text), column(["tags", "[0]"], .text),
                column(["next"], .text),
            ],
            writer)
        #expect(Set(wrong.problems.map(\.column)) == [0, 1, 2, 3])
        #expect(wrong.problems.contains { $0.text.contains("items[0].price") })
    }

    // MARK: Resolution

    @Test func readersFillWhatWritersDoNotHave() throws {
        let inner = Self.record([Self.field("x", "\"int\"", more: ",\"default\":4")], name: "Inner")
        let reader = Self.record([
            Self.field("id", "\"string\""),
            Self.field(
                "amount", Self.logical("bytes", "decimal", more: ",\"precision\":9,\"scale\":2"),
                more: ",\"default\":\"\\u0001\\u0000\""),
            Self.field("renamed", "\"double\"", more: ",\"aliases\":[\"former\"],\"default\":0.5"),
            Self.field(
                "kind",
                "{\"type\":\"enum\",\"name\":\"K\",\"symbols\":[\"A\",\"OTHER\"],\"default\":\"OTHER\"}"),
            Self.field("note", "[\"null\",\"string\"]", more: ",\"default\":null"),
            Self.field("inner", inner, more: ",\"default\":{}"),
            Self.field("when", Self.logical("long", "timestamp-millis"), more: ",\"default\":5"),
            Self.field("needed", "\"string\""),
        ])
        let columns = [
            WireColumn("id", .text), WireColumn("amount", .decimal(scale: 2)),
            WireColumn("renamed", .decimal(scale: 1)),
            WireColumn("kind", .text), WireColumn("note", .text, optional: true), WireColumn("inner.x", .int),
            WireColumn("when", .timestamp), WireColumn("needed", .text, optional: true),
        ]
        let old = Self.record([
            Self.field("former", "\"int\""), Self.field("dropped", "\"string\""),
            Self.field("id", "\"bytes\""),
            Self.field("kind", "{\"type\":\"enum\",\"name\":\"K\",\"symbols\":[\"B\",\"A\"]}"),
        ])
        let harness = Harness(try Self.decoder(columns, old, reader: reader), columns)
        let rows = harness.decode([
            AvroValue.record([.number(3), .text("gone"), .raw(Array("i".utf8)), .number(1)]).bytes,
            AvroValue.record([.number(4), .text("gone"), .raw(Array("j".utf8)), .number(0)]).bytes,
        ])
        #expect(rows[0].values == ["i", "2.56", "3.0", "A", nil, "4", "1970-01-01T00:00:00.005Z", nil])
        #expect(rows[1].values == ["j", "2.56", "4.0", "OTHER", nil, "4", "1970-01-01T00:00:00.005Z", nil])
        // A writer's own field counts before an alias, and another scale is another type.
        let both = Self.record([
            Self.field("former", "\"int\""), Self.field("renamed", "\"int\""), Self.field("id", "\"string\""),
        ])
        let two = [WireColumn("renamed", .decimal(scale: 1))]
        let other = Harness(try Self.decoder(two, both, reader: reader), two)
        #expect(
            other.decode([AvroValue.record([.number(1), .number(2), .text("")]).bytes])[0].values == ["2.0"])
        let scaled = Self.record([
            Self.field("amount", Self.logical("bytes", "decimal", more: ",\"precision\":9,\"scale\":1"))
        ])
        let problems = try Self.program([WireColumn("amount", .decimal(scale: 2))], scaled, reader: reader)
            .problems
        #expect(problems.first?.text.contains("the writer has decimal(9, 1)") == true)
    }

    // MARK: Frames

    final class Stub: WriterSchemas {
        let schemas: [Int32: WriterSchema]
        nonisolated(unsafe) var asked: [Int32] = []
        nonisolated(unsafe) var isAway = false
        init(_ schemas: [Int32: WriterSchema]) { self.schemas = schemas }

        func known(_ id: Int32) -> WriterSchema? {
            asked.contains(id) ? schemas[id] ?? .refused("there is none") : nil
        }
        func fetch(_ id: Int32) throws(Fault) {
            if isAway { throw Fault(.external, "away", retry: .withBackoff) }
            if !asked.contains(id) { asked.append(id) }
        }
    }

    private func framed(_ id: Int32, _ value: AvroValue) -> [UInt8] {
        [0] + withUnsafeBytes(of: id.bigEndian) { Array($0) } + value.bytes
    }

    private func prepare(_ decoder: AvroDecoder, _ records: [[UInt8]]) throws(Fault) {
        let storage = RawRecordStorage(capacity: records.count)
        let held = Arena(capacity: 1 << 12)
        held.reserve(1 << 12)
        for (index, record) in records.enumerated() {
            let place = record.withUnsafeBufferPointer {
                $0.baseAddress.map { held.append($0, record.count) }
            }
            storage.values[index] = place.map { UnsafePointer(held.base + $0.offset) }
            storage.valueCounts[index] = Int32(record.count)
        }
        try decoder.prepare(RawRecords(at: storage, from: 0, count: records.count))
        withExtendedLifetime(held) {}
    }

    @Test func eachRecordHasItsOwnSchema() throws {
        let first = Self.record([Self.field("a", "\"long\""), Self.field("b", "\"string\"")])
        let second = Self.record([Self.field("b", "[\"null\",\"string\"]"), Self.field("a", "\"string\"")])
        let stub = Stub([
            1: .texts([Array(first.utf8)]), 2: .texts([Array(second.utf8)]), 3: .texts([Array("{".utf8)]),
        ])
        let columns = [WireColumn("a", .int), WireColumn("b", .text, optional: true)]
        let decoder = AvroDecoder(columns, .registry(stub), reader: nil)
        let harness = Harness(decoder, columns)
        var records: [[UInt8]] = []
        for number in 0..<4 {
            records.append(framed(1, .record([.number(Int64(number)), .text("x\(number)")])))
            records.append(framed(2, .record([.branch(0, .null), .text("\(number)")])))
        }
        // Nobody was asked, and decoding asks nobody.
        #expect(harness.decode(records).allSatisfy { $0.status == .unknownSchema })
        #expect(stub.asked.isEmpty)
        records += [framed(3, .null), framed(4, .null), Array("{}".utf8), []]
        stub.isAway = true
        #expect(throws: Fault.self) { try prepare(decoder, records) }
        stub.isAway = false
        try prepare(decoder, records)
        #expect(Set(stub.asked) == [1, 2, 3, 4])
        let rows = harness.decode(records)
        for number in 0..<4 {
            #expect(rows[2 * number].values == ["\(number)", "x\(number)"])
            #expect(rows[2 * number + 1].values == ["\(number)", nil])
        }
        #expect(rows[8...].map(\.status) == [.unknownSchema, .unknownSchema, .malformed, .malformed])
        #expect(harness.explain(8).contains("no record of schema 3 can be read: it is no JSON"))
        #expect(harness.explain(9) == "no record of schema 4 can be read: there is none")
        #expect(harness.explain(10).contains("zero byte"))
    }

    @Test func nobodyIsAskedWithoutARegistry() throws {
        let columns = [WireColumn("a", .int)]
        let decoder = AvroDecoder(columns, .registry(nil), reader: nil)
        let harness = Harness(decoder, columns)
        try prepare(decoder, [framed(1, .number(1))])
        #expect(harness.decode([framed(1, .number(1))])[0].status == .unknownSchema)
        #expect(harness.explain().contains("no registry is asked in this run"))
    }

    // MARK: What goes out

    @Test(arguments: [UInt64(1), 2])
    func whatIsWrittenIsRead(seed: UInt64) throws {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let types: [ValueType] = [
            .bool, .int, .decimal(scale: 2), .text, .timestamp, .duration, .decimal(scale: 9),
        ]
        let names = types.indices.map { "c-\($0)" }
        let schema = AvroRowSchema(
            name: "step/1", of: "a-b",
            [.constant("topology", "a-b"), .group("values", names.map { .column($0) })], types)
        let columns =
            types.enumerated().map { index, type in
                WireColumn("values.c_\(index)", type, optional: true)
            } + [WireColumn("topology", .text)]
        let harness = Harness(try Self.decoder(columns, schema.text), columns)
        let encoder = AvroRowEncoder(schema, id: nil)
        let cells = types.map { Column($0, capacity: 1) }
        let (texts, bytes) = (Arena(capacity: 64), Arena(capacity: 64))
        for _ in 0..<2000 {
            texts.removeAll()
            bytes.removeAll()
            for cell in cells {
                cell.valid[0] = random.next() % 4 == 0 ? 0 : 1
                let shift = random.next() % 64
                let number = Int64(bitPattern: random.next()) >> Int64(shift)
                switch cell.type {
                case .bool: cell.values[0] = number & 1
                case .text: cell.values[0] = texts.append("t\(number)é").packed
                case .timestamp: cell.values[0] = abs(number / 2) % 200_000_000_000_000
                default: cell.values[0] = number
                }
            }
            encoder.encode(0, of: cells, arena: texts, into: bytes)
            let row = harness.decode([Array(UnsafeBufferPointer(start: bytes.base, count: bytes.count))])[0]
            let right = cells.map { cell in
                cell.valid[0] == 1 ? ValueText.string(cell.values[0], cell.type, arena: texts) : nil
            }
            #expect(row.status == .good, "\(harness.explain())")
            // A long is no duration of its own in Avro, and is one of milliseconds here.
            #expect(row.values == right + ["a-b"])
        }
    }
}
