import Records

/// `window: { gap: 30m, max: 1d }`: a window of a key's records that come no more than `gap` apart. Records are taken in
/// event-time order, so a key has one open session. It closes when event time has passed its last record by more than
/// `gap`, or when a record comes that would make it as long as `max`, or that is one more than
/// `Limits.sessionRowsMax`; that record begins the next one.
///
/// Each session is a row: the key, the results, `window_start` (the first record), `window_end` (the last record plus
/// `gap`, exclusive; where it was cut, the last record) and `window_time`, when it closed.
package struct SessionSpec: OperatorKind {
    /// Milliseconds.
    package var gap: Int64
    package var max: Int64
    package var key: [Int]
    /// As those of a step with a window; their scope is the input's schema.
    package var aggregates: [AggregateCall]
    package var outputs: [DerivedField]

    package var name: String { "session" }
    package var waitsForEventTime: Bool { true }
    package var expressions: [Expression] {
        aggregates.flatMap { [$0.argument, $0.condition].compactMap { $0 } } + outputs.map(\.expression)
    }

    package var definition: String? {
        "sessions with a gap of \(ValueText.duration(gap)), \(ValueText.duration(max)) at most"
    }
}
