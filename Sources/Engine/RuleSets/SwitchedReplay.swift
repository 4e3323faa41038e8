import Base
import Dataflow
import Models
import Operators
import Records
import Topology

/// One task whose rules change while it takes its records, as its acknowledgements say: what a task of a
/// worker has published can be computed again from its records, their offsets, and these.
package final class SwitchedReplay {
    /// That the task went on with other rules.
    package struct Switch: Sendable {
        package var epoch: Int64
        package var former: Int64
        /// By topic, the offset of the first record that is judged by them.
        package var first: [String: Int64]

        /// Reads an acknowledgement's value.
        package init(_ json: [UInt8]) throws(Fault) {
            let node = DocumentNode(try JsonDocument.read(json))
            epoch = Int64(try node["epoch"].integer)
            former = Int64(try node["former"].integer)
            first = [:]
            for (topic, offset) in try node["first"].members { first[topic] = Int64(try offset.integer) }
        }
    }

    private let board: RuleSetBoard
    private let options: Pipeline.Options
    private let partition: Int32
    private var left: [Switch]
    private var pipeline: Pipeline
    private var task: TaskState

    /// `board`: the rules of every epoch, as they run; `switches` in their order.
    package init(
        _ board: RuleSetBoard, _ switches: [Switch], partition: Int32, partitions: Int,
        rowsMax: Int = Limits.rowsPerBatchMax
    ) throws(Fault) {
        self.board = board
        self.partition = partition
        left = switches
        options = Pipeline.Options(
            rowsMax: rowsMax, clock: nil, requiresKeys: partitions > 1, tracksChanges: true,
            partitions: partitions)
        guard let first = board.set(0) else { throw Fault(.defect, "the rules of epoch 0 are not known") }
        pipeline = try Planner(first).pipeline(options).pipeline
        task = pipeline.makeTask(partition: partition)
    }

    /// Takes records of one source, in the order in which the task took them.
    package func process(_ records: RawRecords, source: Int, topic: String, into outbox: inout Outbox)
        throws(Fault)
    {
        var start = 0
        for row in 0..<records.count {
            guard let next = left.first, records.offsets[row] >= next.first[topic] ?? .max else { continue }
            if row > start { take(records.slice(from: start, count: row - start), source, &outbox) }
            start = row
            while let next = left.first, records.offsets[row] >= next.first[topic] ?? .max {
                try goOn(next, &outbox)
            }
        }
        if start < records.count {
            take(records.slice(from: start, count: records.count - start), source, &outbox)
        }
    }

    /// No record comes any more.
    package func finish(into outbox: inout Outbox) throws(Fault) {
        while let next = left.first { try goOn(next, &outbox) }
    }

    private func take(_ records: RawRecords, _ source: Int, _ outbox: inout Outbox) {
        pipeline.process(records, source: source, task: task, outbox: &outbox)
    }

    private func goOn(_ next: Switch, _ outbox: inout Outbox) throws(Fault) {
        left.removeFirst()
        guard next.former == task.epoch else {
            throw Fault(
                .external,
                "task \(partition) went from epoch \(next.former) to \(next.epoch), and was at \(task.epoch)")
        }
        guard let set = board.set(next.epoch) else {
            throw Fault(.external, "the rules of epoch \(next.epoch) are not known")
        }
        // As at a commit: what changed is told before anything is taken over.
        var changes = Outbox()
        pipeline.collectChanges(task, positions: [:], into: &changes)
        let made = try Planner(set).pipeline(options).pipeline
        let rules = RuleSwitch(made)
        rules.adopt(pipeline)
        let moved = try rules.takeOver(task, of: pipeline)
        _ = rules.activate(moved, rules: board.changed(from: next.former, to: next.epoch), into: &outbox)
        (pipeline, task) = (made, moved)
    }
}
