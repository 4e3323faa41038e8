import Base
import Records

/// Aggregate functions as they are written.
enum AggregateName: String, CaseIterable {
    case count, sum, avg, min, max, first, last, distinct, stddev, quantile, days
    case windowStart = "window_start"
    case windowEnd = "window_end"

    var usage: String {
        switch self {
        case .count: "count() or count(amount > 100)"
        case .quantile: "quantile(amount, 0.99)"
        case .days, .windowStart, .windowEnd: "\(rawValue)()"
        case .distinct: "distinct(buyer_id) or distinct(buyer_id, exact: 10000)"
        default: "\(rawValue)(amount) or \(rawValue)(amount, kind == \"paid\")"
        }
    }

    /// Arguments, without the condition that may follow.
    var argumentCount: Int {
        switch self {
        case .count, .days, .windowStart, .windowEnd: 0
        case .quantile: 2
        default: 1
        }
    }

    var takesCondition: Bool {
        switch self {
        case .days, .windowStart, .windowEnd: false
        default: true
        }
    }
}
