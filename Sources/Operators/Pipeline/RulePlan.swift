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
    /// What has scored its rows; nil: nothing.
    let model: AlertModel?

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
        model = steps[spec.on[0]].window == nil ? AlertModel(of: spec.on[0], topology) : nil
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
        if let epoch = topology.epoch, epoch > 0 { json.member("epoch", epoch) }
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
