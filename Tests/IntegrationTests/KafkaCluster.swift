import Base
import Connectors
import Foundation
import Testing

/// A real Kafka broker for this run of the tests, on a port and in a directory of its own; started at first
/// use and wiped when the process ends.
final class KafkaCluster: @unchecked Sendable {
    let bootstrapServers: String
    private let script: String
    private let environment: [String: String]

    /// The folder with the `kafka` script: `MILLRACE_KAFKA_HOME`, or `../shared/kafka` beside the package.
    static let home: String? = {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let places = [
            ProcessInfo.processInfo.environment["MILLRACE_KAFKA_HOME"], root.path + "/shared/kafka",
        ]
        return places.compactMap { $0 }.first { access($0 + "/kafka", X_OK) == 0 }
    }()

    static let isAvailable = home != nil
    static let missing: Comment =
        "skipped: no Kafka: MILLRACE_KAFKA_HOME is not set and ../shared/kafka is not there"

    private static let started = Result { try KafkaCluster() }

    static func shared() throws -> KafkaCluster { try started.get() }

    /// A cluster of its own for one test, with so many brokers; `wipe` ends it.
    static func own(brokers: Int) throws -> KafkaCluster { try KafkaCluster(brokers: brokers) }

    private init(brokers: Int = 1) throws {
        guard let home = Self.home else { throw Fault(.external, "no Kafka") }
        script = home + "/kafka"
        let port = Self.freePort(brokers: brokers)
        let directory = NSTemporaryDirectory() + "/millrace-kafka-\(getpid())-\(port)"
        var environment = ProcessInfo.processInfo.environment
        environment["KAFKA_DIR"] = directory
        environment["KAFKA_PORT"] = "\(port)"
        // Several brokers share the memory and the cores of a small machine: one that starts must not take
        // the others' time for compiling itself.
        if brokers > 1 {
            environment["KAFKA_HEAP"] = "384m"
            environment["JAVA_TOOL_OPTIONS"] = "-XX:TieredStopAtLevel=1"
            // Kafka takes a broker for dead after nine seconds unless it is told otherwise, and until then
            // nobody can read or write its partitions.
            let properties = NSTemporaryDirectory() + "/millrace-kafka-\(getpid())-\(port).properties"
            try "broker.session.timeout.ms=4000\nbroker.heartbeat.interval.ms=500\n"
                .write(toFile: properties, atomically: true, encoding: .utf8)
            environment["KAFKA_PROPS"] = properties
        }
        self.environment = environment
        bootstrapServers = try Self.run(script, ["up", "\(brokers)"], environment, input: "")
            .trimmingCharacters(in: .whitespacesAndNewlines)
        atexit {
            guard let cluster = try? KafkaCluster.started.get() else { return }
            cluster.wipe()
        }
    }

    /// Stops it and removes its data.
    func wipe() {
        _ = try? run(["wipe"])
        if let properties = environment["KAFKA_PROPS"] { unlink(properties) }
    }

    /// Runs the script and returns what it printed.
    @discardableResult
    func run(_ arguments: [String], input: String = "") throws -> String {
        try Self.run(script, arguments, environment, input: input)
    }

    func settings(group: String, instanceId: String? = nil) -> KafkaSettings {
        KafkaSettings(bootstrapServers: bootstrapServers, group: group, instanceId: instanceId)
    }

    /// A topic that no other test uses.
    func makeTopic(_ name: String, partitions: Int, _ configuration: [String: String] = [:]) throws -> String
    {
        let topic = "\(name)-\(UInt32.random(in: 0...UInt32.max))"
        let plan = KafkaTopicPlan(name: topic, partitions: partitions, configuration: configuration)
        try KafkaAdmin(settings(group: "admin")).create([plan])
        return topic
    }

    private static func run(
        _ script: String,
        _ arguments: [String],
        _ environment: [String: String],
        input: String
    ) throws -> String {
        let base = NSTemporaryDirectory() + "/millrace-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        defer {
            unlink(base + ".in")
            unlink(base + ".out")
        }
        try input.write(toFile: base + ".in", atomically: true, encoding: .utf8)
        let status = try spawn([script] + arguments, environment, from: base + ".in", to: base + ".out")
        let text = (try? String(contentsOfFile: base + ".out", encoding: .utf8)) ?? ""
        guard status == 0 else {
            throw Fault(.external, "kafka \(arguments) ended with \(status): \(text)")
        }
        return text
    }

    /// Runs a program to its end. (Foundation's Process would wait for the broker that the script leaves
    /// behind as well, as would pipes.)
    static func spawn(
        _ words: [String],
        _ environment: [String: String],
        from input: String,
        to output: String
    ) throws -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for file in Int32(3)..<256 { posix_spawn_file_actions_addclose(&actions, file) }
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        var arguments = words.map { strdup($0) } + [nil]
        var variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in arguments + variables { free(text) } }
        var process: pid_t = 0
        let code = posix_spawn(&process, words[0], &actions, nil, &arguments, &variables)
        guard code == 0 else { throw Fault(.external, "\(words[0]): \(String(cString: strerror(code)))") }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        return status
    }

    /// A port that is free, with the one above it, and those of the other brokers.
    static func freePort(brokers: Int) -> Int {
        for _ in 0..<100 {
            let port = Int.random(in: 20_000..<32_000)
            let ports = (0..<brokers).flatMap { [port + 10 * $0, port + 10 * $0 + 1] }
            if ports.allSatisfy(isFree) { return port }
        }
        return 19_192
    }

    private static func isFree(_ port: Int) -> Bool {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { Glibc.close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        } == 0
    }
}
