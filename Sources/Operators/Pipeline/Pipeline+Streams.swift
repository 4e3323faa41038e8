import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// Streams: rows that steps of this very task make, which go through the steps that read them as if they were a
/// source's.
///
/// A source's rows come first, up to the end of a stretch, then what they made, then what that made. So that outputs
/// stand in the order in which they would come if rows went through one by one, however the input was cut into
/// batches, each row remembers the row of the batch that brought it about (`Pipeline+OutputOrder`).
extension Pipeline {
    // MARK: How much at once

    /// How many rows of a batch may be taken through their steps together. One where they might fill a buffer, so that
    /// which of them are refused does not depend on the batch: then what event time has passed is out of it.
    func rowsAtOnce(
        _ plan: SourcePlan, _ source: Int, _ watermark: Int64, _ task: TaskState, _ outbox: inout Outbox
    ) -> Int {
        for operation in operatorsOfSource[source] {
            guard let own = task.operators[operation.step.index] else { continue }
            // More than the rows that come of the batch can have, whatever texts are made of those that there are.
            let most = operation.intakes.count * (8 * plan.batch.arena.count + plan.batch.count * operation.rowBytesMost)
            guard own.buffer.usedBytes + most > operation.spec.limits.memory else { continue }
            settle(source, watermark, task, &outbox)
            return 1
        }
        guard roots.isRoot(plan) else { return .max }
        var rows = Int.max
        for case let own? in task.operators {
            let partners = own.state.partnersMost
            if partners > 1 { rows = min(rows, max(1, options.pairsAtOnceMax / partners - own.buffer.count)) }
        }
        return rows
    }

    // MARK: Rows of a stream

    /// Takes the rows that were written of a stream through the steps that read it.
    func drain(_ stream: Int, _ task: TaskState, _ outbox: inout Outbox) {
        let plan = sources[stream]
        guard let rows = plan.stream else { return }
        let batch = plan.batch
        let order = outbox.order
        plan.buffer?.handOver {
            batch.partition = task.partition
            var greatest = task.times[stream]
            for row in 0..<batch.count {
                batch.status[row] = 0
                batch.statusField[row] = -1
                plan.late[row] = 0
                plan.watermarks[row] = max(
                    rows.watermarks[row], row == 0 ? task.watermarks[stream] : plan.watermarks[row - 1])
                greatest = max(greatest, batch.times[row])
            }
            task.times[stream] = greatest
            task.watermarks[stream] = max(task.watermarks[stream], plan.watermarks[batch.count - 1])
            processStretches(plan, stream, task, &outbox)
        }
        outbox.order = order
        if isAlone { spillResults(&outbox) }
    }

    /// All rows of a stream up to event time `watermark` are there.
    private func advanceStream(_ stream: Int, to watermark: Int64, _ task: TaskState, _ outbox: inout Outbox) {
        drain(stream, task, &outbox)
        if watermark == .min { return }
        if watermark == Upstream.idle { return settle(stream, watermark, task, &outbox) }
        if watermark > task.watermarks[stream] || task.settled[stream] < task.watermarks[stream] {
            let watermark = max(watermark, task.watermarks[stream])
            close(source: stream, watermark: watermark, task: task, outbox: &outbox)
            task.watermarks[stream] = watermark
            settle(stream, watermark, task, &outbox)
        }
    }

    // MARK: What a source's rows make

    /// Every row of a source up to event time `watermark` has gone through its steps: what they make follows.
    func settle(_ source: Int, _ watermark: Int64, _ task: TaskState, _ outbox: inout Outbox) {
        task.settled[source] = watermark
        for step in ownWindows[source] {
            guard let stream = step.stream else { continue }
            // The next closed window may end before it closes.
            let next = watermark == Upstream.idle ? .max : task.stores[step.index]?.nextEnd ?? .max
            advanceStream(stream, to: min(watermark, next), task, &outbox)
        }
        for operation in operatorsOfSource[source] {
            let watermark = self.watermark(of: operation, task)
            release(operation, before: watermark, task, &outbox)
            advanceStream(operation.stream, to: watermark, task, &outbox)
            if operation.intakes.allSatisfy({ task.settled[$0.source] == Upstream.idle }) {
                advanceStream(operation.stream, to: Upstream.idle, task, &outbox)
            }
        }
    }

    /// Event time up to which an operator has all rows of all its inputs. Inputs that are quiet are not waited for;
    /// where all are, time goes on with that of the one that is ahead.
    func watermark(of operation: OperatorPlan, _ task: TaskState) -> Int64 {
        let watermark = operation.intakes.reduce(.max) { min($0, task.settled[$1.source]) }
        if watermark != Upstream.idle { return watermark }
        return operation.intakes.reduce(.min) { max($0, reached($1.source, task)) }
    }

    /// Hands the rows of a stretch to the operators that take them: those of event-time order have them put into their
    /// buffers, where those that event time has passed are late.
    func take(_ plan: SourcePlan, _ source: Int, _ task: TaskState, _ outbox: inout Outbox) {
        for operation in operatorsOfSource[source] {
            switch operation.order {
            case .asTheyCome: pass(plan, source, operation, task, &outbox)
            case .eventTime: buffer(plan, source, operation, task)
            }
        }
    }

    /// By row, then by input.
    private func pass(
        _ plan: SourcePlan, _ source: Int, _ operation: OperatorPlan, _ task: TaskState, _ outbox: inout Outbox
    ) {
        guard let state = task.operators[operation.step.index] else { return }
        let own = operation.inputs.filter { $0.step.source == source }
        let others = operation.intakes.reduce(Int64.max) { $1.source == source ? $0 : min($0, task.settled[$1.source]) }
        var next = own.map { _ in 0 }
        operation.taken.removeAll(keepingCapacity: true)
        operation.roots.removeAll(keepingCapacity: true)
        while true {
            var first: Int?
            for (place, input) in own.enumerated() where next[place] < input.rows.count {
                let row = input.rows[next[place]]
                if let best = first, own[best].rows[next[best]] <= row { continue }
                first = place
            }
            guard let place = first else { break }
            let row = own[place].rows[next[place]]
            next[place] += 1
            if operation.spec.part.dropsLate, plan.isLate(row) { continue }
            own[place].pass(row, from: origin(plan, source, task, row))
            operation.taken.append((own[place].index, row))
            operation.roots.append((plan.stream?.roots[row] ?? Int32(row), min(plan.watermarks[row], others)))
        }
        if operation.taken.isEmpty { return }
        operation.views?.use(task, source: source)
        count(of: operation) { state.pass(operation, of: source) }
        takeLetters(operation.rows, &outbox)
    }

    private func buffer(_ plan: SourcePlan, _ source: Int, _ operation: OperatorPlan, _ task: TaskState) {
        guard let own = task.operators[operation.step.index] else { return }
        require(!operation.isReleasing, "a row goes into a buffer whose rows are being taken")
        let room = bufferRoom(operation, source, task)
        let watermark = task.watermarks[operation.stream]
        let arena = plan.batch.arena
        for input in operation.inputs where input.step.source == source {
            let rows = input.step.selection.selection
            for index in 0..<rows.count {
                let row = rows[index]
                let time = plan.batch.times[row]
                // Event time of the operator may be ahead of that of an input that was quiet.
                if time < max(plan.watermarks[row], watermark) {
                    plan.late[row] = 1
                    continue
                }
                let (bytes, contentStart) = input.encode(row, arena: arena, origin(plan, source, task, row))
                let key = input.step.encodedKey(of: row, arena)
                let isLarge = key.count + bytes.count > Limits.recordBytesMax
                if isLarge || own.buffer.usedBytes + key.count + bytes.count > room {
                    plan.refusals.append(
                        Refusal(
                            row: Int32(row), step: Int16(operation.step.index), status: isLarge ? .oversized : .stepMemoryFull,
                            field: nil))
                    if !isLarge {
                        let hash = key.baseAddress.map { hashBytes($0, key.count) } ?? 0
                        counters.limits.note(.memory, operation.rows.step, key: hash)
                    }
                    own.lose(input, key, at: time, now: watermark)
                    continue
                }
                own.buffer.insert(time: time, input: input.index, key: key, row: bytes, contentStart: contentStart)
            }
        }
    }

    /// Bytes that an operator's buffer may have before rows of a source are refused. An input that is behind the others
    /// is what event time waits for, and gets twice as much.
    private func bufferRoom(_ operation: OperatorPlan, _ source: Int, _ task: TaskState) -> Int {
        let memory = operation.spec.limits.memory
        let isBehind = operation.intakes.allSatisfy { task.settled[source] <= task.settled[$0.source] }
        return isBehind ? 2 * memory : memory
    }

    /// Takes the rows that event time has passed through an operator, with what was due in between.
    private func release(_ operation: OperatorPlan, before watermark: Int64, _ task: TaskState, _ outbox: inout Outbox) {
        guard operation.order == .eventTime, watermark != .min, watermark != Upstream.idle,
            let own = task.operators[operation.step.index]
        else { return }
        operation.isReleasing = true
        count(of: operation) {
            own.release(operation, before: watermark, rowsMax: options.rowsMax) { drain(operation.stream, task, &outbox) }
        }
        operation.isReleasing = false
        takeLetters(operation.rows, &outbox)
    }

    /// Counts the results of an operator at work that do not fit.
    private func count(of operation: OperatorPlan, _ work: () -> Void) {
        let before = operation.rows.overflows
        work()
        counters.resultOverflows[operation.step.index] += operation.rows.overflows - before
    }

    /// Makes a row of a key's window that closes now: the key, then row `row` of the window's columns.
    func makeRow(
        _ out: RowBuffer, _ key: [Column], _ window: WindowPlan, _ row: Int, _ bounds: (start: Int64, end: Int64),
        _ task: TaskState, _ bench: Workbench
    ) {
        out.begin(time: bounds.end - 1, origin: .time(of: task.partition))
        let outputs = window.outputColumns.count
        for (column, from) in key.enumerated() { out.copy(from, 0, bench.arena, to: column) }
        for column in 0..<outputs { out.copy(window.outputColumns[column], row, bench.arena, to: key.count + column) }
        out.set(key.count + outputs, bounds.start)
        out.set(key.count + outputs + 1, bounds.end)
    }

    // MARK: The end

    /// The input has ended: event time goes on until no window is open and nothing is due any more.
    package func finish(_ task: TaskState, outbox: inout Outbox) {
        guard hasStreams else {
            for source in sources.indices where task.times[source] != .min && sources[source].table == nil {
                advance(source: source, to: endOfTime(source: source, task: task), task: task, outbox: &outbox)
            }
            return
        }
        let real = sources.indices.filter { sources[$0].stream == nil && sources[$0].table == nil }
        // A source without a record has nothing that others could wait for.
        for source in real where task.times[source] == .min { task.settled[source] = Upstream.idle }
        // What closes may make rows whose windows must close.
        for _ in 0...steps.count {
            var end = Int64.min
            for source in sources.indices { end = max(end, endOfTime(source: source, task: task)) }
            for case let operation? in task.operators {
                end = max(end, max(operation.state.lastDue, operation.buffer.last))
            }
            guard end != .min else { return }
            let before = real.map { task.watermarks[$0] }
            for source in real { advance(source: source, to: end + 1, task: task, outbox: &outbox) }
            if before == real.map({ task.watermarks[$0] }) { return }
        }
    }

    /// Of all records that were read; `.min`: none.
    package func greatestEventTime(_ task: TaskState) -> Int64 {
        sources.indices.reduce(.min) { sources[$1].stream == nil ? max($0, task.times[$1]) : $0 }
    }
}
