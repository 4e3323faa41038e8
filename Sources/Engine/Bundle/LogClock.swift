import Base
import Records

/// The time at which records were written to their topic, as far as they were taken: it stands in for the
/// clock that bounds event times and tells records that leap ahead (`CrowdTime`).
package final class LogClock: Clock {
    /// Without a record that says its time, all times are past.
    private static let unknown = CivilTime.millisecondsMax
    private var newest: Int64 = -1

    package init() {}

    package var nowMilliseconds: Int64 { newest > 0 ? newest : Self.unknown }

    func note(_ records: RawRecords) {
        for row in 0..<records.count { newest = max(newest, records.timestamps[row]) }
    }
}
