import Base
import Connectors
import Dataflow
import Formats
import Foundation
import Operators
import Records
import Testing
import Topology

@testable import Engine

/// Inputs of all kinds through a whole replay: what is read, and what is refused with which word.
@Suite final class InputFormatTests {
    private let folder = NSTemporaryDirectory() + "/millrace-inputs-\(UUID().uuidString)"

    init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private static func topology(_ format: String, _ schema: String, use: String = "") -> String {
        """
        topology: t
        zone: Asia/Shanghai
        sources:
          s:
            kafka: { topic: s }
            format: \(format)
            time: { field: t }
            schema: { \(schema) }
        steps:
          w: { from: s\(use.isEmpty ? "" : ", where: \(use)") }
        sinks:
          out: { kafka: { topic: o }, from: w }
        """
    }

    private static func spec(_ text: String) throws -> TopologySpec {
        let (spec, diagnostics) = TopologyReader.read(text, file: "t.yaml")
        return try #require(spec, "\(diagnostics)")
    }

    struct Found: Equatable {
        var rows: [String] = []
        var refusals: [String] = []
    }

    private func replay(_ text: String, _ bytes: [UInt8], rowsMax: Int = 2048) throws -> Found {
        let path = folder + "/input"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        var replay = try Replay(
            try Self.spec(text), inputs: [("s", [path])], rowsMax: rowsMax, keepsResults: true)
        var found = Found()
        _ = try replay.run(
            output: { outbox throws(Fault) in
                for record in outbox.records {
                    if record.destination == .deadLetter {
                        outbox.forEachHeader(of: record) {
                            guard String(decoding: $0, as: UTF8.self) == "__streams.errors.message" else {
                                return
                            }
                            let message = String(validating: $1, as: UTF8.self)
                            #expect(message != nil)
                            found.refusals.append(message ?? "")
                        }
                    } else {
                        found.rows.append(
                            outbox.value(of: record).map { String(decoding: $0, as: UTF8.self) } ?? "null")
                    }
                }
            }, progress: { _, _, _ in })
        return found
    }

    private func replay(_ format: String, _ schema: String, _ input: String) throws -> Found {
        let found = try replay(Self.topology(format, schema), Array(input.utf8))
        #expect(try replay(Self.topology(format, schema), Array(input.utf8), rowsMax: 1) == found)
        return found
    }

    @Test(
        arguments: [
            (
                "csv", "t: timestamp, k: text, v: int", "t,k,v\n1514764800000,a,1\n",
                [#"{"t":"2018-01-01T00:00:00Z","k":"a","v":1}"#]
            ),
            (
                "csv", "t: timestamp, k: text, v: int?",
                "t,k,v\n\"2018-01-01T00:00:00Z\",\"a\",\"\"\n2018-01-01T00:00:00Z,b,\n",
                [
                    #"{"t":"2018-01-01T00:00:00Z","k":"a","v":null}"#,
                    #"{"t":"2018-01-01T00:00:00Z","k":"b","v":null}"#,
                ]
            ),
            (
                "json", "t: timestamp, k: text", "\u{FEFF}{\"t\":\"2018-01-01T00:00:00Z\",\"k\":\"a\"}\n",
                [#"{"t":"2018-01-01T00:00:00Z","k":"a"}"#]
            ),
            (
                "csv", "t: timestamp, k: text, delivered: timestamp?",
                "t,k,deliverd\n2018-01-01T00:00:00Z,a,2018-01-02T00:00:00Z\n",
                [#"{"t":"2018-01-01T00:00:00Z","k":"a","delivered":null}"#]
            ),
            (
                "json", "k: text, c.id: text?, t: timestamp",
                #"{"k":"1","c":{"id":"A"},"c":null,"t":1700000000000}"# + "\n"
                    + #"{"k":"3","c":{"id":"A"},"c":{"id":"B"},"t":1700000000000}"#,
                [
                    #"{"k":"1","c.id":null,"t":"2023-11-14T22:13:20Z"}"#,
                    #"{"k":"3","c.id":"B","t":"2023-11-14T22:13:20Z"}"#,
                ]
            ),
            (
                "{ type: csv, delimiter: tab, null: [NULL, \"-\"], trim: true }",
                "t: { type: timestamp, unit: s }, k: text?, v: decimal(2)?",
                "t\t k \tv\n1514764800.5\tNULL\t - \n",
                [#"{"t":"2018-01-01T00:00:00.500Z","k":null,"v":null}"#]
            ),
            (
                "{ type: csv, header: false }", "t: timestamp, k: text", "2018-01-01,a\n",
                [#"{"t":"2017-12-31T16:00:00Z","k":"a"}"#]
            ),
            (
                "{ type: csv, columns: [x, k, t] }", "t: timestamp, k: text", "9,a,2018-01-01\n",
                [#"{"t":"2017-12-31T16:00:00Z","k":"a"}"#]
            ),
            (
                "{ type: csv, quote: \"'\", escape: \"\\\\\", skip: 1 }", "t: timestamp, k: text",
                "Report\nk,t\n'a\\'b,\nc',2018-01-01\n", [#"{"t":"2017-12-31T16:00:00Z","k":"a'b,\nc"}"#]
            ),
            (
                "tsv", "t: timestamp, k: text?, v: decimal(2)?",
                "t\tv\tk\n2018-01-01\t\\N\ta\\tb\\\nc\n2018-01-02\t1.5\t\\N\n2018-01-03\t\t\n",
                [
                    #"{"t":"2017-12-31T16:00:00Z","k":"a\tb\nc","v":null}"#,
                    #"{"t":"2018-01-01T16:00:00Z","k":null,"v":"1.50"}"#,
                    #"{"t":"2018-01-02T16:00:00Z","k":"","v":null}"#,
                ]
            ),
            (
                "{ type: tsv, escape: none, null: [NULL], columns: [x, k, t] }", "t: timestamp, k: text?",
                "9\tC:\\new\t2018-01-01\n9\tNULL\t2018-01-01\n",
                [#"{"t":"2017-12-31T16:00:00Z","k":"C:\\new"}"#, #"{"t":"2017-12-31T16:00:00Z","k":null}"#]
            ),
        ] as [(String, String, String, [String])])
    func reads(format: String, schema: String, input: String, expected: [String]) throws {
        #expect(try replay(format, schema, input) == Found(rows: expected))
    }

    @Test(arguments: [
        (
            "csv", "t: timestamp, k: text", "t,k\n1514764800,a\n",
            "field 't' is \"1514764800\"; a timestamp like 2011-01-05 10:15:00, or epoch milliseconds was expected; looks like seconds; say unit: s"
        ),
        (
            "json", "t: timestamp, a.b: int?", "{\"t\":1514764800000,\"a\":[{\"b\":1}]}",
            "field 'a.b' lies behind an array, 'a'; a path leads through objects only"
        ),
        (
            "csv", "t: timestamp, k: text", "k\na\n",
            "field 't' is missing; a timestamp like 2011-01-05 10:15:00, or epoch milliseconds was expected; there is no such column"
        ),
        (
            "csv", "t: timestamp, k: text", "t,k\n2018-01-01,\"a\n",
            "not a well-formed CSV record of 2 fields: 2018-01-01,\"a; a quote is opened and not closed (field 2)"
        ),
        (
            "tsv", "t: timestamp, k: text", "t\tk\n2018-01-01\ta\tb\n",
            "not a well-formed TSV record of 2 fields: 2018-01-01\\u{9}a\\u{9}b; it has 3; long: cut passes over what is too much"
        ),
        (
            "tsv", "t: timestamp, k: text", "k\tt\na\\qb\t2018-01-01\n",
            "not a well-formed TSV record of 2 fields: a\\qb\\u{9}2018-01-01; a backslash stands before what it means nothing with; escape: none takes it as a letter (field 1)"
        ),
        (
            "tsv", "t: timestamp, k: text", "k\tt\n\\N\t2018-01-01\n",
            "field 'k' is missing; a text of at most 65536 bytes was expected"
        ),
    ])
    func refuses(format: String, schema: String, input: String, message: String) throws {
        #expect(try replay(format, schema, input) == Found(refusals: [message]))
    }

    /// Files in other encodings: refused record by record without the option, read with it.
    @Test func encodings() throws {
        let schema = "t: timestamp, k: text"
        let latin: [UInt8] = Array("t,k\n2018-01-01,S".utf8) + [0xE3] + Array("o\n2018-01-01,ok\n".utf8)
        let refused = try replay(Self.topology("csv", schema), latin)
        #expect(refused.rows == [#"{"t":"2017-12-31T16:00:00Z","k":"ok"}"#])
        #expect(
            refused.refusals.count == 1 && refused.refusals[0].hasPrefix("not UTF-8: ")
                && refused.refusals[0].contains("encoding: windows-1252"))
        let read = try replay(Self.topology("{ type: csv, encoding: latin1 }", schema), latin)
        #expect(read.rows.first == #"{"t":"2017-12-31T16:00:00Z","k":"São"}"# && read.refusals == [])
        let chinese: [UInt8] = Array("k,t\n".utf8) + [0xBA, 0xBC, 0xD6, 0xDD] + Array(",2018-01-01\n".utf8)
        #expect(
            try replay(Self.topology("{ type: csv, encoding: GBK }", schema), chinese).rows == [
                #"{"t":"2017-12-31T16:00:00Z","k":"杭州"}"#
            ])
        // What is no text of the encoding is refused as well.
        let broken = try replay(
            Self.topology("{ type: csv, encoding: gb18030 }", schema),
            Array("k,t\n".utf8) + [0xFF] + Array(",2018-01-01\n".utf8))
        #expect(broken.rows == [] && broken.refusals.first?.hasPrefix("not GB18030: ") == true)
    }

    // MARK: Headers

    private func check(_ names: String, _ schema: String, use: String = "", format: String = "csv") throws
        -> [String]
    {
        let path = folder + "/h.csv"
        try Data("\n\(names)\n1\n".utf8).write(to: URL(fileURLWithPath: path))
        let spec = try Self.spec(Self.topology(format, schema, use: use)).sources[0]
        let source = try FileSource(
            paths: [path], layout: spec.publishedFormat.fileLayout(of: RecordShape(of: spec)))
        let header = try #require(try source.next()?.header)
        var check = HeaderCheck(spec)
        let warnings = try check.check(header.names, path: header.path, line: header.line)
        // Each is told once.
        #expect(try check.check(header.names, path: header.path, line: header.line) == [])
        return warnings.map { $0.replacing(path, with: "h.csv") }
    }

    @Test func headersAreCompared() throws {
        let schema = "t: timestamp, k: text, delivered: timestamp?"
        #expect(try check("t,k,delivered,more", schema) == [])
        #expect(
            try check("k,t,deliverd", schema) == [
                "h.csv has no column \"delivered\": it is null in every record; did you mean \"deliverd\"? (delivered: { from: \"`deliverd`\" … })"
            ])
        #expect(
            try check("t,key", schema).first?.hasPrefix(
                "h.csv has no column \"k\": it is not optional, so that every record is refused") == true)
        #expect(
            try check("t, k ,delivered", schema) == [
                "h.csv has no column \"k\": it is not optional, so that every record is refused; it has \" k \", say format: { type: csv, trim: true }"
            ])
    }

    @Test(arguments: [
        (
            "t,k,t",
            "h.csv:2: the header has the column 't' 2 times (columns 1 and 3); name the columns yourself: format: { type: csv, skip: 2, columns: [t, k, t_2] }"
        ),
        (
            "x,y",
            "h.csv:2: no column of source s stands in the header (x, y); say format: { type: csv, skip: N }"
        ), ("t;k", "say format: { type: csv, delimiter: \";\" }"),
        ("k\tt", "say format: { type: csv, delimiter: tab }"),
        ("T,K", "\"T\" is written otherwise: say t: { type: …, from: \"`T`\" }"),
    ])
    func headersAreRefused(names: String, message: String) throws {
        let fault = #expect(throws: Fault.self) { try self.check(names, "t: timestamp, k: text") }
        #expect(
            fault?.detail.replacing(self.folder + "/", with: "").contains(message) == true,
            "\(fault?.detail ?? "")")
    }

    /// What is wrong with a header names the source's own format, and what helps, the one that has it.
    @Test(arguments: [
        (
            "t\tk\tt",
            "the header has the column 't' 2 times (columns 1 and 3); name the columns yourself: format: { type: tsv, skip: 2, columns: [t, k, t_2] }"
        ),
        (
            "t,k",
            "no column of source s stands in the header (t,k); say format: { type: csv, delimiter: \",\" }"
        ),
        (
            "x\ty",
            "say format: { type: tsv, skip: N } if the header comes after N lines, header: false if there is none, type: csv with a delimiter or trim"
        ),
    ])
    func headersOfTsvAreRefused(names: String, message: String) throws {
        let fault = #expect(throws: Fault.self) {
            try self.check(names, "t: timestamp, k: text", format: "tsv")
        }
        #expect(fault?.detail.contains(message) == true, "\(fault?.detail ?? "")")
    }

    @Test func duplicatesThatNobodyDeclaredDoNotMatter() throws {
        #expect(try check("t,k,x,x", "t: timestamp, k: text") == [])
    }

    // MARK: Topics

    private func decode(_ spec: TopologySpec, _ records: [String?]) throws -> [String] {
        let source = spec.sources[0]
        let decoder = try Planner(spec).decoder(of: source, rowsMax: 16)
        let batch = Batch(schema: Schema(source.wire.map(\.field)), capacity: 16)
        return records.map { record in
            var bytes = Array((record ?? "").utf8) + [UInt8](repeating: 0, count: 64)
            let storage = RawRecordStorage(capacity: 1)
            return bytes.withUnsafeMutableBufferPointer { buffer in
                storage.values[0] = record == nil ? nil : UnsafePointer(buffer.baseAddress)
                storage.valueCounts[0] = Int32(record == nil ? -1 : buffer.count - 64)
                let raw = RawRecords(at: storage, from: 0, count: 1)
                batch.raw = raw
                decoder.decode(raw, into: batch)
                guard batch.status[0] == 0 else { return decoder.explain(0, of: batch) }
                return zip(source.wire, batch.columns).map { wire, column in
                    let value =
                        column.valid[0] == 1
                        ? ValueText.string(column.values[0], column.type, arena: batch.arena) : "null"
                    return "\(wire.name)=\(value)"
                }.joined(separator: " ")
            }
        }
    }

    /// The declared columns are the format of a topic's records, whichever of them the rules use.
    @Test func declaredColumnsAreTheFormat() throws {
        let schema = "a: text, b: int?, t: timestamp, c: text?, d: { from: c }"
        let record = "x,7,1514764800000,y"
        func spec(_ use: String) throws -> TopologySpec {
            try Self.spec(
                """
                topology: t
                sources:
                  s:
                    kafka: { topic: s }
                    format: csv
                    time: { field: t }
                    schema: { \(schema) }
                steps:
                  w: { from: s, where: \(use), key: a, window: { size: 1h }, aggregate: { n: count() } }
                sinks:
                  out: { kafka: { topic: o }, from: w }
                """)
        }
        let time = "t=2018-01-01T00:00:00Z"
        for (use, expected) in [
            ("a != \"\"", "a=x \(time)"), ("b > 1", "a=x b=7 \(time)"), ("c == \"y\"", "a=x \(time) c=y"),
            ("d == \"y\" and b > 1", "a=x b=7 \(time) c=y"),
        ] {
            let spec = try spec(use)
            #expect(
                try decode(spec, [record, "x,7,1514764800000", "x,1514764800000", record + ","])
                    == [
                        expected,
                        "not a well-formed CSV record of 4 fields: x,7,1514764800000; it has 3; short: fill takes what is missing as null",
                        "not a well-formed CSV record of 4 fields: x,1514764800000; it has 2; short: fill takes what is missing as null",
                        "not a well-formed CSV record of 4 fields: x,7,1514764800000,y,; it has 5; long: cut passes over what is too much",
                    ])
        }
    }

    /// Records without a value are dead letters, or passed over and counted where the source says so.
    @Test func tombstones() throws {
        for (option, dead, tombstones) in [
            ("", Int64(2), Int64(0)), (", tombstones: refuse", 2, 0), (", tombstones: skip", 1, 1),
        ] {
            let text = Self.topology("json", "t: timestamp, k: text").replacing(
                "{ topic: s }", with: "{ topic: s\(option) }")
            let spec = try Self.spec(text)
            let pipeline = try Planner(spec).pipeline(Pipeline.Options(rowsMax: 4, clock: nil)).pipeline
            let task = pipeline.makeTask(partition: 0)
            var outbox = Outbox()
            let storage = RawRecordStorage(capacity: 4)
            let bytes = Array("{\"t\":1514764800000,\"k\":\"a\"}".utf8)
            (bytes + [UInt8](repeating: 0, count: 64)).withUnsafeBufferPointer { buffer in
                // A tombstone, a record with neither key nor value, and a good one.
                for row in 0..<3 {
                    storage.values[row] = row == 2 ? buffer.baseAddress : nil
                    storage.valueCounts[row] = row == 2 ? Int32(bytes.count) : -1
                    storage.keys[row] = row == 1 ? nil : buffer.baseAddress
                    storage.keyCounts[row] = row == 1 ? -1 : 1
                    storage.offsets[row] = Int64(row)
                }
                pipeline.process(
                    RawRecords(at: storage, from: 0, count: 3), source: 0, task: task, outbox: &outbox)
            }
            #expect(
                pipeline.counters.deadTotal == dead && pipeline.counters.tombstones == tombstones, "\(option)"
            )
            #expect(outbox.records.filter { $0.destination == .deadLetter }.count == Int(dead))
            #expect(pipeline.counters.results == 1)
        }
    }

    /// Cases of tests.yaml are written in the source's own format, unused columns, units and dialects
    /// included.
    @Test(arguments: [
        "{ type: csv, delimiter: \"|\", quote: \"'\", encoding: gb18030, columns: [x, k, t, note] }", "tsv",
        "json",
    ])
    func casesOfTests(format: String) throws {
        let topology = """
            topology: t
            sources:
              s:
                kafka: { topic: s }
                format: \(format)
                time: { field: t, unit: s }
                schema: { k: text, t: timestamp, note: text? }
            steps:
              w: { from: s, key: k }
            sinks:
              out: { kafka: { topic: o }, from: w }
            """
        let tests = """
            tests:
              - name: a
                given:
                  - s: { k: "it's 杭|州", t: 1514764800 }
                  - s: { k: b, t: 1514764800.5, note: "null" }
                    repeat: 3
                    every: 90s
                expect_records:
                  out:
                    - { k: "it's 杭|州", t: 2018-01-01T00:00:00Z }
                    - { k: b, t: 2018-01-01T00:00:00.500Z }
                    - { k: b, t: 2018-01-01T00:01:30.500Z }
                    - { k: b, t: 2018-01-01T00:03:00.500Z }
            """
        let result = TestSuiteReader.read(tests, file: "tests.yaml")
        #expect(result.diagnostics == [])
        let outcomes = try TestRunner(file: "t.yaml", text: topology).run(try #require(result.suite))
        #expect(outcomes.map(\.differences) == [[]])
    }
}
