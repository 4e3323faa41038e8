import Base
import Connectors
import Foundation

/// A topology that runs, alerts of it, and a console with a person of each kind.
final class ConsoleRig: @unchecked Sendable {
    static let password = "a long password"
    static let linkSecret = "a secret of links, 24 bytes or more"

    let group = "console-\(UInt32.random(in: 0...UInt32.max))"
    let program: Program
    let address: String
    private let cluster: KafkaCluster
    private let worker: WorkerProcess
    private var console: Child?
    private var notifier: Child?

    private init(shops: Int) throws {
        cluster = try KafkaCluster.shared()
        program = try Program()
        address = "http://127.0.0.1:\(KafkaCluster.freePort(brokers: 1))"
        try KafkaAdmin(cluster.settings(group: "admin")).create([
            KafkaTopicPlan(name: "\(group)-orders", partitions: 2)
        ])
        try program.write("topology.yaml", Self.text(group))
        try program.write("users.yaml", Self.users)
        try program.write("link", Self.linkSecret + "\n")
        try program.write("notify.yaml", Self.notify)
        try FileManager.default.createDirectory(
            atPath: "\(program.folder)/history/orders", withIntermediateDirectories: true)
        let past = (0..<200).map {
            #"{"shop":"s\#($0 % 9)","amount":"\#(400 + $0 * 7).00","t":\#(1_790_000_000_000 + $0 * 60_000)}"#
        }
        try program.write("history/orders/orders.jsonl", past.joined(separator: "\n") + "\n")
        worker = WorkerProcess(
            "w",
            WorkerProcess.Setup(
                topology: "\(program.folder)/topology.yaml", folder: program.folder,
                bootstrapServers: cluster.bootstrapServers, parameters: [:]))
        atexit { (try? ConsoleRig.started.get())?.stop() }
        try worker.start()
        try startConsole()
        try feed(0..<shops)
    }

    private static let started = Result { try ConsoleRig(shops: 12) }

    /// The one of this run of the tests; ended with it.
    static func shared() throws -> ConsoleRig { try started.get() }

    /// Two records of a shop pass the limit together, so that each shop has one alert.
    func feed(_ shops: Range<Int>) throws {
        let feeder = try KafkaFeeder(cluster.settings(group: ""))
        let target = try feeder.topic("\(group)-orders")
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        for shop in shops {
            for _ in 0..<2 {
                let value = #"{"shop":"s\#(shop)","amount":"1500.00","t":\#(now)}"#
                try feeder.send(to: target, key: "s\(shop)", value: value, partition: Int32(shop % 2))
            }
        }
        try feeder.flush()
    }

    /// Ids of the alerts that were committed, by the shop that each is about.
    func alerts() throws -> [String: String] {
        var found: [String: String] = [:]
        try KafkaReader(cluster.settings(group: ""), topic: "\(group)-alerts").readToEnd { record in
            guard let bytes = record.value,
                let object = try? JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any],
                let id = object["alert_id"] as? String, let shop = object["customer"] as? String
            else { return }
            found[shop] = id
        }
        return found
    }

    private func start(_ words: [String], log name: String) throws -> Child {
        try Child([WorkerProcess.program] + words, log: "\(program.folder)/\(name).log")
    }

    private func startConsole() throws {
        let folder = program.folder
        console = try start(
            [
                "console", "--topology", "\(folder)/topology.yaml", "--bootstrap-server",
                cluster.bootstrapServers, "--port", String(address.split(separator: ":")[2]), "--data",
                "\(folder)/console", "--users", "\(folder)/users.yaml", "--history", "\(folder)/history",
                "--link-secret", "\(folder)/link",
            ], log: "console")
    }

    func startNotifier() throws {
        if notifier != nil { return }
        notifier = try start(
            [
                "notify", "--bootstrap-server", cluster.bootstrapServers, "--config",
                "\(program.folder)/notify.yaml", "--topology", "\(program.folder)/topology.yaml", "--from",
                "latest",
            ], log: "notify")
    }

    /// Until it reads alerts.
    func waitForNotifier() throws {
        for _ in 0..<1200 {
            if program.read("notify.log")?.contains("alerts of \(group)-alerts") == true { return }
            usleep(50_000)
        }
        throw Fault(.external, "the notifier does not begin: \(program.read("notify.log") ?? "")")
    }

    /// `kill -9` of console and worker; what comes is fed while they are away, then both start again.
    func restart(_ meanwhile: () throws -> Void) throws {
        console?.kill()
        worker.kill()
        try meanwhile()
        try startConsole()
        try worker.start()
    }

    private func stop() {
        worker.kill()
        console?.kill()
        notifier?.kill()
    }

    var lastWords: String {
        (program.read("console.log") ?? "").split(separator: "\n").suffix(4).joined(separator: " / ")
    }

    private static let users =
        [
            "lin": "analyst", "li": "analyst", "wang": "author, approver", "chen": "approver",
            "zhao": "operator", "admin": "admin",
        ]
        .map { "\($0.key): { password: \"\(hash)\", roles: [\($0.value)] }" }.joined(separator: "\n") + "\n"
    private static let hash =
        "$6$millraceTests$W5.U4QhIJ9fzClvrDnllszl/C22zPJ1P36y3WhZKkQRCLotxpLhiPKhN6dlZ62V66PskrWEP9LWRzXuQ6iJ7q1"

    private static let notify = """
        channels:
          desk: { popup: {} }
        people:
          lin: { name: Lin Tao }
          li: { name: Li Na }
        routes:
          - { name: all, to: [lin/desk] }
        """

    private static func text(_ group: String) -> String {
        """
        topology: \(group)
        zone: Asia/Shanghai
        parameters:
          limit: { default: 2000.00, description: turnover of five minutes that is too much }
        sources:
          orders:
            kafka: { topic: \(group)-orders }
            key: shop
            time: { field: t, out_of_order: 2s, idle: 500ms }
            schema: { shop: text, amount: decimal(2), t: timestamp }
        steps:
          turnover: { from: orders, key: shop, window: { size: 5m, slide: 10s }, aggregate: { amount: sum(amount) } }
        rules:
          burst:
            on: turnover
            when: amount > ${limit}
            clear: amount < 0.5 * ${limit}
            risk: fabricated-volume
            severity: high
            measure: freeze part of the limit
            message: "{shop} sold {amount} in five minutes"
        sinks:
          alerts: { kafka: { topic: \(group)-alerts } }
        """
    }
}
