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
        for maker in makersOfSource[source] {
            guard let state = task.makers[maker.step.index] else { continue }
            // More than the rows that come of the batch can have, whatever texts are made of those that there are.
            let most = maker.inputs.count * (8 * plan.batch.arena.count + plan.batch.count * maker.rowBytesMost)
            guard state.buffer.usedBytes + most > maker.spec.limits.memory else { continue }
            settle(source, watermark, task, &outbox)
            return 1
        }
        guard roots.isRoot(plan) else { return .max }
        var rows = Int.max
        for state in task.joins {
            guard let pairs = state.pairs else { continue }
            let partners = max(pairs.sides[0].rowsOfKeyMost, pairs.sides[1].rowsOfKeyMost)
            if partners > 1 { rows = min(rows, max(1, options.pairsAtOnceMax / partners - state.buffer.count)) }
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
        plan.maker?.handOver {
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
        for step in steps where step.source == source && step.window != nil {
            guard let stream = step.stream else { continue }
            // The next closed window may end before it closes.
            let next = watermark == Upstream.idle ? .max : task.stores[step.index]?.nextEnd ?? .max
            advanceStream(stream, to: min(watermark, next), task, &outbox)
        }
        for maker in makersOfSource[source] {
            let watermark = self.watermark(of: maker, task)
            if let ordered = maker.ordered { release(maker, ordered, before: watermark, task, &outbox) }
            advanceStream(maker.stream, to: watermark, task, &outbox)
            if maker.inputs.allSatisfy({ task.settled[$0.source] == Upstream.idle }) {
                advanceStream(maker.stream, to: Upstream.idle, task, &outbox)
            }
        }
    }

    /// Event time up to which an operator has all rows of all its inputs. Inputs that are quiet are not waited for;
    /// where all are, time goes on with that of the one that is ahead.
    func watermark(of maker: MakerPlan, _ task: TaskState) -> Int64 {
        let watermark = maker.inputs.reduce(.max) { min($0, task.settled[$1.source]) }
        if watermark != Upstream.idle { return watermark }
        return maker.inputs.reduce(.min) { max($0, reached($1.source, task)) }
    }

    /// Hands the rows of a stretch to the unordered operators that take them.
    func pass(_ plan: SourcePlan, _ source: Int, _ task: TaskState) {
        for maker in makersOfSource[source] {
            guard let union = maker.spec.kind as? UnionSpec else { continue }
            let own = maker.inputs.indices.filter { maker.inputs[$0].source == source }
            let others = maker.inputs.reduce(Int64.max) { $1.source == source ? $0 : min($0, task.settled[$1.source]) }
            var next = own.map { _ in 0 }
            // By row, then by input.
            while true {
                var first: Int?
                for (place, input) in own.enumerated() where next[place] < maker.inputs[input].selection.count {
                    let row = maker.inputs[input].selection.rows[next[place]]
                    if let best = first, maker.inputs[own[best]].selection.rows[next[best]] <= row { continue }
                    first = place
                }
                guard let place = first else { break }
                let step = maker.inputs[own[place]]
                let row = Int(step.selection.rows[next[place]])
                next[place] += 1
                maker.rows.root = plan.stream?.roots[row] ?? Int32(row)
                maker.rows.begin(
                    time: plan.batch.times[row], watermark: min(plan.watermarks[row], others),
                    origin: origin(plan, source, task, row), task)
                for (column, from) in union.columns[own[place]].enumerated() {
                    maker.rows.copy(step.columns[from], row, plan.batch.arena, to: column)
                }
            }
        }
    }

    /// Puts the rows of a stretch into the buffers of the ordered operators that take them; those that event time has
    /// passed are late.
    func buffer(_ plan: SourcePlan, _ source: Int, _ task: TaskState) {
        for maker in makersOfSource[source] {
            guard let ordered = maker.ordered, let state = task.makers[maker.step.index] else { continue }
            require(!maker.isReleasing, "a row goes into a buffer whose rows are being taken")
            let room = bufferRoom(maker, source, task)
            for input in ordered.inputs {
                guard let step = input.step, step.source == source else { continue }
                let rows = step.selection.selection
                let arena = plan.batch.arena
                for index in 0..<rows.count {
                    let row = rows[index]
                    let time = plan.batch.times[row]
                    // Event time of the operator may be ahead of that of an input that was quiet.
                    if time < max(plan.watermarks[row], task.watermarks[maker.stream]) {
                        plan.late[row] = 1
                        continue
                    }
                    input.encoder.encode(row, arena: arena, origin(plan, source, task, row))
                    var key = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
                    if let encoded = step.key?.encoded {
                        let text = TextReference(packed: encoded.values[row])
                        key = UnsafeBufferPointer(start: arena.base + text.offset, count: text.count)
                    }
                    let bytes = input.encoder.bytes
                    let isLarge = key.count + bytes.count > Limits.recordBytesMax
                    if isLarge || state.buffer.usedBytes + key.count + bytes.count > room {
                        plan.refusals.append(
                            Refusal(
                                row: Int32(row), step: Int16(step.index), status: isLarge ? .oversized : .stepMemoryFull,
                                field: nil))
                        if !isLarge {
                            let hash = key.baseAddress.map { hashBytes($0, key.count) } ?? 0
                            counters.limits.note(.memory, maker.rows.step, key: hash)
                        }
                        ordered.operation.lose(input, key, at: time, now: task.watermarks[maker.stream], state.state)
                        continue
                    }
                    state.buffer.insert(
                        time: time, input: input.index, key: key,
                        row: UnsafeBufferPointer(start: bytes.base, count: bytes.count),
                        contentStart: input.encoder.valuesStart)
                }
            }
        }
    }

    /// Bytes that an operator's buffer may have before rows of a source are refused. An input that is behind the others
    /// is what event time waits for, and gets twice as much.
    private func bufferRoom(_ maker: MakerPlan, _ source: Int, _ task: TaskState) -> Int {
        let memory = maker.spec.limits.memory
        let isBehind = maker.inputs.allSatisfy { task.settled[source] <= task.settled[$0.source] }
        return isBehind ? 2 * memory : memory
    }

    /// Takes the rows that event time has passed through an ordered operator, with what was due in between.
    private func release(
        _ maker: MakerPlan,
        _ ordered: (operation: any OrderedOperator, inputs: [OrderedInput]),
        before watermark: Int64,
        _ task: TaskState,
        _ outbox: inout Outbox
    ) {
        guard watermark != .min, watermark != Upstream.idle, let state = task.makers[maker.step.index] else { return }
        let rows = maker.rows
        let overflows = rows.overflows
        maker.isReleasing = true
        while state.buffer.count > 0 {
            for input in ordered.inputs { input.removeAll() }
            maker.released.removeAll(keepingCapacity: true)
            var bytes = 0
            while maker.released.count < options.rowsMax, bytes < Limits.releasedBytesMax,
                let entry = state.buffer.removeFirst(before: watermark)
            {
                let input = ordered.inputs[Int(entry.input)]
                bytes += Int(entry.count)
                maker.released.append((entry.input, Int32(input.count)))
                input.add(entry, of: state.buffer)
            }
            if maker.released.isEmpty { break }
            for input in ordered.inputs { input.decode() }
            ordered.operation.prepare(ordered.inputs)
            for (number, row) in maker.released {
                let input = ordered.inputs[Int(number)]
                let time = input.times[Int(row)]
                advance(maker, ordered.operation, state, to: time, task, &outbox)
                rows.setRoot(reaching: time + 1)
                ordered.operation.take(input, row: Int(row), state.state, into: rows, task)
                if rows.isFull { drain(maker.stream, task, &outbox) }
            }
        }
        advance(maker, ordered.operation, state, to: watermark, task, &outbox)
        maker.isReleasing = false
        counters.resultOverflows[maker.step.index] += rows.overflows - overflows
        takeLetters(rows, &outbox)
    }

    /// Lets an operator do what is due before `time`; its rows go on whenever a batch of them is full.
    private func advance(
        _ maker: MakerPlan, _ operation: any OrderedOperator, _ state: MakerState, to time: Int64, _ task: TaskState,
        _ outbox: inout Outbox
    ) {
        while true {
            operation.advance(to: time, state.state, into: maker.rows, task)
            guard maker.rows.isFull else { return }
            drain(maker.stream, task, &outbox)
        }
    }

    /// Makes a row of a key's window that closes now: the key, then row `row` of the window's columns.
    func makeRow(
        _ maker: RowMaker, _ key: [Column], _ window: WindowPlan, _ row: Int, _ bounds: (start: Int64, end: Int64),
        _ task: TaskState, _ bench: Workbench
    ) {
        maker.begin(
            time: bounds.end - 1,
            origin: RepartitionOrigin(partition: task.partition, offset: -1, appended: -1, watermark: .min), task)
        let outputs = window.outputColumns.count
        for (column, from) in key.enumerated() { maker.copy(from, 0, bench.arena, to: column) }
        for column in 0..<outputs { maker.copy(window.outputColumns[column], row, bench.arena, to: key.count + column) }
        maker.set(key.count + outputs, bounds.start)
        maker.set(key.count + outputs + 1, bounds.end)
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
            for maker in makersOfSource.joined() {
                guard let state = task.makers[maker.step.index] else { continue }
                end = max(end, max(state.state.lastDue, state.buffer.last))
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
