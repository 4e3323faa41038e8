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
    /// How numbers are written; nil: as JSON has them.
    package var numerals: Numerals?
    /// Texts before or behind a text that are no part of it.
    package var strips: [String] = []
    /// Texts that are true, and false; where there are none, `true` and `false` are.
    package var trues: [String] = []
    package var falses: [String] = []
    /// A text may be written as a JSON number, and is then what is written.
    package var takesNumbers = false

    package init() {}
}
