import Base
import Engine
import Formats
import Http
import Synchronization
import Testing
import Topology

/// A registry that answers as somebody hostile, or a bad day, would.
@Suite struct RegistryClientTests {
    final class Registry: Sendable {
        struct State {
            var answers: [String: [HttpResponse]] = [:]
            var asked: [String] = []
            var headers: [[String]] = []
            var now: Int64 = 0
        }

        let state = Mutex(State())

        var world: RegistryClient.World {
            RegistryClient.World(
                send: { [self] request in
                    state.withLock { state in
                        let path = String(request.url.dropFirst("http://r".count))
                        state.asked.append("\(request.method) \(path)")
                        state.headers.append(request.headers + [request.credentials ?? ""])
                        guard var list = state.answers[path], !list.isEmpty else {
                            return .failure(Fault(.external, "http: nobody is there"))
                        }
                        let answer = list.count > 1 ? list.removeFirst() : list[0]
                        state.answers[path] = list
                        return .success(answer)
                    }
                },
                nowMilliseconds: { [self] in state.withLock { $0.now } },
                sleep: { [self] pause in state.withLock { $0.now += pause } })
        }

        func answer(_ path: String, _ answers: HttpResponse...) {
            state.withLock { $0.answers[path] = answers }
        }
        var asked: [String] { state.withLock { $0.asked } }
        func pass(_ milliseconds: Int64) { state.withLock { $0.now += milliseconds } }
        var now: Int64 { state.withLock { $0.now } }
    }

    private static func response(_ status: Int, _ body: String = "{}", headers: [String: String] = [:])
        -> HttpResponse
    {
        HttpResponse(status: status, headers: headers, body: Array(body.utf8))
    }

    private static func schema(_ text: String, more: String = "") -> HttpResponse {
        response(200, "{\"schema\":\"\(text.replacing("\"", with: "\\\""))\"\(more)}")
    }

    private let registry = Registry()

    private func client(_ spec: RegistrySpec = RegistrySpec(url: "http://r")) -> RegistryClient {
        RegistryClient(spec, registry.world)
    }

    private func texts(_ schema: WriterSchema?) -> [String]? {
        guard case .texts(let texts)? = schema else { return nil }
        return texts.map { String(decoding: $0, as: UTF8.self) }
    }

    private func refusal(_ schema: WriterSchema?) -> String {
        if case .refused(let why)? = schema { why } else { "" }
    }

    @Test func isAskedOnce() throws {
        registry.answer("/schemas/ids/7", Self.schema("\"int\""))
        let client = client(RegistrySpec(url: "http://r", credentials: "rob:x"))
        #expect(client.known(7) == nil)
        for _ in 0..<3 { try client.fetch(7) }
        #expect(texts(client.known(7)) == ["\"int\""])
        #expect(registry.asked == ["GET /schemas/ids/7"])
        #expect(registry.state.withLock { $0.headers[0].last } == "rob:x")
        try? self.client(RegistrySpec(url: "http://r", token: "t")).fetch(7)
        #expect(registry.state.withLock { $0.headers[1].contains("Authorization: Bearer t") })
    }

    @Test func whatItDoesNotHaveIsAskedForAgainAfterAWhile() throws {
        registry.answer("/schemas/ids/1", Self.response(404), Self.schema("\"int\""))
        let client = client()
        try client.fetch(1)
        #expect(refusal(client.known(1)) == "http://r has no schema with the id 1")
        registry.pass(59_000)
        try client.fetch(1)
        #expect(registry.asked.count == 1)
        registry.pass(2000)
        try client.fetch(1)
        #expect(texts(client.known(1)) == ["\"int\""])
    }

    @Test func oneThatIsAwayIsWaitedForAndNotForever() throws {
        registry.answer("/schemas/ids/1", Self.response(503), Self.response(429), Self.schema("\"int\""))
        let client = client()
        try client.fetch(1)
        #expect(texts(client.known(1)) == ["\"int\""])
        for status in [500, 503, 418] {
            registry.answer("/schemas/ids/2", Self.response(status))
            let begin = registry.now
            let fault = #expect(throws: Fault.self) { try client.fetch(2) }
            #expect(fault?.retry == .withBackoff)
            #expect(
                fault?.detail.contains("did not answer for 10 s: it answers with status \(status)") == true)
            #expect(registry.now - begin <= Limits.registryWaitMilliseconds)
            #expect(client.known(2) == nil)
        }
        let fault = #expect(throws: Fault.self) { try client.fetch(3) }
        #expect(fault?.detail.contains("nobody is there") == true)
        // Not in a tight loop either.
        #expect(registry.asked.filter { $0.hasSuffix("/3") }.count < 20)
    }

    @Test func redirectsPackedAnswersAndLockedDoors() throws {
        registry.answer("/schemas/ids/1", Self.response(302, headers: ["location": "http://elsewhere"]))
        registry.answer("/schemas/ids/2", Self.response(200, headers: ["content-encoding": "gzip"]))
        registry.answer("/schemas/ids/3", Self.response(401))
        for (id, text) in [
            (1, "not followed"), (2, "packed, which nobody asked for"), (3, "does not let us in"),
        ] {
            let fault = #expect(throws: Fault.self) { try self.client().fetch(Int32(id)) }
            #expect(fault?.detail.contains(text) == true, "\(fault?.detail ?? "")")
            #expect(fault?.retry == .withBackoff)
        }
        #expect(!registry.asked.contains { $0.contains("elsewhere") })
    }

    @Test func answersThatAreNoSchemas() throws {
        let client = client()
        let wrong = [
            "", "[]", "{\"schema\":7}", String(repeating: "[", count: 100_000),
            "{\"schema\":\"x\",\"schemaType\":\"PROTOBUF\"}",
            "{\"schema\":\"x\",\"references\":[{\"subject\":\"s\"}]}",
        ]
        for (id, body) in wrong.enumerated() {
            registry.answer("/schemas/ids/\(id)", Self.response(200, body))
            try client.fetch(Int32(id))
            #expect(!refusal(client.known(Int32(id))).isEmpty, "\(body.prefix(60))")
        }
    }

    @Test func referencesComeFirstAndEnd() throws {
        let ref = { (subject: String) in
            ",\"references\":[{\"name\":\"n\",\"subject\":\"\(subject)\",\"version\":1}]"
        }
        registry.answer("/schemas/ids/1", Self.schema("top", more: ref("a b")))
        registry.answer("/subjects/a%20b/versions/1", Self.schema("middle", more: ref("c")))
        registry.answer("/subjects/c/versions/1", Self.schema("bottom", more: ref("a b")))
        let client = client()
        try client.fetch(1)
        #expect(texts(client.known(1)) == ["bottom", "middle", "top"])
        registry.answer("/schemas/ids/2", Self.schema("top", more: ref("gone")))
        registry.answer("/subjects/gone/versions/1", Self.response(404))
        try client.fetch(2)
        #expect(refusal(client.known(2)).contains("version 1 of 'gone'"))
    }

    @Test func ourOwnAreRegisteredOnce() throws {
        registry.answer("/subjects/out-value/versions", Self.response(200, "{\"id\":12}"))
        let client = client()
        #expect(try client.register("{}", subject: "out-value") == 12)
        #expect(try client.register("{}", subject: "out-value") == 12)
        #expect(registry.asked == ["POST /subjects/out-value/versions"])
        registry.answer(
            "/subjects/x-value/versions", Self.response(409, "{\"message\":\"not compatible\"}"))
        let fault = #expect(throws: Fault.self) { try client.register("{}", subject: "x-value") }
        #expect(fault?.detail.contains("not compatible") == true)
    }
}
