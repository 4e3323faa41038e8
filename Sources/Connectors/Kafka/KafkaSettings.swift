import Base
import CRdkafka

/// How to reach a Kafka cluster: what the command line and the topology say, over our defaults.
package struct KafkaSettings: Sendable {
    /// `host:port` list, as in `--bootstrap-server`.
    package var bootstrapServers: String
    /// Consumer group.
    package var group: String
    package var clientId: String
    /// What a member of the group tells of itself, at the end of its client id.
    package var memberTag = ""
    /// Static membership: a worker that restarts under the same name gets its partitions back at once.
    package var instanceId: String?
    /// Of all lanes of the worker, this one's included.
    package var laneInstanceIds: [String] = []
    /// Of the producer whose transactions hold the results; nil: none. Who opens a transaction under a name
    /// ends those that its last owner left open.
    package var transactionalId: String?
    /// librdkafka settings by name, without the `kafka.` in front. Values may be secrets: never printed.
    package var raw: [String: String]
    /// Where those of `raw` that come from a file stand there, as file:line, for mistakes.
    package var places: [String: String] = [:]
    /// Bytes that one consumer may hold of records that were fetched ahead.
    package var prefetchBytes = 256 << 20
    /// Ends waits for brokers with `Fault.stopped`, except those of a commit.
    package var stop: StopSignal?

    package init(
        bootstrapServers: String,
        group: String = "millrace",
        clientId: String = "millrace",
        instanceId: String? = nil,
        raw: [String: String] = [:]
    ) {
        self.bootstrapServers = bootstrapServers
        self.group = group
        self.clientId = clientId
        self.instanceId = instanceId
        self.raw = raw
    }

    /// Refuses settings that librdkafka does not know, or whose values it does not take.
    package func check() throws(Fault) {
        for role in [KafkaRole.consumer, .producer] {
            rd_kafka_conf_destroy(try configuration(role))
        }
    }
}

/// What a client is for; decides its defaults.
enum KafkaRole {
    /// Member of the group.
    case consumer
    /// Reads partitions that it was told to, outside of any group.
    case reader
    /// Reads a record here and there.
    case probe
    /// Asks for positions of a group that transactions under way are about to change.
    case inquirer
    /// Idempotent, for what the topology publishes.
    case producer
    /// Fast, for load.
    case feeder
    case admin
}

extension KafkaSettings {
    /// A new configuration; the caller destroys it or gives it to a client.
    func configuration(_ role: KafkaRole) throws(Fault) -> OpaquePointer {
        if role == .consumer, group.isEmpty { throw Fault(.user, "a consumer group needs a name") }
        guard let configuration = rd_kafka_conf_new() else { throw Fault(.defect, "out of memory") }
        do throws(Fault) {
            for (name, value) in defaults(role) { try Self.set(configuration, name, value) }
            for (name, value) in raw.sorted(by: { $0.key < $1.key }) {
                let place = places[name]
                if let reason = Self.fixed[name] {
                    throw Fault(.user, "\(Self.title(name, place)) cannot be changed: \(reason)")
                }
                try Self.set(configuration, name, value, place)
            }
        } catch {
            rd_kafka_conf_destroy(configuration)
            throw error
        }
        return configuration
    }

    /// Settings that would quietly break what the program promises.
    private static let fixed = [
        "bootstrap.servers": "it is given by --bootstrap-server",
        "group.id": "it is given by --group",
        "group.instance.id": "each lane has its own",
        "enable.auto.commit": "positions are committed together with the results",
        "enable.auto.offset.store": "positions are committed together with the results",
        "auto.offset.reset": "each source says where it starts (`start`)",
        "enable.partition.eof": "idle partitions are recognised by it",
        "partition.assignment.strategy": "equal partitions of topics that are joined must meet in one lane",
        "enable.idempotence": "alerts must not be repeated or reordered",
        "transactional.id": "each lane has its own",
        "isolation.level": "results of transactions that were given up must not be read",
        "partitioner": "keys must go to the partitions that other Kafka clients choose",
    ]

    private func defaults(_ role: KafkaRole) -> [(String, String)] {
        var settings = [
            ("bootstrap.servers", bootstrapServers),
            ("client.id", role == .consumer ? clientId + memberTag : clientId),
            ("socket.nagle.disable", "true"),
            ("reconnect.backoff.max.ms", "1000"),
            // Killed brokers and old connections are everyday; errors are reported by callback.
            ("log.connection.close", "false"),
        ]
        switch role {
        case .consumer, .reader, .probe, .inquirer:
            settings += [
                // A reader joins no group, but librdkafka wants a name.
                ("group.id", role == .consumer || !group.isEmpty ? group : "none"),
                // A full queue makes the fetcher of 2.0.2 sleep a whole second: bound it by bytes instead.
                ("queued.min.messages", "2000000"),
                ("queued.max.messages.kbytes", "\(max(prefetchBytes >> 10, 1024))"),
                ("fetch.message.max.bytes", "\(4 << 20)"),
                ("fetch.wait.max.ms", "20"),
                ("fetch.error.backoff.ms", "100"),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", "error"),
                ("enable.partition.eof", "true"),
                ("isolation.level", role == .inquirer ? "read_uncommitted" : "read_committed"),
            ]
            if role == .probe {
                // Of each partition one batch, of which a broker sends at least one whatever its size. Were
                // the queue full with the first partition's, the others would wait a second, at every start
                // of a task.
                settings += [("fetch.message.max.bytes", "4096")]
            }
            if role == .consumer {
                settings += [
                    ("partition.assignment.strategy", "range"),
                    ("session.timeout.ms", "6000"),
                    // Members learn of a rebalance by them, and all partitions stand still until the last one
                    // has.
                    ("heartbeat.interval.ms", "300"),
                    // Restoring a large state from its changelog takes minutes, in which nothing is polled.
                    ("max.poll.interval.ms", "1800000"),
                ]
                if let instanceId { settings.append(("group.instance.id", instanceId)) }
            }
        case .producer:
            settings +=
                Self.producing + [
                    ("enable.idempotence", "true"), ("acks", "all"), ("linger.ms", "5"),
                    // Changes of a commit are handed over at once.
                    ("queue.buffering.max.messages", "1000000"), ("batch.num.messages", "100000"),
                ]
            if let transactionalId {
                settings += [
                    ("transactional.id", transactionalId),
                    // What a killed worker left open holds its readers up for as long.
                    ("transaction.timeout.ms", "10000"), ("message.timeout.ms", "10000"),
                ]
            }
        case .feeder:
            settings +=
                Self.producing + [
                    // A batch that is tried again must not come behind those after it.
                    ("enable.idempotence", "true"), ("acks", "all"), ("linger.ms", "20"),
                    ("batch.num.messages", "100000"),
                    ("queue.buffering.max.messages", "1000000"),
                ]
        case .admin:
            break
        }
        return settings
    }

    private static let producing = [
        // As Java producers choose: equal keys of all producers must meet in one partition.
        ("partitioner", "murmur2_random"),
        ("compression.codec", "lz4"),
        // 2.0.2 waits this long after "try again" answers; the default of 100 shows in every latency.
        ("retry.backoff.ms", "10"),
        ("queue.buffering.max.kbytes", "262144"),
        ("message.max.bytes", "\(Limits.recordBytesMax + Limits.recordHeadBytes)"),
    ]

    /// What a mistake calls a setting.
    private static func title(_ name: String, _ place: String?) -> String {
        place.map { "\($0): \(name)" } ?? "kafka.\(name)"
    }

    private static func set(
        _ configuration: OpaquePointer, _ name: String, _ value: String, _ place: String? = nil
    ) throws(Fault) {
        var reason = [CChar](repeating: 0, count: 512)
        let result = rd_kafka_conf_set(configuration, name, value, &reason, reason.count)
        guard result != RD_KAFKA_CONF_OK else { return }
        let title = title(name, place)
        if let instead = KafkaProperties.javaOnly[name] {
            throw Fault(.user, "\(title) is a setting of Java's clients; \(instead)")
        }
        if result == RD_KAFKA_CONF_UNKNOWN {
            let prefix = place == nil ? "kafka." : ""
            let hint =
                nearest(name, among: names(configuration)).map { "; did you mean \(prefix)\($0)?" } ?? ""
            throw Fault(.user, "\(title): there is no such librdkafka setting\(hint)")
        }
        // A file is where secrets stand, under whatever name.
        let text = place != nil || isSecret(name) ? "its value is not valid" : string(reason)
        throw Fault(.user, "\(title): \(text)")
    }

    /// True for settings whose values nobody else should see.
    package static func isSecret(_ name: String) -> Bool {
        ["password", "secret", "pem", "oauthbearer", "key"].contains { name.contains($0) }
    }

    private static func names(_ configuration: OpaquePointer) -> [String] {
        var count = 0
        guard let dump = rd_kafka_conf_dump(configuration, &count) else { return [] }
        defer { rd_kafka_conf_dump_free(dump, count) }
        return stride(from: 0, to: count, by: 2).compactMap { dump[$0].map { String(cString: $0) } }
    }

    /// The name at the least edit distance (Levenshtein 1966), if it is near enough to be a slip.
    private static func nearest(_ name: String, among names: [String]) -> String? {
        let wanted = Array(name.utf8)
        var best: (name: String, distance: Int)?
        for candidate in names {
            let other = Array(candidate.utf8)
            var row = Array(0...other.count)
            for (i, byte) in wanted.enumerated() {
                var diagonal = row[0]
                row[0] = i + 1
                for j in other.indices {
                    let substituted = diagonal + (byte == other[j] ? 0 : 1)
                    diagonal = row[j + 1]
                    row[j + 1] = min(substituted, diagonal + 1, row[j] + 1)
                }
            }
            if row[other.count] < best?.distance ?? Int.max { best = (candidate, row[other.count]) }
        }
        guard let best, best.distance <= max(2, wanted.count / 4) else { return nil }
        return best.name
    }
}

/// The text in a buffer that C wrote, up to its NUL.
func string(_ buffer: [CChar]) -> String {
    String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
