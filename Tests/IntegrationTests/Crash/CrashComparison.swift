import Base
import Connectors
import Dataflow
import Engine
import Foundation
import Records
import Topology

/// What the topology's topics must hold, by replaying what stands in the orders topic, and what they hold.
struct CrashComparison {
    /// Outputs of one kind, by record key, in order.
    typealias Outputs = [String: [String]]

    struct Topics {
        var alerts: Outputs = [:]
        var results: Outputs = [:]
        /// By the partition and offset that the record came from.
        var dead: Outputs = [:]
        var late: Outputs = [:]

        var kinds: [(name: String, outputs: Outputs)] {
            [("alert", alerts), ("result", results), ("dead letter", dead), ("late record", late)]
        }

        /// Everything, by kind and key.
        var lines: [String] {
            kinds.flatMap { kind in
                kind.outputs.sorted { $0.key < $1.key }.flatMap { key, texts in
                    texts.map { "\(kind.name) \(key) \($0)" }
                }
            }
        }
    }

    /// 0 lost, 0 twice, 0 wrong, and the order of each key kept; each difference in at most 400 characters.
    static func differences(expected: Topics, live: Topics) -> [String] {
        zip(expected.kinds, live.kinds).flatMap { differences($0.name, $0.outputs, $1.outputs) }
    }

    private static func differences(_ kind: String, _ expected: Outputs, _ live: Outputs) -> [String] {
        var found: [String] = []
        for key in Set(expected.keys).union(live.keys).sorted() {
            let (wanted, got) = (expected[key] ?? [], live[key] ?? [])
            if wanted == got { continue }
            let (wantedCounts, gotCounts) = (counts(wanted), counts(got))
            // One that came, but not as it should, is told once, with the first place that differs.
            var strange = Dictionary(
                grouping: gotCounts.keys.filter { wantedCounts[$0] == nil }.sorted(), by: identity)
            for text in wantedCounts.keys.filter({ gotCounts[$0] == nil }).sorted() {
                if let other = strange[identity(text)]?.popLast() {
                    found.append(short("wrong \(kind) of \(key): \(place(other, text))"))
                } else {
                    found.append(short("lost \(kind) of \(key): \(text)"))
                }
            }
            for text in strange.values.joined().sorted() {
                found.append(short("wrong \(kind) of \(key): \(text)"))
            }
            for (text, count) in gotCounts.sorted(by: { $0.key < $1.key }) {
                guard let due = wantedCounts[text], count != due else { continue }
                found.append(short("\(kind) of \(key) \(count) times instead of \(due): \(text)"))
            }
            if wantedCounts == gotCounts, let at = wanted.indices.first(where: { wanted[$0] != got[$0] }) {
                found.append(short("\(kind) of \(key) out of order at number \(at): \(got[at])"))
            }
        }
        return found
    }

    /// What two outputs have in common that are meant to be the same one: an alert's id and state, a result's
    /// window; of one key there is only one refused record.
    private static func identity(_ text: String) -> String {
        ["alert_id", "state", "start"].map { member in
            guard let place = text.range(of: "\"\(member)\":\"") else { return "" }
            // An alert's window is part of what must be right.
            if member == "start", text.contains("\"alert_id\"") { return "" }
            return String(text[place.upperBound...].prefix { $0 != "\"" })
        }.joined(separator: " ")
    }

    /// The place where two texts begin to differ.
    private static func place(_ got: String, _ wanted: String) -> String {
        let (got, wanted) = (Array(got), Array(wanted))
        let at =
            zip(got, wanted).enumerated().first { $0.element.0 != $0.element.1 }?.offset
            ?? min(got.count, wanted.count)
        let before = String(got[max(0, at - 60)..<at])
        return
            "\(identity(String(wanted))): …\(before) then '\(String(got[at...].prefix(60)))', not '\(String(wanted[at...].prefix(60)))'"
    }

    private static func counts(_ texts: [String]) -> [String: Int] {
        texts.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }

    static func short(_ text: String) -> String { text.count <= 400 ? text : "\(text.prefix(400))…" }

    // MARK: What must be there

    /// Puts each partition's records through the topology, partition by partition, as the workers do: a task
    /// has one watermark. What only the end of the input brings is left out.
    static func replay(_ spec: TopologySpec, _ partitions: [[String]], folder: String) throws -> Topics {
        var topics = Topics()
        var spec = spec
        spec.sinks.removeAll { $0.metrics != nil }
        for (partition, lines) in partitions.enumerated() {
            let path = "\(folder)/partition-\(partition).jsonl"
            try (lines.joined(separator: "\n") + "\n").write(toFile: path, atomically: true, encoding: .utf8)
            defer { unlink(path) }
            var replay = try Replay(spec, inputs: [("orders", [path])], keepsResults: true)
            let names = replay.sinkNames
            var outputs: [Output] = []
            _ = try replay.run(
                output: { outbox throws(Fault) in
                    for record in outbox.records {
                        outputs.append(Output(record, outbox, names, Int32(partition)))
                    }
                }, progress: { _, _, _ in })
            // The greatest time that a record reached; time only goes beyond it at the end of the input.
            let reached =
                lines.lazy.compactMap(eventTime).max().map { $0 - CrashStream.outOfOrderMilliseconds } ?? .min
            for output in outputs where output.time <= reached { topics.add(output) }
        }
        return topics
    }

    /// An output of a replay.
    struct Output {
        var kind: String
        var key: String
        var text: String
        /// Event time at which it was due: the watermark; 0 where it does not depend on time.
        var time: Int64

        init(_ record: Outbox.Record, _ outbox: borrowing Outbox, _ sinks: [String], _ partition: Int32) {
            let value = outbox.value(of: record).map { String(decoding: $0, as: UTF8.self) } ?? "null"
            let ownKey = outbox.key(of: record).map { String(decoding: $0, as: UTF8.self) } ?? "null"
            var headers: [(name: String, value: String)] = []
            outbox.forEachHeader(of: record) {
                headers.append((String(decoding: $0, as: UTF8.self), String(decoding: $1, as: UTF8.self)))
            }
            switch record.destination {
            case .sink(let sink) where sinks[sink] == "alerts":
                (kind, key) = ("alert", ownKey)
                text = CrashComparison.essence(ofAlert: value, partition: partition)
                time = CrashComparison.time("watermark", in: value)
            case .sink:
                (kind, key, text) = ("result", ownKey, value)
                time = CrashComparison.time("end", in: value)
            case .deadLetter, .late, .changelog, .repartition, .acknowledgement:
                kind = record.destination == .late ? "late" : "dead"
                (key, text) = CrashComparison.refused(value: value, headers, partition: partition)
                time = 0
            }
        }
    }

    /// All of an alert but when it was detected. Replay knows no partitions, so the cause's is told.
    static func essence(ofAlert json: String, partition: Int32? = nil) -> String {
        var json = json
        if let start = json.range(of: "\"detected_at\":\""),
            let end = json.range(of: "\",", range: start.upperBound..<json.endIndex)
        {
            json.removeSubrange(start.lowerBound..<end.upperBound)
        }
        if let partition, let cause = json.range(of: "\"cause\":{"),
            let place = json.range(of: "\"partition\":0,", range: cause.upperBound..<json.endIndex)
        {
            json.replaceSubrange(place, with: "\"partition\":\(partition),")
        }
        return json
    }

    /// Partition and offset of the order that caused an alert, as "partition/offset"; nil if time did.
    static func cause(ofAlert json: String) -> String? {
        func number(_ member: String, from: String.Index) -> Int64? {
            guard let place = json.range(of: "\"\(member)\":", range: from..<json.endIndex) else {
                return nil
            }
            return Int64(json[place.upperBound...].prefix { $0.isNumber })
        }
        guard let cause = json.range(of: "\"cause\":{")?.upperBound,
            let partition = number("partition", from: cause), let offset = number("offset", from: cause)
        else { return nil }
        return "\(partition)/\(offset)"
    }

    /// A refused record by where it came from, with its reason; `partition` where a replay knows none.
    static func refused(value: String, _ headers: [(name: String, value: String)], partition: Int32? = nil)
        -> (
            key: String, text: String
        )
    {
        var (place, offset) = ("", "")
        let own = headers.map { header -> String in
            var value = header.value
            if header.name == "__streams.errors.partition" {
                value = partition.map { "\($0)" } ?? value
                place = value
            }
            if header.name == "__streams.errors.offset" { offset = value }
            return "\(header.name)=\(value)"
        }
        return ("partition \(place) offset \(offset)", own.joined(separator: " ") + " " + value)
    }

    /// The time that a JSON member tells, searched from the end; 0 where there is none.
    private static func time(_ member: String, in json: String) -> Int64 {
        guard let place = json.range(of: "\"\(member)\":\"", options: .backwards) else { return 0 }
        return CivilTime.parse(String(json[place.upperBound...].prefix { $0 != "\"" }))?.milliseconds ?? 0
    }

    /// The event time of an order as the stream writes it; nil for malformed ones.
    private static func eventTime(_ order: String) -> Int64? {
        guard let place = order.range(of: "\"event_time\":", options: .backwards) else { return nil }
        return Int64(order[place.upperBound...].prefix { $0.isNumber })
    }

    // MARK: What is there

    /// Reads the topology's topics as a consumer of committed records does.
    static func live(_ settings: KafkaSettings, _ names: CrashRun.Names) throws -> Topics {
        var topics = Topics()
        for (record, _) in try readAll(settings, names.alerts) {
            topics.alerts[record.key ?? "null", default: []].append(essence(ofAlert: record.value ?? "null"))
        }
        for (record, _) in try readAll(settings, names.results) {
            topics.results[record.key ?? "null", default: []].append(record.value ?? "null")
        }
        for (record, headers) in try readAll(settings, "\(names.topology)-dead-letter") {
            let (key, text) = refused(value: record.value ?? "null", headers)
            topics.dead[key, default: []].append(text)
        }
        for (record, headers) in try readAll(settings, "\(names.topology)-late") {
            let (key, text) = refused(value: record.value ?? "null", headers)
            topics.late[key, default: []].append(text)
        }
        return topics
    }
}

extension CrashComparison.Topics: CustomStringConvertible {
    var description: String {
        let counts = kinds.map { "\($0.outputs.values.reduce(0) { $0 + $1.count }) \($0.name)s" }
        return counts.joined(separator: ", ")
    }

    /// What a comparison would be empty without.
    var missing: String? {
        if let kind = kinds.first(where: { $0.outputs.isEmpty }) { return kind.name }
        let texts = alerts.values.joined()
        for rule in ["burst", "few-buyers", "strong-hour", "refund-wave", "large-order"] {
            let own = texts.filter { $0.contains("\"rule\":\"\(rule)\"") }
            if own.isEmpty { return "alert of \(rule)" }
            if rule != "large-order", !own.contains(where: { $0.contains("\"state\":\"cleared\"") }) {
                return "cleared alert of \(rule)"
            }
        }
        return nil
    }

    mutating func add(_ output: CrashComparison.Output) {
        switch output.kind {
        case "alert": alerts[output.key, default: []].append(output.text)
        case "result": results[output.key, default: []].append(output.text)
        case "dead": dead[output.key, default: []].append(output.text)
        default: late[output.key, default: []].append(output.text)
        }
    }
}
