import Records
import State
import Topology

/// What `SequenceOfSpec` says, on the records that `LagState` keeps.
final class SequenceOfOperator: StreamOperator {
    private let spec: SequenceOfSpec
    private let types: [ValueType]
    private let record = Arena(capacity: 256)
    private var text = JsonWriter()
    /// Row by row from the newest.
    private var values: [Int64]
    private var valid: [Bool]

    init(_ spec: SequenceOfSpec, _ context: OperatorContext) {
        self.spec = spec
        types = spec.fields.map { context.inputs[0].schema.fields[$0].type }
        values = Array(repeating: 0, count: spec.steps * spec.fields.count)
        valid = Array(repeating: false, count: spec.steps * spec.fields.count)
    }

    func makeState(tracksChanges: Bool) -> LagState {
        LagState(count: spec.steps, within: nil, tracksChanges: tracksChanges)
    }

    func take(_ input: OperatorInput, row: Int, _ state: LagState, into out: RowBuffer) {
        let (key, time) = (input.key(of: row), input.times[row])
        out.begin(time: time, origin: input.origin(of: row))
        out.copy(input.columns, row, input.arena, to: 0)
        record.removeAll()
        for field in spec.fields {
            let from = input.columns[field]
            record.appendByte(from.valid[row])
            if from.valid[row] == 1 { record.appendZigzag(from.values[row]) }
        }
        state.add(
            UnsafeBufferPointer(start: UnsafePointer(record.base), count: record.count), to: key, at: time)
        let count = types.count
        var rows = 0
        state.forEach(before: time, of: key) { bytes in
            var reader = BinaryReader(bytes)
            for field in 0..<count {
                valid[rows * count + field] = reader.byte() == 1
                if valid[rows * count + field] { values[rows * count + field] = reader.zigzag() }
            }
            rows += 1
        }
        out.set(spec.fieldCount + 1, Int64(rows))
        if rows >= spec.least { write(rows, into: out) }
    }

    private func write(_ rows: Int, into out: RowBuffer) {
        let count = types.count
        text.removeAll()
        text.raw("[")
        for step in 0..<spec.steps {
            text.raw(step == 0 ? "[" : ",[")
            let back = spec.steps - 1 - step
            for field in 0..<count {
                if field > 0 { text.raw(",") }
                let place = back * count + field
                guard back < rows, valid[place] else {
                    text.raw("null")
                    continue
                }
                number(values[place], types[field].scale)
            }
            text.raw("]")
        }
        text.raw("]")
        out.set(
            spec.fieldCount,
            text: UnsafeBufferPointer(start: UnsafePointer(text.bytes.base), count: text.bytes.count))
    }

    /// A bool is 1 or 0, a duration milliseconds.
    private func number(_ value: Int64, _ scale: Int) {
        text.bytes.reserve(Decimal.bytesMax)
        text.bytes.count += Decimal.write(Int128(value), scale: scale, to: text.bytes.base + text.bytes.count)
    }
}
