import Base
import Dataflow
import Records
import Testing

@testable import Formats

/// JSON behind the zero byte and the id of a schema.
@Suite struct FramedJsonTests {
    private static let frame: [UInt8] = [0, 0, 0, 1, 2]
    private static let columns = [WireColumn("id", .text), WireColumn("lines.sku", .text, optional: true)]

    private func harness(arrays: [[String]] = []) -> (Harness, JsonFormat) {
        var format = JsonFormat()
        format.isFramed = true
        format.arrays = arrays
        let shape = RecordShape(fields: ["id", "lines.sku"], capacity: 16)
        return (Harness(format.makeDecoder(Self.columns, of: shape), Self.columns), format)
    }

    @Test func theFrameIsTakenOff() {
        let (harness, format) = harness()
        let record = Array(#"{"id":"a","lines":{"sku":"b"}}"#.utf8)
        let rows = harness.decode([
            Self.frame + record, record, Self.frame, [0, 0], nil, Self.frame + [0x7B],
        ])
        #expect(rows[0].values == ["a", "b"])
        #expect(
            rows.dropFirst().map(\.status) == [.malformed, .malformed, .malformed, .nullValue, .malformed])
        #expect(harness.explain(1).contains("does not begin with a zero byte"))
        #expect(harness.explain(2).contains("not a well-formed JSON object"))
        #expect(harness.explain(3).contains("does not begin with a zero byte"))
        // Files and tests have none.
        #expect((format.ofFiles as? JsonFormat)?.isFramed == false)
        #expect((format.given as? JsonFormat)?.isFramed == false)
    }

    @Test func rowsAreMadeBehindTheFrame() throws {
        let (_, format) = harness(arrays: [["lines"]])
        let shaper = try #require(format.makeShaper())
        let shaping = RecordShaping(shaper, rowsMax: 16)
        let records = [
            Self.frame + Array(#"{"id":"a","lines":[{"sku":"x"},{"sku":"y"}]}"#.utf8),
            Self.frame + Array(#"{"id":"b"}"#.utf8), Array(#"{"id":"c","lines":[{"sku":"z"}]}"#.utf8),
        ]
        let shape = RecordShape(fields: ["id", "lines.sku"], capacity: 16)
        let decoder = format.makeDecoder(Self.columns, of: shape)
        let batch = Batch(schema: Schema(Self.columns.map(\.field)), capacity: 16)
        let held = Arena(capacity: 1 << 12)
        held.reserve(1 << 12)
        let storage = RawRecordStorage(capacity: records.count)
        for (index, record) in records.enumerated() {
            let place = record.withUnsafeBufferPointer { held.append($0.baseAddress!, record.count) }
            storage.values[index] = UnsafePointer(held.base + place.offset)
            storage.valueCounts[index] = Int32(place.count)
        }
        var seen: [String] = []
        shaping.forEach(RawRecords(at: storage, from: 0, count: records.count)) { rows in
            batch.raw = rows.decoded
            decoder.decode(rows.decoded, into: batch)
            batch.raw = rows.letters
            for row in 0..<batch.count {
                guard batch.status[row] == 0 else {
                    seen.append(decoder.explain(row, of: batch))
                    continue
                }
                seen.append(
                    batch.columns.map { column in
                        column.valid[row] == 1
                            ? batch.arena.string(TextReference(packed: column.values[row])) : "-"
                    }.joined(separator: " "))
            }
        }
        #expect(seen.prefix(3) == ["a x", "a y", "b -"])
        #expect(seen.count == 4 && seen[3].contains("does not begin with a zero byte"), "\(seen)")
    }
}
