import Base
import Testing

@testable import Connectors

/// Why the tests below may be skipped.
let needsRedis: Comment = "skipped: redis-server is not installed (apt install redis-server)"

@Suite(.enabled(if: PrivateRedis.isInstalled, needsRedis)) struct RedisSinkTests {
    @Test func writesTheNewestOfEachFieldWithATimeToLive() throws {
        // Goal: what Redis holds at the end is the newest value of every field, and it expires.
        let (redis, sink) = try start()
        defer { redis.stop() }
        let reader = try RedisReader(redis.address)
        for round in 0..<50 {
            for key in 0..<200 {
                sink.put(
                    key: "merchant:M\(key)",
                    fields: [("orders", "\(round)"), ("night share", "0.\(round)")],
                    ttlMilliseconds: 60_000
                )
            }
        }
        sink.put(key: "merchant:M7", fields: [("note", "späť \"quoted\"\r\n")], ttlMilliseconds: 60_000)
        sink.put(key: "merchant:M8", fields: [], ttlMilliseconds: 60_000)
        #expect(sink.waitUntilWritten(deadlineMilliseconds: 60_000))
        for key in 0..<200 where key != 7 {
            #expect(try reader.hash("merchant:M\(key)") == ["orders": "49", "night share": "0.49"])
        }
        #expect(
            try reader.hash("merchant:M7")
                == ["orders": "49", "night share": "0.49", "note": "späť \"quoted\"\r\n"]
        )
        let left = try reader.timeToLive("merchant:M9")
        #expect(left > 30_000 && left <= 60_000)
        let counts = sink.counts
        #expect(counts.written + counts.coalesced == 50 * 200 + 1)
        #expect(counts.pendingKeys == 0 && counts.pendingBytes == 0)
        sink.close()
    }

    @Test func leavesKeysOfAnotherTypeAlone() throws {
        // Goal: a key that is somebody else's is counted, not changed, not made to expire, and stops nothing.
        let (redis, sink) = try start()
        defer { redis.stop() }
        let reader = try RedisReader(redis.address)
        #expect(try reader.command("SET", "merchant:M1", "theirs") == .text("OK"))
        sink.put(key: "merchant:M1", fields: [("orders", "1")], ttlMilliseconds: 1000)
        sink.put(key: "merchant:M2", fields: [("orders", "2")], ttlMilliseconds: 60_000)
        #expect(sink.waitUntilWritten(deadlineMilliseconds: 60_000))
        #expect(try reader.command("GET", "merchant:M1") == .text("theirs"))
        #expect(try reader.timeToLive("merchant:M1") == -1)
        #expect(try reader.hash("merchant:M2") == ["orders": "2"])
        #expect(sink.counts.refused == 1 && sink.counts.failures == 1)
        #expect(sink.counts.written == 1)
    }

    @Test func aStoppedServerGetsTheNewestValuesWhenItIsBack() throws {
        // Goal: while the server hangs (SIGSTOP) nothing waits, and what it gets afterwards is the newest.
        try outage {
            $0.pause()
        } end: {
            $0.resume()
        }
    }

    @Test func aKilledServerGetsTheNewestValuesWhenItIsBack() throws {
        // Goal: the same when the server dies with all it held.
        try outage {
            $0.kill()
        } end: {
            try $0.launch()
        }
    }

    private func outage(
        begin: (PrivateRedis) -> Void,
        end: (PrivateRedis) throws -> Void
    ) throws {
        let (redis, sink) = try start()
        defer { redis.stop() }
        var slowest: Int64 = 0
        func put(_ round: Int) {
            for key in 0..<2000 {
                let start = monotonicNanoseconds()
                sink.put(
                    key: "merchant:M\(key)",
                    fields: [("round", "\(round)"), ("odd", "\(round * 2 + 1)")],
                    ttlMilliseconds: 60_000
                )
                slowest = max(slowest, monotonicNanoseconds() - start)
            }
        }
        put(0)
        #expect(sink.waitUntilWritten(deadlineMilliseconds: 60_000))
        begin(redis)
        put(1)
        // The writer finds out while values go on changing.
        #expect(wait { sink.counts.breaker == .open })
        for round in 2...40 { put(round) }
        #expect(sink.counts.pendingKeys == 2000)
        #expect(!sink.waitUntilWritten(deadlineMilliseconds: 50))
        try end(redis)
        #expect(sink.waitUntilWritten(deadlineMilliseconds: 60_000))
        let reader = try RedisReader(redis.address)
        for key in 0..<2000 {
            #expect(try reader.hash("merchant:M\(key)") == ["round": "40", "odd": "81"])
        }
        #expect(sink.counts.failures > 0)
        #expect(sink.counts.breaker == .closed)
        // One that waits for the server would do so for ever.
        #expect(slowest < 60_000_000_000, "a put took \(slowest) ns")
        sink.close()
    }

    @Test func aServerThatRefusesForNowIsTriedAgain() throws {
        // Goal: an answer such as OOM keeps the values until they are taken.
        let (redis, sink) = try start()
        defer { redis.stop() }
        let reader = try RedisReader(redis.address)
        #expect(try reader.command("CONFIG", "SET", "maxmemory", "1") == .text("OK"))
        sink.put(key: "merchant:M1", fields: [("orders", "1")], ttlMilliseconds: 60_000)
        #expect(wait { sink.counts.failures > 0 })
        #expect(sink.counts.pendingKeys == 1)
        #expect(try reader.command("CONFIG", "SET", "maxmemory", "0") == .text("OK"))
        #expect(sink.waitUntilWritten(deadlineMilliseconds: 60_000))
        #expect(try reader.hash("merchant:M1") == ["orders": "1"])
        #expect(sink.counts.refused == 0)
    }

    @Test func closingWritesWhatIsLeft() throws {
        // Goal: nothing that was put before the close is lost while Redis answers.
        let (redis, sink) = try start()
        defer { redis.stop() }
        for key in 0..<5000 { sink.put(key: "k\(key)", fields: [("v", "\(key)")], ttlMilliseconds: 60_000) }
        sink.close()
        #expect(try RedisReader(redis.address).command("DBSIZE") == .integer(5000))
    }

    @Test func closingDoesNotWaitForAServerThatIsAway() throws {
        // Goal: a worker can stop while Redis is gone.
        var options = RedisSink.Options()
        options.closeMilliseconds = 200
        let sink = try RedisSink(try RedisAddress("unix:/nonexistent/redis.sock"), options)
        sink.put(key: "k", fields: [("v", "1")], ttlMilliseconds: 1000)
        #expect(wait { sink.counts.breaker == .open })
        let start = monotonicNanoseconds()
        sink.close()
        #expect(monotonicNanoseconds() - start < 60_000_000_000)
        #expect(sink.counts.pendingKeys == 1)
    }

    @Test func sendsThePasswordAndTheDatabase() throws {
        // Goal: AUTH and SELECT are used, and a wrong password is an error that does not repeat it.
        let (redis, sink) = try start()
        defer { redis.stop() }
        sink.close()
        let reader = try RedisReader(redis.address)
        #expect(try reader.command("CONFIG", "SET", "requirepass", "s3cret/@") == .text("OK"))
        var address = redis.address
        address.password = "s3cret/@"
        address.database = 3
        let second = try RedisSink(address)
        second.put(key: "k", fields: [("v", "1")], ttlMilliseconds: 60_000)
        #expect(second.waitUntilWritten(deadlineMilliseconds: 60_000))
        second.close()
        #expect(try RedisReader(address).hash("k") == ["v": "1"])
        address.password = "guess"
        let fault = #expect(throws: Fault.self) { try RedisReader(address) }
        #expect(fault?.detail.contains("AUTH") == true)
        #expect(fault?.detail.contains("guess") == false)
    }

    private func start() throws -> (PrivateRedis, RedisSink) {
        let redis = try #require(try PrivateRedis.start())
        var options = RedisSink.Options()
        options.commandMilliseconds = 300
        options.backoffMilliseconds = 20...200
        return (redis, try RedisSink(redis.address, options))
    }

    private func wait(seconds: Int64 = 60, until isDone: () -> Bool) -> Bool {
        let deadline = monotonicNanoseconds() + seconds * 1_000_000_000
        while !isDone() {
            if monotonicNanoseconds() > deadline { return false }
        }
        return true
    }
}
