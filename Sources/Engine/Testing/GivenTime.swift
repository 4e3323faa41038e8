import Records
import Topology

/// The event time of a record that is given several times and moved each time.
enum GivenTime {
    typealias Mistake = (position: Position, message: String)

    /// Why the event times of `count` records, `every` milliseconds apart, cannot be made; nil: they can.
    /// `position`: of the record.
    static func mistake(
        _ members: [(path: String, value: YamlNode)], _ source: SourceSpec, _ count: Int, _ every: Int64,
        _ position: Position
    ) -> Mistake? {
        guard source.timeField >= 0, source.timeField < source.wire.count else {
            return (
                position,
                "every moves the event time, which source \(source.name) computes from other fields; give the records one by one"
            )
        }
        let field = source.wire[source.timeField]
        let path = field.path.joined(separator: ".")
        guard let member = members.first(where: { $0.path == path }) else {
            return (
                position,
                "every moves the event time '\(path)', which the record does not have; write \(path): TIME"
            )
        }
        // Numbers may come of {n}, so the last one is not always the latest; all of a long series differ by
        // few digits.
        for number in Set([min(1, count - 1), count - 1]).sorted() where number > 0 {
            let json = member.value.json(replacing: number)
            let (moved, overflow) = Int64(number).multipliedReportingOverflow(by: every)
            if overflow || !reaches(json, moved, field.reading.unit ?? .ms) {
                return (
                    member.value.position,
                    "'\(path)' of record \(number + 1) of \(count) would lie beyond the last event time that there is: "
                        + "\(json) and \(number) times \(ValueText.duration(every))"
                )
            }
        }
        return nil
    }

    /// True if a time can be moved by so much, or is no time, which the source refuses by itself.
    private static func reaches(_ json: String, _ milliseconds: Int64, _ unit: EpochTime.Unit) -> Bool {
        if !json.hasPrefix("\"") {
            let bytes = Array(json.utf8)
            let parsed = bytes.withUnsafeBufferPointer { buffer in
                buffer.baseAddress.map { EpochTime.parse($0, buffer.count, unit: unit) }
            }
            switch parsed {
            case .success(let time):
                let (sum, overflow) = time.addingReportingOverflow(milliseconds)
                return !overflow && EpochTime.writable.contains(sum)
            case .failure(.outOfRange): return false
            case .failure, nil: return true
            }
        }
        guard let time = CivilTime.parse(String(json.dropFirst().dropLast())) else { return true }
        let (sum, overflow) = time.milliseconds.addingReportingOverflow(milliseconds)
        // Texts of times have four digits for the year.
        return !overflow && sum < CivilTime.day(year: 10_000, month: 1, day: 1) * CivilTime.dayMilliseconds
    }
}
