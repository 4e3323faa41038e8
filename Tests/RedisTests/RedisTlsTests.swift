import Base
import Glibc
import Security
import Testing
import Topology

@testable import Connectors

@Suite(.serialized, .enabled(if: PrivateRedis.isInstalled, needsRedis)) struct RedisTlsTests {
    /// Two authorities, and certificates of the first: for this host, for another, one that has expired, one
    /// of a client.
    private static func certificates(_ servers: RedisServers) throws {
        func authority(_ name: String) -> String {
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout \(name).key -out \(name).pem -days 30 -subj /CN=\(name)"
        }
        func certificate(_ name: String, _ names: String, _ dates: String) -> String {
            "openssl req -newkey rsa:2048 -nodes -keyout \(name).key -out \(name).csr -subj /CN=\(name) && "
                + "printf 'subjectAltName=\(names)' > \(name).ext && "
                + "openssl x509 -req -in \(name).csr -CA ca.pem -CAkey ca.key -CAcreateserial -out \(name).pem \(dates) -extfile \(name).ext"
        }
        for command in [
            authority("ca"), authority("stranger"),
            certificate("right", "IP:127.0.0.1,DNS:localhost", "-days 30"),
            certificate("wrong", "DNS:other.bank", "-days 30"),
            certificate("client", "DNS:millrace", "-days 30"),
            // OpenSSL 3.0 has no dates for `x509 -req`; a day less than none has passed.
            certificate("expired", "IP:127.0.0.1,DNS:localhost", "-days -1"),
        ] { try #require(servers.shell(command), "\(command)") }
    }

    private static func launch(_ servers: RedisServers, _ certificate: String) throws -> Int {
        let port = RedisServers.port()
        let folder = servers.folder
        try servers.launch(
            port,
            [
                "--port", "0", "--tls-port", "\(port)", "--tls-cert-file", "\(folder)/\(certificate).pem",
                "--tls-key-file",
                "\(folder)/\(certificate).key", "--tls-ca-cert-file", "\(folder)/ca.pem", "--requirepass",
                "geheim",
            ])
        return port
    }

    private static func detail(_ address: RedisAddress) -> String? {
        do throws(Fault) {
            try RedisReader(address).ping()
            return nil
        } catch { return error.detail }
    }

    @Test func onlyTheRightCertificatesWillDo() throws {
        // Goal: what is spoken to is who it says, and each thing that is wrong is named; no password goes to
        // anybody else.
        let servers = try RedisServers()
        try Self.certificates(servers)
        let folder = servers.folder
        let right = try Self.launch(servers, "right")
        let wrong = try Self.launch(servers, "wrong")
        let expired = try Self.launch(servers, "expired")
        func address(_ port: Int, _ change: (inout TlsOptions) -> Void = { _ in }) throws -> RedisAddress {
            var address = try RedisAddress(
                "rediss://:geheim@127.0.0.1:\(port)?ca=\(folder)/ca.pem&cert=\(folder)/client.pem&key=\(folder)/client.key"
            )
            if var tls = address.tls {
                change(&tls)
                address.tls = tls
            }
            return address
        }
        let good = try address(right)
        #expect(RedisServers.wait { RedisServers.answers(good) })
        let elsewhere = try address(wrong) { $0.serverName = "other.bank" }
        #expect(RedisServers.wait { RedisServers.answers(elsewhere) })
        #expect(
            RedisServers.wait { Self.detail((try? address(expired)) ?? good)?.contains("refused") != true })
        let failures: [(String, RedisAddress)] = [
            ("not one for '127.0.0.1'", try address(wrong)),
            ("has expired", try address(expired)),
            (
                "not signed by anybody who is trusted",
                try address(right) { $0.certificateAuthority = "\(folder)/stranger.pem" }
            ),
            ("not one for 'redis.bank'", try address(right) { $0.serverName = "redis.bank" }),
            ("cannot be read", try address(right) { $0.certificateAuthority = "\(folder)/nothing.pem" }),
            ("key is another certificate's", try address(right) { $0.key = "\(folder)/right.key" }),
        ]
        for (reason, address) in failures {
            let detail = try #require(Self.detail(address), "\(reason)")
            #expect(detail.contains(reason) && !detail.contains("geheim"), "\(detail)")
        }
        // TLS 1.3 tells of a missing client certificate after the handshake; what was written meanwhile may
        // hide the reason.
        let nobody = try #require(Self.detail(try address(right) { ($0.certificate, $0.key) = (nil, nil) }))
        #expect(
            ["certificate required", "closed", "reset", "Broken pipe"].contains { nobody.contains($0) }
                && !nobody.contains("geheim"), "\(nobody)")
        // A sink on it, with more than one TLS record's worth in a pipeline.
        let sink = try RedisSink(good)
        let long = String(repeating: "ü", count: 40_000)
        for key in 0..<50 {
            sink.put(key: "k\(key)", fields: [("v", "\(key)\(long)")], ttlMilliseconds: 60_000)
        }
        #expect(sink.waitUntilWritten(deadlineMilliseconds: 60_000))
        #expect(try RedisReader(good).hash("k49") == ["v": "49\(long)"])
        sink.close()
    }

    @Test func whatWaitedIsWrittenOnceTheCertificateIsRight() throws {
        // Goal: a server with an expired certificate gets nothing; one with a right one at its place gets the
        // newest values.
        let servers = try RedisServers()
        try Self.certificates(servers)
        let port = RedisServers.port()
        func launch(_ certificate: String) throws {
            let file = "\(servers.folder)/\(certificate)"
            try servers.launch(
                port,
                [
                    "--port", "0", "--tls-port", "\(port)", "--tls-cert-file", "\(file).pem",
                    "--tls-key-file", "\(file).key",
                    "--tls-ca-cert-file", "\(servers.folder)/ca.pem", "--tls-auth-clients", "no",
                ])
        }
        try launch("expired")
        var options = RedisSink.Options()
        options.backoffMilliseconds = 20...200
        let address = try RedisAddress("rediss://127.0.0.1:\(port)?ca=\(servers.folder)/ca.pem")
        let sink = try RedisSink(address, options)
        sink.put(key: "k", fields: [("v", "1")], ttlMilliseconds: 60_000)
        #expect(
            RedisServers.wait {
                sink.counts.breaker == .open && Self.detail(address)?.contains("expired") == true
            })
        sink.put(key: "k", fields: [("v", "2")], ttlMilliseconds: 60_000)
        #expect(sink.counts.pendingKeys == 1)
        servers.kill(port)
        try launch("right")
        #expect(sink.waitUntilWritten(deadlineMilliseconds: 60_000))
        #expect(try RedisReader(address).hash("k") == ["v": "2"])
        sink.close()
    }
}
