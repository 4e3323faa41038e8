import Dataflow
import Topology

/// What the rows of one source go through, stage by stage.
final class SourceFlow {
    let steps: [StepPlan]
    /// The keys of its steps, those that have each, and those of them with a window.
    let keys: [(key: KeyPlan, steps: [StepPlan], windows: [StepPlan])]
    /// The windows that its rows reach, and the steps whose windows are its own.
    let passes: [WindowPass]
    let windows: [StepPlan]
    /// The rules that its rows can fire, with those of their steps that are of this source.
    let rules: [(rule: RulePlan, steps: [StepPlan])]
    let recordSinks: [RecordSink]
    let repartitions: [RepartitionPlan]
    /// Operators that take its rows, in the order of their steps.
    let operators: [OperatorPlan]
    /// True if a rule looks at rows one by one where they come out of order.
    let watchesOrder: Bool
    /// A record without a key could be of any task: of windows and operators, that is.
    let needsKeys: Bool
    /// Its rows, and all that comes of them, go through one by one.
    let isRowWise: Bool

    init(
        of source: Int, _ spec: TopologySpec, steps: [StepPlan], keys: [KeyPlan], passes: [WindowPass],
        rules: [RulePlan],
        repartitions: [RepartitionPlan], operators: [OperatorPlan], isRowWise: Bool,
        schemaIds: [Int: Int32]
    ) {
        let own = steps.filter { $0.source == source }
        self.steps = own
        self.keys = keys.filter { steps[$0.steps[0]].source == source }.map { key in
            let ofKey = key.steps.map { steps[$0] }
            return (key, ofKey, ofKey.filter { $0.window != nil })
        }
        self.passes = passes
        windows = own.filter { $0.window != nil }
        self.rules = rules.compactMap { rule in
            let ofRule = rule.spec.on.map { steps[$0] }.filter { $0.source == source }
            return ofRule.isEmpty ? nil : (rule, ofRule)
        }
        recordSinks = spec.sinks.enumerated().flatMap { sink, sinkSpec -> [RecordSink] in
            guard case .steps(let indices) = sinkSpec.input else { return [] }
            let taken = indices.map { steps[$0] }.filter { $0.source == source && $0.window == nil }
            return taken.map { (step: StepPlan) -> RecordSink in
                let encoder = spec.rowEncoder(ofSink: sink, step: step.index, schema: schemaIds[sink])
                return RecordSink(sink: sink, step: step, encoder: encoder ?? step.encoder)
            }
        }
        self.repartitions = repartitions.filter { $0.spec.origin == source }
        self.operators = operators
        watchesOrder = passes.contains { $0.window.isRead }
        needsKeys = own.contains { $0.window != nil || $0.isIntake }
        self.isRowWise = isRowWise
    }
}
