import Records

/// Which alerts a list shows. Of one member any of its names is right; of several members all must be.
package struct AlertFilter: Sendable, Equatable {
    package var topology: [String] = []
    package var rule: [String] = []
    package var risk: [String] = []
    package var severity: [String] = []
    package var status: [String] = []
    package var state: String?
    /// "" : nobody's.
    package var owner: [String] = []
    package var customer: String?
    /// Event times, milliseconds; the second is the first that is out.
    package var from: Int64?
    package var to: Int64?
    package var words: [String] = []

    package init() {}

    static let names = [
        "topology", "rule", "risk", "severity", "status", "state", "owner", "customer", "from", "to", "q",
    ]
    static let statuses = ["open", "taken", "closed", "snoozed"]
    package static let outcomes = ["confirmed", "useful", "false-positive", "noise"]

    /// Reads members by their names; others are left alone.
    package init(_ members: [(name: String, value: String)], caller: Caller) throws(ApiError) {
        for (name, value) in members where Self.names.contains(name) && !value.isEmpty {
            let list = value.split(separator: ",").map(String.init)
            guard list.count <= 200 else { throw .badRequest("at most 200 names", field: name) }
            func check(_ known: [String]) throws(ApiError) {
                for item in list where !known.contains(item) {
                    throw .badRequest(
                        "'\(item.prefix(100))' is no \(name); there is \(known.joined(separator: ", "))",
                        field: name)
                }
            }
            func hidden() throws(ApiError) {
                if caller.seesMasked {
                    throw ApiError(
                        403, "forbidden", "who sees customers masked cannot look for them", field: name)
                }
            }
            switch name {
            case "topology": topology = list
            case "rule": rule = list
            case "risk": risk = list
            case "severity":
                try check(AlertRow.severities)
                severity = list
            case "status":
                try check(Self.statuses)
                status = list
            case "state":
                try check(["raised", "cleared"])
                state = value
            case "owner": owner = list.map { $0 == "me" ? caller.name : $0 == "none" ? "" : $0 }
            case "customer":
                try hidden()
                customer = value
            case "q":
                try hidden()
                words = value.split(separator: " ").prefix(10).map(String.init)
            case "from": from = try Self.time(value, name)
            default: to = try Self.time(value, name)
            }
        }
    }

    static func time(_ text: String, _ field: String) throws(ApiError) -> Int64 {
        guard let parsed = CivilTime.parse(text), parsed.hasZone else {
            throw .badRequest("a time with its zone was expected, like 2026-01-05T10:00:00Z", field: field)
        }
        return parsed.milliseconds
    }

    /// A condition of SQL and its values. `now`: when snoozed alerts are open again.
    func sql(now: Int64) -> (text: String, values: [SqlValue]) {
        var parts: [String] = []
        var values: [SqlValue] = []
        func any(_ column: String, _ list: [SqlValue]) {
            if list.isEmpty { return }
            parts.append("\(column) IN (\(list.map { _ in "?" }.joined(separator: ",")))")
            values += list
        }
        any("topology", topology.map { .text($0) })
        any("rule", rule.map { .text($0) })
        any("risk", risk.map { .text($0) })
        any(
            "severity", severity.compactMap { AlertRow.severities.firstIndex(of: $0) }.map { .int(Int64($0)) }
        )
        if !status.isEmpty {
            var ways: [String] = []
            for name in status {
                switch name {
                case "open":
                    ways.append("status = 'open' OR (status = 'snoozed' AND until <= ?)")
                    values.append(.int(now))
                case "snoozed":
                    ways.append("(status = 'snoozed' AND until > ?)")
                    values.append(.int(now))
                default:
                    ways.append("status = ?")
                    values.append(.text(name))
                }
            }
            parts.append("(\(ways.joined(separator: " OR ")))")
        }
        if let state {
            parts.append("state = ?")
            values.append(.text(state))
        }
        if !owner.isEmpty {
            parts.append("coalesce(owner, '') IN (\(owner.map { _ in "?" }.joined(separator: ",")))")
            values += owner.map { .text($0) }
        }
        if let customer {
            parts.append("customer = ?")
            values.append(.text(customer))
        }
        if let from {
            parts.append("time >= ?")
            values.append(.int(from))
        }
        if let to {
            parts.append("time < ?")
            values.append(.int(to))
        }
        for word in words {
            parts.append("instr(lower(message), lower(?)) > 0")
            values.append(.text(word))
        }
        return (parts.isEmpty ? "1" : parts.joined(separator: " AND "), values)
    }
}

/// In which order a list is, and where its next page begins.
package struct AlertOrder: Sendable {
    package var column = "time"
    package var isDescending = true
    /// The last alert of the page before: its value and its number.
    package var after: (value: Int64, number: Int64)?

    package init() {}

    package init(sort: String?, cursor: String?) throws(ApiError) {
        let sort = sort ?? "-time"
        isDescending = sort.hasPrefix("-")
        column = isDescending ? String(sort.dropFirst()) : sort
        guard ["time", "severity", "detected"].contains(column) else {
            throw .badRequest(
                "there is time, severity and detected, with - for the greatest first", field: "sort")
        }
        guard let cursor, !cursor.isEmpty else { return }
        let parts = cursor.split(separator: ".")
        guard parts.count == 3, parts[0] == sort, let value = Int64(parts[1]), let number = Int64(parts[2])
        else {
            throw .badRequest("this is the cursor of no page in this order", field: "cursor")
        }
        after = (value, number)
    }

    func cursor(after row: AlertRow) -> String {
        "\(isDescending ? "-" : "")\(column).\(value(row)).\(row.number)"
    }

    private func value(_ row: AlertRow) -> Int64 {
        switch column {
        case "severity": row.severity
        case "detected": row.detected ?? 0
        default: row.time ?? 0
        }
    }
}
