import Base
import Connectors
import Engine
import Foundation
import Http
import Outlets
import Testing
import Topology

/// Rows of a worker in a real HBase.
@Suite(
    .serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing),
    .enabled(if: HBaseServer.isAvailable, HBaseServer.missing))
struct HBaseWorkerTests {
    private func text(_ url: String, _ topic: String) -> String {
        """
        topology: hb-\(topic)
        latency: 10s
        sources:
          moves:
            kafka: { topic: \(topic) }
            key: account
            time: { field: event_time, out_of_order: 2s, idle: 500ms }
            schema: { id: "text?", account: text, amount: decimal(2), note: "text?", event_time: timestamp }
        steps:
          all: { from: moves }
        sinks:
          rows:
            from: all
            hbase: { url: ["http://127.0.0.1:1", "\(url)"], table: flow, key: "{salt:8}{account}|{event_time:reversed}|{id}" }
        """
    }

    private func figure(_ worker: Worker, _ name: String) -> Int {
        worker.metricsText().split(separator: "\n").first { $0.hasPrefix("\(name){sink=\"rows\"}") }
            .flatMap { Int($0.split(separator: " ")[1]) } ?? -1
    }

    /// Goal: every record is a row, once, with its own time, though the gateway is killed in between and a
    /// second worker goes on where the first one ended; what no row can be made of is a dead letter; and no
    /// record waits for HBase.
    @Test func everyRecordIsARowWhateverIsKilled() throws {
        let cluster = try KafkaCluster.shared()
        let hbase = try HBaseServer()
        let http = try HttpClient(timeoutMilliseconds: 60_000)
        let schema = Array(#"{"name":"flow","ColumnSchema":[{"name":"f"}]}"#.utf8)
        #expect(
            try http.send(
                HttpRequest(
                    "PUT", hbase.url + "/flow/schema", headers: ["Content-Type: application/json"],
                    body: schema)
            ).status == 201)
        let topic = try cluster.makeTopic("moves", partitions: 2)
        let (spec, diagnostics) = TopologyReader.read(text(hbase.url, topic), file: "t.yaml")
        var options = Worker.Options(kafka: cluster.settings(group: "hb-\(topic)"))
        options.lanes = 1
        options.metricsPort = 0
        let run = WorkerRun(try #require(spec, "\(diagnostics)"), options)
        #expect(WorkerTests.wait(seconds: 120) { run.worker.isReady || run.hasEnded })
        let feeder = try KafkaFeeder(cluster.settings(group: ""))
        let target = try feeder.topic(topic)
        var sums: [String: (count: Int, cents: Int)] = [:]
        func send(_ range: Range<Int>) throws {
            for index in range {
                let account = "A-\(index % 20)\(index % 20 == 7 ? "|ü" : "")"
                let json =
                    #"{"id":"m\#(index)","account":"\#(account)","amount":"\#(index).07","event_time":"\#(1_767_571_200_000 + index * 1000)"}"#
                try feeder.send(to: target, key: account, value: json)
                sums[account, default: (0, 0)].count += 1
                sums[account, default: (0, 0)].cents += index * 100 + 7
            }
            try feeder.flush()
        }
        try send(0..<6000)
        #expect(
            WorkerTests.wait(seconds: 60) {
                figure(run.worker, "millrace_outlet_delivered_total") >= 1000 || run.hasEnded
            })
        try hbase.killGateway()
        try send(6000..<12_000)
        try feeder.send(
            to: target, key: "A-1", value: #"{"account":"A-1","amount":1,"event_time":1767571200000}"#)
        try feeder.flush()
        #expect(WorkerTests.wait(seconds: 60) { run.processed == 12_001 || run.hasEnded })
        #expect(
            WorkerTests.wait(seconds: 60) { figure(run.worker, "millrace_outlet_away") == 1 || run.hasEnded })
        #expect(figure(run.worker, "millrace_outlet_lag_records") > 0)
        #expect(run.worker.isReady)
        // A second worker puts the rest.
        #expect(run.stop() == nil)
        let next = WorkerRun(try #require(spec), options)
        try hbase.up()
        try send(12_000..<14_000)
        #expect(
            WorkerTests.wait(seconds: 120) {
                next.hasEnded
                    || next.processed == 2000 && figure(next.worker, "millrace_outlet_lag_records") == 0
                        && figure(next.worker, "millrace_outlet_away") == 0
            })
        #expect(figure(next.worker, "millrace_outlet_lost_total") == 0)
        let part = try #require(spec?.sinks[0].target as? HBaseSinkPart)
        let flow = try FlowReader(part.table, key: part.row.key)
        for (account, sum) in sums {
            let (rows, isWhole) = try flow.rows(of: account, from: nil, to: nil, limit: 100_000)
            let cents = rows.reduce(0) { sum, row in
                sum
                    + (Int(row.cells.first { $0.name == "amount" }?.value.replacing(".", with: "") ?? "")
                        ?? -1)
            }
            #expect(
                isWhole && rows.count == sum.count && cents == sum.cents,
                "\(account): \(rows.count) of \(sum.count)")
            #expect(rows.map(\.time) == rows.map(\.time).sorted())
        }
        let some = try flow.rows(
            of: "A-7|ü", from: 1_767_571_200_000 + 7_000, to: 1_767_571_200_000 + 47_000, limit: 10)
        #expect(some.rows.map(\.time) == [1_767_571_207_000, 1_767_571_227_000])
        let cut = try flow.rows(of: "A-3", from: nil, to: nil, limit: 5)
        #expect(!cut.isWhole && cut.rows.last?.time == 1_767_571_200_000 + 13_983_000)
        var letters: [String] = []
        try KafkaReader(cluster.settings(group: ""), topic: "hb-\(topic)-dead-letter").readToEnd { record in
            letters.append(record.headers.first { $0.name == "__streams.errors.message" }?.value ?? "")
        }
        #expect(Set(letters) == ["field 'id' of the row key is null or empty"])
        #expect(next.stop() == nil)
    }
}
