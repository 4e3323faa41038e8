/// Where a Redis is and how to log in, as sinks and tables say it: one server, a master that sentinels know,
/// or a cluster.
package struct RedisServerSpec: Hashable, Sendable {
    package struct Sentinels: Hashable, Sendable {
        package var master: String
        /// `host:port`
        package var hosts: [String]
        package var user: String?
        package var password: String?

        package init(master: String, hosts: [String], user: String? = nil, password: String? = nil) {
            (self.master, self.hosts, self.user, self.password) = (master, hosts, user, password)
        }
    }

    /// One server; may hold a name and a password.
    package var url: String?
    package var sentinel: Sentinels?
    /// `host:port` of some nodes of a cluster; empty: it is none.
    package var cluster: [String] = []
    package var user: String?
    package var password: String?
    /// Encrypted; a `rediss://` url says so by itself.
    package var isEncrypted = false
    /// PEM files.
    package var certificateAuthority: String?
    package var certificate: String?
    package var key: String?
    /// The name that the server's certificate must have in place of its host's.
    package var serverName: String?

    package init(url: String? = nil) { self.url = url }

    /// It names a server; otherwise the command line does.
    package var isGiven: Bool { url != nil || sentinel != nil || !cluster.isEmpty }

    package static let keys = [
        "url", "sentinel", "cluster", "user", "password", "tls", "ca", "cert", "cert_key", "server_name",
    ]

    package static let reference = """
        | `url` | `redis://[[user]:password@]host[:port][/db]`, `rediss://` with TLS, or `unix:/path`; default `--redis` |
        | `sentinel` | in place of `url`: `{ master: mymaster, hosts: [s1:26379, s2:26379] }`, and `user`, `password` of the sentinels; they are asked again after every failure |
        | `cluster` | in place of `url`: some nodes of a Redis Cluster, `[n1:6379, n2:6379]`; the others are found |
        | `user`, `password` | of the server, by reference: `${env:REDIS_PASSWORD}` |
        | `tls` | `true`: sentinels and cluster are spoken to by TLS |
        | `ca` | a PEM file of certificates to trust in place of the system's |
        | `cert`, `cert_key` | PEM files of the client's certificate and its key |
        | `server_name` | the name that the server's certificate must have; default: the host's |
        """

    /// nil after a mistake; of `mapping`, whose part's own keys are read elsewhere.
    package static func read(_ mapping: MappingReader, _ context: ReadingContext) -> RedisServerSpec? {
        let before = context.diagnostics.count
        var spec = RedisServerSpec(url: mapping.text("url", example: "url: \"${env:REDIS_URL}\"")?.text)
        let given = ["url", "sentinel", "cluster"].filter { mapping[$0] != nil }
        if given.count > 1 {
            context.error(
                mapping.keyPosition(given[1]),
                "'\(given[0])' and '\(given[1])' each say where Redis is; give one of them")
        }
        if let node = mapping["sentinel"] {
            spec.sentinel = readSentinel(node, mapping.keyPosition("sentinel"), context)
        }
        if let node = mapping["cluster"] {
            spec.cluster = hosts(node, "cluster", example: "cluster: [\"n1:6379\", \"n2:6379\"]", context)
        }
        spec.user = mapping.text("user", example: "user: millrace")?.text
        spec.password = mapping.text("password", example: "password: \"${env:REDIS_PASSWORD}\"")?.text
        if spec.user != nil, mapping["password"] == nil {
            context.error(
                mapping.keyPosition("user"),
                "'user' needs 'password'; write password: \"${env:REDIS_PASSWORD}\"")
        }
        if mapping["password"] != nil, given.isEmpty {
            context.error(mapping.keyPosition("password"), "'password' needs 'url', 'sentinel' or 'cluster'")
        }
        if let url = spec.url, url.contains("@"), spec.password != nil {
            context.error(mapping.keyPosition("password"), "the url has a password too; give one of them")
        }
        spec.readEncryption(mapping, context)
        return context.diagnostics.count == before ? spec : nil
    }

    private mutating func readEncryption(_ mapping: MappingReader, _ context: ReadingContext) {
        if let node = mapping["tls"], let text = context.scalar(node, "tls", example: "tls: true") {
            if text.text != "true" && text.text != "false" {
                context.error(text.position, "tls is true or false, not '\(text.shown)'")
            }
            isEncrypted = text.text == "true"
        }
        certificateAuthority = mapping.text("ca", example: "ca: /etc/ssl/redis-ca.pem")?.text
        certificate = mapping.text("cert", example: "cert: /etc/ssl/millrace.pem")?.text
        key = mapping.text("cert_key", example: "cert_key: /etc/ssl/millrace.key")?.text
        serverName = mapping.text("server_name", example: "server_name: redis.bank")?.text
        if (mapping["cert"] == nil) != (mapping["cert_key"] == nil) {
            let (there, missing) = mapping["cert"] == nil ? ("cert_key", "cert") : ("cert", "cert_key")
            context.error(mapping.keyPosition(there), "'\(there)' needs '\(missing)'")
        }
        if let url {
            if mapping["tls"] != nil {
                context.error(
                    mapping.keyPosition("tls"),
                    "a url says it itself: rediss:// is with TLS, redis:// without; take 'tls' out")
            }
            isEncrypted = url.hasPrefix("rediss:")
        }
        if !isEncrypted,
            let wanting = ["ca", "cert", "cert_key", "server_name"].first(where: { mapping[$0] != nil })
        {
            let how =
                url != nil
                ? "rediss:// in 'url'"
                : mapping["sentinel"] ?? mapping["cluster"] != nil ? "tls: true" : "a 'url' with rediss://"
            context.error(
                mapping.keyPosition(wanting), "'\(wanting)' is of TLS, which is not asked for; write \(how)")
        }
    }

    private static func readSentinel(_ node: YamlNode, _ place: Position, _ context: ReadingContext)
        -> Sentinels?
    {
        let example = "sentinel: { master: mymaster, hosts: [\"s1:26379\", \"s2:26379\"] }"
        guard
            let mapping = MappingReader(
                node, "sentinel", keys: ["master", "hosts", "user", "password"], at: place, context,
                example: example)
        else { return nil }
        let master = mapping.requiredText("master", example: "master: mymaster")
        let hosts = mapping.required("hosts", example: "hosts: [\"s1:26379\"]").map {
            Self.hosts($0, "hosts", example: "hosts: [\"s1:26379\"]", context)
        }
        let user = mapping.text("user", example: "user: millrace")
        let password = mapping.text("password", example: "password: \"${env:SENTINEL_PASSWORD}\"")
        if user != nil, mapping["password"] == nil {
            context.error(mapping.keyPosition("user"), "'user' needs 'password'")
        }
        guard let master, let hosts else { return nil }
        return Sentinels(master: master.text, hosts: hosts, user: user?.text, password: password?.text)
    }

    private static func hosts(_ node: YamlNode, _ what: String, example: String, _ context: ReadingContext)
        -> [String]
    {
        let names = context.names(node, what, example: example) ?? []
        for name in names where hostAndPort(name.text) == nil {
            context.error(name.position, "\(what) are host:port, like n1:6379, not '\(name.shown)'")
        }
        return names.map(\.text)
    }

    /// `host:port` or `[address]:port`.
    package static func hostAndPort(_ text: String) -> (host: String, port: Int)? {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            1...65_535 ~= port
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        let isGood = !host.isEmpty && !host.contains { $0.isWhitespace || $0 == "/" || $0 == "@" }
        return isGood ? (String(host), port) : nil
    }
}
