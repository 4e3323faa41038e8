import Dataflow
import Topology

/// What the rules and steps of a pipeline have done, under their authors' names.
package struct PipelineCounts {
    private let pipeline: Pipeline
    /// Steps whose rows go on in another part of their author's step: into an operator or a repartition
    /// topic.
    private let inner: Set<Int>

    package init(_ pipeline: Pipeline) {
        self.pipeline = pipeline
        let spec = pipeline.topology.spec
        inner = Set(spec.repartitions.map(\.step)).union(spec.steps.flatMap { $0.operation?.inputs ?? [] })
    }

    package func add(to status: inout LaneStatus) {
        for (rule, counts) in zip(pipeline.topology.rules, pipeline.counters.rules) {
            status.rules[rule.spec.name, default: RuleCounts()].add(counts)
        }
        for (rule, count) in pipeline.counters.clearedOfGone {
            status.rules[rule, default: RuleCounts()].cleared += count
        }
        for (step, rows) in zip(pipeline.topology.steps, pipeline.counters.stepRows) {
            var rows = rows
            if !isEntrance(step) { rows.taken = 0 }
            if inner.contains(step.index) { rows.given = 0 }
            status.stepRows[step.authorName, default: StepCounts()].add(rows)
        }
    }

    /// A step with an operator is cut into those that take its rows in and one for what it makes; one
    /// behind a repartition topic into the one that writes to that and itself.
    private func isEntrance(_ step: StepPlan) -> Bool {
        let source: Int
        switch step.spec.input {
        case .step(let before): return pipeline.topology.steps[before].authorName != step.authorName
        case .source(let index): source = index
        }
        switch pipeline.topology.spec.sources[source].origin {
        case .stream(let made): return pipeline.topology.steps[made].authorName != step.authorName
        case .repartition:
            let before = pipeline.topology.spec.repartitions.first { $0.source == source }
            return before.map { pipeline.topology.steps[$0.step].authorName != step.authorName } ?? true
        case .kafka, .file, .generate, .redis: return true
        }
    }

    /// By rule: keys whose alert is raised.
    package func raisedKeys(_ task: TaskState) -> [String: Int] {
        var keys: [String: Int] = [:]
        for rule in pipeline.topology.rules where rule.hasWindow {
            keys[rule.spec.name] = task.rules[rule.index].raisedCount
        }
        return keys
    }
}
