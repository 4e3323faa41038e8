import Base
import Connectors
import Engine
import Foundation
import Testing

/// `millrace worker`: topologies that are deployed run, each by itself.
@Suite(.serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)) struct SupervisorTests {
    private let cluster: KafkaCluster
    private let program: Program
    private let pool = "pool-\(UInt32.random(in: 0...UInt32.max))"

    init() throws {
        cluster = try KafkaCluster.shared()
        program = try Program()
    }

    private func text(_ name: String, topic: String, limit: Int = 3) -> String {
        """
        topology: \(name)
        sources:
          orders:
            kafka: { topic: \(topic) }
            key: shop
            time: { field: t, out_of_order: 2s }
            schema: { shop: text, t: timestamp }
        steps:
          pace: { from: orders, key: shop, window: { size: 1h }, aggregate: { n: count() } }
        rules:
          many: { on: pace, when: n >= \(limit), risk: r, severity: low }
        sinks:
          alerts: { kafka: { topic: \(name)-alerts } }
        """
    }

    private func deploy(_ words: String) throws -> Program.Result {
        try program.shell("$MILLRACE deploy \(words) --bootstrap-server \(cluster.bootstrapServers)")
    }

    private func feed(_ topic: String, _ count: Int) throws {
        let feeder = try KafkaFeeder(cluster.settings(group: ""))
        let target = try feeder.topic(topic)
        let time = Int64(Date().timeIntervalSince1970 * 1000) / 3_600_000 * 3_600_000
        for _ in 0..<count { try feeder.send(to: target, key: "s", value: "{\"shop\":\"s\",\"t\":\(time)}") }
        try feeder.flush()
    }

    private func alerts(_ topic: String) -> [String] {
        guard
            let reader = try? KafkaReader(
                cluster.settings(group: ""), topic: topic, deadlineMilliseconds: 5000)
        else { return [] }
        var alerts: [String] = []
        while !reader.isAtEnd {
            _ = try? reader.poll(timeoutMilliseconds: 100) { alerts.append($0.valueText ?? "") }
        }
        return alerts
    }

    /// Goal: what is deployed runs, goes on after `kill -9` and under other rules, and ends when it is taken
    /// back; one that cannot run harms no other.
    @Test func deployedTopologiesRun() throws {
        let names = (0..<2).map { "sup-\($0)-\(UInt32.random(in: 0...UInt32.max))" }
        let topics = try names.map { try cluster.makeTopic($0, partitions: 2) }
        for (name, topic) in zip(names, topics) {
            try program.write("\(name).yaml", text(name, topic: topic))
        }
        try program.write("lost.yaml", text("\(names[0])-lost", topic: "no-such-topic"))
        let worker = Process()
        worker.executableURL = URL(fileURLWithPath: WorkerProcess.program)
        worker.arguments = [
            "worker", "--bootstrap-server", cluster.bootstrapServers, "--pool", pool, "--state",
            "\(program.folder)/state",
            "--metrics-port", "0", "--lanes", "1",
        ]
        let log = "\(program.folder)/worker.log"
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        worker.standardError = FileHandle(forWritingAtPath: log) ?? .nullDevice
        try worker.run()
        defer { if worker.isRunning { kill(worker.processIdentifier, SIGKILL) } }
        func said(_ text: String) -> Bool {
            (try? String(contentsOfFile: log, encoding: .utf8))?.contains(text) == true
        }
        #expect(CrashRun.wait(seconds: 60) { said("waits for deployments") })

        let lost = try deploy("lost.yaml --pool \(pool) --timeout 3")
        #expect(lost.code == 1 && lost.errors.contains("stays deployed"), "\(lost)")
        for name in names {
            let result = try deploy("\(name).yaml --pool \(pool) --timeout 60")
            #expect(
                result.code == 0 && result.output.contains("epoch 1")
                    && result.output.contains("2 of 2 tasks"), "\(result)")
        }
        for topic in topics { try feed(topic, 2) }
        let pids = try program.shell("pgrep -f 'run \(program.folder)/state/\(names[0])/topology.yaml'")
            .output
        let pid = try #require(pid_t(pids.split(separator: "\n").first ?? ""))
        kill(pid, SIGKILL)
        #expect(CrashRun.wait(seconds: 60) { said("\(names[0]): it was ended by signal 9") })
        for topic in topics { try feed(topic, 1) }
        for name in names {
            #expect(CrashRun.wait(seconds: 120) { alerts("\(name)-alerts").count == 1 }, "\(name)")
        }

        try program.write("\(names[1]).yaml", text(names[1], topic: topics[1], limit: 4))
        #expect(try deploy("\(names[1]).yaml").code == 0)
        #expect(try deploy("--undeploy \(names[0])").code == 0)
        #expect(CrashRun.wait(seconds: 60) { said("\(names[0]): it is deployed here no more") })
        worker.terminate()
        #expect(CrashRun.wait(seconds: 60) { !worker.isRunning })
        #expect(worker.terminationStatus == 0)
        #expect(try program.shell("pgrep -f \(program.folder)/state").output == "")
    }

    @Test func pagesOfSeveralProcessesBecomeOne() {
        var metrics = GatheredMetrics()
        let page =
            "# HELP a Things.\n# TYPE a counter\na 1\n# HELP b More.\n# TYPE b gauge\nb{x=\"y\"} 2\nb{} 3\n"
        metrics.add(page, topology: "one")
        metrics.add(page, topology: "two")
        let wanted = """
            # HELP a Things.
            # TYPE a counter
            a{topology="one"} 1
            a{topology="two"} 1
            # HELP b More.
            # TYPE b gauge
            b{topology="one",x="y"} 2
            b{topology="one"} 3
            b{topology="two",x="y"} 2
            b{topology="two"} 3

            """
        #expect(metrics.text == wanted)
    }
}
