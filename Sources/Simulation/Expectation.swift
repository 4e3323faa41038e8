import Base
import Dataflow
import Engine
import Operators
import Records
import Topology

/// What a plain replay of a scenario's records gives.
struct Expectation {
    private let scenario: Scenario
    private let deployment: SimulatedDeployment

    private let switches: [Int32: [RuleSetSwitch]]

    init(_ scenario: Scenario, _ deployment: SimulatedDeployment, switches: [Int32: [RuleSetSwitch]]) {
        self.scenario = scenario
        self.deployment = deployment
        self.switches = switches
    }

    /// By topic and key, in their order.
    func outputs() throws(Fault) -> [String: [String: [String]]] {
        var outputs: [String: [String: [String]]] = [:]
        let partitions = scenario.isSeparate ? Array(0..<scenario.partitions) : [0]
        for partition in partitions { try replay(partition, into: &outputs) }
        return outputs
    }

    private func replay(_ partition: Int32, into outputs: inout [String: [String: [String]]]) throws(Fault) {
        if !deployment.ruleSets.isEmpty { return try replayChanging(partition, into: &outputs) }
        let spec = try Schedule.read(scenario.topology)
        let (pipeline, _) = try Planner(spec).pipeline(
            Pipeline.Options(rowsMax: 4, clock: nil, requiresKeys: scenario.partitions > 1))
        let task = pipeline.makeTask(partition: partition)
        var outbox = Outbox()
        var offsets: [String: [Int32: Int64]] = [:]
        for row in scenario.tables
        where spec.sources.first(where: { $0.name == row.source })?.isBroadcast == true {
            let held = SimulatedRecords([record(row, 0)])
            withExtendedLifetime(held) {
                pipeline.processBroadcast(held.raw, source: index(of: row.source, spec))
            }
        }
        var records: [(source: Int, record: SimulatedBroker.Record)] = []
        for row in scenario.tables + scenario.feed {
            let offset = offsets[row.source, default: [:]][row.partition, default: 0]
            offsets[row.source, default: [:]][row.partition] = offset + 1
            let source = index(of: row.source, spec)
            guard !spec.sources[source].isBroadcast, row.partition == partition || !scenario.isSeparate else {
                continue
            }
            records.append((source, record(row, offset)))
        }
        for (source, record) in records {
            let held = SimulatedRecords([record])
            withExtendedLifetime(held) {
                pipeline.process(held.raw, source: source, task: task, outbox: &outbox)
            }
            add(&outbox, to: &outputs)
        }
    }

    /// The same of rules that change, for a source that has no other beside it.
    private func replayChanging(_ partition: Int32, into outputs: inout [String: [String: [String]]])
        throws(Fault)
    {
        let replay = try SwitchedReplay(
            deployment.board(at: deployment.activated.epoch), partition: partition,
            partitions: Int(scenario.partitions), rowsMax: 4)
        var records: [String: [LoggedRecord]] = [:]
        for row in scenario.feed where row.partition == partition {
            let record = record(row, Int64(records[row.source]?.count ?? 0))
            records[row.source, default: []].append(
                LoggedRecord(
                    offset: record.offset, timestamp: record.timestamp, key: record.key, value: record.value))
        }
        try replay.run(records, switches[partition] ?? []) { outbox throws(Fault) in
            add(&outbox, to: &outputs)
            return true
        }
    }

    private func add(_ outbox: inout Outbox, to outputs: inout [String: [String: [String]]]) {
        for output in outbox.records {
            let topic: String?
            switch output.destination {
            case .sink(let index): topic = deployment.topic(ofSink: index)
            case .deadLetter: topic = deployment.deadLetter
            case .late: topic = deployment.late
            case .changelog, .repartition, .acknowledgement: topic = nil
            }
            guard let topic else { continue }
            Self.add(
                topic, key: outbox.key(of: output).map { Array($0) },
                value: outbox.value(of: output).map { Array($0) },
                scenario, to: &outputs)
        }
        outbox.removeAll()
    }

    private func index(of source: String, _ spec: TopologySpec) -> Int {
        spec.sources.firstIndex { $0.name == source } ?? 0
    }

    private func record(_ row: Scenario.Fed, _ offset: Int64) -> SimulatedBroker.Record {
        SimulatedBroker.Record(
            offset: offset, key: Array(row.key.utf8), value: Array(row.value.utf8), timestamp: Scenario.start)
    }

    /// Outputs that have an order among each other are one sequence.
    static func add(
        _ topic: String, key: [UInt8]?, value: [UInt8]?, _ scenario: Scenario,
        to outputs: inout [String: [String: [String]]]
    ) {
        let value = stripped(value, of: scenario.ignored)
        var sequence = text(key)
        // Rows without a key: each for itself. Rules of one key: in an order only where records come in one.
        if key == nil { sequence = value } else if !scenario.isOrdered { sequence += " " + rule(of: value) }
        outputs[topic, default: [:]][sequence, default: []].append(value)
    }

    private static func rule(of value: String) -> String {
        guard let start = value.firstRange(of: "\"rule\":\"") else { return "" }
        return String(value[start.upperBound...].prefix { $0 != "\"" })
    }

    static func text(_ bytes: [UInt8]?) -> String {
        guard let bytes else { return "(null)" }
        // Keys of several fields are bytes.
        return String(validating: bytes, as: UTF8.self)
            ?? bytes.map { String($0, radix: 16) }.joined(separator: " ")
    }

    /// A JSON object without some of its members, which are the last ones of their names.
    static func stripped(_ bytes: [UInt8]?, of members: [String]) -> String {
        var text = text(bytes)
        for member in members {
            guard let start = text.firstRange(of: "\"\(member)\":") else { continue }
            var depth = 0
            var inText = false
            var end = start.upperBound
            while end < text.endIndex {
                let character = text[end]
                if character == "\"" { inText.toggle() }
                if !inText {
                    if character == "{" || character == "[" { depth += 1 }
                    if character == "}" || character == "]" { depth -= 1 }
                    if depth < 0 || (depth == 0 && character == ",") { break }
                }
                end = text.index(after: end)
            }
            text.removeSubrange(start.lowerBound..<end)
        }
        return text
    }

    static func difference(_ found: [String], _ wanted: [String], mayRepeat: Bool) -> String? {
        var found = found
        if mayRepeat {
            // Outputs since the last commit come again, in their order.
            var seen: Set<String> = []
            found = found.filter { seen.insert($0).inserted }
            let missing = wanted.filter { !seen.contains($0) }
            if let first = missing.first { return "missing \(first)" }
            let all = Set(wanted)
            if let foreign = found.first(where: { !all.contains($0) }) {
                return "not in the replay: \(foreign)"
            }
            return nil
        }
        guard found != wanted else { return nil }
        for index in 0..<max(found.count, wanted.count) {
            let one = index < found.count ? found[index] : "nothing"
            let other = index < wanted.count ? wanted[index] : "nothing"
            if one != other {
                return "\(found.count) for \(wanted.count); number \(index) is \(one)\n  instead of \(other)"
            }
        }
        return nil
    }
}
