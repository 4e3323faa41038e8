import Base
import Connectors
import Dataflow
import Engine
import Foundation
import Marketplace
import Records
import Testing
import Topology

@Suite struct ReplayTests {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    static func spec(_ name: String, _ parameters: [String: String] = [:]) throws -> TopologySpec {
        let path = root.path + "/Topologies/\(name)/topology.yaml"
        return try #require(try TopologyFile.read(path, parameters: parameters) { Issue.record("\($0)") })
    }

    /// Every output record of a replay: where it went and its value.
    static func outputs(_ spec: TopologySpec, _ inputs: [(source: String, paths: [String])], rowsMax: Int)
        throws -> [String]
    {
        var lines: [String] = []
        var replay = try Replay(spec, inputs: inputs, rowsMax: rowsMax, keepsResults: true)
        _ = try replay.run(
            output: { outbox throws(Fault) in
                for record in outbox.records {
                    lines.append(
                        "\(record.destination) \(outbox.value(of: record).map { String(decoding: $0, as: UTF8.self) } ?? "null")"
                    )
                }
            }, progress: { _, _, _ in })
        return lines
    }

    /// Goal: the alerts on the sample are those that an independent program computes
    /// (Tests/Oracles/merchant_watch.py).
    @Test func sampleAgreesWithTheOracle() throws {
        let spec = try Self.spec("merchant-watch")
        let folder = Self.root.path + "/Topologies/merchant-watch"
        var replay = try Replay(spec, inputs: [("invoices", [folder + "/sample"])], keepsResults: false)
        func key(_ json: Data) throws -> String {
            let object = try #require(try JSONSerialization.jsonObject(with: json) as? [String: Any])
            return ["event_time", "rule", "customer", "state"].map { "\(object[$0] ?? "")" }.joined(
                separator: " ")
        }
        var found: [Data] = []
        let summary = try replay.run(
            output: { outbox throws(Fault) in
                for record in outbox.records {
                    if case .sink = record.destination, let value = outbox.value(of: record) {
                        found.append(Data(value))
                    }
                }
            }, progress: { _, _, _ in })
        #expect(summary.dead == 0 && summary.late == 0)
        let expected = try String(contentsOfFile: folder + "/expected-alerts.jsonl", encoding: .utf8)
            .split(separator: "\n").map { try key(Data($0.utf8)) }
        #expect(try found.map(key).sorted() == expected.sorted())
        #expect(expected.count >= 10)
    }

    /// Goal: the levels of a sample are the same whatever the batch size, and every customer comes down in
    /// the end.
    @Test func levelsOfTheSampleComeDown() throws {
        let spec = try Self.spec("after-the-alert")
        let folder = Self.root.path + "/Topologies/after-the-alert/sample/"
        let inputs = [("alerts", [folder + "alerts.jsonl"]), ("control", [folder + "control.jsonl"])]
        let wanted = try Self.outputs(spec, inputs, rowsMax: 2048)
        for rowsMax in [1, 7, 100] {
            let isSame = try Self.outputs(spec, inputs, rowsMax: rowsMax).sorted() == wanted.sorted()
            #expect(isSame, "batches of \(rowsMax)")
        }
        var levels: [String: String] = [:]
        var seen: Set<String> = []
        for line in wanted where line.hasPrefix("sink(0) ") {
            let object = try JSONSerialization.jsonObject(with: Data(line.dropFirst(8).utf8))
            let row = try #require(object as? [String: Any])
            let customer = try #require(row["customer"] as? String)
            #expect(levels[customer] ?? "none" == row["previous"] as? String)
            levels[customer] = row["level"] as? String
            seen.insert("\(row["direction"] ?? "") \(row["level"] ?? "")")
        }
        #expect(levels.count > 20 && levels.values.allSatisfy { $0 == "none" })
        #expect(
            seen.isSuperset(of: [
                "up watch", "up restrict", "up enforce", "down restrict", "down watch", "down none",
            ]))
    }

    /// Goal: the same bytes whatever the batch size. Method: a marketplace with planted fraud and disorder.
    @Test func batchSizesDoNotMatter() throws {
        let spec = try Self.spec("marketplace")
        var options = MarketplaceOptions(seed: 9, merchants: 40, ordersPerDay: 700)
        options.fraudPerMille = 200
        var marketplace = try Marketplace(options)
        let events = MarketplaceEvents()
        while marketplace.next(into: events, eventsMax: 10_000) > 0 {}
        let path = NSTemporaryDirectory() + "/millrace-replay-\(getpid()).jsonl"
        defer { unlink(path) }
        let bytes = UnsafeBufferPointer(start: events.bytes.base, count: events.bytes.count)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        let whole = try Self.outputs(spec, [("orders", [path])], rowsMax: 2048)
        #expect(whole.filter { $0.contains("\"raised\"") }.count >= 4)
        for rowsMax in [1, 13, 500] {
            let other = try Self.outputs(spec, [("orders", [path])], rowsMax: rowsMax)
            #expect(other.count == whole.count, "batches of \(rowsMax)")
            #expect(zip(whole, other).first { $0 != $1 } == nil, "batches of \(rowsMax)")
        }
    }

    /// Goal: sums over all of Online Retail come out exactly, the rows of several inputs in event-time order.
    @Test(
        .enabled(
            if: FileManager.default.fileExists(atPath: retail),
            "skipped: ../shared/data/online-retail is not here"))
    func onlineRetailSumsAreExact() throws {
        let folder = NSTemporaryDirectory() + "/millrace-retail-\(getpid())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let tar = Process()
        tar.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        tar.arguments = ["tar", "xJf", Self.retail, "-C", folder]
        try tar.run()
        tar.waitUntilExit()
        try #require(tar.terminationStatus == 0)
        let text = """
            topology: totals
            sources:
              invoices:
                kafka: { topic: invoices }
                format: csv
                time: { field: InvoiceDate, zone: Europe/London }
                schema: { Quantity: int, UnitPrice: decimal(3), InvoiceDate: timestamp, Country: text, amount: { type: decimal(3), from: UnitPrice * Quantity } }
            steps:
              total: { from: invoices, key: Country, window: { size: 400d, zone: UTC }, aggregate: { n: count(), quantity: sum(Quantity), amount: sum(amount) } }
            sinks:
              totals: { file: { path: totals.jsonl }, from: total }
            """
        let spec = try #require(TopologyReader.read(text, file: "totals.yaml").spec)
        var (rows, quantity, amount) = (0, 0, Int64(0))
        for line in try Self.outputs(spec, [("invoices", [folder + "/by-day"])], rowsMax: 2048) {
            let json = try #require(line.firstIndex(of: "{").map { Data(line[$0...].utf8) })
            let object = try JSONSerialization.jsonObject(with: json) as? [String: Any]
            let values = try #require(object?["values"] as? [String: Any])
            rows += values["n"] as? Int ?? 0
            quantity += values["quantity"] as? Int ?? 0
            amount += try Decimal.parse("\(values["amount"] ?? "")", scale: 3).get()
        }
        #expect(rows == 541_909)
        #expect(quantity == 5_176_450)
        #expect(amount == 9_747_747_934)
    }

    static let retail =
        root.deletingLastPathComponent().path + "/shared/data/online-retail/online-retail-by-day.tar.xz"

    /// Goal: a bad record of every kind is a dead letter that names its field, and nothing else stops.
    @Test func badRecordsAreDeadLetters() throws {
        let spec = try Self.spec("marketplace")
        let good =
            "{\"order_id\":\"o\",\"merchant_id\":\"M1\",\"buyer_id\":\"b\",\"kind\":\"paid\",\"amount\":1.00,\"event_time\":\"2026-01-01T00:00:00Z\"}"
        let bad = [
            "not JSON", "{\"order_id\":", "[1,2]", "{}", good + "x",
            good.replacingOccurrences(of: "1.00", with: "\"much\""),
            good.replacingOccurrences(of: "1.00", with: "1.005"),
            good.replacingOccurrences(of: "1.00", with: "1e30"),
            good.replacingOccurrences(of: "\"M1\"", with: "null"),
            good.replacingOccurrences(of: "\"M1\"", with: "7"),
            good.replacingOccurrences(of: "2026-01-01", with: "2026-13-01"),
            good.replacingOccurrences(of: "\"b\"", with: "\"\u{01}\""),
        ]
        let path = NSTemporaryDirectory() + "/millrace-bad-\(getpid()).jsonl"
        defer { unlink(path) }
        try (bad + [good]).joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
        var dead = 0
        var replay = try Replay(spec, inputs: [("orders", [path])], keepsResults: false)
        let summary = try replay.run(
            output: { outbox throws(Fault) in
                for record in outbox.records where record.destination == .deadLetter {
                    dead += 1
                    var headers: [String: String] = [:]
                    outbox.forEachHeader(of: record) {
                        headers[String(decoding: $0, as: UTF8.self)] = String(decoding: $1, as: UTF8.self)
                    }
                    #expect(headers["__streams.errors.exception"]?.hasPrefix("millrace.") == true)
                    #expect(headers["__streams.errors.message"]?.isEmpty == false)
                    #expect(headers["millrace.errors.step"] == "orders")
                }
            }, progress: { _, _, _ in })
        #expect(summary.records == Int64(bad.count + 1))
        #expect(dead == bad.count)
    }
}
