import Base
import Connectors
import Foundation
import Glibc
import Testing

/// A topic of alerts of its own, and `millrace notify` as a process that is killed and started again.
final class NotifierRig {
    let cluster: KafkaCluster
    let program: Program
    let topic: String
    let config: String
    private var process: Process?
    private(set) var starts = 0

    init(config text: String, environment: [String: String] = [:]) throws {
        cluster = try KafkaCluster.shared()
        program = try Program()
        topic = try cluster.makeTopic("told", partitions: 4)
        config = try program.write("notify.yaml", text)
    }

    deinit { kill() }

    var log: String { (1...max(1, starts)).compactMap { program.read("log-\($0)") }.joined() }

    func start() throws {
        starts += 1
        let process = Process()
        process.executableURL = URL(fileURLWithPath: WorkerProcess.program)
        process.arguments = [
            "notify", "--bootstrap-server", cluster.bootstrapServers, "--config", config, "--topic", topic,
        ]
        process.currentDirectoryURL = URL(fileURLWithPath: program.folder)
        let path = try program.write("log-\(starts)", "")
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle(forWritingAtPath: path)
        process.standardInput = FileHandle.nullDevice
        try process.run()
        self.process = process
    }

    /// `kill -9`.
    func kill() {
        guard let process else { return }
        self.process = nil
        Glibc.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// SIGTERM; the exit code.
    func end() -> Int32 {
        guard let process else { return -1 }
        self.process = nil
        process.terminate()
        process.waitUntilExit()
        return process.terminationStatus
    }

    var isRunning: Bool { process?.isRunning ?? false }

    /// Runs another of its commands.
    func call(_ words: String...) throws -> Program.Result {
        try program.run(
            WorkerProcess.program,
            ["notify"] + words + ["--bootstrap-server", cluster.bootstrapServers, "--group", topic])
    }

    func feed(_ alerts: [String: (severity: String, customer: String)]) throws {
        let feeder = try KafkaFeeder(cluster.settings(group: ""))
        let target = try feeder.topic(topic)
        for (id, alert) in alerts.sorted(by: { $0.key < $1.key }) {
            try feeder.send(
                to: target, key: alert.customer, value: Self.alert(id, alert.severity, alert.customer))
        }
        try feeder.flush()
    }

    static func alert(_ id: String, _ severity: String, _ customer: String) -> String {
        "{\"alert_id\":\"\(id)\",\"topology\":\"t\",\"rule\":\"volume-spike\",\"risk\":\"虚假交易\",\"severity\":\"\(severity)\",\"state\":\"raised\","
            + "\"revision\":1,\"customer\":\"\(customer)\",\"event_time\":\"2026-11-28T00:00:00Z\",\"measure\":\"冻结额度并追加担保\","
            + "\"message\":\"五分钟内成交 51,200.00 元，平常 4,100.00 元\"}"
    }

    /// Values of a topic, committed ones.
    func values(_ suffix: String) throws -> [String] {
        var values: [String] = []
        try KafkaReader(cluster.settings(group: ""), topic: "\(topic)-\(suffix)").readToEnd {
            if let value = $0.valueText { values.append(value) }
        }
        return values
    }
}
