import Records

/// `sequence:` finds patterns in the records of a key, in event-time order.
///
/// - `repeat`: a run is consecutive records for which a condition holds; one for which it does not hold (or is null) ends
///   it, and so does a distance between neighbours of more than `gap`, or, without `gap`, of more than `within`. The record
///   with which the last `times` of a run lie within `within`, that included, makes a row: once a run, so that the next one
///   comes after the run has ended. A run that is longer than `within` loses its oldest records only.
/// - `first`, `then`: a record B after a record A, by at most `within`. Each B goes with the oldest A that has none, so
///   that a record takes part in one row as A and in one as B. A record that is both is B first.
/// - `first`, `without`: a record A after which no B came for `within`; one row, of A, once that time is over. A B is
///   for all A before it.
///
/// After means at a greater event time: of records of one instant none comes after another. `repeat` takes those in an
/// order of their contents, which has no meaning but is always the same.
///
/// `by` narrows the key: records go together only if they agree in these fields as well, in null too. Records A wait as
/// far as `limit` lets them: of a key, and in memory. One that finds no room goes to the dead letters and is for the step
/// as if it had not come.
///
/// Columns: the record's; of `repeat`, `sequence.count` and `sequence.start`; of `then`, A's as `first.<field>`; and
/// `sequence_time`, the event time of the row: that of the completing record, or when A's time was over. A field that
/// has one of these names, since the input is a sequence itself, becomes `sequence_time_before` and so on.
package struct SequenceSpec: OperatorKind {
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

    package var name: String { "sequence" }
    package var waitsForEventTime: Bool { true }

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
}
