import Base
import Dataflow
import Records
import State
import Topology

/// What a task says when it goes on with other rules, in the transaction that makes it so.
package struct Activation {
    package var epoch: Int64
    /// Of the rules before.
    package var former: Int64
    /// By source, the offset of the first record that is judged by the new rules; 0: every one.
    package var first: [Int64]
    /// The event time up to which windows were judged by the rules before, milliseconds; nil: nowhere yet.
    package var watermark: Int64?
    /// The same by source; `.min`: nowhere yet.
    package var watermarks: [Int64]
    /// By source that is a repartition topic, the offset of each writer's next record, -1: none was taken.
    /// They are read at their own paces, so `first`, the least of them, does not tell it all.
    package var written: [[Int64]]
    /// Alerts that the change itself has raised and cleared.
    package var raised = 0
    package var cleared = 0
}

/// Rules that change while they run: tasks of one pipeline go on in this one.
package struct RuleSwitch {
    private let pipeline: Pipeline

    package init(_ pipeline: Pipeline) { self.pipeline = pipeline }

    /// The task with what this pipeline still has of its state. To be called right after a commit, with
    /// nothing in between. Throws if a step of the same name has another meaning.
    package func takeOver(_ task: TaskState, of former: Pipeline) throws(Fault) -> TaskState {
        let bytes = Arena(capacity: 1 << 16)
        former.writeSnapshot(task, to: bytes)
        let own = pipeline.makeTask(partition: task.partition)
        guard pipeline.readSnapshot(UnsafeBufferPointer(start: bytes.base, count: bytes.count), task: own)
        else {
            throw Fault(.defect, "task \(task.partition) cannot read what it wrote")
        }
        // It was never away: there is no changelog to be compared with.
        own.isDoubtful = false
        try pipeline.finishRestore(own, place: "task \(task.partition)")
        if own.crowds.count == task.crowds.count { own.crowds = task.crowds }
        return own
    }

    /// What a lane has of tables that each lane has all of, and whoever takes its outputs, from the pipeline
    /// before.
    package func adopt(_ former: Pipeline) {
        adoptTables(former)
        (pipeline.spill, pipeline.stages) = (former.spill, former.stages)
    }

    private func adoptTables(_ former: Pipeline) {
        for source in pipeline.topology.sources {
            guard let table = source.table, table.shared != nil,
                let before = former.topology.sources.first(where: { $0.spec.name == source.spec.name })?.table
            else { continue }
            table.adopt(before)
        }
    }

    /// What `activate` would make of a task, tried on a copy of it. To be called right after a commit.
    package func trial(_ task: TaskState, of former: Pipeline, rules: (String) -> Bool) throws(Fault)
        -> Activation?
    {
        adoptTables(former)
        var outbox = Outbox()
        return activate(try takeOver(task, of: former), rules: rules, into: &outbox)
    }

    /// Ends what the task's former rules have left, and judges the keys of its live windows once by those
    /// `rules`, by name, that are new or changed. What becomes of it goes to `outbox`, whose commit makes it
    /// certain. nil: the task goes on with the rules that it had.
    package func activate(_ task: TaskState, rules: (String) -> Bool, into outbox: inout Outbox)
        -> Activation?
    {
        guard let epoch = pipeline.topology.spec.epoch, epoch != task.epoch else { return nil }
        var activation = Activation(
            epoch: epoch, former: task.epoch, first: task.positions.map { max(0, $0) },
            watermarks: task.watermarks, written: task.written, cleared: task.abandoned.count)
        let firstOutput = outbox.records.count
        let watermark = greatestWatermark(task.watermarks)
        activation.watermark = watermark == .min ? nil : watermark
        pipeline.clearAbandoned(task, into: &outbox)
        outbox.order = 0
        for rule in pipeline.topology.rules where rule.hasWindow && rules(rule.spec.name) {
            guard rule.spec.at == .record else {
                task.rules[rule.index].judgesAll = true
                continue
            }
            pipeline.closing.judgeAll(rule, task, &outbox) { edge in
                if edge.isRaised { activation.raised += 1 } else { activation.cleared += 1 }
            }
        }
        task.lateCount = outbox.settle(from: firstOutput, late: task.lateCount)
        task.epoch = epoch
        return activation
    }

    /// What of the topology remembers something, by name: the definition that gives it its meaning, and for
    /// steps the rows that it takes in.
    package var kept: [String: (definition: String, intake: String)] {
        let intakes = StateNotes(pipeline.topology.spec).intakes
        var kept: [String: (definition: String, intake: String)] = [:]
        let identities = pipeline.keeper.identities
        for step in (identities.steps + identities.tables).compactMap({ $0 }) {
            kept[step.name] = (step.definition, intakes[step.name] ?? "")
        }
        return kept
    }

    private func greatestWatermark(_ watermarks: [Int64]) -> Int64 {
        pipeline.topology.sources.indices.reduce(.min) {
            pipeline.topology.sources[$1].table == nil ? max($0, watermarks[$1]) : $0
        }
    }
}
