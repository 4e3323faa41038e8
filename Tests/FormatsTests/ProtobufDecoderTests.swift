import Base
import Dataflow
import Foundation
import Records
import Testing

@testable import Formats

/// Messages that Google's own library wrote, against what it reads of them.
@Suite struct ProtobufDecoderTests {
    struct Given: Decodable {
        var hex: String
        var values: [String?]

        var bytes: [UInt8] {
            let letters = Array(hex.utf8)
            return stride(from: 0, to: letters.count, by: 2).map {
                UInt8(String(decoding: letters[$0..<$0 + 2], as: UTF8.self), radix: 16) ?? 0
            }
        }
    }

    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
        "Fixtures")

    static func given(_ name: String) throws -> [Given] {
        try JSONDecoder().decode([Given].self, from: Data(contentsOf: folder.appendingPathComponent(name)))
    }

    static func schema() throws -> ProtobufSchema {
        try ProtobufSchema(Array(Data(contentsOf: folder.appendingPathComponent("shop.desc"))))
    }

    static let columns = [
        WireColumn("order_id", .text), WireColumn("cents", .int), WireColumn("event_time", .timestamp),
        WireColumn("status", .text), WireColumn("weight", .decimal(scale: 2)),
        WireColumn("share", .decimal(scale: 1)), WireColumn("vip", .bool),
        WireColumn("customer.name", .text, optional: true), WireColumn("customer.age", .int, optional: true),
        WireColumn("customer.parent.name", .text, optional: true), WireColumn("note", .text, optional: true),
        WireColumn("took", .duration, optional: true), WireColumn("big", .text, numbers: true),
        WireColumn("f32", .int), WireColumn("s64", .int), WireColumn("neg", .int),
        WireColumn("card", .text, optional: true), WireColumn("account", .int, optional: true),
        WireColumn("millis", .timestamp), WireColumn("raw", .text), WireColumn("amount", .decimal(scale: 2)),
    ]

    static let oldColumns = [
        WireColumn("id", .text), WireColumn("pieces", .int), WireColumn("kind", .text),
        WireColumn("vip", .bool), WireColumn("rate", .decimal(scale: 2)), WireColumn("mode", .text),
        WireColumn("plain", .int, optional: true),
    ]

    static func decoder(_ columns: [WireColumn], _ message: String, isFramed: Bool = false) throws
        -> ProtobufDecoder
    {
        let program = try ProtobufCompiler.compile(columns, schema(), message: message)
        #expect(program.problems.isEmpty, "\(program.problems)")
        return ProtobufDecoder(columns, program, isFramed: isFramed, capacity: 64)
    }

    private func shown(_ batch: Batch, _ row: Int) -> [String?] {
        batch.columns.map { column in
            guard column.valid[row] == 1 else { return nil }
            return switch column.type {
            case .text: batch.arena.string(TextReference(packed: column.values[row]))
            case .decimal(let scale): Decimal.string(column.values[row], scale: scale)
            default: String(column.values[row])
            }
        }
    }

    @Test(arguments: [("orders.json", "shop.Order"), ("old.json", "old.Row")])
    func readsWhatTheLibraryWrote(file: String, message: String) throws {
        let columns = message == "shop.Order" ? Self.columns : Self.oldColumns
        let given = try Self.given(file)
        let harness = Harness(try Self.decoder(columns, message), columns, capacity: 64)
        let rows = harness.decode(given.map(\.bytes))
        for (index, row) in rows.enumerated() {
            #expect(row.status == .good, "\(index): \(harness.explain(index))")
            #expect(shown(harness.batch, index) == given[index].values, "row \(index)")
        }
    }

    @Test func frames() throws {
        let columns = [WireColumn("a", .text)]
        let harness = Harness(try Self.decoder(columns, "shop.Outer.Inner", isFramed: true), columns)
        let message: [UInt8] = [0x0A, 1, 0x78]
        // The third message of its file, and the first in it.
        #expect(harness.decode([[0, 0, 0, 0, 9, 4, 4, 0] + message])[0].values == ["x"])
        for wrong: [UInt8] in [
            [0, 0, 0, 0, 9, 0], [0, 0, 0, 0, 9, 4, 2, 0], [0, 0, 0, 0, 9, 2, 4], [0, 0], [],
        ] {
            #expect(harness.decode([wrong + message])[0].status == .malformed)
            #expect(harness.explain().contains("[2, 0]"), "\(harness.explain())")
        }
        let first = Harness(
            try Self.decoder([WireColumn("x", .text)], "shop.Other", isFramed: true), [WireColumn("x", .text)]
        )
        #expect(first.decode([[0, 0, 0, 0, 9, 0] + message])[0].values == ["x"])
        #expect(first.decode([[0, 0, 0, 0, 9, 2, 0] + message])[0].values == ["x"])
    }

    @Test func refusesByName() throws {
        let columns = [
            WireColumn("tags", .text), WireColumn("attrs", .text), WireColumn("customer", .text),
            WireColumn("order_id.x", .text), WireColumn("nothing", .text), WireColumn("vip", .int),
            WireColumn("event_time", .text), WireColumn("cents", .text),
        ]
        let program = try ProtobufCompiler.compile(columns, Self.schema(), message: "shop.Order")
        let texts = Dictionary(program.problems.map { ($0.column, $0.text) }) { $1 }
        #expect(texts.count == columns.count)
        #expect(texts[0]?.contains("repeated string") == true)
        #expect(texts[1]?.contains("repeated shop.Order.AttrsEntry") == true)
        #expect(texts[2]?.contains("say which field") == true)
        #expect(texts[3]?.contains("leads through string") == true)
        #expect(texts[4]?.contains("no field 'nothing'") == true)
        #expect(texts[7]?.contains("numbers: true") == true)
        #expect(throws: Fault.self) {
            try ProtobufCompiler.compile([], Self.schema(), message: "shop.Nothing")
        }
        #expect(throws: Fault.self) { try ProtobufSchema(Array("syntax = \"proto3\";".utf8)) }
    }

    @Test func valuesThatAreNone() throws {
        let columns = [
            WireColumn("order_id", .text), WireColumn("cents", .int), WireColumn("status", .text),
            WireColumn("big", .int), WireColumn("event_time", .timestamp),
        ]
        let harness = Harness(try Self.decoder(columns, "shop.Order"), columns)
        let time: [UInt8] = [0x1A, 2, 8, 1]
        func status(_ bytes: [UInt8]) -> (RowStatus, Int) {
            let row = harness.decode([bytes + time])[0]
            #expect(row.status == .good || !harness.explain().isEmpty)
            return (row.status, row.field)
        }
        #expect(status([]) == (.good, -1))
        // Another wire type, a number of no name, bytes that are no text, a number too large.
        #expect(status([0x08, 1]) == (.wrongType, 0))
        #expect(status([0x20, 9]) == (.wrongType, 2))
        #expect(status([0x0A, 1, 0xFF]) == (.malformed, 0))
        #expect(status([0x58] + [UInt8](repeating: 0xFF, count: 9) + [1]) == (.outOfRange, 3))
        #expect(harness.decode([[]])[0].status == .missingField)
        // Cut off, a length beyond the end, a field 0, an end of a group that did not begin.
        for wrong: [UInt8] in [
            [0x0A], [0x0A, 5, 1], [0x02, 0], [0x3C], [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F],
        ] {
            #expect(harness.decode([wrong])[0].status == .malformed)
        }
    }

    /// Damage anywhere is a row that is refused or a row, and ends.
    @Test(arguments: [UInt64(1), 2])
    func damaged(seed: UInt64) throws {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let given = try Self.given("orders.json")
        let harness = Harness(try Self.decoder(Self.columns, "shop.Order"), Self.columns)
        for _ in 0..<6_000 {
            var bytes = given[Int(random.next() % UInt64(given.count))].bytes
            for _ in 0..<Int(random.next() % 4 + 1) where !bytes.isEmpty {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            if random.next() % 3 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count + 1))) }
            if random.next() % 9 == 0 {
                bytes = (0..<Int(random.next() % 60)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            }
            if harness.decode([bytes])[0].status != .good { _ = harness.explain() }
        }
        let descriptor = Array(try Data(contentsOf: Self.folder.appendingPathComponent("shop.desc")))
        for _ in 0..<500 {
            var bytes = descriptor
            for _ in 0..<3 {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            guard let schema = try? ProtobufSchema(bytes) else { continue }
            _ = try? ProtobufCompiler.compile(Self.columns, schema, message: "shop.Order")
        }
    }
}
