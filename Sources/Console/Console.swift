import Base
import Connectors
import Engine
import Glibc
import Http
import Models
import Outlets
import Records
import Security
import Synchronization

/// The console: pages and their API over topics, beside the workers.
package final class Console: Sendable {
    package struct Options: Sendable {
        package var kafka: KafkaSettings
        /// Of the index.
        package var folder: String
        package var http = HttpServer.Options()
        package var usersFile: String?
        /// Texts of topologies that nobody needs to have deployed.
        package var files: [(name: String, text: RuleSetText)] = []
        /// Where pages are read from in place of those in the binary.
        package var pagesFolder: String?
        /// `http://host:port` of workers and supervisors.
        package var workerMetrics: [String] = []
        /// A folder for each source, with records of the past.
        package var historyFolder: String?
        /// The header by which a proxy says who somebody is, and where it comes from.
        package var proxyHeader: String?
        package var trustedPeers: Set<String> = ["127.0.0.1"]
        package var version = ""
        /// As the workers hold it, and by what the console speaks for people.
        package var policy: ApprovalPolicy?
        package var signer: (holder: String, keyFile: String)?
        /// Whose links in messages are answered; nil: nobody's.
        package var link: AcknowledgementLink?
        /// Of the index; nil: the cluster is asked.
        package var cluster: String?

        package init(kafka: KafkaSettings, folder: String) { (self.kafka, self.folder) = (kafka, folder) }
    }

    let options: Options
    let now: @Sendable () -> Int64
    let index: AlertIndex
    let sessions: Sessions
    let limiter = LoginLimiter()
    let board: TopologyBoard
    let popups = PopupBoard()
    let hub: EventHub
    let follower: ConsoleFollower
    let pages: Pages
    let jobs: Jobs
    let watch: WorkerWatch
    private let users: Mutex<UsersFile>
    private let ledgers = Mutex<[String: TopologyLedger]>([:])
    private let stopping = StopSignal()
    private let threads = Mutex<[Background]>([])
    private let server = Mutex<HttpServer?>(nil)
    /// By the OpenAPI file: names that a body and a query may have.
    let names: [String: (body: Set<String>, query: Set<String>)]
    /// What a wrong name is compared with, so that it takes as long.
    private let decoy: String

    package init(_ options: Options, now: @escaping @Sendable () -> Int64 = { SystemClock().nowMilliseconds })
        throws(Fault)
    {
        self.options = options
        self.now = now
        users = Mutex(
            try options.usersFile.map { (path) throws(Fault) in try UsersFile.read(path) } ?? UsersFile())
        decoy = try Password.hash(Secret.text(16))
        let cluster: String
        if let known = options.cluster {
            cluster = known
        } else {
            cluster = try KafkaAdmin(options.kafka).clusterId()
        }
        index = try AlertIndex(folder: options.folder, cluster: cluster)
        sessions = Sessions(file: "\(options.folder)/sessions", now: now)
        board = TopologyBoard(policy: options.policy)
        for (name, text) in options.files {
            board.change(name) { state in
                state.file = text
                state.readAgain()
            }
        }
        hub = EventHub(index, sessions, popups, now: now)
        follower = ConsoleFollower(options.kafka, board, index, hub, popups, stopping: stopping, now: now)
        pages = Pages(folder: options.pagesFolder)
        names = try Pages.names(pages.openapi)
        jobs = Jobs(hub, policy: options.policy, signer: options.signer, now: now)
        watch = WorkerWatch(options.workerMetrics)
    }

    /// Listens and follows until `stop`.
    package func start() throws(Fault) {
        // Its own threads hold the console until they are told to stop.
        let started = try HttpServer(options.http) { [self] request in answer(request) }
        server.withLock { $0 = started }
        threads.withLock { threads in
            threads.append(Background { [self] () throws(Fault) in follower.run() })
            threads.append(
                Background { [self] () throws(Fault) in
                    hub.run(stopping: stopping) {
                        readUsersAgain()
                        sessions.save()
                        for metrics in watch.look(
                            now: now(), only: board.all.count == 1 ? board.all[0].name : "")
                        { hub.tell("metrics", metrics.json, topology: metrics.topology) }
                    }
                })
        }
    }

    package var port: UInt16 { server.withLock { $0?.port ?? 0 } }

    package func stop() {
        stopping.set()
        server.withLock { server in
            server?.stop()
            server = nil
        }
        for thread in threads.withLock({ $0 }) { _ = thread.join() }
        threads.withLock { $0 = [] }
        sessions.save()
    }

    package var isIndexReady: Bool { !index.isBuilding }

    func ledger(_ topology: String) -> TopologyLedger {
        ledgers.withLock { ledgers in
            if let known = ledgers[topology] { return known }
            let made = TopologyLedger(options.kafka, topology: topology, now: now)
            ledgers[topology] = made
            return made
        }
    }

    var people: UsersFile { users.withLock { $0 } }

    /// Who is added, or loses a role, needs no restart.
    private func readUsersAgain() {
        guard let path = options.usersFile else { return }
        do throws(Fault) {
            let read = try UsersFile.read(path)
            users.withLock { $0 = read }
        } catch {
            Log.warning("users: \(error.detail); those of before count")
        }
    }

    // MARK: Requests

    /// Answers a request, whatever it is.
    package func answer(_ request: ServedRequest) -> ServedAnswer {
        if request.path == AcknowledgePage.path {
            return Self.guarded(
                AcknowledgePage(console: self).answer(request), isTls: options.http.certificate != nil)
        }
        guard request.path.hasPrefix("/api/") || request.path == "/api" else {
            return Self.guarded(pages.answer(request), isTls: options.http.certificate != nil)
        }
        var cookie: String?
        var answer: ServedAnswer
        do throws(ApiError) { answer = try api(request, &cookie) } catch {
            if error.status >= 500 { Log.error("\(request.method) \(request.path): \(error.message)") }
            answer = error.answer
        }
        if let cookie { answer.headers.append(("Set-Cookie", cookie)) }
        answer.headers.append(("Cache-Control", "no-store"))
        return Self.guarded(answer, isTls: options.http.certificate != nil)
    }

    private static func guarded(_ answer: ServedAnswer, isTls: Bool) -> ServedAnswer {
        var answer = answer
        answer.headers += [
            (
                "Content-Security-Policy",
                "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
            ),
            ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
            ("X-Frame-Options", "DENY"),
        ]
        if isTls { answer.headers.append(("Strict-Transport-Security", "max-age=31536000")) }
        return answer
    }

    private func api(_ request: ServedRequest, _ cookie: inout String?) throws(ApiError) -> ServedAnswer {
        let parts = request.path.split(separator: "/").map(String.init)
        let method = request.method == "HEAD" ? "GET" : request.method
        let found = Self.routes.compactMap { route in route.match(parts).map { (route: route, values: $0) } }
        guard !found.isEmpty else {
            throw ApiError(404, "no-endpoint", "there is no \(request.path.prefix(200))")
        }
        guard
            let (route, values) = found.filter({ $0.route.method == method }).max(by: {
                $0.route.weight < $1.route.weight
            })
        else {
            throw ApiError(
                405, "method-not-allowed",
                "there is \(Set(found.map(\.route.method)).sorted().joined(separator: ", "))")
        }
        let isSafe = method == "GET"
        var caller = Caller(name: "", roles: [], language: "en", method: "", peer: request.peer)
        if case .roles(let roles) = route.access {
            caller = try authenticate(request, &cookie)
            guard caller.has(roles) else {
                throw ApiError(
                    403, "forbidden",
                    "\(route.id) is for \(roles.map(\.rawValue).sorted().joined(separator: ", "))")
            }
        }
        if !isSafe, caller.method != "key" {
            try checkOrigin(request)
            if let token = caller.token {
                guard let given = request.headers["x-millrace-token"],
                    Secret.equal(Array(given.utf8), Array(token.utf8))
                else {
                    throw ApiError(403, "bad-token", "X-Millrace-Token is not the session's token")
                }
            }
        }
        for (name, _) in request.query where names[route.id]?.query.contains(name) != true {
            throw ApiError(
                400, "unknown-field", "there is no parameter '\(name.prefix(100))'",
                field: String(name.prefix(100)))
        }
        let body = try Self.body(request, isSafe: isSafe)
        for member in body where names[route.id]?.body.contains(member.name) != true {
            throw ApiError(
                400, "unknown-field", "there is no member '\(member.name.prefix(100))'",
                field: String(member.name.prefix(100)))
        }
        let call = Call(request: request, caller: caller, values: values, body: body)
        if route.id == "logIn" { return try logIn(call, &cookie) }
        if route.id == "logOut" { cookie = cookieText("", maxAge: 0) }
        return try route.handler(self, call)
    }

    private static func body(_ request: ServedRequest, isSafe: Bool) throws(ApiError) -> [DocumentValue
        .Member]
    {
        if isSafe { return [] }
        let type = request.headers["content-type"]?.split(separator: ";").first.map {
            $0.filter { $0 != " " }.lowercased()
        }
        if request.method != "DELETE" || !request.body.isEmpty, type != "application/json" {
            throw ApiError(415, "not-json", "Content-Type must be application/json")
        }
        if request.body.isEmpty { return [] }
        do throws(Fault) {
            guard case .object(let members) = try JsonDocument.read(request.body) else {
                throw Fault(.user, "an object was expected")
            }
            return members
        } catch { throw ApiError(400, "not-json", error.detail) }
    }

    /// A page of another site cannot make a browser do anything here.
    private func checkOrigin(_ request: ServedRequest) throws(ApiError) {
        if let site = request.headers["sec-fetch-site"] {
            guard site == "same-origin" else {
                throw ApiError(403, "cross-site", "the request comes from another site")
            }
            return
        }
        guard let origin = request.headers["origin"], let host = request.headers["host"],
            origin == "http://\(host)" || origin == "https://\(host)"
        else {
            throw ApiError(
                403, "cross-site", "Sec-Fetch-Site or an Origin that is this server's must be there")
        }
    }

    // MARK: Who it is

    static let cookieName = "millrace-session"

    private func cookieText(_ id: String, maxAge: Int64) -> String {
        "\(Self.cookieName)=\(id); Path=/; HttpOnly; SameSite=Strict; Max-Age=\(maxAge)\(options.http.certificate == nil ? "" : "; Secure")"
    }

    private func authenticate(_ request: ServedRequest, _ cookie: inout String?) throws(ApiError) -> Caller {
        if let header = request.headers["authorization"] {
            guard header.hasPrefix("Bearer ") else {
                throw ApiError(401, "not-logged-in", "Authorization: Bearer KEY was expected")
            }
            let hash = Array(Sha256.hex(Array(header.dropFirst(7).utf8)).utf8)
            guard
                let person = people.people.values.first(where: {
                    $0.key.map { Secret.equal(Array($0.utf8), hash) } ?? false
                })
            else {
                throw ApiError(401, "not-logged-in", "there is no such API key")
            }
            return Caller(
                name: person.name, roles: person.roles, language: person.language ?? "en", method: "key",
                peer: request.peer)
        }
        var caller: Caller?
        let isStream = request.path == "/api/events"
        if let id = sessionId(request) { caller = sessions.caller(id, counts: !isStream) }
        if let header = options.proxyHeader, let name = request.headers[header.lowercased()] {
            guard options.trustedPeers.contains(request.peer) else {
                throw ApiError(401, "not-logged-in", "\(header) is not taken from \(request.peer)")
            }
            if caller?.name != name {
                guard let person = people.people[name] else {
                    throw ApiError(401, "not-logged-in", "'\(name.prefix(64))' is nobody here")
                }
                let (id, made) = sessions.begin(
                    person, method: "proxy", peer: request.peer,
                    language: person.language ?? language(request))
                cookie = cookieText(id, maxAge: Sessions.wholeMilliseconds / 1000)
                caller = made
            }
        }
        guard var caller else {
            throw ApiError(401, sessionId(request) == nil ? "not-logged-in" : "session-ended", "log in first")
        }
        // Who has lost a role, or is gone, loses it now.
        guard let person = people.people[caller.name] else {
            throw ApiError(401, "session-ended", "\(caller.name) is nobody here any more")
        }
        caller.roles = person.roles
        caller.peer = request.peer
        return caller
    }

    private func sessionId(_ request: ServedRequest) -> String? {
        for part in (request.headers["cookie"] ?? "").split(separator: ";") {
            let text = part.drop { $0 == " " }
            if text.hasPrefix("\(Self.cookieName)=") {
                return String(text.dropFirst(Self.cookieName.count + 1))
            }
        }
        return nil
    }

    func language(_ request: ServedRequest) -> String {
        (request.headers["accept-language"] ?? "").lowercased().hasPrefix("zh") ? "zh" : "en"
    }

    private func logIn(_ call: Call, _ cookie: inout String?) throws(ApiError) -> ServedAnswer {
        let name = try call.text("name", bytesMax: 64)
        let password = try call.text("password", bytesMax: Password.bytesMax)
        let places = ["name \(name)", "address \(call.request.peer)"]
        if let seconds = limiter.wait(places, at: now()) {
            var error = ApiError(429, "too-many", "too many failures; wait \(seconds) s")
            error.retryAfterSeconds = seconds
            throw error
        }
        let person = people.people[name]
        // Counted before it is looked at: many at once count as many.
        limiter.fail(places, at: now())
        let isRight = Password.matches(password, person?.password ?? decoy)
        guard isRight, let person, person.password != nil else {
            Log.info("log-in of '\(UsersFile.isName(name) ? name : "?")' from \(call.request.peer) failed")
            throw ApiError(401, "wrong-password", "the name or the password is wrong")
        }
        limiter.succeed(places)
        let (id, caller) = sessions.begin(
            person, method: "password", peer: call.request.peer,
            language: person.language ?? language(call.request))
        cookie = cookieText(id, maxAge: Sessions.wholeMilliseconds / 1000)
        Log.info("\(name) has logged in from \(call.request.peer)")
        return ServedAnswer(200, sessionJson(caller))
    }

    func sessionJson(_ caller: Caller) -> Json {
        let can = Self.routes.filter { route in
            switch route.access {
            case .everybody: true
            case .roles(let roles): caller.has(roles)
            }
        }
        return .object([
            ("name", .text(caller.name)),
            ("roles", .texts(Role.allCases.filter { caller.roles.contains($0) }.map(\.rawValue))),
            ("language", .text(caller.language)), ("method", .text(caller.method)),
            ("token", .optional(caller.token)),
            ("idle_seconds", .int(Sessions.idleMilliseconds / 1000)),
            ("expires_at", caller.expiresAt == 0 ? .null : .time(caller.expiresAt)),
            ("can", .texts(can.map(\.id).sorted())),
            ("version", .text(options.version)),
        ])
    }
}
