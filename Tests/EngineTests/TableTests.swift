import Base
import Engine
import Foundation
import Records
import Testing
import Topology

/// Tables in `tests.yaml`, in replay, and in what is said of a topology.
@Suite struct TableTests {
    static func topology(_ table: String) -> String {
        """
        topology: t
        sources:
          orders:
            kafka: { topic: orders }
            time: { field: at }
            schema: { id: text, merchant: text, platform: text, amount: decimal(2), at: { type: timestamp, unit: ms } }
          registry:
        \(table)
        steps:
          placed: { from: orders, key: merchant, join: { table: registry, on: [merchant, platform], kind: left } }
        rules:
          stranger:
            on: placed
            when: not registry.found or amount > registry.most
            risk: r
            severity: low
            message: "{registry.city} {registry.most}"
        sinks:
          alerts: { kafka: { topic: alerts } }
        """
    }

    static let kafka = """
            kafka: { topic: registry }
            time: { field: since }
            table: { key: [merchant, platform] }
            schema: { merchant: text, platform: text, city: text, most: decimal(2)?, since: { type: timestamp, unit: ms } }
        """
    static let redis = """
            redis: { key: "limits:{merchant}:{platform}" }
            table: { key: [merchant, platform] }
            schema: { merchant: text, platform: text, city: text?, most: decimal(2)? }
        """

    static func run(_ topology: String, _ tests: String) throws -> [String] {
        let (suite, diagnostics) = TestSuiteReader.read(tests, file: "tests.yaml")
        let outcomes = try TestRunner(file: "t.yaml", text: topology).run(#require(suite, "\(diagnostics)"))
        return outcomes.flatMap(\.differences)
    }

    /// Goal: a case of `tests.yaml` gives a table its records like any source.
    @Test func testsYaml() throws {
        let tests = """
            tests:
              - name: a registry as of the order
                given:
                  - registry: { merchant: M1, platform: p, city: Wuhan, most: 5.00, since: 2026-01-01T00:00:00Z }
                  - orders: { id: o1, merchant: M1, platform: p, amount: 4.00, at: 2026-01-01T00:00:00Z }
                  - orders: { id: o2, merchant: M1, platform: q, amount: 4.00, at: 2026-01-01T00:00:00Z }
                  - registry: { merchant: M1, platform: p, city: Ulm, most: 3.00, since: 2026-01-02T00:00:00Z }
                  - orders: { id: o3, merchant: M1, platform: p, amount: 4.00, at: 2026-01-01T23:59:59Z }
                  - orders: { id: o4, merchant: M1, platform: p, amount: 4.00, at: 2026-01-02T00:00:00Z }
                  - registry: { merchant: M1, platform: p, _deleted: true, since: 2026-01-03T00:00:00Z }
                  - orders: { id: o5, merchant: M1, platform: p, amount: 4.00, at: 2026-01-03T00:00:00Z }
                expect:
                  - { message: "none none" }
                  - { message: "Ulm 3.00" }
                  - { message: "none none" }
                dead: 0
            """
        #expect(try Self.run(Self.topology(Self.kafka), tests) == [])
        #expect(
            try Self.run(
                Self.topology(Self.kafka.replacing("platform] }", with: "platform], broadcast: true }")),
                tests) == [])
    }

    /// Goal: a table in Redis is given as records too, of which the newest counts.
    @Test func testsYamlOfRedis() throws {
        let tests = """
            tests:
              - name: limits
                given:
                  - orders: { id: o1, merchant: M1, platform: p, amount: 4.00, at: 2026-01-01T00:00:00Z }
                  - registry: { merchant: M1, platform: p, city: Ulm, most: 3.00 }
                  - orders: { id: o2, merchant: M1, platform: p, amount: 4.00, at: 2025-01-01T00:00:00Z }
                  - registry: { merchant: M1, platform: p, most: 4.00 }
                  - orders: { id: o3, merchant: M1, platform: p, amount: 4.00, at: 2025-01-01T00:00:00Z }
                  - orders: { id: o4, merchant: M1, platform: p, amount: 4.01, at: 2025-01-01T00:00:00Z }
                expect: [{ message: "none none" }, { message: "Ulm 3.00" }, { message: "none 4.00" }]
                dead: 0
            """
        #expect(try Self.run(Self.topology(Self.redis), tests) == [])
    }

    /// Goal: replay merges a table by event time, before rows of the same time, whatever the batch size.
    @Test func replay() throws {
        let spec = try #require(TopologyReader.read(Self.topology(Self.kafka), file: "t").spec)
        let folder = NSTemporaryDirectory() + "/millrace-tables-\(getpid())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let orders = (0..<300).map {
            "{\"id\":\"o\($0)\",\"merchant\":\"M\($0 % 3)\",\"platform\":\"p\",\"amount\":\"5.00\",\"at\":\($0 * 1000)}"
        }
        let records = (0..<60).map { index in
            let rest = index % 5 == 4 ? "\"_deleted\":true" : "\"city\":\"c\(index)\",\"most\":\"1.00\""
            return "{\"merchant\":\"M\(index % 3)\",\"platform\":\"p\",\(rest),\"since\":\(index * 5000)}"
        }
        try orders.joined(separator: "\n").write(
            toFile: folder + "/orders.jsonl", atomically: true, encoding: .utf8)
        try records.joined(separator: "\n").write(
            toFile: folder + "/registry.jsonl", atomically: true, encoding: .utf8)
        let expected = (0..<300).map { index -> String in
            let newest = (0..<60).last { $0 * 5 <= index && $0 % 3 == index % 3 }
            guard let newest, newest % 5 != 4 else { return "none none" }
            return "c\(newest) 1.00"
        }
        let inputs = [("orders", [folder + "/orders.jsonl"]), ("registry", [folder + "/registry.jsonl"])]
        for rowsMax in [1, 7, 100, 2048] {
            let lines = try ReplayTests.outputs(spec, inputs, rowsMax: rowsMax)
            let messages = lines.map { line in
                line.range(of: "\"message\":\"").map { String(line[$0.upperBound...].prefix { $0 != "\"" }) }
                    ?? line
            }
            #expect(messages == expected, "batches of \(rowsMax)")
        }
    }

    @Test func explain() throws {
        let text = Self.topology(Self.kafka.replacing("platform] }", with: "platform], broadcast: true }"))
        let spec = try #require(TopologyReader.read(text, file: "t").spec)
        let said = Explain.render(spec, format: .text)
        #expect(said.contains("table: by merchant, platform, versions of 7d, in every lane"))
        #expect(said.contains("join: left with registry on merchant, platform"))
        #expect(said.contains("registry: read by every lane, table registry"))
        let redis = try #require(TopologyReader.read(Self.topology(Self.redis), file: "t").spec)
        #expect(
            Explain.render(redis, format: .text).contains(
                "Redis at limits:{merchant}:{platform}, kept for 10m, waits 20ms"))
        for format in Explain.Format.allCases {
            for spec in [spec, redis] { #expect(Explain.render(spec, format: format).contains("registry")) }
        }
        #expect(Explain.render(spec, format: .dot).contains("source1 -> step0"))
    }
}
