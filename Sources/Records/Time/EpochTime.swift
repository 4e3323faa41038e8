import Base

/// Timestamps that are written as a number: so much time since 1970, UTC.
package enum EpochTime {
    package enum Unit: String, Hashable, Sendable, CaseIterable {
        case s, ms, us, ns, min, h, d

        package var name: String {
            switch self {
            case .s: "seconds"
            case .ms: "milliseconds"
            case .us: "microseconds"
            case .ns: "nanoseconds"
            case .min: "minutes"
            case .h: "hours"
            case .d: "days"
            }
        }

        /// Of those that are no power of ten of a millisecond.
        private var milliseconds: Int64? {
            switch self {
            case .s, .ms, .us, .ns: nil
            case .min: 60_000
            case .h: 3_600_000
            case .d: CivilTime.dayMilliseconds
            }
        }

        /// Milliseconds in a number of this unit. What is less than one is cut; of minutes, hours and days,
        /// whose parts are no decimals, it is rounded.
        fileprivate func elapsed(
            _ bytes: UnsafePointer<UInt8>, _ count: Int
        ) -> Result<Int64, Decimal.ParseFailure> {
            guard let milliseconds else { return Decimal.parseCut(bytes, count, scale: shift) }
            // To a billionth, of a day less than a tenth of a millisecond.
            guard case .success(let number) = Decimal.parseRounded(bytes, count, scale: 9) else {
                return Decimal.parseRounded(bytes, count, scale: 9)
            }
            let product = Int128(number) * Int128(milliseconds)
            let value = Decimal.divideHalfEven(product, Int128(Decimal.powerOfTen(9)))
            return Int64(exactly: value).map { .success($0) } ?? .failure(.outOfRange)
        }

        /// `number`, in text, later by so many milliseconds.
        fileprivate func moved(_ number: String, by delta: Int64) -> String? {
            guard let milliseconds, case .success(let old) = Decimal.parse(number, scale: 9) else {
                return nil
            }
            let change = Decimal.divideHalfEven(
                Int128(delta) * Int128(Decimal.powerOfTen(9)), Int128(milliseconds))
            return Decimal.string(Int128(old) + change, scale: 9)
        }

        /// A number of this unit times 10^shift is in milliseconds.
        fileprivate var shift: Int {
            switch self {
            case .s: 3
            case .ms: 0
            case .us: -3
            case .ns: -6
            case .min, .h, .d: unreachable("no power of ten")
            }
        }
    }

    /// 1990 to 2200, milliseconds. A number whose unit nobody declared is taken as milliseconds and must lie
    /// here; a time of these years in another unit does not.
    package static let plausible: Range<Int64> = 631_152_000_000..<7_258_118_400_000
    /// The years 1 to 9999, milliseconds, in which a number of a declared unit must lie.
    package static let writable: Range<Int64> = -62_135_596_800_000..<253_402_300_800_000

    /// Milliseconds of a number in JSON's grammar; what is less than a millisecond is cut, as it is of ISO
    /// 8601 texts. `unit`: as declared; nil: milliseconds, which must be plausible.
    package static func parse(
        _ bytes: UnsafePointer<UInt8>, _ count: Int, unit: Unit?
    ) -> Result<Int64, Decimal.ParseFailure> {
        let parsed = (unit ?? .ms).elapsed(bytes, count)
        guard case .success(let time) = parsed else { return parsed }
        return (unit == nil ? plausible : writable).contains(time) ? parsed : .failure(.outOfRange)
    }

    /// Milliseconds of a number that counts from another time than 1970; how many is bounded by that sum.
    package static func parse(
        _ bytes: UnsafePointer<UInt8>, _ count: Int, unit: Unit, since origin: Origin, zone: TimeZoneTable?
    ) -> Result<Int64, Decimal.ParseFailure> {
        let parsed = unit.elapsed(bytes, count)
        guard case .success(let elapsed) = parsed else { return parsed }
        guard elapsed.magnitude <= UInt64(writable.upperBound - writable.lowerBound) else {
            return .failure(.outOfRange)
        }
        var time = origin.milliseconds + elapsed
        if origin.isLocal {
            guard let zone else { return .failure(.notANumber) }
            // A day is as long as the clocks make it; hours are hours.
            time = unit == .d ? zone.utc(local: time) : zone.utc(local: origin.milliseconds) + elapsed
        }
        return writable.contains(time) ? .success(time) : .failure(.outOfRange)
    }

    /// What numbers count from.
    package struct Origin: Hashable, Sendable {
        package var milliseconds: Int64
        /// As the clocks of the field's zone show it.
        package var isLocal: Bool

        package init(milliseconds: Int64, isLocal: Bool) {
            self.milliseconds = milliseconds
            self.isLocal = isLocal
        }
    }

    /// The unit, another than `unit`, in which the number is a plausible time.
    package static func likelyUnit(_ bytes: UnsafePointer<UInt8>, _ count: Int, not unit: Unit?) -> Unit? {
        [Unit.s, .ms, .us, .ns].first { candidate in
            guard candidate != unit ?? .ms,
                case .success(let time) = parse(bytes, count, unit: candidate)
            else { return false }
            return plausible.contains(time)
        }
    }

    /// A number of `unit` that is `milliseconds` later than `number`; nil if that is none.
    package static func moved(_ number: String, by milliseconds: Int64, unit: Unit?) -> String? {
        if let unit, unit == .min || unit == .h || unit == .d { return unit.moved(number, by: milliseconds) }
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
