/// Timestamps that are written as a number: so much time since 1970, UTC.
package enum EpochTime {
    package enum Unit: String, Hashable, Sendable, CaseIterable {
        case s, ms, us, ns

        package var name: String {
            switch self {
            case .s: "seconds"
            case .ms: "milliseconds"
            case .us: "microseconds"
            case .ns: "nanoseconds"
            }
        }

        /// A number of this unit times 10^shift is in milliseconds.
        fileprivate var shift: Int {
            switch self {
            case .s: 3
            case .ms: 0
            case .us: -3
            case .ns: -6
            }
        }
    }

    /// 1990 to 2200, milliseconds. A number whose unit nobody declared is taken as milliseconds and must lie here;
    /// a time of these years in another unit does not.
    package static let plausible: Range<Int64> = 631_152_000_000..<7_258_118_400_000
    /// The years 1 to 9999, milliseconds, in which a number of a declared unit must lie.
    package static let writable: Range<Int64> = -62_135_596_800_000..<253_402_300_800_000

    /// Milliseconds of a number in JSON's grammar; what is less than a millisecond is cut, as it is of ISO 8601
    /// texts. `unit`: as declared; nil: milliseconds, which must be plausible.
    package static func parse(
        _ bytes: UnsafePointer<UInt8>, _ count: Int, unit: Unit?
    ) -> Result<Int64, Decimal.ParseFailure> {
        let parsed = Decimal.parseCut(bytes, count, scale: (unit ?? .ms).shift)
        guard case .success(let time) = parsed else { return parsed }
        return (unit == nil ? plausible : writable).contains(time) ? parsed : .failure(.outOfRange)
    }

    /// The unit, another than `unit`, in which the number is a plausible time.
    package static func likelyUnit(_ bytes: UnsafePointer<UInt8>, _ count: Int, not unit: Unit?) -> Unit? {
        Unit.allCases.first { candidate in
            guard candidate != unit ?? .ms,
                case .success(let time) = parse(bytes, count, unit: candidate)
            else { return false }
            return plausible.contains(time)
        }
    }

    /// A number of `unit` that is `milliseconds` later than `number`; nil if that is none.
    package static func moved(_ number: String, by milliseconds: Int64, unit: Unit?) -> String? {
        let shift = (unit ?? .ms).shift
        // In nanoseconds; a time for which 64 bits of them are too few, in milliseconds.
        for places in [6, 0] where places + shift >= 0 {
            guard case .success(let old) = Decimal.parse(number, scale: places + shift) else { continue }
            let new = Int128(old) + Int128(milliseconds) * Int128(Decimal.powerOfTen(places))
            var text = Decimal.string(new, scale: places + shift)
            if text.contains(".") {
                while text.hasSuffix("0") { text.removeLast() }
                if text.hasSuffix(".") { text.removeLast() }
            }
            return text
        }
        return nil
    }
}
