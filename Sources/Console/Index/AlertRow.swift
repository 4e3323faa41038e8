import Records

/// An alert as lists show it.
package struct AlertRow: Sendable, Equatable {
    package var number: Int64 = 0
    package var id = ""
    package var topology = ""
    package var rule = ""
    package var risk = ""
    /// 0 low to 3 critical.
    package var severity: Int64 = 0
    package var isRaised = true
    package var revision: Int64 = 1
    package var customer = ""
    package var time: Int64?
    package var detected: Int64?
    package var cleared: Int64?
    package var message = ""
    package var measure = ""
    package var epoch: Int64?
    package var score: Double?
    package var topic = ""
    package var partition: Int64 = 0
    package var offset: Int64 = 0
    package var status = "open"
    package var owner: String?
    package var outcome: String?
    package var until: Int64?
    package var note: String?
    package var by: String?
    package var at: Int64?
    package var disposition: Int64 = 0

    static let severities = ["low", "medium", "high", "critical"]
    static let columns =
        "number, id, topology, rule, risk, severity, state, revision, customer, time, detected, cleared, message, measure, epoch, score, "
        + "topic, partition, offset, status, owner, outcome, until, note, by, at, disposition"

    init(_ row: Sqlite.Row, now: Int64) {
        number = row.int(0)
        (id, topology, rule, risk) = (row.text(1), row.text(2), row.text(3), row.text(4))
        severity = row.int(5)
        isRaised = row.text(6) == "raised"
        (revision, customer) = (row.int(7), row.text(8))
        (time, detected, cleared) = (row.optionalInt(9), row.optionalInt(10), row.optionalInt(11))
        (message, measure) = (row.text(12), row.text(13))
        (epoch, score) = (row.optionalInt(14), row.optionalDouble(15))
        (topic, partition, offset) = (row.text(16), row.int(17), row.int(18))
        (status, owner, outcome) = (row.text(19), row.optionalText(20), row.optionalText(21))
        (until, note, by, at) = (
            row.optionalInt(22), row.optionalText(23), row.optionalText(24), row.optionalInt(25)
        )
        disposition = row.int(26)
        if status == "snoozed", let until, until <= now { status = "open" }
    }

    func json(masked: Bool) -> Json {
        let severity = Self.severities[Int(max(0, min(3, self.severity)))]
        return .object([
            ("id", .text(id)), ("topology", .text(topology)), ("rule", .text(rule)), ("risk", .text(risk)),
            ("severity", .text(severity)),
            ("state", isRaised ? "raised" : "cleared"), ("revision", .int(revision)),
            ("customer", .text(masked ? Mask.text(customer) : customer)), ("time", .time(time)),
            ("detected_at", .time(detected)),
            ("cleared_at", .time(cleared)),
            ("message", .text(masked ? Mask.message(message, hiding: customer) : message)),
            ("measure", .text(measure)), ("epoch", epoch.map { .int($0) } ?? .null),
            ("score", .decimal(score)),
            ("status", .text(status)), ("owner", .optional(owner)), ("outcome", .optional(outcome)),
            ("until", .time(until)),
            ("note", masked ? .null : .optional(note)), ("by", .optional(by)), ("at", .time(at)),
            ("disposition", .int(disposition)),
            ("masked", masked ? ["customer", "message", "note"] : []),
        ])
    }
}

/// How a person's or account's name is shown to those who only look on.
package enum Mask {
    /// What is left of it tells neighbours in a list apart, and nothing more.
    package static func text(_ text: String) -> String {
        let shown = text.count >= 8 ? 2 : text.count >= 4 ? 1 : 0
        return text.isEmpty ? "" : "\(text.prefix(shown))•••"
    }

    /// The customer's name, and every run of four digits or more that is no amount.
    package static func message(_ message: String, hiding customer: String) -> String {
        var text = message
        if !customer.isEmpty {
            text = text.split(separator: customer, omittingEmptySubsequences: false).joined(
                separator: Self.text(customer))
        }
        return text
    }
}
