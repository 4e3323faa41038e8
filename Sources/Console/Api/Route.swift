import Base
import Http
import Models

/// A request that has its place, and who asks.
struct Call {
    var request: ServedRequest
    var caller: Caller
    /// By the names in the route's path.
    var values: [String: String]
    var body: [DocumentValue.Member] = []

    /// A member of the body; nil: it is not there, or null.
    func optionalText(_ name: String, bytesMax: Int = 2000) throws(ApiError) -> String? {
        guard let member = body.last(where: { $0.name == name }) else { return nil }
        switch member.value {
        case .null: return nil
        case .text(let text):
            if text.utf8.count > bytesMax { throw .badRequest("at most \(bytesMax) bytes", field: name) }
            return text
        default: throw .badRequest("a text was expected", field: name)
        }
    }

    func text(_ name: String, bytesMax: Int = 2000) throws(ApiError) -> String {
        guard let text = try optionalText(name, bytesMax: bytesMax) else {
            throw .badRequest("it is missing", field: name)
        }
        return text
    }

    func flag(_ name: String) throws(ApiError) -> Bool {
        guard let member = body.last(where: { $0.name == name }) else { return false }
        switch member.value {
        case .null: return false
        case .bool(let bool): return bool
        default: throw .badRequest("true or false was expected", field: name)
        }
    }

    func optionalInteger(_ name: String) throws(ApiError) -> Int64? {
        guard let member = body.last(where: { $0.name == name }) else { return nil }
        switch member.value {
        case .null: return nil
        case .number(let number):
            if let integer = number.integer { return integer }
        default: break
        }
        throw .badRequest("a whole number was expected", field: name)
    }

    /// Texts by name, like parameters.
    func texts(_ name: String) throws(ApiError) -> [String: String]? {
        guard let member = body.last(where: { $0.name == name }) else { return nil }
        if case .null = member.value { return nil }
        guard case .object(let members) = member.value, members.count <= 1000 else {
            throw .badRequest("texts by name were expected", field: name)
        }
        var texts: [String: String] = [:]
        for member in members {
            switch member.value {
            case .text(let text): texts[member.name] = text
            case .number(.numeral(let numeral)): texts[member.name] = numeral
            default: throw .badRequest("a text was expected", field: "\(name).\(member.name)")
            }
        }
        return texts
    }

    /// The revision that was seen, of `If-Match: "3"`.
    func revision() throws(ApiError) -> Int64 {
        guard let header = request.headers["if-match"] else {
            throw ApiError(428, "revision-missing", "If-Match names the revision that was seen, like \"0\"")
        }
        guard let number = Int64(header.filter { $0 != "\"" }) else {
            throw .badRequest("If-Match takes a revision, like \"0\"", field: "If-Match")
        }
        return number
    }

    func limit() throws(ApiError) -> Int {
        guard let text = request.parameter("limit"), !text.isEmpty else { return 100 }
        guard let number = Int(text), (1...500).contains(number) else {
            throw .badRequest("1 to 500", field: "limit")
        }
        return number
    }

    func list(_ name: String) -> [String] {
        (request.parameter(name) ?? "").split(separator: ",").map(String.init)
    }
}

/// An end point: who may, and what it does. The table of them (`Console.routes`) is held to `openapi.json` by
/// a test.
struct Route: Sendable {
    enum Access: Sendable {
        /// Without a log-in.
        case everybody
        case roles(Set<Role>)
    }

    var method: String
    /// `{name}` stands for one part of the path.
    var path: [String]
    var id: String
    var access: Access
    var handler: @Sendable (Console, Call) throws(ApiError) -> ServedAnswer

    init(
        _ method: String, _ path: String, _ id: String, _ access: Access,
        _ handler: @escaping @Sendable (Console, Call) throws(ApiError) -> ServedAnswer
    ) {
        (self.method, self.id, self.access, self.handler) = (method, id, access, handler)
        self.path = path.split(separator: "/").map(String.init)
    }

    /// The values of its names; nil: another path.
    func match(_ parts: [String]) -> [String: String]? {
        guard parts.count == path.count else { return nil }
        var values: [String: String] = [:]
        for (part, own) in zip(parts, path) {
            if own.hasPrefix("{") {
                values[String(own.dropFirst().dropLast())] = part
            } else if own != part {
                return nil
            }
        }
        return values
    }

    /// How much of it is not a name, so that `alerts/next` goes before `alerts/{id}`.
    var weight: Int { path.filter { !$0.hasPrefix("{") }.count }
}

extension Route.Access {
    static let all = Route.Access.roles(Set(Role.allCases))
    static func only(_ roles: Role...) -> Route.Access { .roles(Set(roles)) }
}
