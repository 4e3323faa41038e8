import Base
import Foundation
import Testing

/// A real HBase and its REST gateway, in a folder of their own; wiped at the end. One at a time on a machine.
final class HBaseServer {
    let url: String
    private let script: String
    private let environment: [String: String]
    private let folder: String

    /// The folder with the `hbase` script: `MILLRACE_HBASE_HOME`, or `../shared/hbase` beside the package.
    static let home: String? = {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let places = [
            ProcessInfo.processInfo.environment["MILLRACE_HBASE_HOME"], root.path + "/shared/hbase",
        ]
        return places.compactMap { $0 }.first { access($0 + "/hbase", X_OK) == 0 }
    }()

    static let isAvailable = home != nil
    static let missing: Comment =
        "skipped: no HBase: MILLRACE_HBASE_HOME is not set and ../shared/hbase is not there"

    init() throws {
        script = (Self.home ?? "") + "/hbase"
        folder = NSTemporaryDirectory() + "/millrace-hbase-\(getpid())"
        var environment = ProcessInfo.processInfo.environment
        environment["HBASE_DIR"] = folder
        environment["HBASE_REST_PORT"] = "\(Int.random(in: 20_000..<32_000))"
        self.environment = environment
        url = "http://127.0.0.1:\(environment["HBASE_REST_PORT"] ?? "")"
        try up()
    }

    deinit { _ = try? run("wipe") }

    /// Starts what does not run, and waits until it answers.
    func up() throws { try #require(try run("up") == 0) }

    /// The gateway ends at once; HBase stays.
    func killGateway() throws {
        let text = try String(contentsOfFile: folder + "/rest.pid", encoding: .utf8)
        let process = try #require(pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)))
        kill(process, SIGKILL)
        while kill(process, 0) == 0,
            try !String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8).contains("State:\tZ")
        {
            usleep(10_000)
        }
    }

    private func run(_ word: String) throws -> Int32 {
        try KafkaCluster.spawn([script, word], environment, from: "/dev/null", to: "/dev/null")
    }
}
