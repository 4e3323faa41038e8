import Base
import Connectors
import Glibc
import Http
import Synchronization

/// Runs the topologies that are deployed to a pool, each as a process of its own: one that fails is started
/// again and harms no other.
package final class Supervisor: Sendable {
    package struct Options: Sendable {
        package var kafka: KafkaSettings
        package var pool = Deployment.defaultPool
        /// Holds a folder for each topology.
        package var folder: String
        /// Words that each process gets behind `run FILE`.
        package var words: [String] = []
        package var metricsAddress = "127.0.0.1"
        package var metricsPort: UInt16?
        /// How long processes may take to drain; what is left then is killed.
        package var graceMilliseconds: Int64 = 30_000

        package init(kafka: KafkaSettings, folder: String) { (self.kafka, self.folder) = (kafka, folder) }
    }

    private struct Child {
        var deployment: Deployment
        var process: ChildProcess?
        /// Why it does not run, in a person's words.
        var trouble: String?
        /// Monotonic milliseconds.
        var startedAt: Int64 = 0
        var startsAt: Int64 = 0
        var backoff = Supervisor.backoffLeast
        var starts = 0
    }

    private static let backoffLeast: Int64 = 100
    private static let backoffMost: Int64 = 30_000
    /// A process that ran for so long is in good health: the next failure is a first one.
    private static let goodMilliseconds: Int64 = 10_000

    private let options: Options
    private let stopping: StopSignal
    private let children = Mutex<[String: Child]>([:])

    package init(_ options: Options) {
        var options = options
        stopping = StopSignal()
        options.kafka.stop = stopping
        self.options = options
    }

    package func stop() { stopping.set() }

    private static var now: Int64 { monotonicNanoseconds() / 1_000_000 }

    /// Runs until `stop`.
    package func run() throws(Fault) {
        try options.kafka.check()
        let admin = try KafkaAdmin(options.kafka)
        try admin.checkReachable()
        try admin.create([Deployment.topicPlan])
        let server = try serve()
        defer { withExtendedLifetime(server) {} }
        var reader: KafkaReader?
        var known: [String: Deployment] = [:]
        Log.info("worker of pool '\(options.pool)': waits for deployments in topic '\(Deployment.topic)'")
        while !stopping.isSet {
            do throws(Fault) {
                if reader == nil { reader = try KafkaReader(options.kafka, topic: Deployment.topic) }
                try reader?.poll(timeoutMilliseconds: 100) { Deployment.take($0, into: &known) }
            } catch {
                if error == .stopped { break }
                guard error.retry == .withBackoff else { throw error }
                Log.warning(error.detail)
                reader = nil
                known = [:]
                usleep(500_000)
            }
            if reader?.isAtEnd == true { adopt(known) }
            children.withLock { children in
                for (name, child) in children { children[name] = tend(child, name) }
            }
        }
        end()
    }

    // MARK: Deployments

    private func adopt(_ known: [String: Deployment]) {
        let wanted = known.filter { $0.value.isWanted && $0.value.pool == options.pool }
        children.withLock { children in
            for (name, child) in children where wanted[name] == nil {
                Log.info("\(name): it is deployed here no more")
                if let process = child.process {
                    // It does not come back, and others take over at once.
                    process.send(SIGUSR1)
                    if !Self.wait(process, options.graceMilliseconds) { process.send(SIGKILL) }
                    process.drain()
                }
                children[name] = nil
            }
            for (name, deployment) in wanted {
                if children[name] == nil { children[name] = Child(deployment: deployment) }
                guard children[name]?.deployment != deployment else { continue }
                children[name]?.deployment = deployment
                // Another text may be what its trouble is about.
                if children[name]?.process == nil { children[name]?.startsAt = 0 }
            }
        }
    }

    // MARK: Processes

    private func tend(_ former: Child, _ name: String) -> Child {
        var child = former
        if let process = child.process, let code = process.poll() {
            process.drain()
            child.process = nil
            child.trouble =
                code == 0
                ? "it has ended"
                : code > 128 ? "it was ended by signal \(code - 128)" : "it has ended with exit code \(code)"
            if Self.now - child.startedAt >= Self.goodMilliseconds { child.backoff = Self.backoffLeast }
            // What somebody must decide on does not mend itself.
            if code == 2 { child.backoff = Self.backoffMost }
            child.startsAt = Self.now + child.backoff
            Log.warning(
                "\(name): \(child.trouble ?? ""); it starts again in \(Double(child.backoff) / 1000) s")
            child.backoff = min(child.backoff * 2, Self.backoffMost)
        }
        guard child.process == nil, Self.now >= child.startsAt else { return child }
        do throws(Fault) {
            child.process = try start(child.deployment, name)
            child.startedAt = Self.now
            child.starts += 1
            child.trouble = nil
        } catch {
            child.trouble = error.detail
            child.startsAt = Self.now + child.backoff
            child.backoff = min(child.backoff * 2, Self.backoffMost)
            Log.warning("\(name): \(error.detail)")
        }
        return child
    }

    private func start(_ deployment: Deployment, _ name: String) throws(Fault) -> ChildProcess {
        let folder = "\(options.folder)/\(name)"
        for place in [options.folder, folder] {
            guard mkdir(place, 0o700) == 0 || errno == EEXIST else {
                throw Fault(.external, "\(place): \(String(cString: strerror(errno)))")
            }
        }
        let file = "\(folder)/topology.yaml"
        let writer = try FileWriter(path: file)
        try Array(deployment.text.text.utf8).withUnsafeBufferPointer { bytes throws(Fault) in
            try writer.write(bytes)
        }
        try writer.close()
        var words = [
            "run", file, "--bootstrap-server", options.kafka.bootstrapServers, "--state", "\(folder)/state",
        ]
        words += ["--metrics-port", "0"] + options.words
        for (parameter, value) in deployment.text.parameters.sorted(by: { $0.key < $1.key }) {
            words += ["--set", "\(parameter)=\(value)"]
        }
        Log.info("\(name): starts")
        return try ChildProcess(words) { Log.relay("\(name): \($0)") }
    }

    private static func wait(_ process: ChildProcess, _ milliseconds: Int64) -> Bool {
        let deadline = now + milliseconds
        while now < deadline {
            if process.poll() != nil { return true }
            usleep(20_000)
        }
        return false
    }

    private func end() {
        children.withLock { children in
            for child in children.values { child.process?.send(SIGTERM) }
            let deadline = Self.now + options.graceMilliseconds
            for (name, child) in children {
                guard let process = child.process else { continue }
                if !Self.wait(process, max(0, deadline - Self.now)) {
                    Log.warning(
                        "\(name): not drained within \(options.graceMilliseconds / 1000) s, and is killed")
                    process.send(SIGKILL)
                }
                process.drain()
            }
            children = [:]
        }
    }

    // MARK: What it tells the world

    private func serve() throws(Fault) -> MetricsServer? {
        guard let port = options.metricsPort else { return nil }
        let server = try MetricsServer(
            address: options.metricsAddress, port: port,
            pages: MetricsServer.Pages(
                metrics: { [self] in metrics() }, isHealthy: { true }, unreadiness: { [self] in unreadiness })
        )
        Log.info("metrics on http://\(options.metricsAddress):\(server.port)/metrics")
        return server
    }

    private var states: [(name: String, port: UInt16?, trouble: String?, starts: Int)] {
        children.withLock { children in
            children.sorted { $0.key < $1.key }.map {
                ($0.key, $0.value.process?.metricsPort, $0.value.trouble, $0.value.starts)
            }
        }
    }

    private func metrics() -> String {
        var gathered = GatheredMetrics()
        var own =
            "# HELP millrace_topology_running 1 while the process of a deployed topology runs.\n# TYPE millrace_topology_running gauge\n"
        var starts =
            "# HELP millrace_topology_starts_total Starts of the process of a deployed topology.\n"
            + "# TYPE millrace_topology_starts_total counter\n"
        for state in states {
            own += "millrace_topology_running{topology=\"\(state.name)\"} \(state.port == nil ? 0 : 1)\n"
            starts += "millrace_topology_starts_total{topology=\"\(state.name)\"} \(state.starts)\n"
            guard let port = state.port, let page = Self.page(port, "/metrics"), page.status == 200 else {
                continue
            }
            gathered.add(page.body, topology: state.name)
        }
        return own + starts + gathered.text
    }

    /// What a child of this process answers; nil: nothing within two seconds.
    private static func page(_ port: UInt16, _ path: String) -> (status: Int, body: String)? {
        let client = try? HttpClient(timeoutMilliseconds: 2000, responseBytesMax: 16 << 20)
        guard let answer = try? client?.send(HttpRequest("GET", "http://127.0.0.1:\(port)\(path)")) else {
            return nil
        }
        return (answer.status, String(decoding: answer.body, as: UTF8.self))
    }

    /// Why it is not ready; nil: every topology is.
    private var unreadiness: String? {
        for state in states {
            if let trouble = state.trouble { return "\(state.name): \(trouble)" }
            guard let port = state.port, let page = Self.page(port, "/ready") else {
                return "\(state.name): it starts"
            }
            if page.status != 200 { return "\(state.name): \(page.body.split(separator: "\n").first ?? "")" }
        }
        return nil
    }
}
