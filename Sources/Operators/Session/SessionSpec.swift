import Records
import Topology

/// `window: { gap: 30m, max: 1d }`: a window of a key's records that come less than `gap` apart. Records are
/// taken in event-time order, so a key has one open session. It ends when no record came for `gap`, or `max`
/// after its first record: one that comes then, or later, begins the next session. Aggregates are those of
/// other windows, but for `days`, `window_start` and `window_end`.
///
/// Each session is a row, once event time has passed its end: the key, the results, `window_start` (the time
/// of the first record), `window_end` (the end, exclusive: the last record's time plus `gap`, or
/// `window_start` plus `max` where that is less) and, as with other windows, `window_time`, the last moment
/// before it, which is the row's event time. Rules take it as a record: `when` without `clear`.
///
/// A session takes the words of its aggregates, whatever number of records it has. A task has as many open as
/// `limit` says; a record that would begin one more goes to the dead letters, and is for the step as if it
/// had not come.
package struct SessionSpec: AggregatingOperator {
    /// Milliseconds.
    package var gap: Int64
    package var max: Int64
    package var key: [Int]
    /// As those of a step with a window; their scope is the input's schema.
    package var aggregates: [AggregateCall]
    package var outputs: [DerivedField]
    /// The aggregates, for people to compare.
    package var aggregateText: String

    package static var place: OperatorPlace { .gap { SessionReader(step: $0).add($1) } }
    package static let reference = """
        **`window: { gap: G, max: M }`.** A session: a window of a key's records that come less than G apart. Records are taken in event-time order, so a key has one
        open session. It ends when no record came for G, or M after its first record: one that comes then, or later, begins the next. Aggregates are those of other
        windows, but for `days`, `window_start` and `window_end`. Each session is a row, once event time has passed its end: the key, the results, `window_start` (the
        time of the first record), `window_end` (the last record's time plus G, or `window_start` plus M where that is less) and `window_time`, the last moment before
        it. Rules take it as a record: `when` without `clear`. `limit: { sessions }` bounds the sessions that a task has open.
        """

    package var reach: Int64 { gap }
    package var name: String { "session" }
    package var order: RowOrder { .eventTime }
    package var definition: String? {
        "sessions with a gap of \(ValueText.duration(gap)), \(ValueText.duration(max)) at most: \(aggregateText)"
    }

    package var results: (aggregates: [AggregateCall], outputs: [DerivedField])? { (aggregates, outputs) }

    package func addBound(to bound: inout OperatorBound, _ figures: OperatorFigures) {
        var bytes = OperatorBound.keyBytes + 64 + 8
        var grows = ""
        for call in aggregates {
            bytes += StateBound.paneBytes(call, figures.schema)
            switch call.function {
            case .distinct, .quantile: grows = ", and what `distinct` and `quantile` hold"
            default: break
            }
        }
        let sessions = Int64(figures.limits.sessions)
        bound.lines.append(
            figures.per("session", "open sessions", bytes, sessions) + grows + "; limit: { sessions }")
        if grows.isEmpty {
            bound.add(bytes: StateBound.product(bytes, sessions))
        } else {
            bound.bytesMax = nil
        }
    }

    package func logic(_ text: LogicText) -> String {
        "\(gap) \(max) \(text.results(outputs, of: aggregates, input: 0))"
    }
    package func makeOperator(_ context: OperatorContext) -> any StreamOperator {
        SessionOperator(self, context)
    }
}
