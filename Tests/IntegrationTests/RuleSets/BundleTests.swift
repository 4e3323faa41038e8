import Base
import Foundation
import Records
import Testing

/// Alerts that are computed again from topics, on a real Kafka. Goal: whatever died and whatever rules
/// changed, a file of records gives the very alerts that the workers published, in full and one by one.
@Suite(.serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)) struct BundleTests {
    private static let seed =
        ProcessInfo.processInfo.environment["MILLRACE_SEED"].flatMap(UInt64.init)
        ?? UInt64.random(in: 0..<1_000_000)

    private static func library(_ name: String) throws -> String {
        try String(contentsOfFile: "Topologies/\(name)/topology.yaml", encoding: .utf8)
    }

    private static func lines(_ program: Program, _ file: String) throws -> [Substring] {
        let path = FileManager.default.currentDirectoryPath + "/Topologies/" + file
        let read = try program.shell("case \(path) in *.gz) zcat \(path);; *) cat \(path);; esac")
        return read.output.split(separator: "\n")
    }

    /// One source: the marketplace, whose limits change three times while its month is read.
    @Test func aTopologyOfOneSource() throws {
        let rig = try LibraryRig(Self.library("marketplace"), topics: ["orders"], partitions: 4)
        let made = try rig.program.shell(
            "$MILLRACE generate --merchants 60 --orders-per-day 1500 --days 6 --warm-up-days 3 --seed 7")
        let orders = made.output.split(separator: "\n")
        try rig.startWorkers(2)
        for part in 0..<3 {
            let (from, to) = (orders.count * part / 3, orders.count * (part + 1) / 3)
            try rig.feed("orders", orders[from..<to], key: LibraryRig.field("merchant_id"))
            // A broken clock: the workers refuse it, and event time does not go on.
            try rig.feed(
                "orders", [orders[from].replacing(/"event_time":"20../, with: "\"event_time\":\"2099")[...]],
                key: LibraryRig.field("merchant_id"))
            let deployed = try rig.deploy(
                "--set spike=\(4 - part) --set buyer_orders=\(12 + part) --set night_orders=\(8 + part)")
            #expect(deployed.code == 0, "\(deployed.errors)")
            try rig.kill(part % 2)
        }
        try rig.stopWhenRead(["orders"])
        try rig.compareWithReplay()
        try rig.bundle(Self.some(4, of: try rig.alerts()))
        try whatIsGoneIsSaid(rig)
        try whatIsWrongIsSaid(rig)
    }

    /// Goal: without its records an alert is not told as computed again; topic, offset and field are named.
    private func whatIsGoneIsSaid(_ rig: LibraryRig) throws {
        let alert = try #require(try rig.alerts().last { !$0.contains("\"cause\":null") })
        let place = try #require(
            alert.firstMatch(of: /"partition":(\d+),"offset":(\d+)/), "it has a cause: \(alert)")
        let file = try rig.program.write(
            "delete.json",
            """
            {"partitions":[{"topic":"\(rig.group)-orders","partition":\(place.1),"offset":\(place.2)}],"version":1}
            """)
        try rig.cluster.run(["delete-records", "--offset-json-file", file])
        let id = alert.dropFirst("{\"alert_id\":\"".count).prefix(32)
        let made = try rig.program.shell(
            "$MILLRACE bundle \(id) --topology start.yaml \(rig.kafka) --out gone.jsonl --cleared; code=$?; ls gone.jsonl*; exit $code"
        )
        #expect(made.code == 1 && made.output.isEmpty, "\(made)")
        #expect(
            made.errors.contains("does not come out again")
                && made.errors.contains(
                    "'\(rig.group)-orders', partition \(place.1), has no records before offset \(place.2)"),
            "\(made.errors)")
    }

    /// Goal: bad usage and files of something else are refused in words.
    private func whatIsWrongIsSaid(_ rig: LibraryRig) throws {
        func check(_ line: String, _ code: Int32, _ words: String) throws {
            let made = try rig.program.shell(line)
            #expect(made.code == code && made.errors.contains(words), "\(line): \(made.code) \(made.errors)")
        }
        let bundle = try #require(try rig.program.list(".").first { $0.hasSuffix(".bundle.jsonl") })
        try rig.program.write("other.yaml", Self.library("marketplace"))
        try check("$MILLRACE replay --bundle \(bundle) other.yaml", 2, "it is of topology '\(rig.group)'")
        try check("head -c 5000 \(bundle) | $MILLRACE replay --bundle -", 2, "cut short")
        try check("sed 's/paid/PAID/' \(bundle) > bad; $MILLRACE replay --bundle bad", 2, "it was altered")
        try check(
            "sed 's/\"version\":1/\"version\":9/' \(bundle) | $MILLRACE replay --bundle -", 2, "version 9")
        try check("$MILLRACE replay --bundle log.jsonl", 2, "give it as --activations")
        try check("$MILLRACE replay --activations \(bundle)", 2, "give it as --bundle")
        try check(
            "$MILLRACE replay --activations log.jsonl --input orders=x", 2, "plain files do not say them")
        try check("$MILLRACE replay --bundle start.yaml", 2, "it is none of the files")
        try check("$MILLRACE replay --bundle nowhere", 2, "nowhere")
        try check("$MILLRACE bundle xyz --topology start.yaml \(rig.kafka) --out .", 2, "is no alert_id")
        try check(
            "$MILLRACE bundle 0123456789abcdef0123456789abcdef --topology start.yaml \(rig.kafka) --out .", 2,
            "is in topic '\(rig.alertTopic)'")
        try check(
            "$MILLRACE rules export \(rig.group) \(rig.kafka) > r.jsonl && $MILLRACE replay --activations r.jsonl",
            2,
            "rules and no records")
        let packed = try rig.program.shell("gzip -k \(bundle) && $MILLRACE replay --bundle \(bundle).gz")
        #expect(packed.code == 0, "\(packed.errors)")
        // Another alert under the same id, by who can make the hash: it is not the one that was published.
        let forged = try rig.program.shell(
            """
            sed '$d;s/\\\\"risk\\\\":\\\\"/&x-/' \(bundle) > forged && \
            echo "{\\"line\\":\\"end\\",\\"lines\\":$(wc -l < forged),\\"sha256\\":\\"$(sha256sum < forged | cut -c1-64)\\"}" >> forged && \
            $MILLRACE replay --bundle forged
            """)
        #expect(
            forged.code == 1 && forged.errors.contains("risk: published \"x-")
                && forged.output.contains("published: {") && forged.output.contains("computed again: {"),
            "\(forged)")
    }

    /// Several sources, a table by task and one for all, steps by other keys than their topics'.
    @Test func aTopologyOfManySources() throws {
        let topics = ["orders", "shops", "policies", "debts"]
        let rig = try LibraryRig(Self.library("during-the-loan"), topics: topics, partitions: 4)
        let keys = [
            "orders": "merchant_id", "shops": "merchant_id", "policies": "platform", "debts": "buyer_id",
        ]
        for topic in topics.reversed() {
            let file = topic == "orders" || topic == "debts" ? "\(topic).jsonl.gz" : "\(topic).jsonl"
            try rig.feed(
                topic, Self.lines(rig.program, "during-the-loan/sample/\(file)"),
                key: LibraryRig.field(keys[topic] ?? ""))
        }
        try rig.startWorkers(2)
        for part in 0..<2 {
            let deployed = try rig.deploy(
                "--set debt_amount=\(3000 + part * 500).00 --set young_orders=\(15 + part)")
            #expect(deployed.code == 0, "\(deployed.errors)")
            try rig.kill(part)
        }
        try rig.stopWhenRead(topics)
        try rig.compareWithReplay()
        try rig.bundle(Self.some(4, of: try rig.alerts()))
    }

    /// Rules that change while a backlog goes through a repartition topic, each of whose writers is read at
    /// its own pace.
    @Test func rulesThatChangeBehindARepartitionTopic() throws {
        print("seed \(Self.seed)")
        var random = SplitMix64(seed: Self.seed)
        let rig = try LibraryRig(
            RepartitionTests.topology("rep", "orders"), topics: ["orders"], partitions: 4)
        let text = (rig.program.read("start.yaml") ?? "").replacing("rep-", with: "\(rig.group)-")
        try rig.program.write("start.yaml", text)
        let orders = RepartitionTests.orders(&random, count: 40_000)
        try rig.startWorkers(2)
        for part in 0..<4 {
            let (from, to) = (orders.count * part / 4, orders.count * (part + 1) / 4)
            try rig.feed(
                "orders", orders[from..<to].map { $0.json[...] }, key: LibraryRig.field("merchant_id"))
            try rig.program.write(
                "start.yaml",
                text.replacing("n >= 12, clear: n < 8", with: "n >= \(9 + part), clear: n < \(6 + part)"))
            let deployed = try rig.deploy("")
            #expect(deployed.code == 0, "\(deployed.errors)")
            if part == 1 { try rig.kill(0) }
        }
        try rig.stopWhenRead(["orders"])
        try rig.program.write("start.yaml", text)
        try rig.compareWithReplay()
        try rig.bundle(Self.some(4, of: try rig.alerts()))
    }

    /// Spread over the topic.
    private static func some(_ count: Int, of alerts: [String]) -> [String] {
        guard !alerts.isEmpty else {
            Issue.record("there is no alert")
            return []
        }
        return (0..<count).map { alerts[$0 * (alerts.count - 1) / max(1, count - 1)] }
    }
}
