import Base
import Connectors
import Foundation
import Http
import Synchronization

@testable import Console

/// A console without a cluster behind it, a clock that is moved, and a person of each role.
final class ConsoleRig {
    let console: Console
    let folder: String
    private static let moved = Mutex<[String: Int64]>([:])
    static let start: Int64 = 1_795_853_700_000
    static let password = "correct horse battery"
    /// bcrypt at its least cost: tests log in often.
    static let users: String =
        Role.allCases.map { role in
            #"\#(role.rawValue): { password: "\#(hash)", roles: [\#(role.rawValue)] }"#
        }.joined(separator: "\n") + "\n" + #"both: { password: "\#(hash)", roles: [author, approver] }"#
        + "\n"
        + #"ci: { key: "sha256:\#(Sha256.hex(Array("mrk_test".utf8)))", roles: [author] }"# + "\n"
    private static let hash = (try? TestPassword.hash(password)) ?? ""

    init(_ change: (inout Console.Options) -> Void = { _ in }) throws {
        folder = NSTemporaryDirectory() + "/millrace-console-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        mkdir(folder, 0o700)
        try Self.users.write(toFile: folder + "/users.yaml", atomically: true, encoding: .utf8)
        var options = Console.Options(
            kafka: KafkaSettings(bootstrapServers: "127.0.0.1:1", group: "test"), folder: folder)
        options.usersFile = folder + "/users.yaml"
        options.cluster = "none"
        change(&options)
        let key = folder
        Self.moved.withLock { $0[key] = 0 }
        console = try Console(options) { Self.start + (Self.moved.withLock { $0[key] ?? 0 }) }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func move(_ milliseconds: Int64) {
        let key = folder
        Self.moved.withLock { $0[key, default: 0] += milliseconds }
    }

    struct Person {
        var cookie: String
        var token: String
    }

    func logIn(_ name: String, password: String = ConsoleRig.password, peer: String = "10.0.0.1") -> (
        answer: ServedAnswer, person: Person?
    ) {
        let answer = console.answer(
            ServedRequest(
                method: "POST", path: "/api/session",
                headers: ["content-type": "application/json", "sec-fetch-site": "same-origin"],
                body: Array(#"{"name":"\#(name)","password":"\#(password)"}"#.utf8), peer: peer))
        guard answer.status == 200,
            let cookie = answer.headers.first(where: { $0.name == "Set-Cookie" })?.value
        else { return (answer, nil) }
        let text = String(decoding: answer.body, as: UTF8.self)
        let token = text.components(separatedBy: #""token":""#)[1].prefix { $0 != "\"" }
        return (answer, Person(cookie: String(cookie.prefix { $0 != ";" }), token: String(token)))
    }

    func ask(
        _ method: String, _ path: String, _ person: Person?, body: String? = nil,
        headers: [String: String] = [:]
    ) -> ServedAnswer {
        var all = ["sec-fetch-site": "same-origin", "content-type": "application/json"]
        if let person {
            all["cookie"] = person.cookie
            all["x-millrace-token"] = person.token
        }
        all.merge(headers) { $1 }
        let parts = path.split(separator: "?", maxSplits: 1).map(String.init)
        let query = (parts.count > 1 ? parts[1] : "").split(separator: "&").map {
            pair -> (name: String, value: String) in
            let words = pair.split(separator: "=", maxSplits: 1).map(String.init)
            return (words[0], words.count > 1 ? words[1] : "")
        }
        return console.answer(
            ServedRequest(
                method: method, path: parts[0], query: query, headers: all.filter { !$0.value.isEmpty },
                body: Array((body ?? "").utf8), peer: "10.0.0.1"))
    }
}

extension ServedAnswer {
    var text: String { String(decoding: body, as: UTF8.self) }
}
