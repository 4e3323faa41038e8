import Base
import Testing
import Topology

/// Goal: steps that part and meet again many times are proven and explained like any others. Method: diamonds
/// of unions, each level of which doubles the number of paths, and random graphs against every path walked
/// one by one.
@Suite struct DiamondTests {
    private static func diamonds(_ levels: Int, source: String = "kafka: { topic: e }") -> String {
        var lines = ["  s0: { from: e }", "  t0: { from: e }"]
        for level in 1...levels {
            lines.append("  s\(level): { from: [s\(level - 1), t\(level - 1)] }")
            lines.append("  t\(level): { from: [t\(level - 1), s\(level - 1)] }")
        }
        return """
            topology: t
            sources: { e: { \(source), time: { field: ts }, schema: { k: text, ts: timestamp } } }
            steps:
            \(lines.joined(separator: "\n"))
              w: { from: s\(levels), key: k, window: { size: 1h }, aggregate: { n: count() } }
            rules:
              r: { on: w, when: n > 1, risk: x, severity: low, message: m }
            sinks: { o: { kafka: { topic: o }, from: [t\(levels)] }, a: { kafka: { topic: a } } }
            """
    }

    @Test(
        "As many paths as can be read are listed, then the longest of each source",
        arguments: [1, 5, 6, 7, 40, 100])
    func paths(_ levels: Int) throws {
        let spec = try #require(Samples.read(Self.diamonds(levels)).spec)
        let paths = LatencyProof.paths(spec)
        // Two ways at each level; at the last one, from the two steps of the first.
        let ways = levels < 62 ? 1 << levels : Int.max
        if ways <= 64 {
            #expect(paths.count == ways && Set(paths.map(\.description)).count == ways)
            #expect(paths.allSatisfy { $0.count == 1 })
        } else {
            #expect(paths.map(\.count) == [ways])
            let text = levels < 62 ? "\(levels == 7 ? "128" : "1,099,511,627,776")" : "very many"
            #expect(
                paths[0].description.hasSuffix(" -> w -> r, the longest of \(text) paths from e"),
                "\(paths[0])")
        }
        #expect(paths.allSatisfy { $0.nodes.first == "e" && $0.nodes.count == levels + 4 })
    }

    @Test(
        "Everything else of a topology of 100 levels",
        arguments: ["kafka: { topic: e }", "file: { path: e }"])
    func everything(_ source: String) throws {
        let result = Samples.read(Self.diamonds(100, source: source))
        let spec = try #require(result.spec, "\(result.diagnostics)")
        #expect(LatencyProof.check(spec, file: "t") == [])
        for format in Explain.Format.allCases {
            let text = Explain.render(spec, format: format)
            #expect(text.utf8.count < 1_000_000, "\(format)")
            #expect(text.contains("s100"))
        }
        #expect(spec.repartitioned().sources.count >= spec.sources.count)
        let last = try #require(spec.sources.indices.last)
        #expect(spec.roots(of: last) == [0])
    }

    /// Total of every path from a source to a step, walked one by one.
    private func totals(
        _ spec: TopologySpec, _ split: TopologySpec, step: Int, waits: Bool, after: Int64,
        into totals: inout [String: [Int64]]
    ) {
        var (index, after) = (step, after)
        while true {
            // Commit 100, produce 10, fetch 10, poll 10, processing 20; and again until the others have said
            // how far they are.
            if split.steps[index].input != spec.steps[index].input { after += waits ? 150 : 300 }
            guard case .step(let before) = spec.steps[index].input else { break }
            index = before
        }
        guard case .source(let source) = spec.steps[index].input else { return }
        guard case .stream(let maker) = spec.sources[source].origin else {
            let meets = spec.steps.contains { step in
                Set((step.operation?.inputs ?? []).flatMap { spec.roots(of: spec.source(of: $0)) }).count > 1
            }
            let own =
                150 + (waits ? spec.sources[source].outOfOrder + spec.sources[source].idle : meets ? 100 : 0)
            totals[spec.sources[source].name, default: []].append(own + after)
            return
        }
        for input in spec.steps[maker].operation?.inputs ?? [maker] {
            let waits = waits || spec.steps[maker].operation?.part.order != .asTheyCome
            self.totals(spec, split, step: input, waits: waits, after: after, into: &totals)
        }
    }

    @Test("Random graphs: the totals, the longest of each source and the number of paths", arguments: 1...60)
    func random(_ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var names = ["e", "f"]
        var lines: [String] = []
        for number in 0..<Int.random(in: 3...14, using: &random) {
            let inputs = Array(names.shuffled(using: &random).prefix(Int.random(in: 1...3, using: &random)))
            let name = "s\(number)"
            let from = inputs.count == 1 ? inputs[0] : "[\(inputs.joined(separator: ", "))]"
            lines.append("  \(name): { from: \(from) }")
            names.append(name)
        }
        let key = Bool.random(using: &random) ? "k" : "l"
        lines.append(
            "  w: { from: \(names[names.count - 1]), key: \(key), window: { size: 1h }, aggregate: { n: count() } }"
        )
        let at = Bool.random(using: &random) ? "close" : "record"
        let schema = "key: k, schema: { k: text, l: text, ts: timestamp }"
        let text = """
            topology: t
            sources:
              e: { kafka: { topic: e }, time: { field: ts, out_of_order: 3s, idle: 4s }, \(schema) }
              f: { kafka: { topic: f }, time: { field: ts, out_of_order: 9s, idle: 1s }, \(schema) }
            steps:
            \(lines.joined(separator: "\n"))
            rules:
              r: { on: w, at: \(at), when: n > 1, risk: x, severity: low, message: m }
            sinks: { a: { kafka: { topic: a } } }
            """
        let spec = try #require(Samples.read(text).spec, "\(text)")
        var wanted: [String: [Int64]] = [:]
        totals(
            spec, spec.repartitioned(), step: spec.rules[0].on[0], waits: at == "close", after: 0,
            into: &wanted)
        let paths = LatencyProof.paths(spec)
        #expect(paths.reduce(0) { $0 + $1.count } == wanted.values.reduce(0) { $0 + $1.count }, "\(text)")
        for (source, totals) in wanted {
            let own = paths.filter { $0.nodes[0] == source }
            #expect(own.map(\.total).max() == totals.max())
            if own.allSatisfy({ $0.count == 1 }) { #expect(own.map(\.total).sorted() == totals.sorted()) }
        }
    }
}
