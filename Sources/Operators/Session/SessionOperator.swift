import Base
import Formats
import Records
import State
import Topology

/// What `SessionSpec` says, on the aggregates that `SessionState` keeps.
final class SessionOperator: StreamOperator {
    private let spec: SessionSpec
    private let limits: OperatorLimits
    private let calls: [Call]
    private let aggregates: [Aggregate]
    /// One row: the key of a session, the values of its calls, the programs over them.
    private let keys: [Column]
    private let values: [Column]
    private let outputs: [Program]
    private let row = SelectionBuffer(capacity: 1)
    private let arena = Arena(capacity: 1 << 10)

    /// An aggregate function over an input's rows.
    private final class Call {
        /// Position in the state's aggregates.
        let index: Int
        let argument: Program?
        let condition: Program?
        /// Of the rows that are there; nil: there is no such program.
        var arguments: Column?
        var conditions: Column?

        init(_ call: AggregateCall, index: Int, capacity: Int, zones: ZoneTables) {
            self.index = index
            argument = call.argument.map { Program($0, capacity: capacity, zones: zones) }
            condition = call.condition.map { Program($0, capacity: capacity, zones: zones) }
        }

        func takes(_ row: Int) -> Bool {
            conditions.map { $0.valid[row] == 1 && $0.values[row] != 0 } ?? true
        }

        func isNull(_ row: Int) -> Bool { arguments.map { $0.valid[row] != 1 } ?? false }
    }

    init(_ spec: SessionSpec, _ context: OperatorContext) {
        self.spec = spec
        limits = context.limits
        let schema = context.inputs[0].schema
        // The state counts the records itself.
        var aggregates: [Aggregate] = []
        calls = spec.aggregates.map { call in
            var index = 0
            if call.function != .count || call.condition != nil {
                aggregates.append(Aggregate(call, in: schema, daysPerPane: 1))
                index = aggregates.count
            }
            return Call(call, index: index, capacity: context.capacity, zones: context.zones)
        }
        self.aggregates = aggregates
        keys = spec.key.map { Column(schema.fields[$0].type, capacity: 1) }
        values = spec.aggregates.map { Column($0.type, capacity: 1) }
        outputs = spec.outputs.map { Program($0.expression, capacity: 1, zones: context.zones) }
        row.rows[0] = 0
        row.count = 1
    }

    func makeState(tracksChanges: Bool) -> SessionState {
        SessionState(
            gap: spec.gap, max: spec.max, aggregates: aggregates, sessionsMax: limits.sessions,
            tracksChanges: tracksChanges)
    }

    func prepare(_ input: OperatorInput) {
        for call in calls {
            call.arguments = call.argument?.run(input.columns, arena: input.arena, rows: input.rows)
            call.conditions = call.condition?.run(input.columns, arena: input.arena, rows: input.rows)
        }
    }

    func take(_ input: OperatorInput, row: Int, _ state: SessionState, into out: RowBuffer) {
        let time = input.times[row]
        guard let id = state.add(input.key(of: row), at: time) else {
            return out.refuse(input, row, .tooManySessions, .sessions, "\(limits.sessions) sessions are open")
        }
        for call in calls where call.index > 0 && call.takes(row) {
            if call.isNull(row) {
                state.addNull(to: call.index, of: id)
                continue
            }
            state.add(call.arguments?.values[row] ?? 0, to: call.index, of: id, at: time, arena: input.arena)
        }
    }

    func advance(to time: Int64, _ state: SessionState, into out: RowBuffer) {
        while !out.isFull, let id = state.nextOver(before: time) {
            let due = state.end(of: id) - 1
            out.setOrder(passing: due)
            write(id, at: due, state, into: out)
        }
    }

    /// Closes a session, at the last moment before its end.
    private func write(_ id: UInt32, at time: Int64, _ state: SessionState, into out: RowBuffer) {
        arena.removeAll()
        KeyCoding.decode(state.key(of: id), into: keys, row: 0, arena: arena)
        for (call, column) in zip(calls, values) {
            (column.values[0], column.valid[0]) = state.read(call.index, of: id, arena: arena)
        }
        let (start, end) = (state.session(id).start, state.end(of: id))
        out.begin(time: time)
        for (column, key) in keys.enumerated() { out.copy(key, 0, arena, to: column) }
        for (column, output) in outputs.enumerated() {
            let result = output.run(values, arena: arena, rows: row.selection)
            if result.valid[0] == 2 { out.noteOverflow() }
            out.copy(result, 0, arena, to: keys.count + column)
        }
        let after = keys.count + outputs.count
        out.set(after, start)
        out.set(after + 1, end)
        out.set(after + 2, end - 1)
        state.close(id)
    }
}
