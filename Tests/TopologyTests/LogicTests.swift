import Foundation
import Testing

@testable import Topology

/// Goal: the hash of the logic tells topologies apart that compute different things, and no others.
@Suite struct LogicTests {
    static func logic(_ text: String, _ parameters: [String: String] = [:]) throws -> String {
        let (spec, diagnostics) = Samples.read(text, parameters: parameters)
        return try #require(spec, "\(diagnostics)").logic
    }

    static let text = """
        topology: shop
        zone: Asia/Shanghai
        parameters: { limit: 5, unused: 1 }
        sources:
          orders:
            kafka: { topic: orders }
            time: { field: at, out_of_order: 2s }
            schema: { id: text, shop: text, amount: decimal(2), at: timestamp, note: text? }
          loans:
            kafka: { topic: loans }
            time: { field: at }
            schema: { id: text, shop: text, amount: decimal(2), at: timestamp }
        steps:
          paid: { from: orders, where: "amount > ${limit}", fields: { fee: amount * 0.10, late: hour(at) > 20 } }
          hours: { from: paid, key: shop, window: { size: 1h, slide: 10m }, aggregate: { n: count(), s: sum(fee), d: distinct(id) } }
          both: { from: paid, key: id, join: { stream: loans, on: id, within: 1h, kind: left } }
          runs: { from: paid, key: shop, sequence: { repeat: late, times: 3, within: 1d } }
          best: { from: paid, key: shop, top: { count: 2, by: amount } }
          visits: { from: paid, key: shop, window: { gap: 30m, max: 1d }, aggregate: { n: count(), most: max(amount) } }
        rules:
          busy: { on: hours, when: n > 10 and s > 1.5, clear: n < 5, risk: r, severity: low, measure: m, message: "{n} orders" }
          pair: { on: both, when: loans.amount > 100.00, risk: r, severity: high }
        sinks:
          alerts: { kafka: { topic: alerts } }
          out: { kafka: { topic: out }, from: [hours, best] }
        """

    /// Each on its own: what stands there, and what stands there then.
    @Test(arguments: [
        ("topology: shop", "# A comment\ntopology: shop"), ("amount > ${limit}", "amount   >  ${limit}"),
        ("amount > ${limit}", "(amount > ${limit})"), ("{ limit: 5, unused: 1 }", "{ unused: 2, limit: 5 }"),
        ("{ limit: 5, unused: 1 }", "{ limit: { default: 5, description: most }, unused: 1 }"),
        ("out_of_order: 2s }", "out_of_order: 2000ms }"),
        (
            "{ id: text, shop: text, amount: decimal(2), at: timestamp, note: text? }",
            "{ at: timestamp, amount: decimal(2), note: text?, shop: text, id: text }"
        ),
        (
            "fields: { fee: amount * 0.10, late: hour(at) > 20 }",
            "fields: { late: hour(at) > 20, fee: amount * 0.10 }"
        ),
        ("late: hour(at) > 20", "late: \"hour(at, 'Asia/Shanghai') > 20\""),
        ("{ n: count(), s: sum(fee), d: distinct(id) }", "{ d: distinct(id), s: sum(fee), n: count() }"),
        ("key: shop, window: { size: 1h, slide: 10m }", "window: { slide: 600s, size: 60m }, key: shop"),
        (
            "on: hours, when: n > 10 and s > 1.5, clear: n < 5",
            "clear: n < 5, when: \"n > 10 and s > 1.5\", on: [hours]"
        ),
        ("distinct(id) }", "\"distinct(id, exact: 1000)\" }"),
    ])
    func isNotMovedByWhatHasNoMeaning(from: String, to: String) throws {
        #expect(Self.text.contains(from))
        #expect(try Self.logic(Self.text.replacing(from, with: to)) == Self.logic(Self.text))
    }

    /// The order of steps, rules, sinks and sources, and of the sections.
    @Test func isNotMovedByOrder() throws {
        var sections: [[String]] = []
        for line in Self.text.split(separator: "\n").map(String.init) {
            if line.hasPrefix(" ") {
                sections[sections.count - 1].append(line)
            } else {
                sections.append([line])
            }
        }
        let turned = sections.reversed().map { section -> String in
            // The sources have several lines each.
            let entries = section.dropFirst().reduce(into: [[String]]()) { entries, line in
                if line.hasPrefix("   ") {
                    entries[entries.count - 1].append(line)
                } else {
                    entries.append([line])
                }
            }
            return (section.prefix(1) + entries.reversed().joined()).joined(separator: "\n")
        }
        #expect(try Self.logic(turned.joined(separator: "\n")) == Self.logic(Self.text))
    }

    @Test(arguments: [
        ("topology: shop", "topology: shops"), ("zone: Asia/Shanghai", "zone: Europe/London"),
        ("limit: 5", "limit: 6"),
        ("topic: orders", "topic: web"), ("out_of_order: 2s", "out_of_order: 3s"),
        (
            "id: text, shop: text, amount: decimal(2), at: timestamp, note",
            "id: text, shop: text, amount: decimal(3), at: timestamp, note"
        ),
        ("amount > ${limit}", "amount >= ${limit}"), ("0.10", "0.20"), ("0.10", "0.100"),
        ("hour(at)", "minute(at)"), ("size: 1h", "size: 2h"),
        ("slide: 10m", "slide: 5m"), ("key: shop, window: { size", "key: id, window: { size"),
        ("sum(fee)", "sum(amount)"),
        ("sum(fee)", "\"sum(fee, late)\""), ("distinct(id) }", "\"distinct(id, exact: 2000)\" }"),
        ("within: 1h", "within: 2h"),
        ("kind: left", "kind: inner"), ("times: 3", "times: 4"), ("within: 1d", "within: 2d"),
        ("count: 2", "count: 3"),
        ("gap: 30m", "gap: 31m"), ("max: 1d", "max: 2d"), ("max(amount)", "min(amount)"),
        ("n > 10", "n > 11"), ("clear: n < 5", "clear: n < 6"),
        (" and s", " or s"), ("risk: r, severity: low", "risk: q, severity: low"),
        ("severity: low", "severity: high"),
        ("measure: m", "measure: n"), ("{n} orders", "{n} order"), ("{n} orders", "{s} orders"),
        ("topic: alerts", "topic: risk"),
        ("from: [hours, best]", "from: [hours]"), ("repeat: late", "repeat: not late"),
        ("by: amount", "by: fee"),
    ])
    func isMovedByEveryMeaning(from: String, to: String) throws {
        #expect(Self.text.contains(from))
        #expect(try Self.logic(Self.text.replacing(from, with: to)) != Self.logic(Self.text))
    }

    @Test func parametersOfTheCommandLineCount() throws {
        #expect(
            try Self.logic(Self.text, ["limit": "6"])
                == Self.logic(Self.text.replacing("limit: 5", with: "limit: 6")))
        #expect(try Self.logic(Self.text, ["unused": "6"]) == Self.logic(Self.text))
    }

    /// Every number of the library's topologies has a meaning, but for the number of keys that a bound is
    /// computed for.
    @Test(arguments: [
        "before-the-loan", "during-the-loan", "fund-flow", "after-the-alert", "data-sources", "marketplace",
    ])
    func everyNumberOfTheLibraryCounts(name: String) throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(
            contentsOf: root.appendingPathComponent("Topologies/\(name)/topology.yaml"), encoding: .utf8)
        let before = try Self.logic(text)
        var (lines, changed) = (text.components(separatedBy: "\n"), 0)
        for (index, line) in lines.enumerated() {
            let code = line.prefix { $0 != "#" }
            guard let digit = code.lastIndex(where: { ("1"..."8").contains($0) }), !code.contains("keys:"),
                !code.contains("description")
            else {
                continue
            }
            var other = line
            other.replaceSubrange(digit...digit, with: "\((Int(String(line[digit])) ?? 0) + 1)")
            lines[index] = other
            let (spec, _) = Samples.read(lines.joined(separator: "\n"))
            lines[index] = line
            guard let spec else { continue }
            changed += 1
            #expect(spec.logic != before, "\(name): \(other)")
        }
        #expect(changed > 5)
    }

    /// Groups that run know their topology by its hash: it is the same in every build. The address is no part
    /// of it.
    @Test(arguments: ["", ", url: \"redis://127.0.0.1:6379\""])
    func staysTheSame(_ address: String) throws {
        let text = """
            topology: all-sinks
            sources:
              orders:
                kafka: { topic: orders }
                time: { field: at, out_of_order: 5s }
                schema: { id: text, merchant: text, shop: text, amount: decimal(2), at: timestamp }
            steps:
              paid: { from: orders, where: amount > 0, key: [merchant, shop] }
              sums:
                from: paid
                key: [merchant, shop]
                window: { size: 1h, slide: 1m }
                aggregate: { n: count(), s: sum(amount) }
            rules:
              big: { on: paid, when: amount > 100, risk: r, severity: high, message: "big {id}" }
            sinks:
              alerts: { kafka: { topic: "ri.sk-alerts" } }
              hot: { redis: { key: "m:{merchant}/{shop}", ttl: 2d\(address) }, from: sums }
              paper: { file: { path: "out/it's \\"x\\".jsonl" }, from: [paid, sums] }
            """
        #expect(
            try Self.logic(text) == "sha256:5a03b52f86c3587a2d040156b4e72ed076075daaa93a9333685eaf3927e12770")
    }
}
