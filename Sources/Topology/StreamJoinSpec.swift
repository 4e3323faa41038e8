import Records

/// `join: { stream: … }`: the rows of two streams that belong together, by key and within an interval of event time.
///
/// A row of the left input at t and one of the right at u are a pair if t - before <= u <= t + after. Every pair is one
/// row, made as soon as event time has passed the later of the two, whichever came first; duplicates make pairs of
/// their own. With `isLeft`, a left row that has found nobody is a row as well, with nulls, once event time has passed
/// t + after: a partner that comes later than that finds nobody either. Rows whose key is null go to the dead letters
/// of their step.
///
/// Columns: the left row's, the right row's under its input's name (`customs.value`), for left joins whether there is
/// one (`customs.found`), and `joined_at`: the later of both times, or t + after where the partner is missing.
///
/// Rows wait for partners as far as `limit` lets them: of a key, and in memory. One that finds no room goes to the dead
/// letters once it has found those that wait already; a left row of its key whose partner it may have been goes there too,
/// since that it has none is not known.
package struct StreamJoinSpec: OperatorKind {
    /// Milliseconds.
    package var before: Int64
    package var after: Int64
    package var isLeft: Bool
    /// Columns of each input.
    package var leftCount: Int
    package var rightCount: Int

    package var name: String { "join" }
    package var waitsForEventTime: Bool { true }

    package var definition: String? {
        "\(isLeft ? "left " : "")join from \(ValueText.duration(before)) before to \(ValueText.duration(after)) after"
    }
}
