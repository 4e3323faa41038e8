import Base
import Formats
import Glibc
import Http
import Synchronization
import Topology

/// One schema registry by Confluent's HTTP API, and what it has answered. Used by all lanes.
///
/// What it says is not trusted: answers are bounded, redirects are not followed, nothing is unpacked.
package final class RegistryClient: WriterSchemas {
    /// How it is asked and what time it is, so that a test needs neither.
    package struct World: Sendable {
        package var send: @Sendable (HttpRequest) -> Result<HttpResponse, Fault>
        /// Of a clock that never goes back.
        package var nowMilliseconds: @Sendable () -> Int64
        package var sleep: @Sendable (_ milliseconds: Int64) -> Void

        package init(
            send: @escaping @Sendable (HttpRequest) -> Result<HttpResponse, Fault>,
            nowMilliseconds: @escaping @Sendable () -> Int64,
            sleep: @escaping @Sendable (Int64) -> Void
        ) {
            (self.send, self.nowMilliseconds, self.sleep) = (send, nowMilliseconds, sleep)
        }

        package static let network = World(
            send: { request in
                // Asked a few times in a process's life: no connection is kept for that.
                do throws(Fault) {
                    let client = try HttpClient(
                        timeoutMilliseconds: 5000, responseBytesMax: 2 * Limits.schemaBytesMax)
                    return .success(try client.send(request))
                } catch { return .failure(error) }
            },
            nowMilliseconds: { monotonicNanoseconds() / 1_000_000 },
            sleep: { usleep(UInt32(clamping: $0 * 1000)) })
    }

    private struct Known {
        var schema: WriterSchema
        var at: Int64
    }

    private struct Registered: Hashable {
        var subject: String
        var schema: String
    }

    private let registered = Mutex<[Registered: Int32]>([:])
    private let registry: RegistrySpec
    private let world: World
    private let known = Mutex<[Int32: Known]>([:])
    private static let referencesMax = 100

    package init(_ registry: RegistrySpec, _ world: World = .network) {
        self.registry = registry
        self.world = world
    }

    // MARK: Schemas of records

    package func known(_ id: Int32) -> WriterSchema? { known.withLock { $0[id]?.schema } }

    package func fetch(_ id: Int32) throws(Fault) {
        let now = world.nowMilliseconds()
        let isKnown = known.withLock { known in
            switch known[id] {
            case nil: false
            case let entry?:
                if case .refused = entry.schema {
                    now - entry.at < Limits.registryAgainMilliseconds
                } else {
                    true
                }
            }
        }
        if isKnown { return }
        let schema = try schema(id)
        known.withLock { known in
            if known.count >= Limits.schemasKnownMax { known.removeAll() }
            known[id] = Known(schema: schema, at: world.nowMilliseconds())
        }
        if case .refused(let why) = schema { Log.warning("schema \(id): \(why)") }
    }

    private func schema(_ id: Int32) throws(Fault) -> WriterSchema {
        let response = try patiently { request("GET", "/schemas/ids/\(id)") }
        guard response.status != 404 else {
            return .refused("\(registry.url) has no schema with the id \(id)")
        }
        guard let answer = try? SchemaText.parse(response.body), let text = answer["schema"]?.text else {
            return .refused("\(registry.url) answers with something that is no schema")
        }
        let kind = answer["schemaType"]?.text ?? "AVRO"
        guard kind == "AVRO" else { return .refused("it is a schema of \(kind.prefix(40)), not of AVRO") }
        var texts: [[UInt8]] = []
        var seen: Set<String> = []
        if let refusal = try references(of: answer, &texts, &seen, depth: 0) { return .refused(refusal) }
        texts.append(Array(text.utf8))
        return .texts(texts)
    }

    /// Appends the schemas that one refers to, each behind those that it needs itself.
    private func references(
        of answer: SchemaText, _ texts: inout [[UInt8]], _ seen: inout Set<String>, depth: Int
    ) throws(Fault) -> String? {
        for reference in answer["references"]?.list ?? [] {
            guard let subject = reference["subject"]?.text, let version = reference["version"]?.integer else {
                return "a reference has no subject or no version"
            }
            let path = "/subjects/\(PercentEncoding.encode(subject.utf8))/versions/\(version)"
            guard seen.insert(path).inserted else { continue }
            guard seen.count <= Self.referencesMax, depth < Limits.schemaDepthMax else {
                return "it refers to more than \(Self.referencesMax) schemas"
            }
            let response = try patiently { request("GET", path) }
            guard response.status == 200, let other = try? SchemaText.parse(response.body),
                let text = other["schema"]?.text
            else {
                return "\(registry.url) does not have version \(version) of '\(subject)', to which it refers"
            }
            if let refusal = try references(of: other, &texts, &seen, depth: depth + 1) { return refusal }
            texts.append(Array(text.utf8))
        }
        return nil
    }

    // MARK: Schemas of our own

    /// The id of a schema under a subject, which is registered if it was not.
    package func register(_ schema: String, subject: String) throws(Fault) -> Int32 {
        let key = Registered(subject: subject, schema: schema)
        if let id = registered.withLock({ $0[key] }) { return id }
        let body = Array("{\"schema\":\(JsonText.quoted(schema))}".utf8)
        let response = try patiently {
            var request = request("POST", "/subjects/\(PercentEncoding.encode(subject.utf8))/versions")
            request.headers.append("Content-Type: application/vnd.schemaregistry.v1+json")
            request.body = body
            return request
        }
        let answer = try? SchemaText.parse(response.body)
        guard response.status == 200, let id = answer?["id"]?.integer.flatMap({ Int32(exactly: $0) }) else {
            let why = answer?["message"]?.text ?? "status \(response.status)"
            throw Fault(
                .external, "\(registry.url) does not take the schema of '\(subject)': \(why.prefix(500))",
                retry: .withBackoff)
        }
        registered.withLock { registered in
            if registered.count >= Limits.schemasKnownMax { registered.removeAll() }
            registered[key] = id
        }
        return id
    }

    // MARK: Requests

    private func request(_ method: String, _ path: String) -> HttpRequest {
        var request = HttpRequest(
            method, registry.url + path, headers: ["Accept: application/vnd.schemaregistry.v1+json"],
            credentials: registry.credentials, certificateAuthority: registry.certificateAuthority)
        if let token = registry.token { request.headers.append("Authorization: Bearer \(token)") }
        return request
    }

    /// Sends a request until there is an answer that says something, for a bounded time.
    private func patiently(_ request: () -> HttpRequest) throws(Fault) -> HttpResponse {
        let deadline = world.nowMilliseconds() + Limits.registryWaitMilliseconds
        var pause: Int64 = 100
        while true {
            let problem: String
            switch world.send(request()) {
            case .failure(let fault): problem = fault.detail
            case .success(let response):
                switch response.status {
                case 200 where response.headers["content-encoding"].map({ $0 != "identity" }) ?? false:
                    problem = "its answer is packed, which nobody asked for"
                case 200, 404, 409, 422: return response
                case 401, 403:
                    throw Fault(
                        .external,
                        "schema registry \(registry.url): it does not let us in (\(response.status)); user and password, "
                            + "or token, of registry: are what it is asked with",
                        retry: .withBackoff)
                case 300..<400:
                    throw Fault(
                        .external,
                        "schema registry \(registry.url): it sends us elsewhere (\(response.status)), which is not "
                            + "followed; write the url that it has",
                        retry: .withBackoff)
                default: problem = "it answers with status \(response.status)"
                }
            }
            guard world.nowMilliseconds() + pause < deadline else {
                throw Fault(
                    .external,
                    "schema registry \(registry.url) did not answer for \(Limits.registryWaitMilliseconds / 1000) s: \(problem); "
                        + "records wait for it",
                    retry: .withBackoff)
            }
            world.sleep(pause)
            pause = min(2000, pause * 2)
        }
    }
}
