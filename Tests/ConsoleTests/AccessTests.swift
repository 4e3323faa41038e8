import Base
import Foundation
import Http
import Testing

@testable import Console

/// Goal: who may do what is one table, and nothing goes past it. Method: each role at each end point;
/// requests as other sites, old sessions and guessers would make them; a clock that is moved.
@Suite(.serialized) struct AccessTests {
    private struct Operation {
        var method: String
        var path: String
        var roles: Set<String>
        var id: String
    }

    private static func operations() throws -> [Operation] {
        let document = try #require(
            try JSONSerialization.jsonObject(with: Data(Pages(folder: nil).openapi)) as? [String: Any])
        let paths = try #require(document["paths"] as? [String: [String: [String: Any]]])
        return paths.flatMap { path, methods in
            methods.map { method, operation in
                Operation(
                    method: method.uppercased(), path: path,
                    roles: Set(operation["x-roles"] as? [String] ?? []),
                    id: operation["operationId"] as? String ?? "")
            }
        }
    }

    @Test func theFileSaysWhatTheTableDoes() throws {
        let written = try Self.operations().map { "\($0.id) \($0.method) \($0.path) \($0.roles.sorted())" }
            .sorted()
        let served = Console.routes.map { route in
            let roles: [String] =
                switch route.access {
                case .everybody: ["*"]
                case .roles(let roles): roles.map(\.rawValue).sorted()
                }
            return "\(route.id) \(route.method) /\(route.path.joined(separator: "/")) \(roles)"
        }.sorted()
        #expect(written == served)
    }

    @Test func sixRolesAtEveryEndPoint() throws {
        let rig = try ConsoleRig()
        for role in Role.allCases {
            // Each end point afresh: log-out is one of them.
            for operation in try Self.operations()
            where operation.id != "logIn" && operation.id != "streamEvents" {
                let person = try #require(rig.logIn(role.rawValue).person)
                let path = operation.path.split(separator: "/").map {
                    $0.hasPrefix("{") ? "none" : String($0)
                }.joined(separator: "/")
                let answer = rig.ask(
                    operation.method, "/\(path)", person, body: operation.method == "GET" ? nil : "{}")
                let isAllowed = operation.roles == ["*"] || operation.roles.contains(role.rawValue)
                #expect(
                    isAllowed ? ![401, 403, 405].contains(answer.status) : answer.status == 403,
                    "\(role) \(operation.id): \(answer.status) \(answer.text.prefix(200))")
                #expect(answer.headers.contains { $0.name == "Cache-Control" && $0.value == "no-store" })
                #expect(answer.headers.contains { $0.name == "X-Content-Type-Options" })
                if operation.roles != ["*"] {
                    #expect(rig.ask(operation.method, "/\(path)", nil, body: "{}").status == 401)
                }
            }
        }
    }

    @Test func otherSitesCanDoNothing() throws {
        let rig = try ConsoleRig()
        let person = try #require(rig.logIn("analyst").person)
        func status(_ headers: [String: String]) -> Int {
            rig.ask("POST", "/api/alerts/next", person, body: "{}", headers: headers).status
        }
        #expect(status([:]) == 404)
        #expect(status(["sec-fetch-site": "cross-site"]) == 403)
        #expect(status(["sec-fetch-site": "same-site"]) == 403)
        #expect(status(["sec-fetch-site": "", "origin": "http://evil", "host": "bank"]) == 403)
        #expect(status(["sec-fetch-site": "", "host": "bank"]) == 403)
        #expect(status(["sec-fetch-site": "", "origin": "http://bank", "host": "bank"]) == 404)
        #expect(status(["x-millrace-token": "0"]) == 403)
        #expect(status(["content-type": "text/plain"]) == 415)
        // What has a key has no cookie that a browser would send by itself.
        let key = rig.ask(
            "POST", "/api/lint", nil, body: #"{"text":"topology: a"}"#,
            headers: ["authorization": "Bearer mrk_test", "sec-fetch-site": ""])
        #expect(key.status == 200)
        #expect(
            rig.ask("GET", "/api/people", nil, headers: ["authorization": "Bearer mrk_test"]).status == 403)
        #expect(
            rig.ask("GET", "/api/alerts", nil, headers: ["authorization": "Bearer mrk_tesu"]).status == 401)
    }

    @Test func sessionsEnd() throws {
        let rig = try ConsoleRig()
        let person = try #require(rig.logIn("viewer").person)
        #expect(
            rig.logIn("viewer").answer.headers.contains {
                $0.name == "Set-Cookie" && $0.value.contains("HttpOnly; SameSite=Strict")
            })
        for _ in 0..<3 {
            rig.move(14 * 60_000)
            #expect(rig.ask("GET", "/api/session", person).status == 200)
        }
        rig.move(15 * 60_000)
        #expect(rig.ask("GET", "/api/session", person).status == 401)
        let second = try #require(rig.logIn("viewer").person)
        for _ in 0..<72 {
            rig.move(10 * 60_000)
            _ = rig.ask("GET", "/api/session", second)
        }
        #expect(rig.ask("GET", "/api/session", second).status == 401)
        let third = try #require(rig.logIn("viewer").person)
        #expect(rig.ask("DELETE", "/api/session", third).status == 204)
        #expect(rig.ask("GET", "/api/session", third).status == 401)
    }

    @Test func guessersWait() throws {
        let rig = try ConsoleRig()
        for _ in 0..<5 { #expect(rig.logIn("viewer", password: "wrong").answer.status == 401) }
        let sixth = rig.logIn("viewer")
        #expect(sixth.answer.status == 429)
        #expect(sixth.answer.headers.contains { $0.name == "Retry-After" && $0.value == "60" })
        // By name from elsewhere, and other names from the same address.
        #expect(rig.logIn("viewer", peer: "10.0.0.2").answer.status == 429)
        #expect(rig.logIn("analyst").answer.status == 429)
        #expect(rig.logIn("analyst", peer: "10.0.0.2").answer.status == 200)
        rig.move(60_000)
        #expect(rig.logIn("viewer").answer.status == 200)
        #expect(
            rig.logIn("nobody", peer: "10.0.0.3").answer.text
                == rig.logIn("viewer", password: "x", peer: "10.0.0.3").answer.text)
    }

    @Test func aProxyIsBelievedFromItsAddressOnly() throws {
        let rig = try ConsoleRig {
            $0.proxyHeader = "X-Remote-User"
            $0.trustedPeers = ["10.0.0.1"]
        }
        let first = rig.ask("GET", "/api/session", nil, headers: ["x-remote-user": "analyst"])
        #expect(first.status == 200)
        #expect(first.headers.contains { $0.name == "Set-Cookie" })
        #expect(rig.ask("GET", "/api/session", nil, headers: ["x-remote-user": "nobody"]).status == 401)
        let other = rig.console.answer(
            ServedRequest(
                method: "GET", path: "/api/session", headers: ["x-remote-user": "analyst"], peer: "10.9.9.9"))
        #expect(other.status == 401)
    }

    @Test func namesThatAreNotThereAreSaid() throws {
        let rig = try ConsoleRig()
        let person = try #require(rig.logIn("author").person)
        #expect(rig.ask("GET", "/api/alerts?severiti=high", person).text.contains("unknown-field"))
        #expect(rig.ask("GET", "/api/alerts?severity=hihg", person).status == 400)
        #expect(rig.ask("GET", "/api/alerts?cursor=zz", person).status == 400)
        #expect(rig.ask("POST", "/api/lint", person, body: #"{"texd":""}"#).status == 400)
        #expect(rig.ask("POST", "/api/lint", person, body: #"{"text":"#).status == 400)
        #expect(rig.ask("GET", "/api/nothing", person).text.contains("no-endpoint"))
        #expect(rig.ask("PUT", "/api/alerts", person, body: "{}").status == 405)
        let viewer = rig.logIn("viewer").person
        #expect(rig.ask("GET", "/api/alerts?customer=M1", viewer).status == 403)
    }

    /// JSON and queries by a seed: an answer to each, and never one of the server's own fault.
    @Test func nonsense() throws {
        let rig = try ConsoleRig()
        let person = try #require(rig.logIn("both").person)
        let seed: UInt64 = 7
        var random = SplitMix64(seed: seed)
        let pieces = [
            "{", "}", "[", "]", "\"", ":", ",", "text", "\"topology\":", "null", "true", "1e999", "-",
            "\\u0000", "\\ud800", "NaN", "\"a\"", "9223372036854775808",
        ]
        for _ in 0..<3000 {
            let body = (0..<Int.random(in: 0...12, using: &random)).map { _ in
                pieces.randomElement(using: &random)!
            }.joined()
            let path = ["/api/lint", "/api/plan", "/api/changes", "/api/backtests", "/api/changes/x/approve"]
                .randomElement(using: &random)!
            let answer = rig.ask(
                "POST", path, person, body: body,
                headers: ["if-match": "\"\(Int.random(in: -1...1, using: &random))\""])
            #expect(answer.status < 500, "seed \(seed): \(path) \(body): \(answer.text)")
        }
    }

    @Test func usersAreReadWithTheirMistakes() throws {
        #expect(throws: Fault.self) { try UsersFile("a: { password: secret, roles: [viewer] }", file: "u") }
        #expect(throws: Fault.self) { try UsersFile("a: { password: \"$y$x\", roles: [viewr] }", file: "u") }
        #expect(throws: Fault.self) { try UsersFile("a: { passwort: \"$y$x\", roles: [viewer] }", file: "u") }
        #expect(
            try UsersFile("a: { password: \"$y$x\", roles: [author] }", file: "u").people["a"]?.roles == [
                .author, .viewer,
            ])
    }
}
