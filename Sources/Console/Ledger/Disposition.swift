import Base
import Models
import Records

/// What became of an alert, as it stands in `<topology>-dispositions`.
package struct Disposition: Sendable, Equatable {
    package var alertId: String
    package var topology: String
    /// open, taken, closed, snoozed
    package var status = "open"
    package var owner: String?
    package var outcome: String?
    /// Milliseconds.
    package var until: Int64?
    package var note: String?
    package var by = ""
    package var at: Int64 = 0
    /// 0: nobody has touched it.
    package var revision: Int64 = 0

    package init(alertId: String, topology: String) { (self.alertId, self.topology) = (alertId, topology) }

    init(_ value: UnsafeBufferPointer<UInt8>) throws(Fault) {
        let node = DocumentNode(try JsonDocument.read(Array(value)))
        alertId = try node["alert_id"].text
        topology = try node["topology"].text
        status = try node["status"].text
        owner = try node.optional("owner")?.text
        outcome = try node.optional("outcome")?.text
        until = try node.optional("until").flatMap { (node) throws(Fault) in
            CivilTime.parse(try node.text)?.milliseconds
        }
        note = try node.optional("note")?.text
        by = try node["by"].text
        at = CivilTime.parse(try node["at"].text)?.milliseconds ?? 0
        revision = Int64(try node["revision"].integer)
    }

    package var json: Json {
        .object([
            ("alert_id", .text(alertId)), ("topology", .text(topology)), ("status", .text(status)),
            ("owner", .optional(owner)),
            ("outcome", .optional(outcome)), ("until", .time(until)), ("note", .optional(note)),
            ("by", .text(by)), ("at", .time(at)),
            ("revision", .int(revision)),
        ])
    }

    /// What an analyst does with an alert.
    package enum Action: String, Sendable, CaseIterable {
        case take, close, snooze, reopen, note
    }

    package static let noteBytesMax = 4000
    package static let snoozeMillisecondsMax: Int64 = 90 * 86_400_000

    /// As it is after `action` of `name` at `now`.
    package func after(
        _ action: Action, by name: String, outcome: String? = nil, until: Int64? = nil, note: String? = nil,
        at now: Int64
    ) throws(ApiError) -> Disposition {
        var next = self
        if let note, note.utf8.count > Self.noteBytesMax {
            throw .badRequest("a note has at most \(Self.noteBytesMax) bytes", field: "note")
        }
        let note = note.flatMap { $0.isEmpty ? nil : $0 }
        if let note { next.note = note }
        switch action {
        case .take:
            if status == "closed" {
                throw ApiError(409, "conflict", "it is closed; reopen it first", current: json)
            }
            if status == "taken", owner == name {
                throw ApiError(409, "conflict", "it is yours already", current: json)
            }
            (next.status, next.owner, next.outcome, next.until) = ("taken", name, nil, nil)
        case .close:
            guard let outcome, AlertFilter.outcomes.contains(outcome) else {
                throw .badRequest(
                    "there is \(AlertFilter.outcomes.joined(separator: ", "))", field: "outcome")
            }
            if status == "closed" { throw ApiError(409, "conflict", "it is closed already", current: json) }
            (next.status, next.owner, next.outcome, next.until) = ("closed", owner ?? name, outcome, nil)
        case .snooze:
            guard let until, until > now, until - now <= Self.snoozeMillisecondsMax else {
                throw .badRequest("a time in the next 90 days was expected", field: "until")
            }
            guard note != nil else { throw .badRequest("say why, for those who wonder", field: "note") }
            if status == "closed" { throw ApiError(409, "conflict", "it is closed", current: json) }
            (next.status, next.owner, next.until) = ("snoozed", owner ?? name, until)
        case .reopen:
            if status == "open" { throw ApiError(409, "conflict", "it is open", current: json) }
            (next.status, next.owner, next.outcome, next.until) = ("open", nil, nil, nil)
        case .note:
            guard note != nil else { throw .badRequest("a text was expected", field: "note") }
        }
        (next.by, next.at, next.revision) = (name, now, revision + 1)
        return next
    }
}
