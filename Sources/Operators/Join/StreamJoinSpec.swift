import Records
import Topology

/// `join: { stream: … }`: the rows of two streams that belong together, by key and within an interval of
/// event time.
///
/// A row of the left input at t and one of the right at u are a pair if t - before <= u <= t + after. Every
/// pair is one row, made as soon as event time has passed the later of the two, whichever came first;
/// duplicates make pairs of their own. With `isLeft`, a left row that has found nobody is a row as well, with
/// nulls, once event time has passed t + after: a partner that comes later than that finds nobody either.
/// Rows whose key is null go to the dead letters of their step.
///
/// Columns: the left row's, the right row's under its input's name (`customs.value`), for left joins whether
/// there is one (`customs.found`), and `joined_at`: the later of both times, or t + after where the partner
/// is missing.
///
/// Rows wait for partners as far as `limit` lets them: of a key, and in memory. One that finds no room goes
/// to the dead letters once it has found those that wait already; a left row of its key whose partner it may
/// have been goes there too, since that it has none is not known.
package struct StreamJoinSpec: RunnableOperator {
    /// Milliseconds.
    package var before: Int64
    package var after: Int64
    package var isLeft: Bool
    /// Rows of the right input that have found nobody are rows as well.
    package var isFull = false
    /// Columns of each input.
    package var leftCount: Int
    package var rightCount: Int
    /// Columns of each input that are equal in a pair.
    package var leftKey: [Int] = []
    package var rightKey: [Int] = []

    package static var place: OperatorPlace { .join { StreamJoinReader(step: $0).read($1) } }

    package static func otherInputs(of step: MappingReader) -> [OtherInput] {
        guard OperatorReader.joinKind(step) == .stream else { return [] }
        return step["join"]?.mapping?.first { $0.key == "stream" }.map {
            [OtherInput($0.value, "stream", example: "stream: customs")]
        } ?? []
    }

    package static let reference = """
        **`join: { stream: S, on: K, within: W }`.** The rows of two streams that belong together. A row of the step's input at t and one of S at u are a pair if
        their `on` fields are equal (`on: order_id`, or `on: { order_id: ref }` where names differ) and t - `before` <= u <= t + `after`; `within: W` is both. Every
        pair is one row, made as soon as event time has passed the later of the two; duplicates make pairs of their own. With `kind: left`, a row that has found
        nobody is a row as well, with nulls, once event time has passed t + `after`; a partner that comes later finds nobody either. With `kind: full` a row of S that
        has found nobody is one too, once event time has passed u + `before`: its own fields, those of `on` under the input's names as well, nulls in all others of the
        input. Rows whose key is null are dead letters.

        The row has the input's fields, those of S as `S.field` (`as: other` gives another name), with `kind: left` or `full` `S.found`, with `full` `INPUT.found` too, and `joined_at`: the later of
        both times, or t + `after` or u + `before` where the partner is missing. `limit: { memory, rows_per_key }` bounds the rows that wait.
        """

    package var reach: Int64 { before &+ after }
    package var name: String { "join" }
    package var order: RowOrder { .eventTime }

    package var definition: String? {
        "\(isFull ? "full " : isLeft ? "left " : "")join from \(ValueText.duration(before)) before to \(ValueText.duration(after)) after"
    }

    package func addBound(to bound: inout OperatorBound, _ figures: OperatorFigures) {
        bound.lines.append(figures.waiting("rows that wait for a partner", " on each side"))
        bound.add(bytes: Int64(figures.limits.memory))
    }

    package func makeOperator(_ context: OperatorContext) -> any StreamOperator {
        StreamJoinOperator(self, context)
    }
}
