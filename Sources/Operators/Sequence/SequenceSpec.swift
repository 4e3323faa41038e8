import Records
import Topology

/// `sequence:` finds patterns in the records of a key, in event-time order.
///
/// - `repeat`: a run is consecutive records for which a condition holds; one for which it does not hold (or
///   is null) ends it, and so does a distance between neighbours of more than `gap`, or, without `gap`, of
///   more than `within`. The record with which the last `times` of a run lie within `within`, that included,
///   makes a row: once a run, so that the next one comes after the run has ended. A run that is longer than
///   `within` loses its oldest records only.
/// - `first`, `then`: a record B after a record A, by at most `within`. Each B goes with the oldest A that
///   has none, so that a record takes part in one row as A and in one as B. A record that is both is B first.
/// - `first`, `without`: a record A after which no B came for `within`; one row, of A, once that time is
///   over. A B is for all A before it.
///
/// After means at a greater event time: of records of one instant none comes after another. `repeat` takes
/// those in an order of their contents, which has no meaning but is always the same.
///
/// `by` narrows the key: records go together only if they agree in these fields as well, in null too. Records
/// A wait as far as `limit` lets them: of a key, and in memory. One that finds no room goes to the dead
/// letters and is for the step as if it had not come.
///
/// Columns: the record's; of `repeat`, `sequence.count` and `sequence.start`; of `then`, A's as
/// `first.<field>`; and `sequence_time`, the event time of the row: that of the completing record, or when
/// A's time was over. A field that has one of these names, since the input is a sequence itself, becomes
/// `sequence_time_before` and so on.
package struct SequenceSpec: RunnableOperator {
    package enum Pattern: Sendable {
        case repeated(Expression, times: Int)
        case then(first: Expression, second: Expression)
        case without(first: Expression, second: Expression)
    }

    package var pattern: Pattern
    /// Milliseconds.
    package var within: Int64
    /// Between neighbours of `repeat`; nil: any.
    package var gap: Int64?
    /// Columns beside the key, and their names.
    package var by: [Int]
    package var byNames: [String]
    package var fieldCount: Int

    package static var place: OperatorPlace { .step(key: "sequence") { SequenceReader(step: $0).read($1) } }
    package static let reference = """
        **`sequence: { repeat: C, times: N, within: W }`.** A *run* is consecutive records of a key for which C holds. A record for which it does not hold, or
        is null, ends it, and so does a distance between neighbours of more than `gap`, or, without `gap`, of more than W. The record with which the last N
        of a run lie within W (the first and the last at most W apart) makes a row; `sequence.count` is N and `sequence.start` the time of the first of them. A run
        that is longer than W loses its oldest records, not the others. A run makes one row: the next one of the key comes after the run has ended. Records of
        one instant count all, in an order of their contents; late ones (behind the watermark) go to the late records and are as if they had not come.

        **`sequence: { first: A, then: B, within: W }`.** A record B after a record A, by at most W. Each B goes with the oldest A that has none, so that a record
        takes part in one row as A and in one as B; one that is both is B first. The row has B's fields and A's as `first.field`.

        **`sequence: { first: A, without: B, within: W }`.** A record A after which no B came for W: one row, of A, once that time is over. A B is for all A before
        it. After means at a greater event time: of records of one instant none comes after another.

        `by` narrows the key: records go together only if they agree in these fields as well, in null too. `sequence_time` is the event time of the row: that of the
        completing record, or when A's time was over. A field that has one of these names already becomes `sequence_time_before` and so on.
        `limit: { memory, rows_per_key }` bounds the records A that wait.
        """

    package var reach: Int64 { within }
    package var name: String { "sequence" }
    package var order: RowOrder { .eventTime }

    package var expressions: [Expression] {
        switch pattern {
        case .repeated(let holds, _): [holds]
        case .then(let first, let second), .without(let first, let second): [first, second]
        }
    }

    package var computed: [(input: Int, name: String, expression: Expression)] {
        switch pattern {
        case .repeated(let holds, _): [(0, "repeat", holds)]
        case .then(let first, let second): [(0, "first", first), (0, "then", second)]
        case .without(let first, let second): [(0, "first", first), (0, "without", second)]
        }
    }

    package var definition: String? {
        let what =
            switch pattern {
            case .repeated(_, let times): "\(times) records in a row"
            case .then: "a record and then another"
            case .without: "a record without another"
            }
        let gap = gap.map { ", \(ValueText.duration($0)) apart" } ?? ""
        let by = byNames.isEmpty ? "" : " by \(byNames.joined(separator: ", "))"
        return "\(what) within \(ValueText.duration(within))\(gap)\(by)"
    }

    package func addBound(to bound: inout OperatorBound, _ figures: OperatorFigures) {
        guard case .repeated(_, let times) = pattern else {
            bound.lines.append(figures.waiting("records that wait for another"))
            return bound.add(bytes: Int64(figures.limits.memory))
        }
        var room: Int64 = 1
        while room < times { room *= 2 }
        bound.lines.append(figures.per("key", "runs", OperatorBound.keyBytes + 96 + 8 * room, figures.keys))
        bound.bytesMax = nil
    }

    package func logic(_ text: LogicText) -> String { text.dump(self, columns: ["by": 0]) }

    package func makeOperator(_ context: OperatorContext) -> any StreamOperator {
        switch pattern {
        case .repeated(let holds, let times): RepeatOperator(self, holds, times: times, context)
        case .then(let first, let second): PairOperator(self, first, second, isAbsent: false, context)
        case .without(let first, let second): PairOperator(self, first, second, isAbsent: true, context)
        }
    }
}
