import Base
import Engine
import Foundation
import Records
import Testing
import Topology

/// Goal: what is written to train on is what serving saw: for each label the last row of its key that was
/// known then; with `asKnown`, without what came late and what was corrected later. Method: random records
/// against a walk by hand; a run in arrival order against the same records as they were served.
@Suite final class FeatureExportTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
        "millrace-\(UUID().uuidString)"
    ).path

    init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: folder) }

    static let topology = """
        topology: t
        latency: 1d
        sources:
          in:
            kafka: { topic: in }
            time: { field: time, out_of_order: 5s }
            schema: { id: int, shop: text, note: text?, time: { type: timestamp, unit: ms } }
          shops:
            kafka: { topic: shops }
            time: { field: time }
            table: { key: shop, versions: 1d }
            schema: { shop: text, grade: int, time: { type: timestamp, unit: ms } }
        steps:
          graded: { from: in, join: { table: shops, on: shop, kind: left } }
          minute: { from: in, key: shop, window: { size: 60s, slide: 1s }, aggregate: { n: count() } }
          known:
            from: graded
            key: shop
            features: { of: [minute], fields: { id: id, n: minute.n, note: note, grade: shops.grade } }
          w: { from: in, key: shop, window: { size: 1m }, aggregate: { n: count() } }
        """

    private func write(_ name: String, _ lines: [String]) throws -> String {
        let path = "\(folder)/\(name)"
        try Data(lines.map { $0 + "\n" }.joined().utf8).write(to: URL(fileURLWithPath: path))
        return path
    }

    private func export(
        _ records: [String], table: [String] = [], labels: [String]? = nil, rowsMax: Int = 64,
        _ order: Replay.Order
    ) throws -> (csv: [String], notes: [String]) {
        let spec = try #require(TopologyReader.read(Self.topology, file: "t.yaml").spec)
        let output = "\(folder)/out"
        var inputs = [("in", [try write("in.jsonl", records)])]
        if !table.isEmpty { inputs.append(("shops", [try write("shops.jsonl", table)])) }
        let export = try FeatureExport(
            spec, step: "known", labels: try labels.map { try write("labels.csv", $0) }, folder: output)
        var replay = try Replay(
            spec, inputs: inputs, rowsMax: rowsMax, keepsResults: true, order: order, features: export.step)
        let writer = try ReplayOutput(
            folder: output, names: Array(replay.sinkNames.dropLast()), takesAlerts: [], features: export)
        _ = try replay.run(
            output: { outbox throws(Fault) in try writer.write(outbox) }, progress: { _, _, _ in })
        try writer.close()
        let notes = try export.close()
        let text = try String(contentsOfFile: "\(output)/known.csv", encoding: .utf8)
        return (text.split(separator: "\n").map(String.init), notes)
    }

    private static func record(_ id: Int, _ shop: Int, _ time: Int64, note: String = "null") -> String {
        "{\"id\":\(id),\"shop\":\"S\(shop)\",\"note\":\(note),\"time\":\(time)}"
    }

    private static let start: Int64 = 1_700_000_000_000

    @Test func eachLabelGetsWhatWasKnownThen() throws {
        for seed in UInt64(1)...3 {
            print("seed \(seed)")
            var random = SplitMix64(seed: seed)
            var time = Self.start
            let events = (0..<200).map { id -> (id: Int, shop: Int, time: Int64) in
                time += Int64(random.next() % 3000)
                return (id, Int(random.next() % 4), time)
            }
            var (labels, wanted) = (["shop,as_of,good"], [String]())
            var missing = 0
            for number in 0..<100 {
                let (shop, at) = (Int(random.next() % 5), Self.start - 5000 + Int64(random.next() % 320_000))
                labels.append("S\(shop),\(at),\(number)")
                guard let last = events.last(where: { $0.shop == shop && $0.time <= at }) else {
                    missing += 1
                    wanted.append("S\(shop),\(at),\(number),,,,,")
                    continue
                }
                let count = events.count {
                    $0.shop == shop && $0.id <= last.id && $0.time / 1000 > last.time / 1000 - 60
                }
                wanted.append("S\(shop),\(at),\(number),\(last.id),\(count),,,\(Self.text(last.time))")
            }
            for rowsMax in [1, 7, 2048] {
                let (csv, notes) = try export(
                    events.map { Self.record($0.id, $0.shop, $0.time) }, labels: labels, rowsMax: rowsMax,
                    .byTime(bufferBytes: 1 << 20))
                #expect(csv.first == "shop,as_of,good,id,n,note,grade,features_at")
                #expect(Array(csv.dropFirst()) == wanted, "seed \(seed), batches of \(rowsMax)")
                #expect(missing > 0 && notes.contains { $0.hasPrefix("\(missing) rows of") }, "\(notes)")
            }
        }
    }

    /// ISO 8601 as outputs have it.
    private static func text(_ milliseconds: Int64) -> String {
        let bytes = Arena(capacity: 64)
        bytes.appendTime(milliseconds)
        return bytes.string(TextReference(offset: 0, count: bytes.count))
    }

    /// A late record takes part in a replay by event time, and a correction that came later does too; as it
    /// was known, neither does.
    @Test func whatCameLaterTakesNoPart() throws {
        let t = Self.start
        let records = [
            Self.record(0, 1, t), Self.record(1, 1, t + 20_000), Self.record(2, 1, t + 1000),
            Self.record(3, 1, t + 80_000),
            Self.record(4, 1, t + 3000), Self.record(5, 1, t + 81_000),
        ]
        // Grade 7 is of before the first record, and became known after the version of t + 50 s.
        let table = [
            "{\"shop\":\"S1\",\"grade\":1,\"time\":\(t - 1000)}",
            "{\"shop\":\"S1\",\"grade\":2,\"time\":\(t + 50_000)}",
            "{\"shop\":\"S1\",\"grade\":7,\"time\":\(t - 500)}",
        ]
        func values(_ order: Replay.Order) throws -> [String] {
            try export(records, table: table, order).csv.dropFirst().map {
                $0.split(separator: ",", omittingEmptySubsequences: false)[1...4].joined(separator: " ")
            }
        }
        #expect(try values(.asKnown) == ["0 1  1", "1 2  1", "3 1  2", "5 2  2"])
        #expect(
            try values(.byTime(bufferBytes: 1 << 20)) == [
                "0 1  7", "2 2  7", "4 3  7", "1 4  7", "3 1  2", "5 2  2",
            ])
    }

    @Test func textsAreQuotedAndNothingIsNull() throws {
        let notes = [
            "\"\"", "null", "\"a,b\"", "\"say \\\"x\\\"\"", "\"two\\nlines\"", "\"caf\u{e9}\\t\\u0001\"",
        ]
        let spec = try #require(TopologyReader.read(Self.topology, file: "t.yaml").spec)
        #expect(throws: Fault.self) { try FeatureExport(spec, step: "minute", labels: nil, folder: nil) }
        #expect(throws: Fault.self) { try FeatureExport(spec, step: "nothing", labels: nil, folder: nil) }
        let (_, told) = try export(
            notes.enumerated().map { Self.record($0, 1, Self.start + Int64($0), note: $1) }, .asWritten)
        #expect(told == ["6 rows of features"])
        let text = try String(contentsOfFile: "\(folder)/out/known.csv", encoding: .utf8)
        for wanted in [
            "0,1,\"\",,", "1,2,,,", "2,3,\"a,b\",,", "3,4,\"say \"\"x\"\"\",,", "4,5,\"two\nlines\",,",
            "5,6,caf\u{e9}\t\u{1},,",
        ] {
            #expect(text.contains("S1,\(wanted)"), "\(text)")
        }
    }

    @Test(arguments: [
        (["shop,good", "S1,1"], "no column 'as_of'"),
        (["shop,as_of", "S1,2024-01-01"], "a time with its zone"),
        (["shop,as_of", ",2024-01-01T00:00:00Z"], "shop is missing"), (["shop,as_of"], "no rows"),
        (["shop,as_of,n", "S1,2024-01-01T00:00:00Z,1"], "the column 'n' is a field of known as well"),
        ([], "empty file"),
    ]) func labelsThatAreNone(lines: [String], message: String) throws {
        let spec = try #require(TopologyReader.read(Self.topology, file: "t.yaml").spec)
        let path = try write("labels.csv", lines)
        let fault = #expect(throws: Fault.self) {
            try FeatureExport(spec, step: "known", labels: path, folder: nil)
        }
        #expect(
            fault?.detail.contains(message) == true && fault?.detail.hasPrefix(path) == true,
            "\(fault?.detail ?? "")")
    }
}
