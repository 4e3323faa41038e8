import Base
import Records
import State
import Topology

/// A rule compiled for one lane.
final class RulePlan {
    let spec: RuleSpec
    let index: Int
    /// Key fields of the rule's key, decoded from the task's key table when they are needed.
    let keyColumns: [Column]
    let keyNames: [String]
    let group: Int
    /// Columns of `spec.scope`.
    let columns: [Column]
    /// True if the condition itself reads the key fields.
    let readsKey: Bool
    let when: Condition
    let clear: Condition?
    let message: [(text: String, program: Program?)]
    let hasWindow: Bool
    /// True if the condition depends on nothing but the records of one window.
    let readsOneWindow: Bool
    /// True if a window may say something else though it holds the same records: where it begins or ends.
    let readsTime: Bool
    /// True if time alone may clear its alerts: it has windows, and does not wait for their ends.
    let looksAgain: Bool
    /// The sources of its windows' records, each once.
    let sources: [Int]
    /// Sinks that take this rule's alerts.
    let sinks: [Int]
    /// `"rule":…` to `"severity":…`, and the condition and measure, ready to be copied.
    let head: String
    let tail: String

    init(
        _ spec: RuleSpec,
        index: Int,
        steps: [StepPlan],
        topology: TopologySpec,
        capacity: Int,
        zones: ZoneTables
    ) {
        self.spec = spec
        self.index = index
        let first = steps[spec.on[0]]
        hasWindow = first.window != nil
        looksAgain = hasWindow && spec.at == .record
        readsTime = spec.on.contains { step in
            steps[step].spec.aggregates.contains { [.days, .windowStart, .windowEnd].contains($0.function) }
        }
        readsOneWindow = spec.on.count == 1 && !readsTime
        sources = spec.on.reduce(into: []) { sources, step in
            if !sources.contains(steps[step].source) { sources.append(steps[step].source) }
        }
        keyNames = first.spec.key.map { first.spec.schema.fields[$0].name }
        group = first.key?.group ?? 0
        if hasWindow {
            keyColumns = first.spec.key.map { Column(first.spec.schema.fields[$0].type, capacity: capacity) }
            columns = keyColumns + spec.on.flatMap { steps[$0].window?.outputColumns ?? [] }
        } else {
            keyColumns = first.spec.key.map { first.columns[$0] }
            columns = first.columns
        }
        when = Condition(spec.when, capacity: capacity, zones: zones)
        clear = spec.clear.map { Condition($0, capacity: capacity, zones: zones) }
        message = spec.message.map { part in
            switch part {
            case .text(let text): (text, nil)
            case .value(let expression): ("", Program(expression, capacity: capacity, zones: zones))
            }
        }
        let keyCount = keyNames.count
        readsKey = spec.mentioned.contains { $0 < keyCount }
        sinks = topology.sinks.indices.filter { sink in
            if case .alerts(let rules) = topology.sinks[sink].input { rules.contains(index) } else { false }
        }
        var json = JsonWriter()
        json.beginObject()
        json.member("topology", topology.name)
        json.member("ruleset", topology.ruleset)
        json.member("logic", topology.logic)
        json.member("rule", spec.name)
        json.member("risk", spec.risk)
        json.member("severity", spec.severity.rawValue)
        head = String(json.string.dropFirst())
        json.removeAll()
        json.beginObject()
        json.member("condition", spec.condition)
        json.member("measure", spec.measure)
        tail = String(json.string.dropFirst())
    }
}

/// What a task remembers of one rule.
struct RuleState {
    struct Edge {
        var alertId: UInt64
        var secondHalf: UInt64
        /// The greatest event time of an alert that was raised for this key.
        var eventTime: Int64
        /// Alerts raised for this key at this event time before.
        var ordinal: Int
        /// Alerts raised for this key at event times before that of an earlier one.
        var outOfOrder = 0
        var isRaised: Bool
    }

    /// 1 for keys whose alert is raised, by id.
    private(set) var raised: [UInt8] = []
    private(set) var raisedCount = 0
    private(set) var edges: [UInt32: Edge] = [:]
    /// When raised alerts are looked at again, for each of the rule's sources.
    var timers: [RaisedTimers]
    /// Alerts of a rule on records: how many a key has had at an event time.
    private(set) var seen: [UInt64: (time: Int64, count: Int)] = [:]
    /// So many are kept before those behind the watermark are looked for, of which those before this time are forgotten.
    private(set) var seenMax = Limits.recordAlertsRemembered
    private(set) var forgottenBefore = Int64.min
    /// What changed since it was last collected; with repeats.
    var dirtyEdges: [UInt32] = []
    var dirtySeen: [UInt64] = []
    private let tracksChanges: Bool

    init(sources: Int, tracksChanges: Bool) {
        timers = Array(repeating: RaisedTimers(), count: sources)
        self.tracksChanges = tracksChanges
    }

    mutating func setEdge(_ id: UInt32, _ edge: Edge) {
        edges[id] = edge
        setRaised(id, edge.isRaised)
        if tracksChanges { dirtyEdges.append(id) }
    }

    /// True if there was one.
    mutating func removeEdge(_ id: UInt32) -> Bool {
        setRaised(id, false)
        return edges.removeValue(forKey: id) != nil
    }

    mutating func setSeen(_ hash: UInt64, time: Int64, count: Int) {
        seen[hash] = (time, count)
        if tracksChanges { dirtySeen.append(hash) }
    }

    mutating func removeSeen(_ hash: UInt64) { seen[hash] = nil }

    mutating func removeSeen(before watermark: Int64) {
        if tracksChanges { dirtySeen += seen.filter { $0.value.time < watermark }.keys }
        seen = seen.filter { $0.value.time >= watermark }
        forgottenBefore = max(forgottenBefore, watermark)
        // Where most of them are not behind the watermark, looking at all of them again at once would be in vain.
        seenMax = max(Limits.recordAlertsRemembered, 2 * seen.count)
    }

    func isRaised(_ id: UInt32) -> Bool { Int(id) < raised.count && raised[Int(id)] != 0 }

    /// The rows whose key, `ids[row]`, has its alert raised.
    func selectRaised(_ ids: UnsafePointer<UInt32>, _ rows: Selection, into found: SelectionBuffer) {
        var count = 0
        raised.withUnsafeBufferPointer { raised in
            for index in rows.indices {
                let row = rows[index]
                let id = Int(ids[row])
                found.rows[count] = Int32(truncatingIfNeeded: row)
                count += id < raised.count ? Int(raised[id]) : 0
            }
        }
        found.count = count
    }

    private mutating func setRaised(_ id: UInt32, _ isRaised: Bool) {
        if Int(id) >= raised.count {
            raised.append(contentsOf: repeatElement(0, count: Int(id) + 1 - raised.count + raised.count / 2))
        }
        guard (raised[Int(id)] != 0) != isRaised else { return }
        for place in timers.indices { timers[place].set(id, to: isRaised ? .min : .max) }
        raised[Int(id)] = isRaised ? 1 : 0
        raisedCount += isRaised ? 1 : -1
    }

    /// Keys whose alert is raised.
    var raisedIds: [UInt32] {
        raisedCount == 0 ? [] : raised.indices.filter { raised[$0] != 0 }.map { UInt32($0) }
    }
}
