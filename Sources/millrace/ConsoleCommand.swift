import Base
import Connectors
import Console
import Engine
import Glibc
import Http
import Outlets
import Security
import Topology

enum ConsoleCommand: Command {
    static let name = "console"
    static let summary = "alerts, rules and their changes in the browser"
    static let help = """
        usage: millrace console --bootstrap-server HOST:PORT --data DIR --users FILE [OPTIONS]
               millrace console user add NAME --roles ROLE,… [--language en|zh] < password
               millrace console user add NAME --roles ROLE,… --api-key

        Serves pages and their API (GET /api/openapi.json) beside the workers. What it shows and writes stands in topics; DIR
        holds an index of them, which may be deleted and is built again. Topologies are those that are deployed.
        `user add` prints a line for the file of users: for a person, whose password it reads from standard input, or for a
        program, whose key it prints once.
        Roles: viewer, analyst, author, approver, operator, admin.

          --address IP              to listen on; default 127.0.0.1
          --port N                  default 8080
          --tls-certificate FILE    with --tls-key FILE: HTTPS, by PEM files
          --users FILE              people and programs; read again when it changes
          --proxy-header NAME       who somebody is, as a proxy says, whose addresses --trusted-proxy names (loopback is one)
          --trusted-proxy IP        an address that the header is taken from
          --topology FILE           a topology that runs without being deployed
          --worker-metrics URL      a worker's or supervisor's address, like http://127.0.0.1:9100: rates, lag and event time
          --history DIR             records of the past for backtests, DIR/SOURCE a file or folder for each source
          --policy FILE             the workers' policy, where they have one; with --key FILE, the private key by which the console
                                    vouches for who has logged in; --holder NAME is its name in the policy, default "console"
          --link-secret FILE        the `secret` of the notifier's links: /acknowledge answers them
          --pages DIR               pages from a folder in place of those in the binary
          --connections-per-address N   default 256; more where all come through one proxy
        \(KafkaArguments.help)

        example: echo -n "$PASSWORD" | millrace console user add lin --roles analyst >> users.yaml
                 millrace console --bootstrap-server 127.0.0.1:9092 --data console --users users.yaml
        """
    static let options: [String: Arguments.Kind] = [
        "--bootstrap-server": .value, "--address": .value, "--port": .value, "--data": .value,
        "--users": .value, "--topology": .values,
        "--tls-certificate": .value, "--tls-key": .value, "--proxy-header": .value,
        "--trusted-proxy": .values, "--worker-metrics": .values,
        "--history": .value, "--pages": .value, "--connections-per-address": .value, "--roles": .value,
        "--language": .value, "--api-key": .flag, "--policy": .value, "--key": .value, "--holder": .value,
        "--set": .values, "--link-secret": .value,
    ].merging(KafkaArguments.options) { $1 }

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        if arguments.files.first == "user" { return try addUser(arguments) }
        guard arguments.files.isEmpty else {
            throw Fault(
                .user, "'\(arguments.files[0])' is nothing that console does; there is `console user add`")
        }
        guard let servers = arguments.value("--bootstrap-server") else {
            throw Fault(.user, "--bootstrap-server is missing, like --bootstrap-server 127.0.0.1:9092")
        }
        guard let folder = arguments.value("--data") else {
            throw Fault(.user, "--data is missing: a folder for the index, like --data console")
        }
        if arguments.value("--users") == nil, arguments.value("--proxy-header") == nil {
            throw Fault(
                .user, "--users is missing: nobody could log in; `millrace console user add` makes its lines")
        }
        var settings = KafkaSettings(bootstrapServers: servers, group: "millrace-console")
        try KafkaArguments.add([:], arguments, to: &settings)
        try settings.check()
        guard mkdir(folder, 0o700) == 0 || errno == EEXIST else {
            throw Fault(.user, "\(folder): \(String(cString: strerror(errno)))")
        }
        var options = Console.Options(kafka: settings, folder: folder)
        options.http.name = "console"
        options.http.address = arguments.value("--address") ?? "127.0.0.1"
        options.http.port = UInt16(try arguments.integer("--port", in: 0...65535) ?? 8080)
        options.http.connectionsPerAddress =
            try arguments.integer("--connections-per-address", in: 1...100_000) ?? 256
        options.http.connections = connections()
        options.http.certificate = try arguments.value("--tls-certificate").map { (path) throws(Fault) in
            try FileText.read(path)
        }
        options.http.key = try arguments.value("--tls-key").map { (path) throws(Fault) in
            try FileText.read(path)
        }
        if (options.http.certificate == nil) != (options.http.key == nil) {
            throw Fault(.user, "--tls-certificate and --tls-key go together")
        }
        options.usersFile = arguments.value("--users")
        options.proxyHeader = arguments.value("--proxy-header")
        options.trustedPeers.formUnion(arguments.all("--trusted-proxy"))
        options.pagesFolder = arguments.value("--pages")
        options.historyFolder = arguments.value("--history")
        options.workerMetrics = arguments.all("--worker-metrics").map {
            $0.hasSuffix("/") ? String($0.dropLast()) : $0
        }
        if let file = arguments.value("--link-secret") {
            options.link = try link(file)
        }
        options.version = Version.text.split(separator: "\n").first.map(String.init) ?? ""
        options.policy = try RulesCommand.policy(arguments)
        if let file = arguments.value("--key") {
            options.signer = (arguments.value("--holder") ?? "console", file)
            _ = try RuleSetSigner(holder: "console", keyFile: file)
        }
        for path in arguments.all("--topology") {
            guard let spec = try arguments.topology(path) else { return ExitCode.usage }
            options.files.append(
                (
                    spec.name,
                    RuleSetText(
                        file: path, text: try TopologyFile.text(path), parameters: try arguments.parameters())
                ))
        }
        let isLoopback = options.http.address.hasPrefix("127.")
        if !isLoopback, options.http.certificate == nil {
            say(
                "warning: passwords go over \(options.http.address) as they are; use --tls-certificate, or a proxy in front of 127.0.0.1"
            )
        }
        let console = try Console(options)
        try console.start()
        let scheme = options.http.certificate == nil ? "http" : "https"
        say("console on \(scheme)://\(options.http.address):\(console.port)/")
        let stopped = StopSignal()
        Signals.onStop { _ in stopped.set() }
        while !stopped.isSet { usleep(50_000) }
        console.stop()
        return ExitCode.done
    }

    private static let connectionsMax = 12_000
    /// Files, and connections to Kafka.
    private static let otherDescriptors = 500

    /// As many as the limit of open files has room for, which is raised as far as it may be.
    private static func connections() -> Int {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { return 500 }
        let wanted = rlim_t(connectionsMax + otherDescriptors)
        if limit.rlim_cur < wanted {
            limit.rlim_cur = min(limit.rlim_max, wanted)
            setrlimit(resource, &limit)
            getrlimit(resource, &limit)
        }
        return max(100, Int(min(limit.rlim_cur, wanted)) - otherDescriptors)
    }

    /// As `${file:…}` reads it for the notifier.
    private static func link(_ file: String) throws(Fault) -> AcknowledgementLink {
        var secret = try FileText.bytes(of: file, bytesMax: 64 << 10)
        if secret.last == 10 { secret.removeLast(secret.dropLast().last == 13 ? 2 : 1) }
        guard secret.count >= AcknowledgementLink.secretBytesLeast else {
            throw Fault(
                .user,
                "\(file): the secret of links needs \(AcknowledgementLink.secretBytesLeast) bytes at least")
        }
        return AcknowledgementLink(base: AcknowledgementLink.page, secret: secret)
    }

    private static func addUser(_ arguments: Arguments) throws(Fault) -> Int32 {
        guard arguments.files.count == 3, arguments.files[1] == "add" else {
            throw Fault(.user, "usage: millrace console user add NAME --roles ROLE,…")
        }
        let name = arguments.files[2]
        guard UsersFile.isName(name) else {
            throw Fault(.user, "'\(name)' is no name: letters, digits and . - _ @, at most 64 bytes")
        }
        let roles = (arguments.value("--roles") ?? "viewer").split(separator: ",").map(String.init)
        let known = Role.allCases.map(\.rawValue)
        for role in roles where !known.contains(role) {
            throw Fault(.user, "'\(role)' is no role; there is \(known.joined(separator: ", "))")
        }
        var members = ""
        if arguments.has("--api-key") {
            let key = "mrk_\(Secret.text(32))"
            say("the key, which is shown this once: \(key)")
            members = "key: \"sha256:\(Sha256.hex(Array(key.utf8)))\""
        } else {
            // The line end of a terminal, or of `echo`, is not of the password.
            guard let password = readLine(strippingNewline: true), !password.isEmpty else {
                throw Fault(.user, "a password was expected on standard input")
            }
            guard password.utf8.count >= 12 else { throw Fault(.user, "a password has at least 12 bytes") }
            guard password.utf8.count <= Password.bytesMax else {
                throw Fault(.user, "a password has at most \(Password.bytesMax) bytes")
            }
            members = "password: \"\(try Password.hash(password))\""
        }
        let language = arguments.value("--language").map { ", language: \($0)" } ?? ""
        put("\(name): { \(members), roles: [\(roles.joined(separator: ", "))]\(language) }")
        return ExitCode.done
    }
}
