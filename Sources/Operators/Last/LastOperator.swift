import Base
import Records
import State
import Topology

/// What `LastSpec` says, on the records that `LagState` keeps: of each, what its calls take of it.
final class LastOperator: StreamOperator {
    private let spec: LastSpec
    private let calls: [Call]
    private let arguments: [Column]
    private let outputs: [Program]
    private let row = SelectionBuffer(capacity: 1)
    private let record = Arena(capacity: 256)
    /// Texts of the records that are gone through.
    private let texts = Arena(capacity: 1 << 10)

    /// An aggregate function over the last records.
    private final class Call {
        let argument: Program?
        let condition: Program?
        let isText: Bool
        let evaluator: LastAggregate
        /// Of the rows that are there; nil: there is no such program.
        var arguments: Column?
        var conditions: Column?

        init(_ call: AggregateCall, in schema: Schema, capacity: Int, zones: ZoneTables) {
            argument = call.argument.map { Program($0, capacity: capacity, zones: zones) }
            condition = call.condition.map { Program($0, capacity: capacity, zones: zones) }
            isText = call.argument?.type == .text
            evaluator = LastAggregate(Aggregate(call, in: schema, daysPerPane: 1))
        }

        /// 0: it takes no part; 1: its value is null; 2: it has one.
        func kind(_ row: Int) -> UInt8 {
            if let conditions, conditions.valid[row] != 1 || conditions.values[row] == 0 { return 0 }
            if let arguments, arguments.valid[row] != 1 { return 1 }
            return 2
        }
    }

    init(_ spec: LastSpec, _ context: OperatorContext) {
        self.spec = spec
        let schema = context.inputs[0].schema
        calls = spec.aggregates.map { Call($0, in: schema, capacity: context.capacity, zones: context.zones) }
        arguments = spec.aggregates.map { Column($0.type, capacity: 1) }
        outputs = spec.outputs.map { Program($0.expression, capacity: 1, zones: context.zones) }
        row.rows[0] = 0
        row.count = 1
    }

    func makeState(tracksChanges: Bool) -> LagState {
        LagState(count: spec.count, within: spec.within, tracksChanges: tracksChanges)
    }

    func prepare(_ input: OperatorInput) {
        for call in calls {
            call.arguments = call.argument?.run(input.columns, arena: input.arena, rows: input.rows)
            call.conditions = call.condition?.run(input.columns, arena: input.arena, rows: input.rows)
        }
    }

    func take(_ input: OperatorInput, row: Int, _ state: LagState, into out: RowBuffer) {
        let (key, time) = (input.key(of: row), input.times[row])
        keep(input, row)
        state.add(
            UnsafeBufferPointer(start: UnsafePointer(record.base), count: record.count), to: key, at: time)
        texts.removeAll()
        for call in calls { call.evaluator.clear() }
        // The newest comes first; the place of each, downwards, tells which came later.
        var place: Int64 = 0
        state.forEach(before: time, of: key) { bytes in
            add(bytes, at: place)
            place -= 1
        }
        for (call, column) in zip(calls, arguments) {
            (column.values[0], column.valid[0]) = call.evaluator.read(texts)
        }
        out.begin(time: time, origin: input.origin(of: row))
        out.copy(input.columns, row, input.arena, to: 0)
        for (column, output) in outputs.enumerated() {
            let result = output.run(arguments, arena: texts, rows: self.row.selection)
            if result.valid[0] == 2 { out.noteOverflow() }
            out.copy(result, 0, texts, to: spec.fieldCount + column)
        }
    }

    /// What the calls take of a row, as bytes.
    private func keep(_ input: OperatorInput, _ row: Int) {
        record.removeAll()
        for call in calls {
            let kind = call.kind(row)
            record.appendByte(kind)
            guard kind == 2, let column = call.arguments else { continue }
            guard call.isText else {
                record.appendZigzag(column.values[row])
                continue
            }
            let text = TextReference(packed: column.values[row])
            record.appendBlob(
                UnsafeBufferPointer(start: UnsafePointer(input.arena.base + text.offset), count: text.count))
        }
    }

    private func add(_ bytes: UnsafeBufferPointer<UInt8>, at place: Int64) {
        var reader = BinaryReader(bytes)
        for call in calls {
            switch reader.byte() {
            case 1: call.evaluator.addNull()
            case 2:
                guard call.argument != nil else {
                    call.evaluator.add(0, at: place, texts)
                    continue
                }
                guard call.isText else {
                    call.evaluator.add(reader.zigzag(), at: place, texts)
                    continue
                }
                let text = reader.blob()
                let offset = texts.count
                if let start = text.baseAddress { _ = texts.append(start, text.count) }
                call.evaluator.add(TextReference(offset: offset, count: text.count).packed, at: place, texts)
            default: break
            }
        }
    }

    func advance(to time: Int64, _ state: LagState, into out: RowBuffer) { state.advance(to: time) }
}
