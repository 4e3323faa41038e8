/// Text appended for people to read, without a `String` in between.
extension Arena {
    package func appendText(_ text: String) { _ = append(text) }

    package func appendNumber(_ value: Int64) {
        reserve(Decimal.bytesMax)
        count += Decimal.write(Int128(value), scale: 0, to: base + count)
    }

    /// `2011-01-05T10:15:00Z`
    package func appendTime(_ milliseconds: Int64) {
        reserve(CivilTime.bytesMax)
        count += CivilTime.write(milliseconds, to: base + count)
    }
}
