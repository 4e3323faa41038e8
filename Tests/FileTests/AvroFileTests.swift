import Base
import Connectors
import Dataflow
import Formats
import Foundation
import Records
import Testing

/// Containers that fastavro wrote, against what it reads of them.
@Suite struct AvroFileTests {
    static let folder = #filePath.split(separator: "/").dropLast().map { "/\($0)" }.joined() + "/Fixtures"

    private static func column(
        _ path: String, _ type: ValueType, zone: TimeZoneTable? = nil, numbers: Bool = false
    ) -> WireColumn {
        var reading = FieldReading()
        reading.takesNumbers = numbers
        return WireColumn(
            path: path.split(separator: ".").map(String.init),
            field: Field(name: path, type: type, isOptional: true), zone: zone, isRounded: false,
            reading: reading)
    }

    static func columns() throws -> [WireColumn] {
        let zone = try TimeZoneTable.read("Asia/Shanghai")
        return [
            column("order_id", .text), column("amount", .decimal(scale: 2)),
            column("fee", .decimal(scale: 4)), column("event_time", .timestamp), column("seen", .timestamp),
            column("local", .timestamp, zone: zone), column("day", .timestamp, zone: zone),
            column("took", .duration), column("trace", .text), column("status", .text),
            column("pieces", .int), column("weight", .decimal(scale: 4)), column("share", .decimal(scale: 2)),
            column("vip", .bool), column("customer.name", .text), column("customer.age", .int),
            column("customer.parent.age", .int), column("items.[1].sku", .text),
            column("items.[0].price", .decimal(scale: 2)), column("tags.channel", .text),
            column("code", .text, numbers: true), column("note", .text),
        ]
    }

    private func expected() throws -> [[String?]] {
        let data = try Data(contentsOf: URL(fileURLWithPath: "\(Self.folder)/orders.json"))
        return try JSONDecoder().decode([[String?]].self, from: data)
    }

    private func text(_ column: Column, _ row: Int, _ arena: Arena) -> String? {
        guard column.valid[row] == 1 else { return nil }
        switch column.type {
        case .text: return arena.string(TextReference(packed: column.values[row]))
        case .decimal(let scale): return Decimal.string(column.values[row], scale: scale)
        default: return String(column.values[row])
        }
    }

    @Test(arguments: ["orders-null.avro", "orders-deflate.avro"], [7, 2048])
    func readsWhatFastavroWrote(file: String, rowsMax: Int) throws {
        let columns = try Self.columns()
        let format = AvroFormat()
        let shape = RecordShape(fields: columns.map(\.field.name))
        let source = try FileSource(
            paths: ["\(Self.folder)/\(file)"], layout: format.fileLayout(of: shape), rowsMax: rowsMax)
        let decoder = format.makeDecoder(columns, of: shape)
        let batch = Batch(schema: Schema(columns.map(\.field)))
        var rows: [[String?]] = []
        while let block = try source.next() {
            if let header = block.header { decoder.setHeader(header.names) }
            batch.raw = block.records
            decoder.decode(block.records, into: batch)
            for row in 0..<batch.count {
                #expect(batch.status[row] == 0, "\(decoder.explain(row, of: batch))")
                rows.append(columns.indices.map { text(batch.columns[$0], row, batch.arena) })
            }
        }
        let expected = try expected()
        #expect(rows.count == 60)
        for (row, (found, right)) in zip(rows, expected).enumerated() where found != right {
            for (column, (a, b)) in zip(found, right).enumerated() where a != b {
                Issue.record("row \(row), \(columns[column].field.name): \(a ?? "null"), not \(b ?? "null")")
            }
        }
    }

    @Test func othersAreRefusedByName() throws {
        func fault(_ bytes: [UInt8]) throws -> String {
            let path = "\(NSTemporaryDirectory())avro-\(UUID().uuidString).avro"
            defer { try? FileManager.default.removeItem(atPath: path) }
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            do {
                let source = try FileSource(
                    paths: [path], layout: AvroFormat().fileLayout(of: RecordShape(fields: [])))
                while let block = try source.next() { _ = block }
                return "read"
            } catch { return "\(error)" }
        }
        let good = Array(try Data(contentsOf: URL(fileURLWithPath: "\(Self.folder)/orders-deflate.avro")))
        #expect(try fault(good) == "read")
        #expect(try fault(Array("{\"a\":1}\n".utf8)).contains("is no container of Avro"))
        let text = String(decoding: good, as: UTF8.self)
        #expect(text.contains("deflate"))
        var snappy = good
        let at = try #require(
            (0..<good.count - 7).first { Array(good[$0..<$0 + 7]) == Array("deflate".utf8) })
        snappy.replaceSubrange(at..<at + 7, with: Array("snappyx".utf8))
        #expect(try fault(snappy).contains("packed by 'snappyx'"))
        #expect(try fault(Array(good[..<(good.count - 3)])).contains("damaged or cut off"))
        #expect(try fault(Array(good[..<200])).contains("does not end"))
        var flipped = good
        flipped[good.count - 20] ^= 0xFF
        #expect(try fault(flipped).contains("damaged"))
    }

    /// Damage anywhere is an error or a refused record, never a crash, and ends.
    @Test(arguments: [UInt64(1), 2])
    func damagedContainers(seed: UInt64) throws {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let good = Array(try Data(contentsOf: URL(fileURLWithPath: "\(Self.folder)/orders-null.avro")))
        let columns = try Self.columns()
        let path = "\(NSTemporaryDirectory())avro-\(UUID().uuidString).avro"
        defer { try? FileManager.default.removeItem(atPath: path) }
        for _ in 0..<300 {
            var bytes = good
            for _ in 0..<Int(random.next() % 4 + 1) {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            if random.next() % 4 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count))) }
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            let format = AvroFormat()
            let shape = RecordShape(fields: [])
            let decoder = format.makeDecoder(columns, of: shape)
            let batch = Batch(schema: Schema(columns.map(\.field)))
            do {
                let source = try FileSource(paths: [path], layout: format.fileLayout(of: shape))
                while let block = try source.next() {
                    if let header = block.header { decoder.setHeader(header.names) }
                    batch.raw = block.records
                    decoder.decode(block.records, into: batch)
                    for row in 0..<batch.count where batch.status[row] != 0 {
                        _ = decoder.explain(row, of: batch)
                    }
                }
            } catch {}
        }
    }
}
