import Records
import State
import Topology

/// What `FeaturesSpec` says. When a key made its last row is all that it remembers.
final class FeaturesOperator: StreamOperator {
    private let spec: FeaturesSpec
    private let views: WindowViews?
    /// The row under way: the input's columns, then those of the windows.
    private let columns: [Column]
    private let own: [Column]
    private let arena: Arena
    private let programs: [Program]
    private let row: SelectionBuffer
    private let nothing = UnsafeBufferPointer<UInt8>(start: nil, count: 0)

    init(_ spec: FeaturesSpec, _ context: OperatorContext) {
        self.spec = spec
        views = context.views
        arena = context.views?.arena ?? Arena(capacity: 1 << 10)
        own = context.inputs[0].schema.fields.map { Column($0.type, capacity: 1) }
        columns = own + (context.views?.columns ?? [])
        programs = spec.fields.map { Program($0.expression, capacity: 1, zones: context.zones) }
        row = SelectionBuffer(capacity: 1)
        row.rows[0] = 0
        row.count = 1
    }

    func makeState(tracksChanges: Bool) -> LagState {
        LagState(count: 1, within: max(0, (spec.every ?? 1) - 1), tracksChanges: tracksChanges)
    }

    func take(_ input: OperatorInput, row: Int, _ state: LagState, into out: RowBuffer) {
        let (key, time) = (input.key(of: row), input.times[row])
        if let every = spec.every {
            var isSampled = false
            state.forEach(before: time, of: key) { _ in isSampled = true }
            if isSampled { return }
            state.add(nothing, to: key, at: time)
            // Rows behind event time do not come, so that what is forgotten is not asked for.
            if let watermark = out.watermark, watermark > .min + every { state.advance(to: watermark) }
        }
        look(input, row, key, at: time)
        out.begin(time: time, origin: input.origin(of: row))
        for (place, column) in spec.key.enumerated() {
            out.copy(input.columns[column], row, input.arena, to: place)
        }
        for (place, program) in programs.enumerated() {
            let result = program.run(columns, arena: arena, rows: self.row.selection)
            if result.valid[0] == 2 { out.noteOverflow() }
            out.copy(result, 0, arena, to: spec.key.count + place)
        }
    }

    /// Puts the record and its windows into the row under way.
    private func look(_ input: OperatorInput, _ row: Int, _ key: UnsafeBufferPointer<UInt8>, at time: Int64) {
        arena.removeAll()
        for (column, from) in zip(own, input.columns) {
            column.valid[0] = from.valid[row]
            guard from.valid[row] == 1 else { continue }
            if from.type == .text {
                let text = TextReference(packed: from.values[row])
                arena.reserve(text.count)
                column.values[0] = arena.append(input.arena.base + text.offset, text.count).packed
            } else {
                column.values[0] = from.values[row]
            }
        }
        views?.look(key, at: time)
    }
}
