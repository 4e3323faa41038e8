import Records
import State

/// What `UnionSpec` says.
final class UnionOperator: StreamOperator {
    typealias State = NoState

    private let columns: [[Int]]

    init(_ spec: UnionSpec) { columns = spec.columns }

    func take(_ input: OperatorInput, row: Int, _ state: NoState, into out: RowBuffer) {
        out.begin(time: input.times[row], origin: input.origin(of: row))
        for (column, from) in columns[input.index].enumerated() {
            out.copy(input.columns[from], row, input.arena, to: column)
        }
    }
}
