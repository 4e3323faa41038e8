import Base
import Connectors
import Engine
import Foundation
import Topology

/// Two workers of two lanes each on 8 partitions, fed at a pace while things happen to them, and what came
/// of it. One thread does all: `pump` feeds what is due and starts again what has ended.
final class CrashRun {
    enum Guarantee: String {
        case atLeastOnce = "at-least-once"
        case exactlyOnce = "exactly-once"
    }

    struct Options {
        var seed: UInt64
        var orders: Int
        var guarantee = Guarantee.exactlyOnce
        var ordersPerSecond = 4000
        /// A fault that the workers plant in themselves.
        var plant: String?
    }

    struct Names {
        var topology: String
        var orders: String
        var alerts: String
        var results: String
    }

    let options: Options
    let names: Names
    let stream: CrashStream
    let settings: KafkaSettings
    let workers: [WorkerProcess]
    let spec: TopologySpec
    let folder: String
    private let redis: PrivateRedis?
    private let progress: CrashProgress
    private let feeder: KafkaFeeder
    private let target: KafkaFeeder.Topic
    /// Orders of the stream that were sent, and up to which they may be.
    private(set) var sent = 0
    private var allowed = 0
    private var sendsFrom = 0
    private var sendsSince = Date()
    /// Where each worker that may not come back yet is kept away until.
    private var away: [Date]
    private var killPoints: [String?]
    /// What a supervisor would have seen: workers that ended by themselves.
    private(set) var refusals: [String] = []
    private(set) var faults: [String] = []
    private(set) var kills = 0
    private(set) var pointsHit: [String] = []
    /// What was compared, in words.
    private(set) var compared = ""
    private var storesCompared = 0

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
    private static let refusalsMax = 8

    init(_ cluster: KafkaCluster, _ options: Options) throws {
        self.options = options
        let id = UInt32.random(in: 0...UInt32.max)
        let appended = ["message.timestamp.type": "LogAppendTime"]
        let partitions = Int(CrashStream.partitions)
        names = Names(
            topology: "crash-\(id)",
            orders: try cluster.makeTopic("orders", partitions: partitions, appended),
            alerts: try cluster.makeTopic("risk-alerts", partitions: partitions, appended),
            results: try cluster.makeTopic("hourly", partitions: partitions))
        settings = cluster.settings(group: "")
        stream = CrashStream(seed: options.seed, orders: options.orders)
        folder = NSTemporaryDirectory() + "/millrace-crash-\(id)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let file = Self.root.path + "/Tests/IntegrationTests/Crash/topology.yaml"
        let text = try String(contentsOfFile: file, encoding: .utf8)
            .replacingOccurrences(of: "topology: crash-suite", with: "topology: \(names.topology)")
            .replacingOccurrences(
                of: "guarantee: at-least-once", with: "guarantee: \(options.guarantee.rawValue)")
        let topology = folder + "/topology.yaml"
        try text.write(toFile: topology, atomically: true, encoding: .utf8)
        let parameters = ["topic": names.orders, "alerts": names.alerts, "results": names.results]
        var problems: [String] = []
        let spec = try TopologyFile.read(topology, parameters: parameters) { problems.append("\($0)") }
        guard let spec else { throw Fault(.defect, problems.joined(separator: "\n")) }
        self.spec = spec
        redis = try PrivateRedis.start()
        let setup = WorkerProcess.Setup(
            topology: topology, folder: folder, bootstrapServers: cluster.bootstrapServers,
            parameters: parameters, redis: redis.map { "unix:\($0.address)" },
            plant: options.plant)
        workers = ["a", "b"].map { WorkerProcess($0, setup) }
        away = workers.map { _ in .distantPast }
        killPoints = workers.map { _ in nil }
        progress = CrashProgress(settings, alerts: names.alerts)
        feeder = try KafkaFeeder(settings)
        target = try feeder.topic(names.orders)
    }

    /// Ends what it started and removes its folder, unless `MILLRACE_CRASH_KEEP` is set.
    func close() {
        for worker in workers { worker.kill() }
        redis?.stop()
        guard getenv("MILLRACE_CRASH_KEEP") == nil else { return print("crash suite: \(folder) is kept") }
        try? FileManager.default.removeItem(atPath: folder)
    }

    // MARK: Workers

    func start() throws { for worker in workers { try worker.start() } }

    /// Both workers have partitions.
    func waitUntilReady(seconds: Double = 60) throws {
        try pump(seconds: seconds, "the workers to be ready") { workers.allSatisfy(\.isReady) }
    }

    /// `kill -9`; it comes back at once, or after `awaySeconds`, with a point at which it kills itself,
    /// without what it kept on disk where `losesDisk`.
    func kill(_ number: Int, awaySeconds: Double = 0, losesDisk: Bool = false, then point: String? = nil) {
        workers[number].kill()
        kills += 1
        if losesDisk { try? FileManager.default.removeItem(atPath: workers[number].state) }
        away[number] = Date().addingTimeInterval(awaySeconds)
        killPoints[number] = point
    }

    /// SIGTERM; started again by the next `pump`.
    func restart(_ number: Int) throws {
        try stop(number)
        away[number] = .distantPast
    }

    private func stop(_ number: Int) throws {
        away[number] = .distantFuture
        let ending = workers[number].terminate(seconds: 30)
        guard ending != .exit(0) else { return }
        let words = workers[number].lastWords
        faults.append(
            CrashComparison.short(
                "worker \(workers[number].name) ended with \(ending?.description ?? "nothing") at SIGTERM: \(words)"
            ))
        workers[number].kill()
    }

    /// What a supervisor does. A worker that gave up may come again, a few times.
    private func supervise() throws {
        for (number, worker) in workers.enumerated() {
            guard worker.poll(), Date() >= away[number] else { continue }
            if let ending = worker.ending, ending != .signal(SIGKILL), ending != .exit(0) {
                let line = CrashComparison.short(
                    "worker \(worker.name) ended with \(ending): \(worker.lastWords)")
                // To give up with a message is allowed; to crash is not.
                if case .signal = ending { faults.append(line) } else { refusals.append(line) }
                guard refusals.count + faults.count < Self.refusalsMax else {
                    throw fault("workers do not go on: \(line)")
                }
            } else if worker.ending == .signal(SIGKILL), worker.startedWith != nil, !worker.wasKilled {
                kills += 1
                pointsHit.append(worker.startedWith ?? "")
            }
            try worker.start(killAt: killPoints[number])
            killPoints[number] = nil
        }
    }

    // MARK: Feeding

    /// Lets orders be sent up to this share of the stream.
    func allow(_ share: Double) {
        sendsFrom = sent
        sendsSince = Date()
        allowed = min(stream.orders.count, Int(Double(stream.orders.count) * share))
    }

    /// Feeds and supervises until `condition`; throws where that takes longer.
    func pump(seconds: Double, _ what: String, until condition: () throws -> Bool) throws {
        guard try pumps(seconds: seconds, until: condition) else {
            let words = workers.map { "\($0.name): \($0.lastWords)" }.joined(separator: "; ")
            throw fault("waited \(seconds) s for \(what); \(words)")
        }
    }

    private func fault(_ text: String) -> Fault {
        Fault(.external, CrashComparison.short("seed \(options.seed), \(kills) kills: \(text)"))
    }

    /// Feeds and supervises for a while, or until `condition`: then true.
    @discardableResult
    func pumps(seconds: Double, until condition: () throws -> Bool = { false }) throws -> Bool {
        let deadline = Date().addingTimeInterval(seconds)
        while true {
            try supervise()
            try feed()
            if try condition() { return true }
            if Date() > deadline { return false }
            try progress.watch(milliseconds: 10)
        }
    }

    /// Share of the stream that was processed, as far as alerts tell.
    var processed: Double { Double(progress.orders) / Double(stream.orders.count) }

    private func feed() throws {
        let due = sendsFrom + Int(Date().timeIntervalSince(sendsSince) * Double(options.ordersPerSecond))
        while sent < min(due, allowed) {
            try send(stream.orders[sent])
            sent += 1
        }
        feeder.poll()
    }

    private func send(_ order: CrashStream.Order) throws {
        try feeder.send(to: target, key: order.merchantName, value: order.text, partition: order.partition)
    }

    func feedTheRest() throws {
        allow(1)
        try pump(seconds: 600, "the stream to be fed") { sent == stream.orders.count }
        try feeder.flush()
    }

    /// Sends a large order to each partition and waits for their alerts: everything before is processed then.
    private func mark(_ orders: [CrashStream.Order], seconds: Double) throws {
        for order in orders { try send(order) }
        try feeder.flush()
        let wanted = Set(orders.map(\.merchantName))
        try pump(seconds: seconds, "alerts of \(orders[0].id) and others") {
            wanted.isSubset(of: progress.merchants)
        }
    }

    // MARK: The end

    /// Lets the workers process everything, stops them and compares. Empty: 0 lost, 0 twice, 0 wrong.
    func finish(seconds: Double = 300) throws -> [String] {
        try feedTheRest()
        let settled = CrashStream.markers(after: stream, aheadMilliseconds: 0, number: 0)
        try mark(settled, seconds: seconds)
        var differences = try aggregateDifferences(settled)
        // Those that were kept away come back before the end.
        try waitUntilReady()
        // All windows close.
        let end = CrashStream.markers(after: stream, aheadMilliseconds: 4 * 86_400_000, number: 1)
        try mark(end, seconds: seconds)
        for number in workers.indices { try stop(number) }
        let (_, texts) = try topic(markers: settled + end)
        let expected = try CrashComparison.replay(spec, texts, folder: folder)
        compared = "\(expected.description), \(storesCompared) aggregates in stores and Redis"
        if let missing = expected.missing { throw Fault(.defect, "the stream brings no \(missing)") }
        let live = try CrashComparison.live(settings, names)
        differences = faults + differences + CrashComparison.differences(expected: expected, live: live)
        // For whoever looks at a run that was kept.
        for (name, lines) in [
            ("differences", differences), ("expected", expected.lines), ("live", live.lines),
        ] {
            try lines.joined(separator: "\n").write(
                toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
        }
        return differences
    }

    /// Aggregates in the stores and in Redis, which is written after a commit and so has a while to become
    /// right.
    private func aggregateDifferences(_ markers: [CrashStream.Order]) throws -> [String] {
        let expected = try CrashOracle.hashes(try topic(markers: markers).orders)
        var group = settings
        group.group = names.topology
        let stores = try StateInspector(spec, group)
        let inStores = CrashOracle.differences(expected, stores)
        storesCompared = expected.values.reduce(0) { $0 + $1.count }
        guard let redis else { return inStores }
        var differences: [String] = []
        _ = try pumps(seconds: 10) {
            differences = try CrashOracle.differences(expected, redis.address)
            return differences.isEmpty
        }
        return inStores + differences
    }

    /// What stands in the orders topic, which is the truth for both sides, by partition.
    private func topic(markers: [CrashStream.Order]) throws -> (
        orders: [[CrashStream.Order]], texts: [[String]]
    ) {
        var known: [String: CrashStream.Order] = [:]
        for order in stream.orders + markers { known[order.text] = order }
        var orders = [[CrashStream.Order]](repeating: [], count: Int(CrashStream.partitions))
        var texts = [[String]](repeating: [], count: Int(CrashStream.partitions))
        for (record, _) in try readAll(settings, names.orders) {
            let text = record.value ?? ""
            guard let order = known[text], texts[Int(record.partition)].count == Int(record.offset) else {
                throw Fault(.defect, "the topic holds what was not sent: \(text.prefix(200))")
            }
            orders[Int(record.partition)].append(order)
            texts[Int(record.partition)].append(text)
        }
        return (orders, texts)
    }

    static func wait(seconds: Double, until condition: () -> Bool) -> Bool {
        let deadline = Date().addingTimeInterval(seconds)
        while !condition() {
            if Date() > deadline { return false }
            usleep(10_000)
        }
        return true
    }
}
