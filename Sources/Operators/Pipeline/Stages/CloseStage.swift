import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// Windows that event time has passed: the rules that wait for that, the results that sinks and streams take,
/// the alerts that time alone clears, and the keys that nobody needs any more.
final class CloseStage {
    private let topology: CompiledTopology
    private let meters: StageMeters
    private let rules: RuleStage
    private let alerts: AlertWriter
    private let order: OutputOrder
    /// The columns of windows and rules, a row for each key.
    private let lent: Lent<Workbench>
    private let keyOrder = KeyOrder()
    /// The value of a record under way.
    private let value = Arena(capacity: 1024)
    /// For tests: every window is closed by itself, whether that makes a difference or not.
    var closesOneByOne = false

    init(
        _ topology: CompiledTopology, _ meters: StageMeters, _ rules: RuleStage, _ alerts: AlertWriter,
        _ order: OutputOrder,
        _ lent: Lent<Workbench>
    ) {
        (self.topology, self.meters, self.rules) = (topology, meters, rules)
        (self.alerts, self.order, self.lent) = (alerts, order, lent)
    }

    /// The watermark of a source at which the next of its windows closes; `.min` where any row may change it.
    func nextClose(_ flow: SourceFlow, _ task: TaskState) -> Int64 {
        var next = Int64.max
        for step in flow.windows {
            if let store = task.stores[step.index] { next = min(next, store.nextClose) }
        }
        return next
    }

    /// Closes the windows of a source up to `watermark`, in the order of their ends: at each end the rules
    /// that wait for it, the results that sinks take, and the rules that time alone clears. Goes from one end
    /// at which something changes to the next, however many lie between.
    func close(
        source: Int, watermark: Int64, _ task: TaskState, _ outbox: inout Outbox,
        drain: (_ stream: Int, inout Outbox) -> Void
    ) {
        let flow = topology.flows[source]
        guard nextClose(flow, task) <= watermark else { return }
        let own = flow.windows
        for step in own { task.stores[step.index]?.begin(at: watermark) }
        while true {
            let end = nextEnd(source: source, task: task)
            guard end <= watermark else { break }
            var closing: [StepPlan] = []
            for step in own {
                guard let store = task.stores[step.index], let window = step.window else { continue }
                if store.close(to: end, each: window.closesEach) { closing.append(step) }
            }
            outbox.order = order.nextOrder(reaching: end, topology.sources[source])
            evaluate(closing, at: end, source: source, task: task, outbox: &outbox, drain)
            // Windows that take in these ones hold their keys before they are let go.
            for step in closing { forget(step, task) }
        }
        for step in own {
            guard let store = task.stores[step.index], store.nextClose <= watermark else { continue }
            store.skip(to: watermark)
            forget(step, task)
        }
        for step in own { task.windows[step.index]?.noteRemovalAhead() }
    }

    /// The next end of a window of the source at which something may change: a closed window that somebody
    /// reads, or what a raised alert goes by; `.max`: there is none.
    private func nextEnd(source: Int, task: TaskState) -> Int64 {
        var end = Int64.max
        for step in topology.flows[source].windows {
            guard let store = task.stores[step.index], let window = step.window else { continue }
            if closesOneByOne {
                let isRaised = topology.rules.contains {
                    $0.hasWindow && $0.spec.on.contains(step.index) && task.rules[$0.index].raisedCount > 0
                }
                if isRaised || store.holdsClosed { end = min(end, store.nextClose) }
            } else {
                end = min(end, store.nextChange(each: window.closesEach))
                if store.nextClose < end, clearsEmpty(step, store, task) { end = store.nextClose }
            }
        }
        if closesOneByOne { return end }
        for rule in topology.rules where rule.looksAgain && task.rules[rule.index].raisedCount > 0 {
            guard let place = rule.sources.firstIndex(of: source) else { continue }
            let due = task.rules[rule.index].timers[place].first
            if due >= end { continue }
            for step in rule.spec.on where topology.steps[step].source == source {
                if let store = task.stores[step] { end = min(end, store.firstClose(at: due)) }
            }
        }
        return end
    }

    /// True if a raised alert waits for the step's next close, in whose window its key has no records. The
    /// key may have been forgotten by now: a store that was restored knows nothing of the pane that leaves
    /// then.
    private func clearsEmpty(_ step: StepPlan, _ store: WindowStore, _ task: TaskState) -> Bool {
        let closed = store.totals(.closed)
        return topology.rulesAtClose[step.index].contains { rule in
            task.rules[rule.index].raisedIds.contains { !closed.hasRecords($0) }
        }
    }

    private func evaluate(
        _ closing: [StepPlan],
        at end: Int64,
        source: Int,
        task: TaskState,
        outbox: inout Outbox,
        _ drain: (_ stream: Int, inout Outbox) -> Void
    ) {
        for rule in topology.rules where rule.hasWindow {
            let isTriggered =
                rule.spec.at == .close
                ? closing.contains { $0.index == rule.spec.on[0] }
                : rule.looksAgain && task.rules[rule.index].raisedCount > 0
                    && closing.contains { rule.spec.on.contains($0.index) }
            guard isTriggered else { continue }
            meters.time(rule.index) {
                evaluate(rule, closing, at: end, source: source, task: task, outbox: &outbox)
            }
        }
        for step in closing {
            guard let window = step.window, !window.emissionSinks.isEmpty || step.stream != nil else {
                continue
            }
            emit(step, window, at: end, task: task, outbox: &outbox, drain)
        }
    }

    private func evaluate(
        _ rule: RulePlan,
        _ closing: [StepPlan],
        at end: Int64,
        source: Int,
        task: TaskState,
        outbox: inout Outbox
    ) {
        var turning: [UInt32] = []
        func note(_ id: UInt32, _ isTrue: Bool, _ isCleared: Bool) {
            if task.rules[rule.index].isRaised(id) ? isCleared : isTrue { turning.append(id) }
        }
        var due: [UInt32] = []
        if rule.spec.at == .close, let store = task.stores[rule.spec.on[0]] {
            // A window that did not change has the truth that it had, unless another window is compared with
            // it.
            let hasTruth = rule.readsOneWindow && !task.rules[rule.index].judgesAll
            let closed = store.totals(.closed)
            let ids = hasTruth ? closed.filled(among: store.changed) : closed.filled(among: store.live)
            task.rules[rule.index].judgesAll = false
            test(rule, ids, closing, at: end, source, task) { note($0, $1, $2) }
            // A window without a record of the key clears, whether the key has records in later ones already
            // or not.
            turning += task.rules[rule.index].raisedIds.filter { !closed.hasRecords($0) }
        } else {
            // Time only clears, and few at a time.
            due = takeDue(rule, at: end, source, task)
            test(rule, due, closing, at: end, source, task) { id, _, isCleared in note(id, false, isCleared) }
        }
        turn(turning, rule, closing, at: end, source, task, &outbox)
        guard let place = rule.sources.firstIndex(of: source) else { return }
        for id in due where task.rules[rule.index].isRaised(id) {
            task.rules[rule.index].timers[place].set(id, to: rules.nextLook(rule, id, source, task))
        }
    }

    /// Raises or clears the alerts of these keys, in the order of the keys, as of event time `end`.
    private func turn(
        _ ids: [UInt32], _ rule: RulePlan, _ closing: [StepPlan], at end: Int64, _ source: Int,
        _ task: TaskState,
        _ outbox: inout Outbox, isOfActivation: Bool = false, _ note: (AlertEdge) -> Void = { _ in }
    ) {
        let keys = task.groups[rule.group].keys
        var ids = ids
        putInOrder(&ids, rule.keyColumns, keys)
        inChunks(of: ids) { ids, bench in
            guard let start = ids.baseAddress else { return }
            gather(rule, start, count: ids.count, closing, at: end, source, task, bench)
            for (row, id) in ids.enumerated() {
                let isRaised = task.rules[rule.index].isRaised(id)
                guard let edge = rules.edge(rule, id, !isRaised, isRaised, at: end, task) else { continue }
                KeyCoding.decode(keys.key(of: id), into: rule.keyColumns, row: row, arena: bench.arena)
                var context = context(rule, id, row, end, source, task)
                context.isOfActivation = isOfActivation
                alerts.write(rule, edge, context, arena: bench.arena, &outbox)
                rules.hold(rule, edge, id, task)
                note(edge)
            }
        }
    }

    /// Judges every key that has records in one of the rule's windows, or a raised alert, as of now, since
    /// the rule is new.
    func judgeAll(_ rule: RulePlan, _ task: TaskState, _ outbox: inout Outbox, _ note: (AlertEdge) -> Void) {
        let source = topology.steps[rule.spec.on[0]].source
        let time = task.watermarks[source]
        if time == .min { return }
        var known = Set(task.rules[rule.index].raisedIds)
        for step in rule.spec.on { known.formUnion(task.stores[step]?.heldIds ?? []) }
        var turning: [UInt32] = []
        test(rule, known.sorted(), [], at: time, source, task) { id, isTrue, isCleared in
            if task.rules[rule.index].isRaised(id) ? isCleared : isTrue { turning.append(id) }
        }
        turn(turning, rule, [], at: time, source, task, &outbox, isOfActivation: true, note)
    }

    /// Sorts keys by their fields: which id a key has, and when it came first, depends on how the input was
    /// cut and on restarts.
    private func putInOrder(_ ids: inout [UInt32], _ columns: [Column], _ keys: KeyTable) {
        if columns.count == 1, columns[0].type == .text { return keyOrder.sort(&ids, of: keys) }
        keyOrder.sort(&ids, of: keys) { KeyCoding.appendOrdered($0, columns, to: $1) }
    }

    /// Keys whose raised alert is to be looked at when event time has come to `end`.
    private func takeDue(_ rule: RulePlan, at end: Int64, _ source: Int, _ task: TaskState) -> [UInt32] {
        if closesOneByOne { return task.rules[rule.index].raisedIds }
        guard let place = rule.sources.firstIndex(of: source) else { return [] }
        return task.rules[rule.index].timers[place].take(through: end)
    }

    /// Evaluates a rule for keys as of the end of a window and calls `body` with those for which it may have
    /// changed: whether the condition is true and whether it is cleared.
    private func test(
        _ rule: RulePlan,
        _ ids: [UInt32],
        _ closing: [StepPlan],
        at end: Int64,
        _ source: Int,
        _ task: TaskState,
        _ body: (_ id: UInt32, _ isTrue: Bool, _ isCleared: Bool) -> Void
    ) {
        inChunks(of: ids) { ids, bench in
            guard let start = ids.baseAddress else { return }
            gather(rule, start, count: ids.count, closing, at: end, source, task, bench)
            rules.evaluate(rule, start, arena: bench.arena, rows: bench.first(ids.count), task) {
                body(ids[$0], $1, $2)
            }
        }
    }

    /// Fills the rule's columns with what its windows are for these keys as of the end of a window, a row
    /// each.
    private func gather(
        _ rule: RulePlan,
        _ ids: UnsafePointer<UInt32>,
        count: Int,
        _ closing: [StepPlan],
        at end: Int64,
        _ source: Int,
        _ task: TaskState,
        _ bench: Workbench
    ) {
        for index in rule.spec.on {
            guard let store = task.stores[index], let window = topology.steps[index].window else { continue }
            let isClosed = rule.spec.at == .close && closing.contains { $0.index == index }
            if !isClosed {
                // Records that a window of another source still waits for must find their panes.
                let time = rule.spec.at == .close ? end - 1 : end
                let own = topology.steps[index].source
                // While event time alone goes on, each source's windows are as far as it has come itself.
                var bound = time
                if own != source {
                    let watermark = topology.reached(own, task)
                    bound = rule.looksAgain ? watermark : min(time, watermark)
                }
                if bound != .min { store.advance(ids, count: count, to: bound) }
            }
            window.gather(
                store, ids: ids, count: count, isClosed ? .closed : .running, at: end,
                rows: bench.first(count),
                arena: bench.arena)
        }
        guard rule.readsKey else { return }
        let keys = task.groups[rule.group].keys
        for row in 0..<count {
            KeyCoding.decode(keys.key(of: ids[row]), into: rule.keyColumns, row: row, arena: bench.arena)
        }
    }

    private func context(
        _ rule: RulePlan,
        _ id: UInt32,
        _ row: Int,
        _ end: Int64,
        _ source: Int,
        _ task: TaskState
    ) -> AlertContext {
        let first = rule.spec.on[0]
        let window = task.stores[first].map { store in
            let totals: WindowTotals.Kind = rule.spec.at == .close ? .closed : .running
            return store.bounds(at: store.totals(totals).anchor(of: id, otherwise: store.anchor(at: end)))
        }
        return AlertContext(
            row: row, time: end, window: window, watermark: end, cause: nil)
    }

    /// Calls `body` with a batch of keys at a time, and `between` after each, when the workbench is free
    /// again.
    private func inChunks(
        of ids: [UInt32], _ body: (UnsafeBufferPointer<UInt32>, Workbench) -> Void, between: () -> Void = {}
    ) {
        ids.withUnsafeBufferPointer { ids in
            var start = 0
            while start < ids.count {
                let end = min(start + topology.options.rowsMax, ids.count)
                compute(UnsafeBufferPointer(rebasing: ids[start..<end]), body)
                between()
                start = end
            }
        }
    }

    private func compute(
        _ ids: UnsafeBufferPointer<UInt32>, _ body: (UnsafeBufferPointer<UInt32>, Workbench) -> Void
    ) {
        let bench = lent.take()
        defer { lent.giveBack() }
        bench.arena.removeAll()
        body(ids, bench)
    }

    /// The closed window of every key that has records in it, as records and as rows of the step's stream,
    /// which go through the steps that read it when a batch of them is written.
    private func emit(
        _ step: StepPlan,
        _ window: WindowPlan,
        at end: Int64,
        task: TaskState,
        outbox: inout Outbox,
        _ drain: (_ stream: Int, inout Outbox) -> Void
    ) {
        guard let store = task.stores[step.index], let keyPlan = step.key else { return }
        let stream = step.stream.flatMap { topology.sources[$0].buffer }
        stream?.setRoot(reaching: end, in: step.source)
        let bounds = store.bounds(at: store.closedAnchor)
        let keys = task.groups[keyPlan.group].keys
        var ids = store.totals(.closed).filled(among: store.live)
        putInOrder(&ids, keyPlan.columns, keys)
        inChunks(of: ids) { ids, bench in
            guard let start = ids.baseAddress else { return }
            window.gather(
                store, ids: start, count: ids.count, .closed, at: bounds.end, rows: bench.first(ids.count),
                arena: bench.arena)
            meters.counters.resultOverflows[step.index] += window.overflowCount(bench.first(ids.count))
            let keyColumns = bench.keys(like: keyPlan.columns)
            for (row, id) in ids.enumerated() {
                let key = keys.key(of: id)
                KeyCoding.decode(key, into: keyColumns, row: 0, arena: bench.arena)
                stream?.append(keyColumns, window, row, bounds, partition: task.partition, arena: bench.arena)
                guard !window.results.isEmpty else { continue }
                for (results, sinks) in window.results {
                    value.removeAll()
                    results.encode(
                        keyColumns, bounds, window.outputColumns, row, arena: bench.arena, into: value)
                    for sink in sinks {
                        var record = outbox.begin(.sink(sink), timestamp: bounds.end)
                        outbox.setKey(key.baseAddress, key.count, of: &record)
                        outbox.setValue(value.base, value.count, of: &record)
                        outbox.end(record)
                    }
                }
                meters.counters.results += 1
            }
        } between: {
            if let stream = step.stream { drain(stream, &outbox) }
        }
    }

    /// Keys leave that have no records in any window and no alert that is raised.
    private func forget(_ step: StepPlan, _ task: TaskState) {
        guard let store = task.stores[step.index], let keyPlan = step.key else { return }
        task.windows[step.index]?.noteRemovalAhead()
        var gone: [UInt32] = []
        store.forget { id in
            task.windows[step.index]?.noteRemoval(of: id)
            gone.append(id)
        }
        for id in gone { rules.release(id, of: step, keyPlan.group, task) }
    }
}
