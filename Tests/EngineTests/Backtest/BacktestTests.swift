import Base
import Dataflow
import Engine
import Foundation
import Records
import Testing
import Topology

/// Goal: what a backtest counts is what two replays say. Method: random records; both sets, and every value
/// of a curve, are replayed by themselves, and their alerts compared here by a plain computation.
@Suite struct BacktestTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
        "millrace-backtest-\(UUID().uuidString)"
    ).path

    private func text(_ limit: String = "1500", second: String = "n > 4", extra: String = "") -> RuleSetText {
        let text = """
            topology: tried
            parameters: { limit: \(limit), least: 0 }
            sources:
              orders:
                kafka: { topic: orders }
                time: { field: t, out_of_order: 2s }
                schema: { shop: text, buyer: text, amount: decimal(2), t: timestamp }
            steps:
              paid: { from: orders, where: 'amount > ${least}' }
              sold: { from: paid, key: shop, window: { size: 10m, slide: 1m }, aggregate: { n: count(), total: sum(amount) } }
              hour: { from: paid, key: shop, window: { size: 1h }, aggregate: { n: count() } }
              lone: { from: paid, key: shop, where: amount > 180 }
            rules:
              big: { on: sold, when: 'total > ${limit}', clear: 'total < ${limit} / 2', risk: r, severity: high, message: '{total}' }
              many: { on: hour, at: close, when: \(second), risk: r, severity: low }
              lone: { on: lone, when: 'amount > ${limit} / 10', risk: r, severity: low }
            \(extra)
            sinks:
              alerts: { kafka: { topic: alerts } }
            """
        return RuleSetText(file: "t.yaml", text: text, parameters: [:])
    }

    private func makeRecords(seed: UInt64) throws -> String {
        var random = SplitMix64(seed: seed)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        var lines = ""
        var time: Int64 = 1_600_000_000_000
        for _ in 0..<3000 {
            time += Int64(random.next() % 6_000)
            let amount = Int(random.next() % 20_000)
            lines +=
                "{\"shop\":\"s\(random.next() % 12)\",\"buyer\":\"b\(random.next() % 50)\",\"amount\":\(amount / 100).\(amount % 100 / 10)\(amount % 10),\"t\":\(time)}\n"
        }
        let path = "\(folder)/orders.jsonl"
        try lines.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    /// Alerts raised by one set by itself: rule, and id.
    private func replay(_ text: RuleSetText, _ path: String, from: String) throws -> [String: Set<String>] {
        let spec = try #require(text.read().spec)
        var replay = try Replay(
            spec, inputs: [("orders", [path])], keepsResults: false, order: .byTime(bufferBytes: 1 << 20))
        var alerts: [String: Set<String>] = [:]
        _ = try replay.run(
            output: { outbox throws(Fault) in
                for record in outbox.records {
                    guard case .sink = record.destination, let value = outbox.value(of: record) else {
                        continue
                    }
                    let alert = try! JSONSerialization.jsonObject(with: Data(value)) as! [String: Any]
                    guard alert["state"] as! String == "raised", alert["event_time"] as! String >= from else {
                        continue
                    }
                    alerts[alert["rule"] as! String, default: []].insert(alert["alert_id"] as! String)
                }
            }, progress: { _, _, _ in })
        return alerts
    }

    @Test(arguments: [UInt64(1), 2, 3]) func countsAreThoseOfTwoReplays(seed: UInt64) throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = try makeRecords(seed: seed)
        let (old, new) = (
            text(),
            text(
                "1200", second: "n > 6",
                extra: "  few: { on: hour, at: close, when: n < 3, risk: r, severity: low }")
        )
        var options = Backtest.Options()
        let from = "2020-09-13T13:30:00Z"
        options.from = CivilTime.parse(from)?.milliseconds
        options.curve = try BacktestCurve("limit=500..2500/9")
        #expect(
            options.curve?.values == ["500", "750", "1000", "1250", "1500", "1750", "2000", "2250", "2500"])
        let report = try Backtest(old, new, inputs: [("orders", [path])], options).run { _, _, _ in }
        let (a, b) = (try replay(old, path, from: from), try replay(new, path, from: from))
        #expect(report.rules.map(\.name) == ["big", "many", "lone", "few"])
        for rule in report.rules {
            let (one, other) = (a[rule.name] ?? [], b[rule.name] ?? [])
            #expect(rule.a == (rule.name == "few" ? nil : one.count) && rule.b == other.count, "\(rule)")
            #expect(rule.both == one.intersection(other).count, "\(rule)")
            #expect(
                rule.onlyA == one.subtracting(other).count && rule.onlyB == other.subtracting(one).count,
                "\(rule)")
            #expect(rule.retimed <= min(rule.onlyA, rule.onlyB))
        }
        #expect(report.rules[0].onlyB > 0 && report.rules[2].both > 0)
        for point in report.curve {
            var varied = new
            varied.parameters["limit"] = point.value
            let alone = try replay(varied, path, from: from)
            #expect(point.alerts == alone.values.reduce(0) { $0 + $1.count }, "\(point)")
        }
        #expect(report.warmPercent == 100 && report.records == 3000)
    }

    @Test func whatCannotBeComparedIsSaid() throws {
        let path = try makeRecords(seed: 1)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        func message(_ new: RuleSetText, _ options: Backtest.Options = .init()) -> String {
            do {
                _ = try Backtest(text(), new, inputs: [("orders", [path])], options)
                return ""
            } catch { return "\(error)" }
        }
        var other = text()
        other.text = other.text.replacing("size: 1h", with: "size: 2h")
        #expect(message(other).contains("step hour"))
        var options = Backtest.Options()
        options.curve = try BacktestCurve("least=1..5")
        #expect(message(text(), options).contains("--curve") && message(text(), options).contains("step"))
        options.curve = try BacktestCurve("no=1..5")
        #expect(message(text(), options).contains("no parameter 'no'"))
        for bad in [
            "limit", "limit=5", "limit=5..1", "limit=a..b", "limit=1..5/1", "limit=1..5/1000", "=1..2",
            "limit=1..x",
        ] {
            #expect(throws: Fault.self, "\(bad)") { try BacktestCurve(bad) }
        }
    }
}
