import Base
import Connectors
import Dataflow
import Engine
import Glibc
import Marketplace
import Records
import Topology

/// The rule library over a generated month: for every rule what was planted and found, missed, and raised
/// though nothing was planted; and what the topologies cost.
package enum BenchLibrary {
    /// Found, missed and false of one rule.
    package struct Score: Sendable {
        package var topology: String
        package var rule: String
        package var planted = 0
        package var found = 0
        package var nearMisses = 0
        package var isFalse = 0
        /// One of each, for a person to look at: key and event time.
        package var missed: [String] = []
        package var wrong: [String] = []
    }

    struct Label {
        var topology: String
        var rule: String
        var key: String
        var isNearMiss: Bool
        var from: Int64
        var to: Int64
    }

    struct Alert {
        var id: String
        var rule: String
        var key: String
        var time: Int64
    }

    /// An alert belongs to a label up to a day after it.
    static let slack: Int64 = 86_400_000

    /// `folder` has the files of a month, named after the topics, and `labels.jsonl`; nil: one is generated
    /// and removed again. `topologies` has a folder for each topology. Only those that have labels are run.
    package static func run(
        folder: String?, generating options: LibraryOptions, topologies: String
    ) throws(Fault) -> (report: BenchReport, scores: [Score]) {
        if let folder { return try run(folder: folder, topologies: topologies) }
        let folder = "/tmp/millrace-month-\(getpid())"
        guard mkdir(folder, 0o700) == 0 else { throw Fault(.external, "\(folder) cannot be made") }
        defer { BenchFolder.delete(folder) }
        _ = try LibraryMonth.write(options, to: folder)
        return try run(folder: folder, topologies: topologies)
    }

    private static func run(folder: String, topologies: String) throws(Fault) -> (
        report: BenchReport, scores: [Score]
    ) {
        let labels = try readLabels(folder + "/labels.jsonl")
        var scores: [Score] = []
        var report = BenchReport("library: found, missed and false over a generated month")
        var names: [String] = []
        for label in labels where !names.contains(label.topology) { names.append(label.topology) }
        for name in names {
            let path = "\(topologies)/\(name)/topology.yaml"
            guard access(path, R_OK) == 0 else {
                scores += score(name, [], labels.filter { $0.topology == name }, [])
                report.add(name, "\(path) is missing: every case is missed")
                continue
            }
            var mistakes: [String] = []
            let spec = try TopologyFile.read(path, parameters: [:]) { mistakes.append($0.description) }
            guard let spec else { throw Fault(.user, mistakes.joined(separator: "\n")) }
            let result = try replay(spec, folder)
            let own = score(
                name, spec.rules.map(\.name), labels.filter { $0.topology == name }, result.alerts)
            scores += own
            let planted = own.reduce(0) { $0 + $1.planted }
            let found = own.reduce(0) { $0 + $1.found }
            report.add(
                name,
                "\(planted) planted, \(found) found, \(planted - found) missed, \(own.reduce(0) { $0 + $1.isFalse }) false of "
                    + "\(own.reduce(0) { $0 + $1.nearMisses }) near misses and ordinary traffic")
            report.add("\(name), records", Double(result.records), "records")
            report.add("\(name), records per second", Double(result.records) / result.seconds, "records/s")
            report.add(
                "\(name), CPU per record", result.cpuSeconds * 1e6 / Double(result.records),
                "us, reading and decoding too")
            report.add(
                "\(name), state", Double(result.stateBytes) / Double(max(1, result.keys)),
                "bytes a key when there were most, \(result.keys) in all")
        }
        return (report, scores)
    }

    /// A table for people, a line for each rule.
    package static func table(_ scores: [Score]) -> String {
        var lines = [
            "topology               rule                   planted  found  missed  false  near misses"
        ]
        func padded(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(1, width - text.count))
        }
        func number(_ value: Int, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - "\(value)".count)) + "\(value)"
        }
        for score in scores {
            var line = padded(score.topology, 23) + padded(score.rule, 23) + number(score.planted, 7)
            line += number(score.found, 7) + number(score.planted - score.found, 8) + number(score.isFalse, 7)
            line += number(score.nearMisses, 13)
            if let missed = score.missed.first { line += "  missed: \(missed)" }
            if let wrong = score.wrong.first { line += "  false: \(wrong)" }
            lines.append(line)
        }
        return lines.joined(separator: "\n")
    }

    // MARK: Running

    private struct Result {
        var alerts: [Alert] = []
        var records: Int64 = 0
        var seconds = 0.0
        var cpuSeconds = 0.0
        var stateBytes = 0
        var keys = 0
    }

    private static func replay(_ spec: TopologySpec, _ folder: String) throws(Fault) -> Result {
        var inputs: [(source: String, paths: [String])] = []
        for source in spec.sources where !source.origin.isStream {
            // Several sources may read one topic.
            var name = source.name
            if case .kafka(let topic, _) = source.origin { name = topic }
            let path = "\(folder)/\(name).jsonl"
            guard access(path, R_OK) == 0 else {
                throw Fault(.user, "\(path) is missing, which source '\(source.name)' of \(spec.name) reads")
            }
            inputs.append((source.name, [path]))
        }
        var result = Result()
        var replay = try Replay(spec, inputs: inputs, keepsResults: false)
        let (begin, cpu) = (monotonicNanoseconds(), BenchClock.cpuNanoseconds())
        let alertSinks = Set(replay.sinkNames.indices.filter { replay.takesAlerts($0) })
        // Several sinks may take one alert.
        var seen: Set<String> = []
        let summary = try replay.run(
            output: { outbox throws(Fault) in
                for record in outbox.records {
                    guard case .sink(let sink) = record.destination, alertSinks.contains(sink) else {
                        continue
                    }
                    guard let value = outbox.value(of: record), let alert = alert(value),
                        seen.insert(alert.id).inserted
                    else { continue }
                    result.alerts.append(alert)
                }
            }, progress: { _, _, _ in })
        result.seconds = Double(monotonicNanoseconds() - begin) / 1e9
        result.cpuSeconds = Double(BenchClock.cpuNanoseconds() - cpu) / 1e9
        result.records = summary.records
        // An input that ends looks like a silence.
        result.alerts.removeAll { $0.time > summary.lastEventTime }
        (result.stateBytes, result.keys) = (summary.stateBytes, summary.keysMost)
        guard summary.dead == 0 else {
            throw Fault(.defect, "\(spec.name): \(summary.dead) dead letters in a month without bad records")
        }
        return result
    }

    private static func alert(_ value: UnsafeBufferPointer<UInt8>) -> Alert? {
        guard let node = YamlText.read(String(decoding: value, as: UTF8.self)),
            node.text("state") == "raised",
            let id = node.text("alert_id"), let rule = node.text("rule"), let key = node.text("customer"),
            let time = node.text("event_time").flatMap({ CivilTime.parse($0)?.milliseconds })
        else { return nil }
        return Alert(id: id, rule: rule, key: key, time: time)
    }

    private static func readLabels(_ path: String) throws(Fault) -> [Label] {
        try FileText.read(path).split(separator: "\n").compactMap { line in
            guard let node = YamlText.read(String(line)), let topology = node.text("topology"),
                let rule = node.text("rule"),
                let key = node.text("key"), let kind = node.text("kind"),
                let from = node.text("from").flatMap({ CivilTime.parse($0)?.milliseconds }),
                let to = node.text("to").flatMap({ CivilTime.parse($0)?.milliseconds })
            else { return nil }
            return Label(
                topology: topology, rule: rule, key: key, isNearMiss: kind == "near-miss", from: from, to: to)
        }
    }

    // MARK: Scoring

    /// Of each rule: a planted case is found if it has an alert in its time; an alert in the time of no
    /// planted case is false.
    static func score(_ topology: String, _ rules: [String], _ labels: [Label], _ alerts: [Alert]) -> [Score]
    {
        var names = rules
        for label in labels where !names.contains(label.rule) { names.append(label.rule) }
        return names.map { rule in
            var score = Score(topology: topology, rule: rule)
            let own = alerts.filter { $0.rule == rule }
            let planted = labels.filter { $0.rule == rule && !$0.isNearMiss }
            func isIn(_ alert: Alert, _ label: Label) -> Bool {
                alert.key == label.key && alert.time >= label.from && alert.time <= label.to + slack
            }
            score.planted = planted.count
            score.nearMisses = labels.count { $0.rule == rule && $0.isNearMiss }
            for label in planted {
                if own.contains(where: { isIn($0, label) }) {
                    score.found += 1
                } else {
                    score.missed.append("\(label.key) \(CivilTime.string(label.from))")
                }
            }
            for alert in own where !planted.contains(where: { isIn(alert, $0) }) {
                score.isFalse += 1
                score.wrong.append("\(alert.key) \(CivilTime.string(alert.time))")
            }
            return score
        }
    }
}

extension YamlNode {
    fileprivate func text(_ key: String) -> String? { mapping?.first { $0.key == key }?.value.scalar?.text }
}
