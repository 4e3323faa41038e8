import Base

/// Asks one Redis server, for the demo, tests and benchmarks. Used by the thread that made it.
package final class RedisReader {
    private let connection: RedisConnection

    package init(_ address: RedisAddress, timeoutMilliseconds: Int = 5000) throws(Fault) {
        connection = try RedisConnection(
            address,
            connectMilliseconds: timeoutMilliseconds,
            commandMilliseconds: timeoutMilliseconds
        )
    }

    package func command(_ words: String...) throws(Fault) -> RedisValue {
        try connection.command(words)
    }

    /// Throws unless the server answers and is ready.
    package func ping() throws(Fault) {
        let answer = try command("PING")
        guard answer == .text("PONG") else {
            throw Fault(.external, "Redis is not ready: \(answer)", retry: .withBackoff)
        }
    }

    /// The fields of the hash at `key`; empty if there is no such key.
    package func hash(_ key: String) throws(Fault) -> [String: String] {
        guard case .array(let parts) = try command("HGETALL", key) else { return [:] }
        var fields: [String: String] = [:]
        for index in stride(from: 0, to: parts.count - 1, by: 2) {
            if let name = parts[index].text { fields[name] = parts[index + 1].text }
        }
        return fields
    }

    /// Milliseconds until the key expires; -1: never; -2: no such key.
    package func timeToLive(_ key: String) throws(Fault) -> Int64 {
        try command("PTTL", key).integer ?? -2
    }
}
