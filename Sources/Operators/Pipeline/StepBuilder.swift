import Base
import Dataflow
import Records
import State
import Topology

/// Lays the steps out over the sources' columns.
struct StepBuilder {
    let spec: TopologySpec
    let capacity: Int
    let zones: ZoneTables
    let tracksChanges: Bool
    let mayLeap: Bool
    let aheadBytesMax: Int
    let schemaIds: [Int: Int32]
    var steps: [StepPlan] = []
    var keyPlans: [KeyPlan] = []
    /// Names of the key fields of each group.
    var groups: [[String]] = []

    init(
        spec: TopologySpec, capacity: Int, zones: ZoneTables, tracksChanges: Bool, mayLeap: Bool,
        aheadBytesMax: Int, schemaIds: [Int: Int32]
    ) {
        self.schemaIds = schemaIds
        self.spec = spec
        self.aheadBytesMax = aheadBytesMax
        self.mayLeap = mayLeap
        self.capacity = capacity
        self.zones = zones
        self.tracksChanges = tracksChanges
    }

    mutating func build(sources: [SourcePlan]) {
        for (index, step) in spec.steps.enumerated() {
            let source: Int
            var columns: [Column]
            switch step.input {
            case .source(let input): (source, columns) = (input, sources[input].columns)
            case .step(let input): (source, columns) = (steps[input].source, steps[input].columns)
            }
            if let only = step.only { columns = only.map { columns[$0] } }
            let join = step.join.map {
                TableJoinPlan($0, spec.sources[$0.table], input: columns, capacity: capacity)
            }
            let plan = StepPlan(
                step,
                index: index,
                source: source,
                join: join,
                inputColumns: columns + (join?.columns ?? []),
                capacity: capacity,
                zones: zones,
                keyPlan: { keyPlan($0, names: step.key.map { step.schema.fields[$0].name }) }
            )
            plan.key?.steps.append(index)
            steps.append(plan)
            if step.window != nil { plan.window = windowPlan(step, index: index, source: source) }
        }
        for rule in spec.rules where steps[rule.on[0]].window != nil {
            for step in rule.on {
                if rule.at == .record { steps[step].window?.isRead = true }
                for other in rule.on where other != step {
                    let source = steps[other].source
                    if steps[step].window?.readers[source]?.contains(other) != true {
                        steps[step].window?.readers[source, default: []].append(other)
                    }
                }
            }
        }
    }

    private func windowPlan(_ step: StepSpec, index: Int, source: Int) -> WindowPlan {
        var emission: [Int] = []
        var metrics: [MetricsPlan] = []
        let keyFields = step.key.map { step.schema.fields[$0].name }
        for (sink, sinkSpec) in spec.sinks.enumerated() {
            guard case .steps(let inputs) = sinkSpec.input, inputs.contains(index) else { continue }
            guard let taken = sinkSpec.metrics else {
                emission.append(sink)
                continue
            }
            metrics.append(MetricsPlan(taken, sink: sink, keyFields: keyFields))
        }
        // Rules on several windows read the others as they run, also when one closes.
        let runs = spec.rules.contains { $0.on.contains(index) && ($0.at == .record || $0.on.count > 1) }
        let plan = WindowPlan(
            step,
            source: spec.sources[source],
            keepsClosed: spec.readsClosed(index),
            // One that nobody reads is looked at by people all the same.
            keepsRunning: runs || !metrics.isEmpty || !spec.readsClosed(index),
            tracksChanges: tracksChanges,
            mayLeap: mayLeap,
            aheadBytesMax: aheadBytesMax,
            capacity: capacity,
            zones: zones
        )
        plan.emissionSinks = emission
        plan.metricsSinks = metrics
        func row(_ encoder: (any RowEncoder)?) -> ResultRow {
            ResultRow(topology: spec.name, step: step, plan.outputFields, encoder: encoder)
        }
        let plain = emission.filter { spec.sinks[$0].target.rowFormat == .json }
        if !plain.isEmpty { plan.results.append((row(nil), plain)) }
        for sink in emission where !plain.contains(sink) {
            let encoder = spec.rowEncoder(ofSink: sink, step: index, schema: schemaIds[sink])
            plan.results.append((row(encoder), [sink]))
        }
        return plan
    }

    private mutating func keyPlan(_ columns: [Column], names: [String]) -> KeyPlan {
        if let same = keyPlans.first(where: { plan in
            plan.columns.count == columns.count && zip(plan.columns, columns).allSatisfy { $0 === $1 }
                && groups[plan.group] == names
        }) {
            return same
        }
        let group = groups.firstIndex(of: names) ?? groups.count
        if group == groups.count { groups.append(names) }
        keyPlans.append(KeyPlan(columns, group: group, capacity: capacity))
        return keyPlans[keyPlans.count - 1]
    }

    func passes(source: Int) -> [WindowPass] {
        steps.compactMap { step in
            guard let window = step.window, let key = step.key else { return nil }
            let readers = (window.readers[source] ?? []).map { steps[$0] }
            guard step.source == source || !readers.isEmpty else { return nil }
            return WindowPass(
                step: step,
                window: window,
                key: key,
                isOwn: step.source == source,
                readers: readers
            )
        }
    }
}

/// A window that rows of a source reach: those of its own step, and those of steps that a rule
/// compares it with, which only read it.
struct WindowPass {
    var step: StepPlan
    var window: WindowPlan
    var key: KeyPlan
    var isOwn: Bool
    var readers: [StepPlan]

    /// False if none of its steps has selected a row of the stretch.
    var hasRows: Bool { isOwn && step.selection.count > 0 || readers.contains { $0.selection.count > 0 } }
}

struct RecordSink {
    var sink: Int
    var step: StepPlan
    var encoder: any RowEncoder
}
