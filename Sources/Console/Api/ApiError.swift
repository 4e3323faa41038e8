import Base
import Http
import Topology

/// What an end point says in place of its answer.
package struct ApiError: Error {
    package var status: Int
    package var code: String
    package var message: String
    package var field: String?
    package var position: (file: String, line: Int, column: Int)?
    /// What it is by now, of a conflict.
    package var current: Json?
    package var diagnostics: [Diagnostic] = []
    package var retryAfterSeconds: Int?

    package init(_ status: Int, _ code: String, _ message: String, field: String? = nil, current: Json? = nil)
    {
        (self.status, self.code, self.message, self.field, self.current) = (
            status, code, message, field, current
        )
    }

    /// What the engine says: a user's mistake is one of the request, an external one is Kafka's.
    package init(_ fault: Fault) {
        switch fault.domain {
        case .user: self.init(422, "bad-text", fault.detail)
        case .external: self.init(503, "kafka-unreachable", fault.detail)
        case .defect: self.init(500, "internal", fault.detail)
        }
    }

    package init(_ diagnostics: [Diagnostic]) {
        let first = diagnostics.first { $0.severity == .error }
        self.init(422, "bad-text", first?.message ?? "the text has a mistake")
        position = first.map { ($0.file, $0.position.line, $0.position.column) }
        self.diagnostics = diagnostics
    }

    static func badRequest(_ message: String, field: String? = nil) -> ApiError {
        ApiError(400, "bad-request", message, field: field)
    }
    static func notFound(_ message: String) -> ApiError { ApiError(404, "not-found", message) }

    package var json: Json {
        var error: [(String, Json)] = [("code", .text(code)), ("message", .text(message))]
        if let field { error.append(("field", .text(field))) }
        if let position {
            error += [
                ("file", .text(position.file)), ("line", .int(Int64(position.line))),
                ("column", .int(Int64(position.column))),
            ]
        }
        var members: [(String, Json)] = [("error", .object(error))]
        if let current { members.append(("current", current)) }
        if !diagnostics.isEmpty { members.append(("diagnostics", .list(diagnostics.map(\.apiJson)))) }
        return .object(members)
    }

    var answer: ServedAnswer {
        var answer = ServedAnswer(status, json)
        if let retryAfterSeconds { answer.headers.append(("Retry-After", "\(retryAfterSeconds)")) }
        return answer
    }
}

extension Diagnostic {
    var apiJson: Json {
        [
            "severity": .text(severity.rawValue), "file": .text(file), "line": .int(Int64(position.line)),
            "column": .int(Int64(position.column)), "message": .text(message),
        ]
    }
}

extension ServedAnswer {
    init(_ status: Int, _ json: Json) {
        self.init(status, headers: [("Content-Type", "application/json")], body: Array(json.string.utf8))
    }
}
