import Base
import Connectors
import Glibc
import Http
import Models
import Records

/// A console of its own over a topic of made-up alerts.
final class ConsoleBenchRig {
    static let key = "mrk_bench"
    private static let partitions = 4

    let port: UInt16
    private let settings: KafkaSettings
    private let program: String
    private let name: String
    private let folder: String
    private let client: HttpClient
    private var process: BenchProcess?

    init(_ settings: KafkaSettings, program: String) throws(Fault) {
        (self.settings, self.program) = (settings, program)
        name = "console-bench-\(SystemClock().nowMilliseconds)"
        folder = "/tmp/millrace-\(name)"
        client = try HttpClient(timeoutMilliseconds: 60_000)
        port = try Self.freePort()
        guard mkdir(folder, 0o700) == 0 else {
            throw Fault(.external, "\(folder): \(String(cString: strerror(errno)))")
        }
        try Self.write("\(folder)/topology.yaml", topology)
        let hash = Sha256.hex(Array(Self.key.utf8))
        try Self.write(
            "\(folder)/users.yaml", "bench: { key: \"sha256:\(hash)\", roles: [analyst, approver] }\n")
        let admin = try KafkaAdmin(settings)
        try admin.checkReachable()
        try admin.create([KafkaTopicPlan(name: "\(name)-alerts", partitions: Self.partitions)])
    }

    private static func write(_ path: String, _ text: String) throws(Fault) {
        guard let file = fopen(path, "w") else {
            throw Fault(.external, "\(path): \(String(cString: strerror(errno)))")
        }
        fputs(text, file)
        fclose(file)
    }

    /// Below those that the system gives to connections.
    private static func freePort() throws(Fault) -> UInt16 {
        for _ in 0..<100 {
            let port = UInt16.random(in: 20_000..<32_000)
            if LoopbackSocket.isFree(port) { return port }
        }
        throw Fault(.external, "bench console: no port is free")
    }

    private var topology: String {
        """
        topology: \(name)
        sources:
          orders:
            kafka: { topic: \(name)-orders }
            time: { field: t, out_of_order: 2s }
            schema: { shop: text, amount: decimal(2), t: timestamp }
        steps:
          turnover: { from: orders, key: shop, window: { size: 5m, slide: 10s }, aggregate: { amount: sum(amount) } }
        rules:
          burst: { on: turnover, when: amount > 2000.00, risk: fabricated-volume, severity: high }
        sinks:
          alerts: { kafka: { topic: \(name)-alerts } }

        """
    }

    // MARK: Alerts

    private static let severities = ["low", "medium", "high", "critical"]
    private static let start: Int64 = 1_790_000_000_000

    /// As workers write them, of 20,000 customers over 30 days.
    func feed(_ numbers: Range<Int>) throws(Fault) {
        let feeder = try KafkaFeeder(settings)
        let topic = try feeder.topic("\(name)-alerts")
        for number in numbers {
            let customer = "M\(String(100_000 + number &* 7919 % 20_000).dropFirst())"
            let time = CivilTime.string(Self.start + Int64(number) * 2592)
            let value = """
                {"alert_id":"\(Sha256.hex(Array("\(number)".utf8)).prefix(32))","topology":"\(name)","rule":"rule-\(number % 37)",\
                "risk":"risk-\(number % 11)","severity":"\(Self.severities[number % 10 / 3])","state":"raised","revision":1,\
                "customer":"\(customer)","key":{"shop":"\(customer)"},"event_time":"\(time)","detected_at":"\(time)",\
                "window":{"start":"\(time)","end":"\(time)"},"measure":"freeze part of the limit",\
                "message":"\(customer) sold \(number % 100_000).00 in five minutes, usually 4,100.00",\
                "values":{"amount":"\(number % 100_000).00","orders":\(number % 500)},"condition":"amount > 2000.00",\
                "cause":{"topic":"orders","partition":\(number % 8),"offset":\(number)},"ruleset":"sha256:0123456789abcdef",\
                "logic":"sha256:0123456789abcdef","completeness":{"late":0,"watermark":"\(time)"}}
                """
            try feeder.send(
                to: topic, key: customer, value: value, partition: Int32(number % Self.partitions))
        }
        try feeder.flush()
    }

    // MARK: The process

    func start() throws(Fault) {
        process = try BenchProcess(
            [
                program, "console", "--topology", "\(folder)/topology.yaml", "--bootstrap-server",
                settings.bootstrapServers, "--port", "\(port)", "--data", "\(folder)/data", "--users",
                "\(folder)/users.yaml",
            ], log: "\(folder)/log")
    }

    var hasEnded: Bool { process?.hasEnded ?? true }

    var lastWords: String {
        ((try? FileText.read("\(folder)/log")) ?? "").split(separator: "\n").suffix(3).joined(
            separator: " / ")
    }

    func stop() throws(Fault) {
        guard let code = process?.end(with: SIGTERM) else { return }
        process = nil
        if code != 0 { throw Fault(.defect, "bench console: the console ended with \(code)") }
    }

    func removeIndex() { BenchFolder.delete("\(folder)/data") }

    func remove() {
        process?.kill()
        BenchFolder.delete(folder)
        try? KafkaAdmin(settings).delete(["\(name)-alerts"])
    }

    var residentMegabytes: Double {
        guard let process,
            let text = try? FileText.read("/proc/\(process.id)/statm").split(separator: " "), text.count > 1
        else { return 0 }
        return (Double(text[1]) ?? 0) * Double(sysconf(Int32(_SC_PAGESIZE))) / 1e6
    }

    // MARK: Requests

    private func get(_ path: String) throws(Fault) -> HttpResponse {
        try client.send(
            HttpRequest(
                "GET", "http://127.0.0.1:\(port)\(path)", headers: ["Authorization: Bearer \(Self.key)"]))
    }

    /// Until so many alerts are counted.
    func awaitIndex(of alerts: Int) throws(Fault) {
        let begin = monotonicNanoseconds()
        while true {
            if hasEnded { throw Fault(.defect, "bench console: the console ended: \(lastWords)") }
            if let answer = try? get("/api/alerts?limit=1"), answer.status == 200,
                try DocumentNode(try JsonDocument.read(answer.body))["index"]["ready"].bool
            {
                let counts = DocumentNode(try JsonDocument.read(try get("/api/alerts/facets").body))
                var count = 0
                for row in try counts["topology"].list { count += try row["count"].integer }
                if count == alerts { return }
                if count > alerts { throw Fault(.defect, "bench console: \(count) of \(alerts) alerts") }
            }
            guard monotonicNanoseconds() - begin < 900_000_000_000 else {
                throw Fault(.external, "bench console: \(alerts) alerts are not in the index")
            }
            usleep(100_000)
        }
    }

    /// Milliseconds of each request.
    func filters() throws(Fault) -> [Double] {
        let from = CivilTime.string(Self.start + 86_400_000)
        let queries = [
            "", "severity=critical", "severity=critical,high&status=open", "rule=rule-5&sort=time",
            "risk=risk-3&sort=-severity", "customer=M01234", "q=usually", "status=open,taken&owner=none",
            "from=\(from)&severity=low", "q=sold&rule=rule-7&risk=risk-1&sort=-severity",
        ]
        var times: [Double] = []
        for _ in 0..<10 {
            for query in queries {
                let begin = monotonicNanoseconds()
                let answer = try get("/api/alerts?limit=100&\(query)")
                times.append(Double(monotonicNanoseconds() - begin) / 1e6)
                guard answer.status == 200 else {
                    throw Fault(.defect, "bench console: '\(query)' was answered \(answer.status)")
                }
            }
        }
        return times
    }

    /// Milliseconds of each answer to somebody new.
    func answers(count: Int) throws(Fault) -> [Double] {
        var times: [Double] = []
        for _ in 0..<count {
            let begin = monotonicNanoseconds()
            let answer = try HttpClient(timeoutMilliseconds: 60_000).send(
                HttpRequest("GET", "http://127.0.0.1:\(port)/api/info"))
            times.append(Double(monotonicNanoseconds() - begin) / 1e6)
            guard answer.status == 200 else {
                throw Fault(.defect, "bench console: /api/info was answered \(answer.status)")
            }
        }
        return times
    }
}
