import Base
import Models
import Records

/// A message that was not delivered yet.
package struct PendingSend: Equatable, Sendable {
    package var message: NotifyMessage
    /// The escalation that goes on when it is given up.
    package var watch: String?
    /// It was an undelivered letter.
    package var isResent = false
    package var tries = 0
    package var next: Int64
    package var isInFlight = false

    var key: String { "send\u{1F}\(message.id)" }
    var tryKey: String { "try\u{1F}\(message.id)" }

    init(message: NotifyMessage, watch: String?, isResent: Bool = false, next: Int64) {
        (self.message, self.watch, self.isResent, self.next) = (message, watch, isResent, next)
    }

    /// What stays as it is.
    var json: String {
        var json = JsonWriter()
        json.beginObject()
        if let watch { json.member("watch", watch) }
        json.name("resent")
        json.bool(isResent)
        json.name("message")
        json.written(message.json)
        json.endObject()
        return json.string
    }

    /// What changes with each try.
    var tryJson: String {
        var json = JsonWriter()
        json.beginObject()
        json.member("id", message.id)
        json.member("tries", Int64(tries))
        json.member("next", next)
        json.name("in_flight")
        json.bool(isInFlight)
        json.endObject()
        return json.string
    }

    init(_ node: DocumentNode) throws(Fault) {
        watch = try node.optional("watch")?.text
        isResent = try node["resent"].bool
        message = try NotifyMessage(try node["message"])
        next = message.createdAt
    }

    mutating func takeTry(_ node: DocumentNode) throws(Fault) {
        tries = try node["tries"].integer
        next = Int64(try node["next"].integer)
        isInFlight = try node["in_flight"].bool
    }
}
