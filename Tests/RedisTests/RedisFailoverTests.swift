import Base
import Dataflow
import Glibc
import Records
import Testing
import Topology

@testable import Connectors

@Suite(.serialized, .enabled(if: PrivateRedis.isInstalled, needsRedis)) struct RedisFailoverTests {
    private static func sink(_ address: RedisAddress) throws -> RedisSink {
        var options = RedisSink.Options()
        options.commandMilliseconds = 500
        options.backoffMilliseconds = 20...200
        return try RedisSink(address, options)
    }

    private static func put(_ sink: RedisSink, _ value: Int) {
        for key in 0..<300 {
            sink.put(key: "merchant:{M\(key)}", fields: [("orders", "\(value)")], ttlMilliseconds: 600_000)
        }
    }

    @Test func aNodeOfAClusterIsKilledUnderLoad() throws {
        // Goal: what the other nodes have is written meanwhile, and all of it is right once the node is back.
        let servers = try RedisServers()
        let ports = (0..<3).map { _ in RedisServers.port() }
        func launch(_ port: Int) throws {
            try servers.launch(
                port,
                [
                    "--cluster-enabled", "yes", "--cluster-require-full-coverage", "no",
                    "--cluster-node-timeout", "1000",
                ])
        }
        for port in ports { try launch(port) }
        let places = ports.map { RedisAddress.Place.network(host: "127.0.0.1", port: $0) }
        for place in places { #expect(RedisServers.wait { RedisServers.answers(RedisAddress(place)) }) }
        let nodes = ports.map { "127.0.0.1:\($0)" }.joined(separator: " ")
        #expect(RedisServers.wait { servers.shell("redis-cli --cluster create \(nodes) --cluster-yes") })
        let cluster = RedisAddress(places[0], .cluster([places[0], places[1]]))
        let sink = try Self.sink(cluster)
        #expect(
            RedisServers.wait {
                Self.put(sink, 0)
                return sink.waitUntilWritten(deadlineMilliseconds: 2000)
            })
        // Of the killed node no key has been written since; those of the others are.
        servers.kill(ports[2])
        let reader = try RedisReader(RedisAddress(places[0]))
        var round = 1
        let mine = try #require(
            (0..<300).map { "merchant:{M\($0)}" }.first { (try? reader.hash($0).isEmpty) == false })
        #expect(
            RedisServers.wait {
                Self.put(sink, round)
                round += 1
                return (try? reader.hash(mine)["orders"]).flatMap { $0 }.flatMap { Int($0) } ?? 0 > 3
                    && sink.counts.failures > 0
            })
        #expect(sink.counts.pendingKeys > 0)
        try launch(ports[2])
        Self.put(sink, 1_000_000)
        #expect(sink.waitUntilWritten(deadlineMilliseconds: 60_000))
        let readers = try places.map { try RedisReader(RedisAddress($0)) }
        var found = 0
        for key in 0..<300 {
            found += readers.count { (try? $0.hash("merchant:{M\(key)}")) == ["orders": "1000000"] }
        }
        #expect(found == 300)
        try moveASlot(sink, servers, ports, readers)
        lookUp(cluster)
        sink.close()
    }

    /// A slot on its way answers ASK for keys that are not there any more, and MOVED once it has gone.
    private func moveASlot(
        _ sink: RedisSink, _ servers: RedisServers, _ ports: [Int], _ readers: [RedisReader]
    ) throws {
        let from = try #require(
            readers.indices.first { (try? readers[$0].hash("merchant:{M7}").isEmpty) == false })
        let to = (from + 1) % 3
        let slot = "\(RedisSlots.slot(of: "M7"))"
        let ids = try readers.map { try #require(try $0.command("CLUSTER", "MYID").text) }
        _ = try readers[from].command("DEL", "merchant:{M7}")
        _ = try readers[to].command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[from])
        _ = try readers[from].command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to])
        sink.put(key: "merchant:{M7}", fields: [("orders", "asked")], ttlMilliseconds: 600_000)
        #expect(sink.waitUntilWritten(deadlineMilliseconds: 60_000))
        for reader in [readers[to], readers[from]] {
            _ = try reader.command("CLUSTER", "SETSLOT", slot, "NODE", ids[to])
        }
        #expect(try readers[to].hash("merchant:{M7}") == ["orders": "asked"])
        sink.put(key: "merchant:{M7}", fields: [("orders", "moved")], ttlMilliseconds: 600_000)
        #expect(sink.waitUntilWritten(deadlineMilliseconds: 60_000))
        #expect(try readers[to].hash("merchant:{M7}") == ["orders": "moved"])
        #expect(sink.counts.refused == 0)
    }

    private func lookUp(_ cluster: RedisAddress) {
        let lookup = RedisLookup(cluster, fields: ["orders"], timeoutMilliseconds: 5000)
        let arena = Arena(capacity: 1024)
        let keys = ["merchant:{M1}", "merchant:{M2}", "merchant:{M3}", "nobody", "merchant:{M7}"].map {
            arena.append($0)
        }
        var rows = [String?](repeating: "?", count: keys.count)
        let isWhole = lookup.fetch(keys, in: arena) { index, fields in
            rows[index] = fields[0].map { String(decoding: $0, as: UTF8.self) }
        }
        #expect(isWhole && rows == ["1000000", "1000000", "1000000", nil, "moved"], "\(rows)")
    }

    @Test func sentinelsTellWhoTheMasterIsNow() throws {
        // Goal: after the master was killed the newest values are at the one that the sentinels chose.
        let servers = try RedisServers()
        let (first, second, sentinel) = (RedisServers.port(), RedisServers.port(), RedisServers.port())
        try servers.launch(first, [])
        try servers.launch(second, ["--replicaof", "127.0.0.1 \(first)", "--repl-diskless-sync-delay", "0"])
        let file = "\(servers.folder)/sentinel.conf"
        let lines = [
            "sentinel monitor mymaster 127.0.0.1 \(first) 1", "sentinel down-after-milliseconds mymaster 300",
            "sentinel failover-timeout mymaster 2000",
        ]
        try #require(servers.shell("printf '\(lines.joined(separator: "\\n"))\\n' > \(file)"))
        let new = RedisAddress(.network(host: "127.0.0.1", port: second))
        #expect(
            RedisServers.wait {
                (try? RedisReader(new).command("INFO", "replication").text?.contains("master_link_status:up"))
                    == true
            })
        try servers.launch(sentinel, [file, "--sentinel"])
        let asked = RedisAddress(.network(host: "127.0.0.1", port: sentinel))
        // It knows the replica, without which there is nobody to choose.
        #expect(
            RedisServers.wait {
                (try? RedisReader(asked).command("INFO", "sentinel").text?.contains("slaves=1")) == true
            })
        let spec = RedisServerSpec.Sentinels(
            master: "mymaster", hosts: ["127.0.0.1:1", "127.0.0.1:\(sentinel)"])
        let sink = try Self.sink(
            RedisAddress(
                .network(host: "127.0.0.1", port: sentinel),
                .sentinel(
                    spec, [.network(host: "127.0.0.1", port: 1), .network(host: "127.0.0.1", port: sentinel)])
            ))
        Self.put(sink, 1)
        #expect(sink.waitUntilWritten(deadlineMilliseconds: 60_000))
        #expect(
            try RedisReader(RedisAddress(.network(host: "127.0.0.1", port: first))).hash("merchant:{M5}") == [
                "orders": "1"
            ])
        servers.kill(first)
        Self.put(sink, 2)
        #expect(sink.waitUntilWritten(deadlineMilliseconds: 60_000))
        let reader = try RedisReader(new)
        for key in 0..<300 { #expect(try reader.hash("merchant:{M\(key)}") == ["orders": "2"]) }
        #expect(sink.counts.failures > 0)
        sink.close()
    }
}
