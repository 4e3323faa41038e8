import Base
import Dataflow
import Engine
import Formats
import Records
import Testing
import Topology

@testable import Operators

/// Goal: a table that lies elsewhere is asked once for each key of a batch, remembered for `stale`, nothing
/// included, and not used beyond that. Method: a lookup that counts.
@Suite struct LookupTableTests {
    final class Elsewhere: TableLookup {
        var rows: [String: [String?]] = [:]
        var isAway = false
        var asked: [[String]] = []

        func fetch(
            _ keys: [TextReference], in arena: Arena,
            _ body: (Int, UnsafeBufferPointer<UnsafeBufferPointer<UInt8>?>) -> Void
        ) -> Bool {
            asked.append(keys.map { arena.string($0) })
            if isAway { return false }
            for (index, key) in keys.enumerated() {
                let texts = Arena(capacity: 64)
                let fields = (rows[arena.string(key)] ?? [nil, nil]).map { $0.map { texts.append($0) } }
                withExtendedLifetime(texts) {
                    let row = fields.map {
                        $0.map {
                            UnsafeBufferPointer(start: UnsafePointer(texts.base) + $0.offset, count: $0.count)
                        }
                    }
                    row.withUnsafeBufferPointer { body(index, $0) }
                }
            }
            return true
        }
    }

    final class Run {
        let pipeline: Pipeline
        let task: TaskState
        let elsewhere = Elsewhere()
        let clock = ManualClock(1_000_000_000)
        private var outbox = Outbox()
        private let storage = RawRecordStorage(capacity: 64)

        init(kind: String = "left") throws {
            let text = """
                topology: t
                sources:
                  orders:
                    kafka: { topic: orders }
                    time: { field: at }
                    schema: { merchant: text, shop: int, at: { type: timestamp, unit: ms } }
                  limits:
                    redis: { key: "limits:{shop}/{merchant}", stale: 10s }
                    table: { key: [merchant, shop] }
                    schema: { merchant: text, shop: int, most: decimal(2), tier: text, twice: { from: most * 2, type: "decimal(2)?" } }
                steps:
                  all: { from: orders, join: { table: limits, on: [merchant, shop], kind: \(kind) } }
                sinks:
                  all: { kafka: { topic: all }, from: all }
                """
            let (spec, diagnostics) = TopologyReader.read(text, file: "t.yaml")
            let found = try #require(spec, "\(diagnostics)")
            let columns = found.sources.map {
                $0.wire.map {
                    WireColumn(
                        path: $0.path, field: $0.field, zone: nil, isRounded: false, reading: $0.reading)
                }
            }
            let table = try #require(found.sources[1].table)
            pipeline = Pipeline(
                found,
                decoders: [
                    JsonDecoder(columns[0], capacity: 64),
                    TableDecoder(columns[1], key: table.key, deleted: table.deleted, capacity: 64) {
                        JsonDecoder($0, capacity: 64)
                    },
                ],
                zones: ZoneTables([:]), options: Pipeline.Options(rowsMax: 64, clock: clock),
                lookups: [1: (elsewhere, TextsDecoder(columns[1], capacity: 64))])
            task = pipeline.makeTask(partition: 0)
        }

        /// `most tier twice found` of each row.
        func give(_ merchants: [String]) -> [String] {
            let bytes = Arena(capacity: 1 << 14)
            for (row, merchant) in merchants.enumerated() {
                let text = bytes.append(
                    "{\"merchant\":\"\(merchant)\",\"shop\":7,\"at\":5}" + String(repeating: " ", count: 64))
                storage.values[row] = UnsafePointer(bytes.base + text.offset)
                storage.valueCounts[row] = Int32(text.count - 64)
                storage.keyCounts[row] = -1
            }
            pipeline.process(
                RawRecords(at: storage, from: 0, count: merchants.count), source: 0, task: task,
                outbox: &outbox)
            let rows = outbox.records.map { record in
                let text = outbox.value(of: record).map { String(decoding: $0, as: UTF8.self) } ?? ""
                return ["most", "tier", "twice", "found"].map {
                    WindowOracleTests.member(text, "limits.\($0)")?.replacing("\"", with: "") ?? ""
                }.joined(separator: " ")
            }
            outbox.removeAll()
            return rows
        }
    }

    @Test func eachKeyIsAskedForOnceUntilItIsStale() throws {
        let run = try Run()
        run.elsewhere.rows = [
            "limits:7/M1": ["5.00", "gold"], "limits:7/M2": ["much", nil], "limits:7/M3": [nil, nil],
        ]
        let expected = [
            "5.00 gold 10.00 true", "null null null true", "null null null false", "5.00 gold 10.00 true",
        ]
        // A text of another type is null; one that is there makes the row found.
        run.elsewhere.rows["limits:7/M2"] = ["much", nil]
        #expect(run.give(["M1", "M2", "M3", "M1"]) == expected)
        #expect(run.elsewhere.asked == [["limits:7/M1", "limits:7/M2", "limits:7/M3"]])
        run.elsewhere.rows["limits:7/M1"] = ["6.00", "iron"]
        run.elsewhere.rows["limits:7/M3"] = ["1.00", ""]
        run.clock.nowMilliseconds += 9999
        #expect(
            run.give(["M3", "M1", "M4"]) == [
                "null null null false", "5.00 gold 10.00 true", "null null null false",
            ])
        #expect(run.elsewhere.asked.last == ["limits:7/M4"])
        run.clock.nowMilliseconds += 1
        #expect(
            run.give(["M3", "M1", "M4"]) == [
                "1.00  2.00 true", "6.00 iron 12.00 true", "null null null false",
            ])
        #expect(run.elsewhere.asked.last == ["limits:7/M3", "limits:7/M1"])
        #expect(run.pipeline.lookupCounts.map(\.asked) == [6])
    }

    @Test func whatIsKnownIsUsedWhileNobodyAnswers() throws {
        let run = try Run()
        run.elsewhere.rows = ["limits:7/M1": ["5.00", "gold"], "limits:7/M2": ["7.00", "tin"]]
        #expect(run.give(["M1"]) == ["5.00 gold 10.00 true"])
        run.elsewhere.isAway = true
        run.clock.nowMilliseconds += 5000
        #expect(run.give(["M1", "M2"]) == ["5.00 gold 10.00 true", "null null null false"])
        run.clock.nowMilliseconds += 5000
        #expect(run.give(["M1", "M2"]) == ["null null null false", "null null null false"])
        #expect(run.pipeline.lookupCounts.map(\.unanswered) == [3])
        run.elsewhere.isAway = false
        #expect(run.give(["M1", "M2"]) == ["5.00 gold 10.00 true", "7.00 tin 14.00 true"])
    }

    @Test func innerJoinsDropWhatIsNotFound() throws {
        let run = try Run(kind: "inner")
        run.elsewhere.rows = ["limits:7/M1": ["5.00", "gold"]]
        #expect(run.give(["M2", "M1", "M3"]).count == 1)
        #expect(run.pipeline.counters.unmatched == [2])
    }

    /// Goal: texts stay right while rows are replaced a thousand times over.
    @Test func replacedRowsLeaveRoom() throws {
        let run = try Run()
        for round in 0..<300 {
            for key in 0..<60 {
                run.elsewhere.rows["limits:7/M\(key)"] = [
                    "\(key).00", "\(round) " + String(repeating: "x", count: 50),
                ]
            }
            run.clock.nowMilliseconds += 10_000
            let rows = run.give((0..<60).map { "M\($0)" })
            #expect(rows.enumerated().allSatisfy { $1.hasPrefix("\($0).00 \(round) x") })
        }
        // 18 000 rows of about 80 bytes came, and 60 are there.
        #expect(run.pipeline.lookupBytes(source: 1).map { $0 < 1 << 20 } == true)
    }
}
