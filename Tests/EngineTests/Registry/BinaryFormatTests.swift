import Base
import Engine
import Formats
import Foundation
import Testing
import Topology

/// Binary formats and what stands beside a record's value, as topologies and their tests have them.
@Suite final class BinaryFormatTests {
    private let folder = NSTemporaryDirectory() + "/millrace-binary-\(UUID().uuidString)"

    init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private func topology(_ format: String, _ schema: String) -> String {
        """
        topology: t
        sources:
          s:
            kafka: { topic: shop-orders }
            format: \(format)
            time: { field: t, out_of_order: 1d }
            schema: { t: timestamp, \(schema) }
        steps:
          w: { from: s }
        sinks:
          out: { kafka: { topic: o }, from: w }
        """
    }

    private func mistakes(_ text: String) -> [String] {
        TopologyReader.read(text, file: "\(folder)/t.yaml").diagnostics.map(\.message)
    }

    private func write(_ name: String, _ text: String) throws {
        try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
    }

    private static let schema = """
        {"type":"record","name":"Order","fields":[
          {"name":"t","type":{"type":"long","logicalType":"timestamp-millis"}},
          {"name":"amount","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
          {"name":"lines","type":{"type":"array","items":"string"}}]}
        """

    @Test func lintComparesSchemaAndFields() throws {
        try write("s.avsc", Self.schema)
        #expect(mistakes(topology("{ type: avro, schema_file: s.avsc }", "amount: decimal(2)")).isEmpty)
        #expect(
            mistakes(
                topology(
                    "{ type: avro, schema_file: s.avsc }", "amount: decimal(1), other: text, lines: text")
            )
            .map { $0.prefix(60) }
                == [
                    "'amount' by this schema: it is decimal(9, 2), and the field decimal(1)",
                    "'lines' by this schema: it is an array, whose rows are not r",
                    "'other' by this schema: record Order has no 'other'",
                ].map { $0.prefix(60) })
        // What may be missing may be missing.
        #expect(mistakes(topology("{ type: avro, schema_file: s.avsc }", "other: text?")).isEmpty)
        #expect(mistakes(topology("avro", "a: text"))[0].contains("as files do"))
        try write("bad.avsc", "{")
        #expect(
            mistakes(topology("{ type: avro, schema_file: bad.avsc }", "a: text"))[0].contains(
                "no schema of Avro"))
        #expect(
            mistakes(topology("{ type: avro, schema_file: none.avsc }", "a: text"))[0].contains("none.avsc"))
        #expect(
            mistakes(topology("{ type: avro, framing: confluent }", "a: text"))[0].contains("need a registry")
        )
        #expect(mistakes(topology("{ type: avro, encoding: gbk }", "a: text"))[0].contains("UTF-8"))
        #expect(mistakes(topology("protobuf", "a: text"))[0].contains("needs its options"))
        #expect(
            mistakes(topology("{ type: json, framing: confluent, encoding: gbk }", "a: text"))[0].contains(
                "framing reads records in UTF-8 only"))
    }

    @Test func registriesAreReadWithoutSecrets() {
        func registry(_ text: String) -> [String] {
            mistakes(topology("{ type: avro, registry: { \(text) } }", "a: text"))
        }
        #expect(registry("url: \"http://r:8081/\"").isEmpty)
        #expect(registry("url: \"ftp://r\"")[0].contains("http://host:port"))
        #expect(registry("url: \"http://rob:x@r\"")[0].contains("http://host:port"))
        #expect(registry("url: \"http://r\", user: rob")[0].contains("go together"))
        #expect(
            registry("url: \"http://r\", user: rob, password: plain")[0].contains(
                "does not stand in the file"))
        #expect(registry("url: \"http://r\", token: plain")[0].contains("does not stand in the file"))
    }

    @Test func sinksOfAvroTakeTheRowsOfOneStep() {
        func sink(_ format: String, _ rest: String) -> [String] {
            mistakes(
                topology("json", "k: text").replacing(
                    "{ topic: o }, from: w", with: "{ topic: o, format: \(format) }\(rest)")
                    + "\n")
        }
        #expect(sink("avro", ", from: w").isEmpty)
        #expect(sink("{ type: avro, registry: { url: \"http://r\" } }", ", from: w").isEmpty)
        #expect(sink("xml", ", from: w")[0].contains("json or avro"))
        #expect(sink("avro", "").contains { $0.contains("alerts are JSON") })
        #expect(sink("{ type: json, registry: { url: \"http://r\" } }", ", from: w")[0].contains("no schema"))
    }

    // MARK: Beside the value

    private static let parts = """
        k: { type: text?, record: key }, trace: { type: text?, record: header.trace }, n: { type: int?, record: "header.x y" },
              at: { type: timestamp?, record: time }, o: { type: int, record: offset }, p: { type: int, record: partition },
              topic: { type: text, record: topic }
        """

    private func differences(_ format: String, _ given: [String], _ expected: [String]) throws -> [String] {
        let tests = """
            tests:
              - name: one
                given:
                  - s: \(given.joined(separator: "\n      - s: "))
                expect_records: { out: [\(expected.joined(separator: ", "))] }
            """
        let (suite, diagnostics) = TestSuiteReader.read(tests, file: "tests.yaml")
        let runner = TestRunner(file: "\(folder)/t.yaml", text: topology(format, Self.parts))
        return try runner.run(#require(suite, "\(diagnostics)")).flatMap(\.differences)
    }

    @Test(arguments: ["json", "{ type: json, framing: confluent }", "{ type: avro, schema_file: s.avsc }"])
    func testsGiveWhatStandsBesideTheValue(format: String) throws {
        try write("s.avsc", Self.schema)
        let differences = try differences(
            format,
            [
                "{ t: 2023-01-05T00:00:00Z, record.key: abc, record.header.trace: \"t 1\", \"record.header.x y\": 7, "
                    + "record.timestamp: 2023-01-05T01:00:00Z, record.offset: 41 }",
                "{ t: 2023-01-05T00:00:01Z }",
            ],
            [
                "{ k: abc, trace: \"t 1\", n: 7, at: 2023-01-05T01:00:00Z, o: 41, p: 0, topic: shop-orders }",
                "{ k: null, trace: null, n: null, at: null, o: 1, p: 0, topic: shop-orders }",
            ])
        #expect(differences == [])
    }

    @Test func whatATestCannotGive() throws {
        let differences = try differences(
            "json", ["{ t: 2023-01-05T00:00:00Z, record.partition: 3 }"], ["{ p: 3 }"])
        #expect(
            differences.first?.contains("record.partition is not given: a test has one partition") == true)
    }

    @Test func partsHaveTypesAndTopics() {
        #expect(mistakes(topology("json", "x: { type: int, record: topic }"))[0].contains("topic is a text"))
        #expect(mistakes(topology("json", "x: { type: text, record: header. }"))[0].contains("header.NAME"))
        #expect(mistakes(topology("json", "x: { type: text, record: headers }"))[0].contains("header.NAME"))
        let file = topology("json", "x: { type: text, record: header.a }").replacing(
            "kafka: { topic: shop-orders }", with: "file: { path: a }")
        #expect(mistakes(file)[0].contains("reads no topic"))
    }
}
