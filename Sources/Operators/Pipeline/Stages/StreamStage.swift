import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// The fifth stage: rows of a stretch into the operators that take them. What those make is rows of a stream,
/// which go through the steps that read it as if they were a source's; when they do, the pipeline's work list
/// says.
final class StreamStage {
    private let topology: CompiledTopology
    private let meters: StageMeters
    /// By input of an operator, how many of its rows have had their turn.
    private var next: [Int] = []

    init(_ topology: CompiledTopology, _ meters: StageMeters) {
        (self.topology, self.meters) = (topology, meters)
    }

    /// Hands the rows of a stretch to the operators that take them: those of event-time order have them put
    /// into their buffers, where those that event time has passed are late.
    func take(_ flow: SourceFlow, _ plan: SourcePlan, _ task: TaskState, _ outbox: inout Outbox) {
        for operation in flow.operators {
            switch operation.order {
            case .asTheyCome: pass(plan, operation, task, &outbox)
            case .eventTime: buffer(plan, operation, task)
            }
        }
    }

    /// By row, then by input.
    private func pass(
        _ plan: SourcePlan, _ operation: OperatorPlan, _ task: TaskState, _ outbox: inout Outbox
    ) {
        guard let state = task.operators[operation.step.index] else { return }
        let source = plan.index
        let own = operation.inputsOfSource[source]
        if own.allSatisfy({ $0.rows.count == 0 }) { return }
        let others = operation.intakes.reduce(Int64.max) {
            $1.source == source ? $0 : min($0, task.settled[$1.source])
        }
        next.removeAll(keepingCapacity: true)
        for _ in own { next.append(0) }
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
            own[place].pass(row, from: plan.origin(of: row))
            operation.taken.append((own[place].index, row))
            operation.roots.append((plan.stream?.roots[row] ?? Int32(row), min(plan.watermarks[row], others)))
        }
        if operation.taken.isEmpty { return }
        operation.views?.use(task, source: source)
        count(of: operation) { state.pass(operation, of: source) }
        takeLetters(operation.rows, &outbox)
    }

    private func buffer(_ plan: SourcePlan, _ operation: OperatorPlan, _ task: TaskState) {
        let inputs = operation.inputsOfSource[plan.index]
        guard inputs.contains(where: { $0.step.selection.count > 0 }),
            let own = task.operators[operation.step.index]
        else {
            return
        }
        require(!operation.isReleasing, "a row goes into a buffer whose rows are being taken")
        let room = bufferRoom(operation, plan.index, task)
        let watermark = task.watermarks[operation.stream]
        let arena = plan.batch.arena
        for input in inputs {
            let rows = input.step.selection.selection
            for index in 0..<rows.count {
                let row = rows[index]
                let time = plan.batch.times[row]
                // Event time of the operator may be ahead of that of an input that was quiet.
                if time < max(plan.watermarks[row], watermark) {
                    plan.late[row] = 1
                    continue
                }
                let (bytes, contentStart) = input.encode(row, arena: arena, plan.origin(of: row))
                let key = input.step.encodedKey(of: row, arena)
                let isLarge = key.count + bytes.count > Limits.recordBytesMax
                if isLarge || own.buffer.usedBytes + key.count + bytes.count > room {
                    plan.refusals.append(
                        Refusal(
                            row: Int32(row), step: Int16(operation.step.index),
                            status: isLarge ? .oversized : .stepMemoryFull,
                            field: nil))
                    if !isLarge {
                        let hash = key.baseAddress.map { hashBytes($0, key.count) } ?? 0
                        meters.counters.limits.note(.memory, operation.rows.step, key: hash)
                    }
                    own.lose(input, key, at: time, now: watermark)
                    continue
                }
                own.buffer.insert(
                    time: time, input: input.index, key: key, row: bytes, contentStart: contentStart)
            }
        }
    }

    /// Bytes that an operator's buffer may have before rows of a source are refused. An input that is behind
    /// the others is what event time waits for, and gets twice as much.
    private func bufferRoom(_ operation: OperatorPlan, _ source: Int, _ task: TaskState) -> Int {
        let memory = operation.spec.limits.memory
        let isBehind = operation.intakes.allSatisfy { task.settled[source] <= task.settled[$0.source] }
        return isBehind ? 2 * memory : memory
    }

    // MARK: Event time

    /// Event time up to which an operator has all rows of all its inputs. Inputs that are quiet are not
    /// waited for; where all are, time goes on with that of the one that is ahead.
    func watermark(of operation: OperatorPlan, _ task: TaskState) -> Int64 {
        let watermark = operation.intakes.reduce(.max) { min($0, task.settled[$1.source]) }
        if watermark != Upstream.idle { return watermark }
        return operation.intakes.reduce(.min) { max($0, topology.reached($1.source, task)) }
    }

    /// Takes the rows that event time has passed through an operator, with what was due in between.
    func release(
        _ operation: OperatorPlan, before watermark: Int64, _ task: TaskState, _ outbox: inout Outbox,
        drain: (_ stream: Int, inout Outbox) -> Void
    ) {
        guard operation.order == .eventTime, watermark != .min, watermark != Upstream.idle,
            let own = task.operators[operation.step.index]
        else { return }
        operation.isReleasing = true
        count(of: operation) {
            own.release(operation, before: watermark, rowsMax: topology.options.rowsMax) {
                drain(operation.stream, &outbox)
            }
        }
        operation.isReleasing = false
        takeLetters(operation.rows, &outbox)
    }

    /// Counts the results of an operator at work that do not fit.
    private func count(of operation: OperatorPlan, _ work: () -> Void) {
        let before = operation.rows.overflows
        work()
        let more = operation.rows.overflows - before
        if more > 0 { meters.counters.resultOverflows[operation.step.index] += more }
    }

    // MARK: Dead letters

    /// Takes over what an operator has written beside its rows, and counts it.
    private func takeLetters(_ rows: RowBuffer, _ outbox: inout Outbox) {
        if !rows.outbox.isEmpty {
            outbox.add(rows.outbox)
            rows.outbox.removeAll()
        }
        if rows.letters.isEmpty { return }
        for letter in rows.letters {
            switch letter {
            case .dead(let status): meters.counters.dead[Int(status.rawValue)] += 1
            case .limit(let limit, let key, let count):
                meters.counters.limits.note(limit, rows.step, key: key, count: count)
            }
        }
        rows.letters.removeAll(keepingCapacity: true)
    }
}

extension RowBuffer {
    /// Makes a row of a key's window that closes now: the key, then row `row` of the window's columns.
    func append(
        _ key: [Column], _ window: WindowPlan, _ row: Int, _ bounds: (start: Int64, end: Int64),
        partition: Int32,
        arena: Arena
    ) {
        begin(time: bounds.end - 1, origin: .time(of: partition))
        let outputs = window.outputColumns.count
        for (column, from) in key.enumerated() { copy(from, 0, arena, to: column) }
        for column in 0..<outputs { copy(window.outputColumns[column], row, arena, to: key.count + column) }
        set(key.count + outputs, bounds.start)
        set(key.count + outputs + 1, bounds.end)
    }
}
