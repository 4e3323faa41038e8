/// How the text of a field is read, beyond what its type says.
package struct FieldReading: Hashable, Sendable {
    /// Of timestamps that are written as numbers; nil: milliseconds that must be plausible.
    package var unit: EpochTime.Unit?
    /// What the numbers of `unit` count from; nil: 1970 UTC.
    package var origin: EpochTime.Origin?
    /// How timestamps are written, tried in order; empty: as ISO 8601 texts, or as numbers.
    package var patterns: [TimePattern] = []
    /// Texts that mean that there is no value.
    package var nulls: [String] = []
    /// A number is written as base64 of its bytes: an integer in two's complement, the highest byte first, in
    /// units of 10^-scale. So Kafka Connect's JSON has decimals.
    package var isBase64 = false
    /// A text may be written as a JSON number, and is then what is written.
    package var takesNumbers = false

    package init() {}
}
