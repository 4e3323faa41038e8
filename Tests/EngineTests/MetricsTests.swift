import Base
import Dataflow
import Foundation
import Testing
import Topology

@testable import Engine

/// Goal: what Prometheus and a supervisor read is there. Method: a plain socket.
@Suite struct MetricsTests {
    /// The status line and the body of one request.
    static func request(_ method: String, _ path: String, port: UInt16) throws -> (
        status: String, body: String
    ) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        inet_pton(AF_INET, "127.0.0.1", &address.sin_addr)
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        try #require(isConnected)
        let text = Array("\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8)
        try #require(send(descriptor, text, text.count, 0) == text.count)
        var response: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count <= 0 { break }
            response += chunk[..<count]
        }
        let parts = String(decoding: response, as: UTF8.self).components(separatedBy: "\r\n\r\n")
        return (parts[0].components(separatedBy: "\r\n")[0], parts.dropFirst().joined(separator: "\r\n\r\n"))
    }

    @Test func pagesAnswer() throws {
        let server = try MetricsServer(
            port: 0,
            pages: MetricsServer.Pages(
                metrics: { "a_metric 1\n" }, isHealthy: { true }, unreadiness: { "lane 0 waits" }))
        #expect(server.port != 0)
        #expect(try Self.request("GET", "/metrics", port: server.port) == ("HTTP/1.1 200 OK", "a_metric 1\n"))
        #expect(try Self.request("GET", "/health", port: server.port).status == "HTTP/1.1 200 OK")
        #expect(
            try Self.request("GET", "/ready", port: server.port).status == "HTTP/1.1 503 Service Unavailable")
        #expect(try Self.request("GET", "/nothing", port: server.port).status == "HTTP/1.1 404 Not Found")
        #expect(
            try Self.request("DELETE", "/metrics", port: server.port).status
                == "HTTP/1.1 405 Method Not Allowed")
        #expect(try Self.request("HEAD", "/metrics", port: server.port).body == "")
        #expect(throws: Fault.self) {
            try MetricsServer(
                port: server.port,
                pages: MetricsServer.Pages(metrics: { "" }, isHealthy: { true }, unreadiness: { nil }))
        }
    }

    /// Goal: counters go on when a lane begins again, and what it had rolled back is not in them.
    @Test func countersOutliveLanes() {
        func status(_ records: Int64, dead: Int64 = 0) -> LaneStatus {
            var status = LaneStatus()
            status.records = records
            status.commits = records / 10
            status.dead = dead == 0 ? [:] : ["WrongType": dead]
            status.alertSeconds.record(seconds: 0.1)
            status.isReady = true
            return status
        }
        let board = StatusBoard()
        board.publish(status(10), lane: 0)
        board.publish(status(40, dead: 3), lane: 0)
        board.publish(status(5), lane: 1)
        board.lose(lane: 0)
        #expect(board.lane(0)?.isReady == false && board.lane(0)?.records == 40)
        // It fails before it has counted anything, twice.
        board.lose(lane: 0)
        board.lose(lane: 0)
        #expect(board.lane(0)?.records == 40)
        board.publish(status(0), lane: 0)
        #expect(board.lane(0)?.records == 40 && board.lane(0)?.isReady == true)
        board.publish(status(30, dead: 1), lane: 0)
        let last = board.lane(0)
        #expect(
            last?.records == 70 && last?.commits == 7 && last?.dead == ["WrongType": 4]
                && last?.alertSeconds.count == 2)
        board.lose(lane: 0)
        board.publish(status(1), lane: 0)
        #expect(board.lane(0)?.records == 71 && board.lane(1)?.records == 5)
    }

    @Test func textNamesWhoHoldsTimeBack() throws {
        var status = LaneStatus()
        status.records = 7
        status.dead = ["WrongType": 2]
        status.limits = [LimitHits.Place(.rowsPerKey, "pair"): 5]
        for partition in Int32(0)..<3 {
            var entry = LaneStatus.Partition(source: 0, partition: partition)
            entry.watermark = 5000 - Int64(partition) * 1000
            entry.lagRecords = 10
            status.partitions.append(entry)
        }
        status.alertSeconds.record(seconds: 0.004)
        status.alertSeconds.record(seconds: 4)
        let spec = try ReplayTests.spec("marketplace")
        let text = MetricsText.render(
            spec, lanes: [status, LaneStatus()], sinks: [], isReady: true, now: 9000)
        for line in [
            "millrace_ready 1", "millrace_records_in_total 7",
            "millrace_dead_letters_total{reason=\"WrongType\"} 2",
            "millrace_watermark_holder{source=\"orders\",partition=\"2\"} 1",
            "millrace_watermark_seconds{source=\"orders\",partition=\"1\"} 4.000",
            "millrace_consumer_lag_seconds{source=\"orders\",partition=\"0\"} 4.000",
            "millrace_alert_latency_seconds_bucket{le=\"0.005\"} 1",
            "millrace_alert_latency_seconds_bucket{le=\"5.0\"} 2",
            "millrace_alert_latency_seconds_count 2",
            "millrace_limit_hits_total{limit=\"rows_per_key\",step=\"pair\"} 5",
        ] {
            #expect(text.contains(line + "\n"), "\(line)")
        }
        #expect(status.alertSeconds.quantile(0.5) == 0.004)
        #expect(status.alertSeconds.quantile(1) == 4)
    }

    @Test func figuresOfSinksStandTogether() throws {
        func report(_ written: Int) -> SinkReport {
            SinkReport(
                figures: [
                    .init("millrace_x_state", "gauge", "State.", 0),
                    .init("millrace_x_total", "counter", "Written.", written),
                ],
                limits: [(.redisPending, Int64(written))])
        }
        let text = MetricsText.render(
            try ReplayTests.spec("marketplace"), lanes: [], sinks: [("a", report(1)), ("b", report(2))],
            isReady: true, now: 0)
        #expect(
            text.contains(
                """
                # HELP millrace_x_state State.
                # TYPE millrace_x_state gauge
                millrace_x_state{sink="a"} 0
                millrace_x_state{sink="b"} 0
                # HELP millrace_x_total Written.
                # TYPE millrace_x_total counter
                millrace_x_total{sink="a"} 1
                millrace_x_total{sink="b"} 2

                """))
        #expect(text.contains("millrace_limit_hits_total{limit=\"redis_pending_bytes\",step=\"b\"} 2\n"))
    }

    /// Goal: what was read and waits is not done. Records that wait count as lag, the event time of a step is
    /// that of its slowest task with something to do, and a partition that is read to its end and silent does
    /// not hold it back.
    @Test func lagCountsWhatWaits() throws {
        func partition(_ number: Int32, isCaughtUp: Bool, waiting: Int64, reached: Int64?)
            -> LaneStatus.Partition
        {
            var entry = LaneStatus.Partition(source: 0, partition: number)
            (entry.watermark, entry.lagRecords, entry.isCaughtUp) = (8000, waiting, isCaughtUp)
            (entry.waiting, entry.reached) = (waiting, reached)
            return entry
        }
        func step(_ number: Int32, _ time: Int64, waiting: Int64, isBusy: Bool) -> LaneStatus.Step {
            var step = LaneStatus.Step(name: "flow", partition: number)
            (step.eventTime, step.waiting, step.isBusy) = (time, waiting, isBusy)
            return step
        }
        var status = LaneStatus()
        status.partitions = [
            partition(0, isCaughtUp: true, waiting: 0, reached: nil),
            partition(1, isCaughtUp: true, waiting: 5, reached: 2000),
            partition(2, isCaughtUp: false, waiting: 0, reached: nil),
        ]
        status.steps = [
            step(0, 1000, waiting: 0, isBusy: false), step(1, 2000, waiting: 5, isBusy: true),
            step(2, 8000, waiting: 1, isBusy: true),
        ]
        func lines() throws -> [String] {
            let spec = try ReplayTests.spec("marketplace")
            return MetricsText.render(spec, lanes: [status], sinks: [], isReady: true, now: 9000).components(
                separatedBy: "\n")
        }
        for line in [
            "millrace_consumer_lag_seconds{source=\"orders\",partition=\"0\"} 0.000",
            "millrace_consumer_lag_seconds{source=\"orders\",partition=\"1\"} 7.000",
            "millrace_consumer_lag_seconds{source=\"orders\",partition=\"2\"} 1.000",
            "millrace_consumer_lag_records{source=\"orders\",partition=\"1\"} 5",
            "millrace_step_event_time_seconds{step=\"flow\"} 2.000",
            "millrace_step_waiting_rows{step=\"flow\"} 6",
        ] {
            #expect(try lines().contains(line), "\(line)")
        }
        // All are at their ends.
        for index in status.steps.indices { status.steps[index].isBusy = false }
        #expect(try lines().contains("millrace_step_event_time_seconds{step=\"flow\"} 8.000"))
    }

    @Test func aStepThatStandsStillIsNamed() {
        var status = LaneStatus()
        var step = LaneStatus.Step(name: "flow", partition: 3)
        (step.eventTime, step.waiting, step.awaited) = (0, 12, "partition 1 before 'g-flow-repartition'")
        status.steps = [step]
        var steps = StandingSteps(everyMilliseconds: 10_000, idleMilliseconds: 5000)
        #expect(steps.lines([status], now: 0) == [])
        #expect(steps.lines([status], now: 14_999) == [])
        #expect(
            steps.lines([status], now: 15_000) == [
                "lane 0: step 'flow' of partition 3 stands still at 1970-01-01T00:00:00Z for 15 s: 12 rows wait for partition 1 "
                    + "before 'g-flow-repartition'"
            ])
        #expect(steps.lines([status], now: 24_999) == [])
        #expect(steps.lines([status], now: 25_000).count == 1)
        // It goes on; then nothing waits, however long.
        status.steps[0].eventTime = 1
        #expect(steps.lines([status], now: 50_000) == [])
        status.steps[0].waiting = 0
        #expect(steps.lines([status], now: 90_000) == [])
        status.steps[0].waiting = 1
        #expect(steps.lines([status], now: 200_000) == [])
    }
}
