import Base
import Connectors
import Engine
import Http
import Synchronization
import Testing
import Topology

/// Records of Avro on a real broker, whose schemas a registry has that is away at first.
@Suite(.serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)) struct AvroWorkerTests {
    private struct Seen {
        var isAway = true
        var asked: [String] = []
        var registered = ""
    }

    private static let schema = #"""
        {\"type\":\"record\",\"name\":\"Order\",\"fields\":[{\"name\":\"id\",\"type\":\"string\"},{\"name\":\"at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}}]}
        """#

    /// Goal: while the registry is away nothing is lost and nothing goes out; once it is back each record
    /// does once, by the sink's own schema; what it does not have is a dead letter.
    @Test func recordsWaitForTheirSchemas() throws {
        let cluster = try KafkaCluster.shared()
        let input = try cluster.makeTopic("avro-in", partitions: 1)
        let output = try cluster.makeTopic("avro-out", partitions: 1)
        let seen = Mutex(Seen())
        var options = HttpServer.Options()
        options.name = "registry"
        let server = try HttpServer(options) { request in
            seen.withLock { seen in
                seen.asked.append("\(request.method) \(request.path)")
                if request.method == "POST" {
                    seen.registered = String(decoding: request.body, as: UTF8.self)
                    return ServedAnswer(200, text: "{\"id\":9}")
                }
                if seen.isAway { return ServedAnswer(503, text: "{}") }
                return request.path == "/schemas/ids/5"
                    ? ServedAnswer(200, text: "{\"schema\":\"\(Self.schema)\"}")
                    : ServedAnswer(404, text: "{}")
            }
        }
        defer { server.stop() }
        let registry = "{ url: \"http://127.0.0.1:\(server.port)\" }"
        let text = """
            topology: avro
            sources:
              orders:
                kafka: { topic: \(input) }
                format: { type: avro, registry: \(registry) }
                time: { field: at, out_of_order: 1d }
                schema: { id: text, at: timestamp, trace: { type: text?, record: header.trace } }
            steps: { rows: { from: orders } }
            sinks: { out: { kafka: { topic: \(output), format: { type: avro, registry: \(registry) } }, from: rows } }
            """
        let (spec, diagnostics) = TopologyReader.read(text, file: "t.yaml")
        let group = "avro-\(UInt32.random(in: 0...UInt32.max))"
        let feeder = try KafkaFeeder(cluster.settings(group: ""))
        let target = try feeder.topic(input)
        func send(_ id: UInt8, _ number: UInt8) throws {
            // A text of two letters, and a time of one byte.
            let record: [UInt8] = [0, 0, 0, 0, id, 4, 0x61, 0x30 + number, 2]
            try record.withUnsafeBufferPointer { try feeder.send(to: target, key: nil, value: $0) }
        }
        for number in UInt8(0)..<5 { try send(5, number) }
        try send(6, 0)
        try feeder.flush()
        let run = WorkerRun(
            try #require(spec, "\(diagnostics)"), Worker.Options(kafka: cluster.settings(group: group)))
        #expect(
            WorkerTests.wait(seconds: 60) { seen.withLock { $0.asked.count { $0.hasPrefix("GET") } >= 3 } })
        #expect(run.processed == 0)
        seen.withLock { $0.isAway = false }
        #expect(run.finish(after: 6) == nil)
        var rows: [[UInt8]] = []
        try KafkaReader(cluster.settings(group: ""), topic: output).readToEnd { record in
            rows.append(record.value.map { Array($0) } ?? [])
        }
        // The sink's frame, and a union's branch before each value.
        #expect(rows == (UInt8(0)..<5).map { [0, 0, 0, 0, 9, 2, 4, 0x61, 0x30 + $0, 2, 2, 0] })
        #expect(seen.withLock { $0.registered.contains("millrace.avro") })
        #expect(seen.withLock { $0.asked.contains("POST /subjects/\(output)-value/versions") })
        var dead: [String] = []
        try KafkaReader(cluster.settings(group: ""), topic: "avro-dead-letter").readToEnd { record in
            dead.append(record.headers.first { $0.name == "__streams.errors.exception" }?.value ?? "")
        }
        #expect(dead.suffix(1) == ["millrace.UnknownSchema"])
    }
}
