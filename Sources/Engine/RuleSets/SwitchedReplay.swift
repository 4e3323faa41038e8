import Base
import Dataflow
import Operators
import Records
import Runtime
import Topology

/// One task whose rules change while it takes its records, as its acknowledgements say: what a task of a
/// worker has published can be computed again from its records, their offsets, and these.
///
/// The records before a switch are those that the acknowledgement says, and among them the order is that of
/// event times and offsets (`TaskInputs`), in which the worker took them as long as no wait ran out.
package final class SwitchedReplay {
    /// What was before the records.
    package struct Start: Sendable {
        /// The rules that judge the first of them.
        package var epoch: Int64 = 0
        /// Late records.
        package var late = 0

        package init() {}
    }

    private let board: RuleSetBoard
    private let options: Pipeline.Options
    private let partition: Int32
    private let clock: LogClock?
    private var pipeline: Pipeline
    private var task: TaskState
    private var outbox = Outbox()
    /// The topology that is being replayed, as of now.
    package private(set) var spec: TopologySpec
    /// nil: there is one input, and no order to keep.
    private var inputs: TaskInputs?
    /// Without `inputs`, what comes next.
    private var queue: [(source: Int, records: HeldRecords)] = []
    /// By source, what comes behind the next switch.
    private var left: [[LoggedRecord]] = []
    /// By topic, the offsets of what was taken so far; nil: nobody asks.
    package var taken: [String: Set<Int64>]?

    /// Rows that are taken at once; what is given does not depend on it.
    private let rowsMax: Int

    /// `board`: the rules of every epoch, as they run. `clock`: nil: event time stands in.
    package init(
        _ board: RuleSetBoard, partition: Int32, partitions: Int, start: Start = Start(),
        clock: LogClock? = nil, rowsMax: Int = Limits.rowsPerBatchMax
    ) throws(Fault) {
        (self.board, self.partition, self.clock, self.rowsMax) = (board, partition, clock, rowsMax)
        options = Pipeline.Options(
            rowsMax: rowsMax, clock: clock, requiresKeys: partitions > 1, tracksChanges: true,
            partitions: partitions)
        spec = try Self.rules(board, start.epoch)
        pipeline = try Planner(spec).pipeline(options).pipeline
        task = pipeline.makeTask(partition: partition)
        task.begin(epoch: start.epoch, late: start.late)
        align()
    }

    private static func rules(_ board: RuleSetBoard, _ epoch: Int64) throws(Fault) -> TopologySpec {
        guard let set = board.set(epoch) else {
            throw Fault(.external, "the rules of epoch \(epoch) are not known")
        }
        return set
    }

    private func align() {
        let aligned = pipeline.alignedInputs
        var options = TaskInputs.Options()
        options.isWhole = true
        inputs =
            aligned.isEmpty
            ? nil : TaskInputs(aligned, writers: pipeline.writers(task), options: options, now: 0)
    }

    // MARK: Records

    /// Takes all of the task's records, by topic, in offset order (of tables that every lane has all of,
    /// those of every partition), with its switches in between, in their order. `output` empties the
    /// outbox; false: it has what it wants. Returns false then.
    @discardableResult
    package func run(
        _ records: [String: [LoggedRecord]], _ switches: [RuleSetSwitch],
        _ output: (inout Outbox) throws(Fault) -> Bool
    ) throws(Fault) -> Bool {
        left = spec.sources.map { source in source.topicOfTask.flatMap { records[$0] } ?? [] }
        for (source, spec) in spec.sources.enumerated() {
            guard let topic = spec.topicOfAll else { continue }
            takeWhole(records[topic] ?? [], source, topic)
        }
        for next in switches {
            try add(before: next)
            guard try drain(output) else { return false }
            for (source, spec) in spec.sources.enumerated() {
                // A quiet partition's event time had gone on with the clock.
                guard let topic = spec.topicOfTask, let watermark = next.watermarks[topic] else { continue }
                pipeline.advance(source: source, to: watermark, task: task, outbox: &outbox)
            }
            guard try hand(output) else { return false }
            try goOn(next)
            guard try hand(output) else { return false }
        }
        try add(before: nil)
        return try drain(output)
    }

    /// It is this time by the clock, milliseconds, and no record came since the last one of each topic,
    /// whose time in Kafka `lastRecords` has: event time of those that have been quiet for their idle time
    /// goes on.
    package func goIdle(
        at now: Int64, _ lastRecords: [String: Int64], _ output: (inout Outbox) throws(Fault) -> Bool
    ) throws(Fault) -> Bool {
        for (source, spec) in spec.sources.enumerated() where spec.table == nil {
            guard let topic = spec.topicOfTask else { continue }
            let quiet = now - (lastRecords[topic] ?? 0)
            if quiet < spec.idle { continue }
            pipeline.idle(source: source, forMilliseconds: quiet, task: task, outbox: &outbox)
        }
        return try hand(output)
    }

    /// Event time of every source goes on to `watermark`, milliseconds, without a record; nil: until no
    /// window is open any more.
    package func advance(to watermark: Int64?, _ output: (inout Outbox) throws(Fault) -> Bool) throws(Fault)
        -> Bool
    {
        if let watermark {
            for (source, spec) in spec.sources.enumerated() where spec.topicOfTask != nil {
                pipeline.advance(source: source, to: watermark, task: task, outbox: &outbox)
            }
        } else {
            pipeline.finish(task, outbox: &outbox)
        }
        return try hand(output)
    }

    private func takeWhole(_ records: [LoggedRecord], _ source: Int, _ topic: String) {
        for start in stride(from: 0, to: records.count, by: rowsMax) {
            let block = HeldRecords(records[start..<min(start + rowsMax, records.count)])
            clock?.note(block.raw)
            pipeline.processBroadcast(block.raw, source: source)
        }
        taken?[topic, default: []].formUnion(records.map(\.offset))
    }

    /// Adds the records that the task took before a switch.
    private func add(before next: RuleSetSwitch?) throws(Fault) {
        for source in left.indices where !left[source].isEmpty {
            let records = left[source]
            left[source] = []
            for start in stride(from: 0, to: records.count, by: rowsMax) {
                let part = records[start..<min(start + rowsMax, records.count)]
                var before: [LoggedRecord] = []
                var writers: [Int32]?
                if let next { writers = try self.writers(of: part, source, next) }
                for (row, record) in part.enumerated() {
                    let end = next.flatMap { bound($0, source, writers?[row]) } ?? Int64.max
                    if record.offset < end { before.append(record) } else { left[source].append(record) }
                }
                if before.isEmpty { continue }
                let block = HeldRecords(before[...])
                if let inputs {
                    let rows = pipeline.look(at: block.raw, source: source, task: task)
                    inputs.add(block, rows, source: source, now: 0)
                } else {
                    queue.append((source, block))
                }
            }
        }
    }

    /// Who wrote each of these records; nil: they are of no repartition topic.
    private func writers(of records: ArraySlice<LoggedRecord>, _ source: Int, _ next: RuleSetSwitch)
        throws(Fault) -> [Int32]?
    {
        guard case .repartition(let topic) = spec.sources[source].origin else { return nil }
        let block = HeldRecords(records)
        let writers = pipeline.look(at: block.raw, source: source, task: task).words.map(\.writer)
        let known = next.writers[topic]
        guard let known, writers.allSatisfy({ Int($0) < known.count }) else {
            throw Fault(
                .external,
                "the acknowledgement of epoch \(next.epoch) by task \(partition) does not say how far each writer of '\(topic)' "
                    + "was read, as those of earlier builds do not: which of its rows came first cannot be told"
            )
        }
        return writers
    }

    private func bound(_ next: RuleSetSwitch, _ source: Int, _ writer: Int32?) -> Int64? {
        guard let topic = spec.sources[source].topicOfTask else { return nil }
        if let writer { return next.writers[topic]?[Int(writer)] }
        return next.first[topic]
    }

    /// Takes all that was added.
    private func drain(_ output: (inout Outbox) throws(Fault) -> Bool) throws(Fault) -> Bool {
        if let inputs {
            while let run = inputs.next(now: 0) {
                guard try take(run.raw, run.source, output) else { return false }
            }
            return true
        }
        while !queue.isEmpty {
            let (source, block) = queue.removeFirst()
            guard try take(block.raw, source, output) else { return false }
        }
        return true
    }

    /// So that little is taken beyond an alert that is looked for.
    private static let slice = 256

    private func take(_ records: RawRecords, _ source: Int, _ output: (inout Outbox) throws(Fault) -> Bool)
        throws(Fault) -> Bool
    {
        for start in stride(from: 0, to: records.count, by: min(Self.slice, rowsMax)) {
            let part = records.slice(from: start, count: min(Self.slice, rowsMax, records.count - start))
            clock?.note(part)
            pipeline.process(part, source: source, task: task, outbox: &outbox)
            if taken != nil, let topic = spec.sources[source].topicOfTask {
                for row in 0..<part.count { taken?[topic, default: []].insert(part.offsets[row]) }
            }
            guard try hand(output) else { return false }
        }
        return true
    }

    private func hand(_ output: (inout Outbox) throws(Fault) -> Bool) throws(Fault) -> Bool {
        if outbox.isEmpty { return true }
        let goesOn = try output(&outbox)
        outbox.removeAll()
        return goesOn
    }

    // MARK: Switches

    private func goOn(_ next: RuleSetSwitch) throws(Fault) {
        guard next.former == task.epoch else {
            throw Fault(
                .external,
                "task \(partition) went from epoch \(next.former) to \(next.epoch), and was at \(task.epoch)")
        }
        let set = try Self.rules(board, next.epoch)
        // As at a commit: what changed is told before anything is taken over.
        var changes = Outbox()
        var written: [Int: [Int64]] = [:]
        for source in spec.sources.indices { written[source] = inputs?.written(source) }
        pipeline.collectChanges(task, positions: [:], written: written, into: &changes)
        let made = try Planner(set).pipeline(options).pipeline
        let rules = RuleSwitch(made)
        rules.adopt(pipeline)
        let moved = try rules.takeOver(task, of: pipeline)
        let isRealigned = made.alignedInputs != pipeline.alignedInputs
        // What is left goes on with its source, under whatever index.
        let topics = Dictionary(
            zip(spec.sources.map(\.topicOfTask), left).compactMap { topic, records in
                topic.map { ($0, records) }
            }, uniquingKeysWith: { a, _ in a })
        (pipeline, task, spec) = (made, moved, set)
        left = set.sources.map { source in source.topicOfTask.flatMap { topics[$0] } ?? [] }
        if isRealigned { align() }
        _ = rules.activate(task, rules: board.changed(from: next.former, to: next.epoch), into: &outbox)
    }
}
