import Base
import Records

extension AlertIndex {
    package struct Page: Sendable {
        package var alerts: [AlertRow] = []
        package var next: String?
        package var total: Int64 = 0
        package var isTotalExact = true
    }

    /// Counts go as far as this; beyond it there are "more than".
    static let countedMax: Int64 = 200_000

    package func list(_ filter: AlertFilter, _ order: AlertOrder = AlertOrder(), limit: Int, now: Int64)
        throws(Fault) -> Page
    {
        let (condition, values) = filter.sql(now: now)
        var page = Page()
        try read(
            "SELECT count(*) FROM (SELECT 1 FROM alerts WHERE \(condition) LIMIT \(Self.countedMax + 1))",
            values
        ) { page.total = $0.int(0) }
        if page.total > Self.countedMax { (page.total, page.isTotalExact) = (Self.countedMax, false) }
        let way = order.isDescending ? "DESC" : "ASC"
        let column = "coalesce(\(order.column), 0)"
        var rest = ""
        var more = values
        if let after = order.after {
            rest = " AND (\(column), number) \(order.isDescending ? "<" : ">") (?, ?)"
            more += [.int(after.value), .int(after.number)]
        }
        // `time` alone goes by its index; what has none is not there.
        let sorted = order.column == "severity" ? column : order.column
        try read(
            "SELECT \(AlertRow.columns) FROM alerts WHERE \(condition)\(rest) ORDER BY \(sorted) \(way), number \(way) LIMIT \(limit + 1)",
            more
        ) { page.alerts.append(AlertRow($0, now: now)) }
        if page.alerts.count > limit {
            page.alerts.removeLast()
            page.next = page.alerts.last.map { order.cursor(after: $0) }
        }
        return page
    }

    package func alert(_ id: String, now: Int64) throws(Fault) -> AlertRow? {
        var found: AlertRow?
        try read("SELECT \(AlertRow.columns) FROM alerts WHERE id = ?", [.text(id)]) {
            found = AlertRow($0, now: now)
        }
        return found
    }

    /// Of a customer, the newest first.
    package func alerts(of customer: String, except id: String, limit: Int, now: Int64) throws(Fault)
        -> [AlertRow]
    {
        var found: [AlertRow] = []
        try read(
            "SELECT \(AlertRow.columns) FROM alerts WHERE customer = ? AND id <> ? ORDER BY time DESC LIMIT \(limit)",
            [.text(customer), .text(id)]
        ) { found.append(AlertRow($0, now: now)) }
        return found
    }

    /// How many alerts have which value of a column.
    package func counts(_ column: String, _ filter: AlertFilter, now: Int64) throws(Fault) -> [(
        name: String?, count: Int64
    )] {
        let (condition, values) = filter.sql(now: now)
        let expression =
            column == "status"
            ? "CASE WHEN status = 'snoozed' AND until <= \(now) THEN 'open' ELSE status END" : column
        var found: [(String?, Int64)] = []
        try read(
            "SELECT \(expression) AS what, count(*) FROM alerts WHERE \(condition) GROUP BY what ORDER BY 2 DESC LIMIT 200",
            values
        ) {
            found.append(($0.optionalText(0), $0.int(1)))
        }
        return found.map { (name: $0.0, count: $0.1) }
    }

    package struct RuleCounts: Sendable {
        package var perHour = [Int](repeating: 0, count: 24)
        package var open = 0
        package var closed = 0
        package var falsePositives = 0
        package var lastDay: Int { perHour.reduce(0, +) }
    }

    /// By topology and rule.
    package func ruleCounts(now: Int64) throws(Fault) -> [String: RuleCounts] {
        var counts: [String: RuleCounts] = [:]
        let begin = now - 24 * 3_600_000
        try read(
            "SELECT topology, rule, (detected - \(begin)) / 3600000, count(*) FROM alerts WHERE detected >= \(begin) AND detected <= \(now) GROUP BY 1, 2, 3"
        ) { row in
            counts["\(row.text(0))/\(row.text(1))", default: RuleCounts()].perHour[
                Int(min(23, max(0, row.int(2))))] += Int(row.int(3))
        }
        try read("SELECT topology, rule, count(*) FROM alerts WHERE status <> 'closed' GROUP BY 1, 2") {
            row in
            counts["\(row.text(0))/\(row.text(1))", default: RuleCounts()].open = Int(row.int(2))
        }
        try read(
            "SELECT topology, rule, count(*), sum(outcome IN ('false-positive', 'noise')) FROM alerts WHERE status = 'closed' AND at >= \(now - 30 * 86_400_000) GROUP BY 1, 2"
        ) { row in
            let key = "\(row.text(0))/\(row.text(1))"
            counts[key, default: RuleCounts()].closed = Int(row.int(2))
            counts[key, default: RuleCounts()].falsePositives = Int(row.int(3))
        }
        return counts
    }

    package enum Happening: Sendable {
        case alert(AlertRow)
        /// Its JSON.
        case disposition(String, alert: AlertRow?)
    }

    /// What came behind a place, in its order; nil: more than `limit`.
    package func happenings(after sequence: Int64, limit: Int, now: Int64) throws(Fault) -> [(
        sequence: Int64, what: Happening
    )]? {
        var found: [(sequence: Int64, what: Happening)] = []
        try read(
            "SELECT \(AlertRow.columns), sequence FROM alerts WHERE sequence > ? ORDER BY sequence LIMIT \(limit + 1)",
            [.int(sequence)]
        ) {
            found.append(($0.int(27), .alert(AlertRow($0, now: now))))
        }
        var dispositions: [(Int64, String, String)] = []
        try read(
            "SELECT sequence, json, alert_id FROM dispositions WHERE sequence > ? ORDER BY sequence LIMIT \(limit + 1)",
            [.int(sequence)]
        ) {
            dispositions.append(($0.int(0), $0.text(1), $0.text(2)))
        }
        for (number, json, _) in dispositions { found.append((number, .disposition(json, alert: nil))) }
        if found.count > limit { return nil }
        return found.sorted { $0.sequence < $1.sequence }
    }

    package func deliveries(_ condition: String, _ values: [String], after number: Int64?, limit: Int)
        throws(Fault) -> (rows: [String], next: String?)
    {
        var rows: [(Int64, String)] = []
        let rest = number.map { " AND number < \($0)" } ?? ""
        try read(
            "SELECT number, json FROM deliveries WHERE \(condition)\(rest) ORDER BY number DESC LIMIT \(limit + 1)",
            values.map { .text($0) }
        ) {
            rows.append(($0.int(0), $0.text(1)))
        }
        let next = rows.count > limit ? "\(rows[limit - 1].0)" : nil
        return (rows.prefix(limit).map(\.1), next)
    }
}
