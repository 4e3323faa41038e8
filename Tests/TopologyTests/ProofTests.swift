import Engine
import Records
import Testing
import Topology

/// Latency and state bounds against figures computed by hand, and what explain shows of them.
@Suite struct ProofTests {
    @Test("A rule on records: fetch 10 + poll 10 + processing 20 + commit 100 + produce 10 = 150 ms a path")
    func latencyAtRecord() throws {
        let spec = try #require(Samples.read(Samples.merchantRisk).spec)
        let paths = LatencyProof.paths(spec)
        #expect(paths.map(\.total) == [150, 150])
        #expect(
            paths.map(\.description) == [
                "orders -> paid -> today -> volume-spike", "orders -> paid -> baseline -> volume-spike",
            ]
        )
        #expect(LatencyProof.check(spec, file: "t") == [])
    }

    @Test(
        "A rule at close waits for the out-of-order bound and idle; above latency is an error with a remedy"
    )
    func latencyAtClose() throws {
        let text = Samples.merchantRisk.replacing("    risk: fab", with: "    at: close\n    risk: fab")
        let spec = try #require(Samples.read(text).spec)
        // 150 + 2000 + 5000
        #expect(LatencyProof.paths(spec).map(\.total) == [7150, 7150])
        let line = try #require(
            text.split(separator: "\n", omittingEmptySubsequences: false).firstIndex(of: "  volume-spike:")
        )
        #expect(
            LatencyProof.check(spec, file: "t").map(\.description) == [
                "t:\(line + 1):3: rule volume-spike: an alert may take 7s150ms over orders -> paid -> "
                    + "today -> "
                    + "volume-spike, longer than latency 3s; the largest term is 5s for idle: lower idle "
                    + "of source orders, "
                    + "or use at: record, or write latency: 8s"
            ]
        )
        let exact = try #require(Samples.read(text.replacing("latency: 3s", with: "latency: 7150ms")).spec)
        #expect(LatencyProof.check(exact, file: "t") == [])
        #expect(LatencyProof.check(exact, file: "t", LatencyModel(pollMilliseconds: 11)).count == 1)
    }

    @Test("State: panes x bytes a pane + header + totals + key")
    func stateBounds() throws {
        let spec = try #require(Samples.read(Samples.merchantRisk).spec)
        let bounds = StateBound.all(spec)
        #expect(bounds.map(\.step) == [1, 2, 3])
        // 30 of the window, 1 filling, 2 for records up to 2 s early; 8 + sum 16 + max 8; Redis reads it
        // as it runs.
        #expect(bounds[0].panes == 33)
        #expect(bounds[0].bytesPerPane == 32)
        #expect(bounds[0].bytesPerKeyEmpty == 33 * 32 + 32 + 32 + 64)
        // 1,000 values and a quarter, each with its pane's bits; a table of 2,048 places; two words of bits.
        let values: Int64 = 1251 * (8 + 8) + 2048 * 4 + 16
        #expect(bounds[0].bytesPerKey == bounds[0].bytesPerKeyEmpty + values)
        #expect(bounds[0].bytesPerKeyMax == bounds[0].bytesPerKey + 34 * (4096 + 40))
        // 30, 2 after the window, 2 early; 8 + sum 16 + days 8.
        #expect(bounds[1].panes == 34)
        #expect(bounds[1].bytesPerKey == 34 * 32 + 32 + 32 + 64)
        #expect(bounds[1].description == "1.2 KiB per key, 1.1 GiB at 1,000,000 keys")
        // 1, 1, 2; 8 + sum 16 + count(if) 8.
        #expect(bounds[2].bytesPerKey == 4 * 32 + 32 + 32 + 64)
    }

    @Test(
        "State: totals of closed windows where somebody reads them: a rule at the close, a sink of records, a step"
    )
    func closedTotals() throws {
        func text(_ rest: String) -> String {
            """
            topology: t
            latency: 1d
            sources: { e: { kafka: { topic: e }, time: { field: at }, schema: { k: text, v: int, at: timestamp } } }
            steps:
              w: { from: e, key: k, window: { size: 10s }, aggregate: { n: count(), s: sum(v) } }
            \(rest)
            """
        }
        let rule =
            "rules:\n  r: { on: w, when: n > 1, AT, risk: r, severity: low }\nsinks: { alerts: { kafka: { topic: a } } }"
        let cases = [
            (rule.replacing("AT,", with: ""), false), (rule.replacing("AT", with: "at: close"), true),
            ("sinks: { w: { kafka: { topic: w }, from: w } }", true),
            ("sinks: { w: { file: { path: w } , from: w } }", true),
            ("sinks: { w: { redis: { key: \"{k}\", ttl: 1d }, from: w } }", false),
            (
                "  v: { from: w, key: k, window: { size: 1h }, aggregate: { n: count() } }\nsinks: { v: { redis: { key: \"{k}\", ttl: 1d }, from: v } }",
                true
            ),
        ]
        for (rest, isRead) in cases {
            let spec = try #require(TopologyReader.read(text(rest), file: "t.yaml").spec, "\(rest)")
            #expect(spec.readsClosed(0) == isRead, "\(rest)")
            let bound = try #require(StateBound.all(spec).first)
            #expect(bound.bytesPerKey == bound.panes * 24 + 32 + (isRead ? 2 : 1) * 24 + 64, "\(rest)")
        }
    }

    @Test("State: every aggregate's bytes, quantiles' buckets, and keys of the topology")
    func aggregateBytes() throws {
        let text = Samples.merchantRisk
            .replacing("latency: 3s", with: "latency: 3s\nkeys: 2048")
            .replacing(
                "{ amount: sum(amount), night",
                with: "{ b: min(amount), c: first(amount), d: last(kind), e: avg(amount), f: stddev(amount), "
                    + "g: \"quantile(amount, 0.5)\", h: window_end(), amount: sum(amount), night"
            )
        let bound = try #require(Samples.read(text).spec.map(StateBound.all)?.last)
        #expect(bound.bytesPerPane == 8 + 8 + 16 + 72 + 24 + 48 + 0 + 0 + 16 + 8)
        #expect(bound.bytesPerKeyMax == bound.bytesPerKey + 4 * 12288)
        #expect(bound.keys == 2048)
        #expect(bound.bytes == 2048 * bound.bytesPerKey)
    }

    @Test("More panes than the limit are an error, also when the out-of-order bound makes them")
    func panes() {
        let text = Samples.merchantRisk.replacing("out_of_order: 2s", with: "out_of_order: 12d")
        let diagnostics = Samples.read(text).diagnostics
        #expect(diagnostics.count == 1)
        #expect(
            diagnostics.first?.contains("step turnover needs 103712 panes for a key, more than 100000")
                == true
        )
    }

    @Test("explain as text: stages, keys, windows, state, latency, topics")
    func explainText() throws {
        let spec = try #require(Samples.read(Samples.merchantRisk).spec)
        let lines = Explain.render(spec, format: .text).split(separator: "\n").map(String.init)
        for line in [
            "topology merchant-risk: exactly-once, latency 3s",
            "source orders: topic orders from earliest, json",
            "  time: event_time, out of order by 2s, idle after 5s, ahead by 5m",
            "step paid: from orders, filtered",
            "  key: merchant_id",
            "  window: 5m sliding by 10s",
            "  window: 30d sliding by 1d in Asia/Shanghai, until yesterday",
            "  state: 1.2 KiB per key, 1.1 GiB at 1,000,000 keys",
            "rule volume-spike: on today, baseline at record, fabricated-volume, high",
            "  latency: 150ms over orders -> paid -> today -> volume-spike (fetch wait 10ms, poll 10ms, "
                + "processing 20ms, commit interval 100ms, produce 10ms)",
            "sink merchants: turnover, today to Redis at merchant:{merchant_id} for 2d",
            "  merchant-risk-dead-letter: records that cannot be used",
            "  merchant-risk-late: records that come after their windows are closed",
        ] { #expect(lines.contains(line), "\(line)") }
    }

    @Test("Every operator and table has a bound, with its limits and what raises them")
    func operatorBounds() throws {
        let text = operatorBase.replacing(
            "kind: left,", with: "kind: left, limit: { rows_per_key: 5000, memory: 2GiB },"
        )
        .replacing("max: 1d }", with: "max: 1d, limit: { sessions: 2000000 } }")
        let spec = try #require(TopologyReader.read(text, file: "t.yaml").spec)
        let bounds = OperatorBound.all(spec)
        #expect(bounds.map(\.name) == ["once", "matched", "running", "refunded", "best", "visits", "flow"])
        func line(_ name: String, _ index: Int) -> String {
            bounds.first { $0.name == name }?.lines[index] ?? ""
        }
        // 30 bytes of a row's head, 32 of its key, three texts of 33, a decimal and a time of 6, and 64 or 96
        // around it.
        #expect(
            line("matched", 0)
                == "rows that wait for event time: at most 2.0 GiB, 9,000,000 of 237 B with texts of 32 bytes, twice that of an "
                + "input that is behind; limit: { memory }")
        #expect(
            line("matched", 1)
                == "rows that wait for a partner: at most 2.0 GiB, 7,900,000 of 269 B with texts of 32 bytes; 5,000 of a key on "
                + "each side; limit: { memory, rows_per_key }")
        #expect(bounds.first { $0.name == "matched" }?.bytesMax == 6 << 30)
        #expect(line("once", 1) == "values that passed: 160 B per value, 152.6 MiB at 1,000,000 values")
        #expect(line("running", 1) == "runs: 192 B per key, 183.1 MiB at 1,000,000 keys")
        #expect(line("refunded", 1).hasPrefix("records that wait for another: at most 1.0 GiB, "))
        #expect(
            line("visits", 1)
                == "open sessions: 136 B per session, 259.4 MiB at 2,000,000 sessions; limit: { sessions }")
        #expect(line("flow", 1).contains("at most 544.0 KiB in 512 parcels"))
        #expect(bounds.first { $0.name == "best" }?.lines.count == 1)
        let said = Explain.render(spec, format: .text)
        for line in bounds.flatMap(\.lines) { #expect(said.contains("  state: \(line)\n"), "\(line)") }
        let json = try #require(YamlReader.read(Explain.render(spec, format: .json), file: "json").root)
        let steps = json.mapping?.first { $0.key == "steps" }?.value.sequence ?? []
        let states = steps.compactMap { $0.mapping?.first { $0.key == "state" }?.value.mapping }
        #expect(states.count { $0.contains { $0.key == "bytes_max" } } == bounds.count)
        let tables = try #require(TopologyReader.read(tableBase, file: "t.yaml").spec)
        let table = OperatorBound.all(tables).filter { $0.source != nil }
        #expect(
            !table.isEmpty
                && table.allSatisfy { $0.lines[0].contains("with texts of 32 bytes") && $0.bytesMax == nil })
        let levels = try #require(TopologyReader.read(levelsBase, file: "t.yaml").spec)
        #expect(
            OperatorBound.all(levels).first?.lines[1].hasSuffix(
                "at most 320 B: 256 of a key, each; limit: { items }") == true)
    }

    @Test("explain as graphs: every node once, every edge, names in quotes escaped")
    func explainGraphs() throws {
        let text = Samples.merchantRisk.replacing(
            "kafka: { topic: risk-alerts }",
            with: #"file: { path: "a\"b\\c" }"#
        )
        let spec = try #require(Samples.read(text).spec)
        let dot = Explain.render(spec, format: .dot).split(separator: "\n").map(String.init)
        #expect(dot.first == "digraph \"merchant-risk\" {" && dot.last == "}")
        #expect(dot.filter { $0.contains("[shape=") }.count == 1 + 1 + 4 + 1 + 2)
        #expect(dot.filter { $0.contains(" -> ") }.count == 1 + 3 + 2 + 1 + 2)
        #expect(dot.contains(#"    sink0 [shape=cylinder, label="alerts\nfile a\"b\\c"];"#))
        #expect(dot.contains("    step3 -> rule0;"))
        let mermaid = Explain.render(spec, format: .mermaid).split(separator: "\n").map(String.init)
        #expect(mermaid.first == "flowchart LR")
        #expect(mermaid.filter { $0.contains(" --> ") }.count == 9)
        #expect(mermaid.contains(#"    sink0[("alerts<br/>file a#quot;b\c")]"#))
    }

    @Test("explain as JSON reads back as YAML, which JSON is, with the same figures")
    func explainJson() throws {
        let spec = try #require(Samples.read(Samples.merchantRisk).spec)
        let root = try #require(YamlReader.read(Explain.render(spec, format: .json), file: "json").root)
        func member(_ node: YamlNode?, _ key: String) -> YamlNode? {
            node?.mapping?.first { $0.key == key }?.value
        }
        #expect(
            root.mapping?.map(\.key) == [
                "topology", "ruleset", "logic", "guarantee", "latency", "sources", "steps", "rules", "sinks",
                "topics",
            ]
        )
        let steps = try #require(member(root, "steps")?.sequence)
        #expect(member(member(steps[1], "state"), "bytes_per_key")?.scalar?.text == "29408")
        let paths = try #require(member(member(root, "rules")?.sequence?.first, "paths")?.sequence)
        #expect(paths.map { member($0, "total")?.scalar?.text } == ["150", "150"])
    }

    @Test("explain names every step once, and fields instead of columns")
    func explainNames() throws {
        let schema = "{ k: text, g: text, v: int, at: timestamp }"
        let text = """
            topology: t
            latency: 1d
            sources:
              e: { kafka: { topic: e }, time: { field: at }, schema: \(schema) }
              f: { kafka: { topic: f }, time: { field: at }, schema: \(schema) }
            steps:
              both: { from: [e, f] }
              pairs: { from: e, join: { stream: f, on: k, within: 1m } }
              self: { from: e, join: { stream: e, on: k, within: 1m, as: other } }
              runs: { from: both, key: k, sequence: { repeat: v > 0, times: 3, within: 1h, by: g } }
              plain: { from: both, key: k, sequence: { repeat: v > 0, times: 3, within: 1h } }
              best: { from: runs, key: k, top: { count: 1, by: v } }
              visits: { from: e, key: k, window: { gap: 1m, max: 1h }, aggregate: { n: count() } }
            sinks: { all: { kafka: { topic: o }, from: [pairs, self, plain, best, visits] } }
            """
        let spec = try #require(TopologyReader.read(text, file: "t.yaml").spec)
        let lines = Explain.render(spec, format: .text).split(separator: "\n").map(String.init)
        let names = lines.filter { $0.hasPrefix("step ") || $0.hasPrefix("stream ") }.map {
            $0.prefix { $0 != ":" }
        }
        #expect(Set(names).count == names.count && names.count > 15, "\(names)")
        #expect(!lines.contains { $0.contains("column") })
        #expect(lines.contains("stream both/: union of both/1 and both/2"))
        #expect(lines.contains("step both/2: from f"))
        #expect(lines.contains("stream runs/: 3 records in a row within 1h by g of runs/1"), "\(lines)")
        #expect(lines.contains("stream plain/: 3 records in a row within 1h of plain/1"))
        #expect(lines.contains("stream best/: the 1 greatest by v of best/1"))
        #expect(lines.contains("step best: from best/"))
        for format in [Explain.Format.dot, .mermaid, .json] {
            let rendered = Explain.render(spec, format: format)
            #expect(rendered.contains("both/1") && rendered.contains("both/2"))
        }
    }
}
