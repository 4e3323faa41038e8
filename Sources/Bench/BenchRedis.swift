import Base
import Connectors
import Engine

/// Hot metrics of merchants into a private Redis: coalesced pipelines against one command at a time.
package enum BenchRedis {
    package static func run(keys: Int) throws(Fault) -> BenchReport {
        guard let redis = try PrivateRedis.start() else {
            throw Fault(.user, "bench redis needs redis-server")
        }
        defer { redis.stop() }
        let sink = try RedisSink(redis.address)
        func fields(_ key: Int) -> [(name: String, value: String)] {
            [
                ("turnover.orders", "\(key % 100)"), ("turnover.amount", "\(key).50"),
                ("turnover.largest", "9.99"), ("turnover.window_end", "2026-01-01T00:00:00Z"),
            ]
        }
        let begin = monotonicNanoseconds()
        for key in 0..<keys {
            sink.put(key: "merchant:\(key)", fields: fields(key), ttlMilliseconds: 86_400_000)
        }
        let put = Double(monotonicNanoseconds() - begin) / 1e9
        guard sink.waitUntilWritten(deadlineMilliseconds: 60_000) else {
            throw Fault(.external, "bench redis: not written in a minute")
        }
        let seconds = Double(monotonicNanoseconds() - begin) / 1e9
        let reader = try RedisReader(redis.address)
        guard try reader.command("DBSIZE").integer == Int64(keys) else {
            throw Fault(.defect, "bench redis: keys are missing")
        }
        for key in stride(from: 0, to: keys, by: max(1, keys / 100)) {
            let hash = try reader.hash("merchant:\(key)")
            guard hash["turnover.amount"] == "\(key).50", try reader.timeToLive("merchant:\(key)") > 0 else {
                throw Fault(.defect, "bench redis: merchant:\(key) holds \(hash)")
            }
        }
        let single = min(keys, 5000)
        let start = monotonicNanoseconds()
        for key in 0..<single {
            let values = fields(key)
            _ = try reader.command(
                "HSET", "single:\(key)", values[0].name, values[0].value, values[1].name, values[1].value,
                values[2].name,
                values[2].value, values[3].name, values[3].value)
            _ = try reader.command("PEXPIRE", "single:\(key)", "86400000")
        }
        let one = Double(monotonicNanoseconds() - start) / 1e9
        sink.close()
        var report = BenchReport(
            "redis: \(keys) merchants of 4 fields with a time to live, redis-server on the same cores")
        report.add("merchants per second", Double(keys) / seconds, "keys/s")
        report.add("one command at a time", Double(single) / one, "keys/s")
        report.add("ratio", Double(keys) / seconds / (Double(single) / one), "pipelined / single")
        report.add("time of a put", put * 1e9 / Double(keys), "ns on the lane's thread")
        report.add("checked", "\(keys) keys, every hundredth read back")
        return report
    }
}
