/// How the text of a field is read, beyond what its type says.
package struct FieldReading: Hashable, Sendable {
    /// Of timestamps that are written as numbers; nil: milliseconds that must be plausible.
    package var unit: EpochTime.Unit?
    /// Texts that mean that there is no value.
    package var nulls: [String] = []
    /// A number is written as base64 of its bytes: an integer in two's complement, the highest byte first, in
    /// units of 10^-scale. So Kafka Connect's JSON has decimals.
    package var isBase64 = false
    /// A text may be written as a JSON number, and is then what is written.
    package var takesNumbers = false

    package init() {}
}
