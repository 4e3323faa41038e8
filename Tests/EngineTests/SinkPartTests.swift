import Base
import Connectors
import Dataflow
import Testing
import Topology

@testable import Engine

/// Goal: every sink of the catalogue is whole: what it shows as an example is read, it has a text for the
/// language's page, and what says that a worker opens it can be opened. A new sink gets this by being there.
@Suite struct SinkPartTests {
    static let parts = Catalogue.standard.sinks.map { $0.key }

    static func topology(_ sinks: String) -> String {
        """
        topology: t
        sources:
          orders: { kafka: { topic: orders }, time: { field: at }, schema: { merchant_id: text, amount: int, at: timestamp } }
        steps:
          sums: { from: orders, key: merchant_id, window: { size: 1h }, aggregate: { n: count() } }
        sinks:
        \(sinks)
        """
    }

    @Test(arguments: parts) func isWhole(_ key: String) throws {
        let part = try #require(Catalogue.standard.sinks.first { $0.key == key })
        #expect(part.example.hasPrefix(key + ": {") && part.example.hasSuffix("}"))
        #expect(part.reference.contains("`\(key): {"))
        let (spec, diagnostics) = TopologyReader.read(
            Self.topology("  out: { \(part.example), from: sums }"), file: "t.yaml")
        let sink = try #require(spec?.sinks.first, "\(diagnostics)")
        #expect(type(of: sink.target) == part)
        #expect(!sink.target.shown.isEmpty && !sink.target.logic.isEmpty)
        #expect(try #require(spec).readsClosed(0) == (sink.metrics == nil))
        let isRunnable = sink.target is any RunnableSink
        switch sink.target.delivery {
        case .topic, .bounded: #expect(!isRunnable)
        case .committedRecords, .metrics: #expect(isRunnable)
        }
    }

    @Test("A mapping is expected of every sink, and no other keys", arguments: parts)
    func isStrict(_ key: String) throws {
        let part = try #require(Catalogue.standard.sinks.first { $0.key == key })
        for (value, message) in [
            ("", "\(key) needs a mapping, not"), ("{ zzzzzzzz: 1 }", "\(key) has no 'zzzzzzzz'"),
        ] {
            let (spec, diagnostics) = TopologyReader.read(
                Self.topology("  out:\n    \(key): \(value)\n    from: sums"), file: "t.yaml")
            let mistake = try #require(diagnostics.first { $0.message.hasPrefix(message) }, "\(diagnostics)")
            #expect(spec == nil && mistake.position.line == 8)
            if value.isEmpty { #expect(mistake.message.hasSuffix("; write \(part.example)")) }
        }
    }

    @Test("A worker opens what is handed committed outputs, and leaves a Redis out that nobody named")
    func opens() throws {
        let text = Self.topology(
            """
              topic: { kafka: { topic: out }, from: sums }
              hot: { redis: { key: "m:{merchant_id}", ttl: 1h, url: "unix:/nowhere/redis.sock" }, from: sums }
              cold: { redis: { key: "m:{merchant_id}", ttl: 1h }, from: sums }
            """)
        let (spec, diagnostics) = TopologyReader.read(text, file: "t.yaml")
        let sinks = try OpenSinks(#require(spec, "\(diagnostics)").sinks, redis: nil)
        defer { sinks.close() }
        #expect(sinks.metrics.keys.sorted() == [1] && sinks.records.isEmpty && sinks.all.map(\.sink) == [1])
        #expect(sinks.all[0].running.report.figures.map(\.name).contains("millrace_redis_pending_keys"))
    }
}
