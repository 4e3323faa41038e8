import Base
import Connectors
import Foundation
import Outlets
import Security
import Testing

/// Goal: whoever is to be told is told, at least once and under one id, whatever the endpoint does and
/// however often the notifier is killed. Method: a real Kafka, an endpoint that fails, `kill -9`; what the
/// endpoint took is compared with what was fed. `MILLRACE_NOTIFY_ALERTS=10000 MILLRACE_NOTIFY_KILLS=20` make
/// it large, and it prints its figures.
@Suite(.enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)) struct NotifyTests {
    static let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    static func number(_ name: String, _ normal: Int) -> Int {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? normal
    }

    @Test func nobodyIsForgottenThroughKillsAndFaults() throws {
        let count = Self.number("MILLRACE_NOTIFY_ALERTS", 300)
        let kills = Self.number("MILLRACE_NOTIFY_KILLS", 4)
        let isLarge = count > 1000
        let endpoint = try FaultyEndpoint(.init(percent: 30))
        defer { endpoint.stop() }
        let retries = "[0s, 200ms, 500ms, 1s, 1s, 2s, 2s, 2s]"
        let rig = try NotifierRig(
            config: """
                allow: [127.0.0.1]
                retries: \(retries)
                channels:
                  cases: { webhook: { url: "http://127.0.0.1:\(endpoint.port)/hook", secret: "${file:secret}" }, timeout: 1s }
                  sms:
                    sms: { url: "http://127.0.0.1:\(endpoint.port)/sms", body: '{"to":"{phone}","text":"{text}","id":"{id}"}', success: { path: Code, equals: OK } }
                    timeout: 1s
                    limits: [5/2s, 40/30s]
                people:
                  zhang: { name: 张伟, language: zh, phone: "+8613800000000" }
                routes:
                  - { name: machines, to: [cases], wait: 0s, join: 0s, continue: true }
                  - { name: people, to: [zhang/sms], wait: 500ms, join: 1s }
                system: [cases]
                """)
        try rig.program.write("secret", Self.secret + "\n")
        try rig.start()
        #expect(WorkerTests.wait(seconds: 60) { rig.log.contains("notify: topology") })
        // Fed bit by bit, so that kills meet work under way.
        var fed: [String: (severity: String, customer: String)] = [:]
        var fedAt: [String: Int64] = [:]
        var killedAt: [Int64] = []
        let parts = max(kills * 2 + 10, count / 50)
        for part in 0..<parts {
            var alerts: [String: (severity: String, customer: String)] = [:]
            for index in (count * part / parts)..<(count * (part + 1) / parts) {
                alerts["alert-\(index)"] = (
                    ["low", "medium", "high", "critical"][index % 4], "M\(index % 97)"
                )
            }
            try rig.feed(alerts)
            let now = Int64(Date().timeIntervalSince1970 * 1000)
            for id in alerts.keys { fedAt[id] = now }
            fed.merge(alerts) { $1 }
            // As fast as it is asked for.
            let before = endpoint.count
            _ = WorkerTests.wait(seconds: 5) { endpoint.count >= before + alerts.count }
            if part % (parts / (kills + 2)) == 1, killedAt.count < kills {
                rig.kill()
                killedAt.append(Int64(Date().timeIntervalSince1970 * 1000))
                try rig.start()
            }
        }
        // What was given up is sent again.
        endpoint.setFaults(isLarge ? 30 : 0)
        var missing: [String] = []
        let isTold = WorkerTests.wait(seconds: isLarge ? 600 : 60) {
            missing = (try? Self.missing(rig, endpoint, fed)) ?? ["unknown"]
            if !missing.isEmpty { usleep(500_000) }
            if missing.count < 20, !((try? rig.values("undelivered")) ?? []).isEmpty {
                _ = try? rig.call("resend", "--all")
            }
            return missing.isEmpty
        }
        #expect(
            isTold,
            "\(missing.count) of \(2 * count) are missing: \(missing.prefix(5)); \(rig.log.suffix(500))")
        #expect(rig.isRunning)
        #expect(rig.end() == 0)
        let requests = endpoint.all
        try Self.check(requests, isLarge: isLarge, fedAt, fed, killedAt, kills: killedAt.count)
        // Nothing secret is in topics or the log.
        let written =
            try ["outbox", "deliveries", "undelivered", "notify-state"].flatMap { try rig.values($0) }
            .joined() + rig.log
        #expect(!written.contains("MfKQ9r8G") && !written.contains("13800000000"))
    }

    /// Alerts and contacts, `alert contact`, of which no message was taken.
    private static func missing(
        _ rig: NotifierRig, _ endpoint: FaultyEndpoint, _ fed: [String: (severity: String, customer: String)]
    ) throws -> [String] {
        var told: Set<String> = []
        let taken = Set(endpoint.all.filter { $0.takenAt != nil }.map(id))
        for value in try rig.values("outbox") {
            guard let message = try JSONSerialization.jsonObject(with: Data(value.utf8)) as? [String: Any],
                let id = message["id"] as? String,
                let recipient = message["recipient"] as? String,
                let alerts = message["alerts"] as? [[String: Any]], taken.contains(id)
            else { continue }
            for alert in alerts { told.insert("\(alert["alert_id"] ?? "") \(recipient)") }
        }
        return fed.keys.flatMap { ["\($0) cases", "\($0) zhang/sms"] }.filter { !told.contains($0) }
    }

    private static func id(_ request: FaultyEndpoint.Request) -> String {
        if let id = request.headers["webhook-id"] { return id }
        let body = (try? JSONSerialization.jsonObject(with: Data(request.body))) as? [String: Any]
        return body?["id"] as? String ?? ""
    }

    private static func check(
        _ requests: [FaultyEndpoint.Request], isLarge: Bool, _ fedAt: [String: Int64],
        _ fed: [String: (severity: String, customer: String)],
        _ killedAt: [Int64], kills: Int
    ) throws {
        let key = try #require(StandardWebhook.secret(secret))
        var first: [String: [UInt8]] = [:]
        var repeats = 0
        var latencies: [Int64] = []
        for request in requests {
            let id = id(request)
            #expect(!id.isEmpty)
            // A repeat is the same.
            if let before = first[id], request.path == "/hook" {
                #expect(before == request.body)
                repeats += 1
                continue
            }
            first[id] = request.body
            guard request.path == "/hook" else { continue }
            let seconds = try #require(request.headers["webhook-timestamp"].flatMap { Int64($0) })
            let signature = Hmac.sha256(Array("\(id).\(seconds).".utf8) + request.body, key: key)
            #expect(request.headers["webhook-signature"] == "v1,\(Base64Text.encode(signature))")
            #expect(abs(seconds * 1000 - request.at) < 5000 && request.body.count < 20_000)
            let body = try #require(JSONSerialization.jsonObject(with: Data(request.body)) as? [String: Any])
            let alerts = (body["data"] as? [String: Any])?["alerts"] as? [[String: Any]] ?? []
            for alert in alerts {
                guard let id = alert["alert_id"] as? String, fed[id]?.severity == "critical",
                    let at = fedAt[id]
                else { continue }
                #expect(alert["measure"] as? String == "冻结额度并追加担保")
                // Beside the time in which nobody is there.
                if !killedAt.contains(where: { request.at > $0 - 100 && at < $0 + 6000 }) {
                    latencies.append(request.at - at)
                }
            }
        }
        // No number above its limits.
        let taken = requests.filter { $0.path == "/sms" }.compactMap(\.takenAt).sorted()
        for (limit, milliseconds) in [(5, Int64(2000)), (40, 30_000)] {
            for at in taken { #expect(taken.count { $0 > at - milliseconds && $0 <= at } <= limit) }
        }
        latencies.sort()
        let p99 = latencies.isEmpty ? -1 : latencies[latencies.count * 99 / 100]
        print(
            "notify: \(fed.count) alerts, \(kills) kills, \(requests.count) requests, \(repeats) repeats of the same id; "
                + "critical, readable to first request: p50 \(latencies.isEmpty ? -1 : latencies[latencies.count / 2]), p99 \(p99) ms of \(latencies.count); SMS taken \(taken.count)"
        )
    }

    @Test func whatIsGivenUpIsListedAndSentAgainAndTheNextNotifierTakesOver() throws {
        let endpoint = try FaultyEndpoint(.init(percent: 100))
        defer { endpoint.stop() }
        let rig = try NotifierRig(
            config: """
                allow: [127.0.0.1]
                retries: [0s]
                channels: { cases: { webhook: { url: "http://127.0.0.1:\(endpoint.port)/hook", secret: "${file:secret}" }, timeout: 500ms } }
                routes: [{ name: all, to: [cases] }]
                """)
        try rig.program.write("secret", Self.secret)
        try rig.start()
        try rig.feed(["a": ("critical", "M1")])
        #expect(WorkerTests.wait(seconds: 30) { (try? rig.values("undelivered").isEmpty) == false })
        let feeder = try KafkaFeeder(rig.cluster.settings(group: ""))
        try feeder.send(to: feeder.topic(rig.topic), key: "M2", value: "{\"alert_id\":")
        try feeder.flush()
        #expect(WorkerTests.wait(seconds: 30) { (try? rig.values("undelivered").count) == 2 })
        let listed = try rig.call("log", "--undelivered")
        #expect(
            listed.code == 0 && listed.output.contains("to cases, 1 alerts: given up after 1 tries")
                && listed.output.contains("unreadable-"))
        #expect(try rig.call("resend", "msg_nothing").code == 2)
        endpoint.setFaults(0)
        #expect(try rig.call("resend", "--all").output.contains("1 messages"))
        #expect(
            WorkerTests.wait(seconds: 30) {
                (try? rig.call("log", "--undelivered").output.contains("to cases")) == false
            })
        let ids = Set(endpoint.all.map { $0.headers["webhook-id"] ?? "" })
        #expect(ids.count == 1)
        let log = try rig.call("log", "--alert", "a", "--json").output
        #expect(log.contains("\"status\":\"dead\"") && log.contains("\"status\":\"delivered\""))
        // The next one that starts has the topology for itself; the first says so and ends, once it would
        // write.
        let first = try Process.started(rig)
        #expect(
            WorkerTests.wait(seconds: 30) { rig.program.read("second")?.contains("notify: topology") == true }
        )
        try rig.feed(["b": ("critical", "M2")])
        #expect(WorkerTests.wait(seconds: 30) { !rig.isRunning })
        #expect(rig.log.contains("has taken over"))
        #expect(
            WorkerTests.wait(seconds: 30) {
                endpoint.all.contains { String(decoding: $0.body, as: UTF8.self).contains("\"b\"") }
            })
        first.terminate()
        first.waitUntilExit()
    }

    @Test func theExampleIsRight() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
            .deletingLastPathComponent().path
        let program = try Program()
        let result = try program.shell("cd \(folder) && $MILLRACE notify check deploy/notify.yaml --json")
        #expect(
            result.code == 0 && result.output == "{\"ok\":true,\"diagnostics\":[]}\n",
            "\(result.output)\(result.errors)")
        try program.write("alert.json", NotifierRig.alert("a", "critical", "M1"))
        let who = try program.shell(
            "cd \(folder) && $MILLRACE notify who deploy/notify.yaml --alert-file \(program.folder)/alert.json"
        )
        #expect(who.output.contains("a route critical: zhang/sms at once\n"), "\(who.output)\(who.errors)")
        #expect(
            who.output.contains("a route critical: li/sms after 5m unless somebody has acknowledged it"),
            "\(who.output)")
    }
}

extension Process {
    /// Another notifier of the rig's topology.
    fileprivate static func started(_ rig: NotifierRig) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: WorkerProcess.program)
        process.arguments = [
            "notify", "--bootstrap-server", rig.cluster.bootstrapServers, "--config", rig.config, "--topic",
            rig.topic,
        ]
        process.currentDirectoryURL = URL(fileURLWithPath: rig.program.folder)
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle(forWritingAtPath: try rig.program.write("second", ""))
        try process.run()
        return process
    }
}
