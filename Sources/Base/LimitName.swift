/// A limit that records can hit while a topology runs, by the name that it has in
/// `millrace_limit_hits_total`, in log lines and in summaries.
package enum LimitName: String, CaseIterable, Sendable {
    case recordBytes = "record_bytes"
    case textBytes = "text_bytes"
    case ahead
    case windowAhead = "window_ahead_bytes"
    case rowsPerKey = "rows_per_key"
    case memory
    case sessions
    case items
    case itemNameBytes = "item_name_bytes"
    case fundLots = "fund_lots"
    case fundPathBytes = "fund_path_bytes"
    case fundNameBytes = "fund_name_bytes"
    case tableVersions = "table_versions"
    case tableVersionsPerKey = "table_versions_per_key"
    case recordAlerts = "record_alerts"
    case redisPending = "redis_pending_bytes"
    case inputBehind = "input_behind"
    case inputBytes = "input_bytes"

    /// What stands about it in `Limits.table`.
    package var entry: LimitEntry {
        guard let entry = Limits.table.first(where: { $0.name == rawValue }) else {
            unreachable("limit \(rawValue) is not in the table")
        }
        return entry
    }
}
