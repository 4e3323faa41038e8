import Records

/// Durations as people write them: `500ms`, `10s`, `5m`, `2h`, `30d`.
package enum DurationText {
    package static let howToWrite = "durations are written like 10s, 5m, 2h, 30d"
    /// 1,000 years; sums of such durations and times stay far inside 64 bits.
    package static let max: Int64 = 365_000 * 86_400_000

    package static func milliseconds(ofUnit unit: String) -> Int64? {
        switch unit {
        case "ms": 1
        case "s": 1000
        case "m": 60_000
        case "h": 3_600_000
        case "d": 86_400_000
        default: nil
        }
    }

    package struct Failure: Error { var message: String }

    /// Count and unit, so that days can be told from 24 hours.
    package static func parse(_ text: String) throws(Failure) -> (
        count: Int64, unit: String, milliseconds: Int64
    ) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = String(text.dropFirst(digits.count))
        guard !digits.isEmpty else { throw Failure(message: "'\(text)' is no duration; \(howToWrite)") }
        guard !unit.isEmpty else { throw Failure(message: "'\(text)' has no unit; \(howToWrite)") }
        guard let factor = milliseconds(ofUnit: unit) else {
            throw Failure(message: "unknown unit in '\(text)'; \(howToWrite)")
        }
        guard let count = Int64(digits), count <= max / factor else {
            throw Failure(message: "'\(text)' is too long; the longest duration is \(max / 86_400_000)d")
        }
        return (count, unit, count * factor)
    }
}
