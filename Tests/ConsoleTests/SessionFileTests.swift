import Base
import Foundation
import Synchronization
import Testing

@testable import Console

/// Goal: nobody logs in again because the console was restarted, and nothing in the file lets anybody in.
/// Method: consoles one after the other over one folder.
@Suite struct SessionFileTests {
    @Test func sessionsGoOnBehindARestart() throws {
        let file =
            NSTemporaryDirectory() + "/millrace-sessions-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        defer { unlink(file) }
        let time = Atomic<Int64>(1_000_000)
        let first = Sessions(file: file) { time.load(ordering: .relaxed) }
        let lin = UsersFile.Person(
            name: "lin", password: nil, key: nil, roles: [.analyst, .viewer], language: nil)
        let (id, caller) = first.begin(lin, method: "password", peer: "10.0.0.1", language: "zh")
        let (other, ended) = first.begin(lin, method: "password", peer: "10.0.0.2", language: "en")
        first.see("msg_1", caller)
        first.save()
        let text = try String(contentsOfFile: file, encoding: .utf8)
        #expect(!text.contains(id))
        var facts = stat()
        #expect(stat(file, &facts) == 0 && facts.st_mode & 0o777 == 0o600)
        // Ended without a word to the file but its own.
        #expect(first.end(try #require(ended.session)))

        time.add(Sessions.idleMilliseconds - 1, ordering: .relaxed)
        let second = Sessions(file: file) { time.load(ordering: .relaxed) }
        let found = try #require(second.caller(id))
        #expect((found.name, found.roles, found.language) == ("lin", [.analyst, .viewer], "zh"))
        #expect((found.token, found.session, found.peer) == (caller.token, caller.session, "10.0.0.1"))
        #expect(second.hasSeen("msg_1", found) && !second.hasSeen("msg_2", found))
        #expect(second.caller(other) == nil)
        // Names of sessions are not given twice.
        let (_, third) = second.begin(lin, method: "password", peer: "10.0.0.3", language: "en")
        #expect(third.session != caller.session && third.session != ended.session)

        time.add(Sessions.wholeMilliseconds, ordering: .relaxed)
        #expect(Sessions(file: file) { time.load(ordering: .relaxed) }.caller(id) == nil)
    }

    @Test(arguments: [
        "", "{", "[]", #"{"version":2,"number":1,"sessions":[]}"#,
        #"{"version":1,"number":1,"sessions":[{}]}"#,
    ])
    func aFileThatIsNoneCostsALogIn(text: String) throws {
        let file =
            NSTemporaryDirectory() + "/millrace-sessions-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        defer { unlink(file) }
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        let sessions = Sessions(file: file) { 5 }
        #expect(sessions.all.isEmpty)
        let lin = UsersFile.Person(name: "lin", password: nil, key: nil, roles: [.viewer], language: nil)
        let (id, _) = sessions.begin(lin, method: "password", peer: "p", language: "en")
        #expect(Sessions(file: file) { 5 }.caller(id)?.name == "lin")
    }
}
