import Base
import Engine
import Records

/// What somebody did, before it has its place in the chain of `<topology>-audit`.
package struct AuditEvent: Sendable {
    package var who: String
    package var roles: [String]
    /// An address, or `command`.
    package var from: String
    /// alert.take, change.submit
    package var action: String
    package var object: String
    package var old: String?
    package var new: String?
    package var reason: String?
    /// Of a link by which it was done: `AcknowledgePage`.
    package var link: String?

    package init(
        who: String, roles: [String], from: String, action: String, object: String, old: String? = nil,
        new: String? = nil,
        reason: String? = nil
    ) {
        (self.who, self.roles, self.from, self.action, self.object) = (who, roles, from, action, object)
        (self.old, self.new, self.reason) = (old, new, reason)
    }

    init(
        _ caller: Caller, _ action: String, _ object: String, old: String? = nil, new: String? = nil,
        reason: String? = nil, link: String? = nil
    ) {
        self.init(
            who: caller.name, roles: caller.roles.map(\.rawValue).sorted(), from: caller.peer, action: action,
            object: object, old: old,
            new: new, reason: reason)
        self.link = link
    }

    private static let linkMark = Array(#""link":""#.utf8)

    /// The mark of the link by which a record of the audit came about.
    static func link(of record: [UInt8]) -> String? {
        guard record.contains(linkMark), let read = try? AuditRecord(record) else { return nil }
        return read.details.first { $0.name == "link" }?.value
    }

    /// As `AuditRecord` keeps them.
    var details: [(name: String, value: String)] {
        var details = [("object", object), ("from", from), ("roles", roles.joined(separator: ", "))]
        for (name, value) in [("old", old), ("new", new), ("reason", reason), ("link", link)] {
            if let value { details.append((name, value)) }
        }
        return details.map { (name: $0.0, value: $0.1) }
    }
}
