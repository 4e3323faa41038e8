import Records
import State
import Topology

/// What `LagSpec` says, on the records that `LagState` keeps.
final class LagOperator: StreamOperator {
    private let spec: LagSpec
    private let values = Arena(capacity: 256)
    private let texts: [Bool]

    init(_ spec: LagSpec, _ context: OperatorContext) {
        self.spec = spec
        texts = spec.fields.map { context.inputs[0].schema.fields[$0].type == .text }
    }

    func makeState(tracksChanges: Bool) -> LagState {
        LagState(count: spec.count, within: spec.within, tracksChanges: tracksChanges)
    }

    func take(_ input: OperatorInput, row: Int, _ state: LagState, into out: RowBuffer) {
        let (key, time) = (input.key(of: row), input.times[row])
        out.begin(time: time, origin: input.origin(of: row))
        out.copy(input.columns, row, input.arena, to: 0)
        var column = spec.fieldCount
        state.forEach(before: time, of: key) { record in
            write(record, from: column, into: out)
            column += texts.count
        }
        values.removeAll()
        for (place, field) in spec.fields.enumerated() {
            let from = input.columns[field]
            values.appendByte(from.valid[row])
            guard from.valid[row] == 1 else { continue }
            if texts[place] {
                values.appendBlob(input.text(field, row))
            } else {
                values.appendZigzag(from.values[row])
            }
        }
        state.add(
            UnsafeBufferPointer(start: UnsafePointer(values.base), count: values.count), to: key, at: time)
    }

    /// The fields of a record that was kept.
    private func write(_ record: UnsafeBufferPointer<UInt8>, from column: Int, into out: RowBuffer) {
        var reader = BinaryReader(record)
        for (place, isText) in texts.enumerated() where reader.byte() == 1 {
            if isText {
                out.set(column + place, text: reader.blob())
            } else {
                out.set(column + place, reader.zigzag())
            }
        }
    }

    func advance(to time: Int64, _ state: LagState, into out: RowBuffer) { state.advance(to: time) }
}
