import Base
import Records
import Testing

@testable import Connectors

/// Goal: rows come in one go, and whatever Redis does, nobody waits longer than the timeout.
@Suite(.serialized, .enabled(if: PrivateRedis.isInstalled, needsRedis)) struct RedisLookupTests {
    /// The fields of each key, "-" for none; nil: no answer.
    static func fetch(_ lookup: RedisLookup, _ keys: [String]) -> (
        isWhole: Bool, rows: [String?], milliseconds: Int64
    ) {
        let arena = Arena(capacity: 64)
        let texts = keys.map { arena.append($0) }
        var rows = [String?](repeating: nil, count: keys.count)
        let begin = monotonicNanoseconds()
        let isWhole = lookup.fetch(texts, in: arena) { index, fields in
            rows[index] = fields.map { $0.map { String(decoding: $0, as: UTF8.self) } ?? "-" }.joined(
                separator: "|")
        }
        return (isWhole, rows, (monotonicNanoseconds() - begin) / 1_000_000)
    }

    @Test func rowsComeInOneGo() throws {
        let redis = try #require(try PrivateRedis.start())
        defer { redis.stop() }
        let writer = try RedisReader(redis.address)
        for key in 0..<2000 where key % 3 > 0 {
            _ = try writer.command("HSET", "limits:\(key)", "most", "\(key).50")
        }
        _ = try writer.command("HSET", "limits:ü \r\n", "most", "späť\r\n", "tier", "")
        _ = try writer.command("SET", "limits:theirs", "x")
        let lookup = RedisLookup(redis.address, fields: ["most", "tier"], timeoutMilliseconds: 5000)
        let (isWhole, rows, _) = Self.fetch(lookup, (0..<2000).map { "limits:\($0)" })
        #expect(isWhole)
        #expect(rows == (0..<2000).map { $0 % 3 > 0 ? "\($0).50|-" : "-|-" })
        let others = Self.fetch(lookup, ["limits:ü \r\n", "limits:theirs", "limits:none", "limits:1"])
        #expect(others.rows == ["späť\r\n|", "-|-", "-|-", "1.50|-"])
    }

    @Test func aServerThatHangsCostsOneTimeout() throws {
        let redis = try #require(try PrivateRedis.start())
        defer { redis.stop() }
        let lookup = RedisLookup(
            redis.address, fields: ["most"], timeoutMilliseconds: 2000, backoffMilliseconds: 300_000...300_000
        )
        #expect(Self.fetch(lookup, ["a"]).isWhole)
        redis.pause()
        let first = Self.fetch(lookup, (0..<2000).map { "limits:\($0)" })
        #expect(!first.isWhole && first.rows.allSatisfy { $0 == nil })
        // Not once for each key.
        #expect(first.milliseconds >= 1990 && first.milliseconds < 60_000, "\(first.milliseconds) ms")
        // The breaker is open: nobody waits for another timeout.
        let second = Self.fetch(lookup, ["a"])
        #expect(!second.isWhole && second.milliseconds < 1990, "\(second.milliseconds) ms")
    }

    @Test func aServerThatHungIsAskedAgain() throws {
        let redis = try #require(try PrivateRedis.start())
        defer { redis.stop() }
        let lookup = RedisLookup(
            redis.address, fields: ["most"], timeoutMilliseconds: 200, backoffMilliseconds: 50...100)
        redis.pause()
        #expect(!Self.fetch(lookup, ["a"]).isWhole)
        redis.resume()
        #expect(isBack(lookup))
    }

    @Test func aServerThatIsNotThereCostsOneTimeout() throws {
        let redis = try #require(try PrivateRedis.start())
        defer { redis.stop() }
        redis.kill()
        let lookup = RedisLookup(
            redis.address, fields: ["most"], timeoutMilliseconds: 200, backoffMilliseconds: 50...100)
        for _ in 0..<5 {
            let row = Self.fetch(lookup, ["a"])
            #expect(!row.isWhole && row.milliseconds < 60_000, "\(row.milliseconds) ms")
        }
        try redis.launch()
        #expect(isBack(lookup))
    }

    private func isBack(_ lookup: RedisLookup) -> Bool {
        let deadline = monotonicNanoseconds() + 60_000_000_000
        while monotonicNanoseconds() < deadline {
            if Self.fetch(lookup, ["a"]).isWhole { return true }
            _ = Self.fetch(lookup, ["b"])
        }
        return false
    }
}
