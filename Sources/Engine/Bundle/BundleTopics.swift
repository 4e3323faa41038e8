import Base
import Connectors
import Topology

/// What a cluster has of a topology's rules and of the records that its tasks take.
package struct BundleTopics {
    let kafka: KafkaSettings
    let topology: String
    /// Of every source.
    let partitions: Int
    let history: RuleSetHistory
    /// The rule set of each epoch that is known.
    private(set) var rulesets: [Int64: String] = [:]
    private(set) var texts: [String: RuleSetText]
    /// By task, in the order of the topic.
    let acknowledgements: [Int32: [String]]

    /// `kafka.group`: the workers'. `own`: the file that they were started with, for what the topic of rules
    /// does not say. `first`: the rules of epoch 0, where nothing was deployed; nil: those of `own`, or the
    /// only ones that the topic has.
    package init(
        _ kafka: KafkaSettings, topology: String, own: RuleSetText?, policy: ApprovalPolicy?,
        first: String? = nil
    ) throws(Fault) {
        (self.kafka, self.topology) = (kafka, topology)
        let admin = try KafkaAdmin(kafka)
        try admin.checkReachable()
        var history = RuleSetHistory(policy, group: kafka.group)
        if try admin.partitionCount(of: RuleSetTopics.ruleSets(kafka.group)) != nil {
            try KafkaReader(kafka, topic: RuleSetTopics.ruleSets(kafka.group)).readToEnd { record in
                if let key = record.keyText { _ = history.take(key: key, value: record.value) }
            }
        }
        var acknowledgements: [Int32: [String]] = [:]
        if try admin.partitionCount(of: RuleSetTopics.acknowledgements(kafka.group)) != nil {
            try KafkaReader(kafka, topic: RuleSetTopics.acknowledgements(kafka.group)).readToEnd { record in
                guard let key = record.keyText, !key.hasPrefix("prepared/"), let value = record.valueText
                else {
                    return
                }
                acknowledgements[record.partition, default: []].append(value)
            }
        }
        (self.history, self.acknowledgements, texts) = (history, acknowledgements, history.texts)
        if let own {
            let (spec, diagnostics) = own.readElsewhere()
            guard let spec else { throw Fault(.user, diagnostics.map { "\($0)" }.joined(separator: "\n")) }
            guard spec.name == topology else {
                throw Fault(.user, "\(own.file) is topology '\(spec.name)', and not '\(topology)'")
            }
            texts[spec.ruleset] = own
            rulesets[0] = spec.ruleset
        } else if texts.count == 1 {
            rulesets[0] = texts.keys.first
        }
        rulesets[0] = history.ruleset(ofEpoch: 0) ?? first ?? rulesets[0]
        for activation in history.activations { rulesets[activation.epoch] = activation.ruleset }
        guard rulesets[0] != nil else {
            throw Fault(
                .user,
                "nothing says which rules group '\(kafka.group)' runs: nothing was deployed; give the file that its workers were "
                    + "started with, --topology FILE")
        }
        if let zero = rulesets[0], texts[zero] == nil {
            throw Fault(
                .user,
                "the rules of epoch 0, \(zero), are neither in topic '\(RuleSetTopics.ruleSets(kafka.group))' nor in the file"
            )
        }
        partitions = try Self.partitions(of: texts[rulesets[0] ?? ""], admin)
    }

    private static func partitions(of text: RuleSetText?, _ admin: KafkaAdmin) throws(Fault) -> Int {
        let topics = text?.readElsewhere().spec?.sources.compactMap(\.topicOfTask) ?? []
        guard let topic = topics.first else {
            throw Fault(.user, "the topology reads no topic of Kafka, so nothing of it can be read again")
        }
        guard let count = try admin.partitionCount(of: topic) else {
            throw Fault(.user, "there is no topic '\(topic)'")
        }
        return count
    }

    /// Rules and switches, without a record.
    package func rules() -> Bundle {
        var bundle = Bundle(topology: topology, group: kafka.group, partitions: partitions)
        bundle.texts = texts.filter { rulesets.values.contains($0.key) }
        bundle.rulesets = rulesets
        for activation in history.activations { bundle.activations[activation.epoch] = activation }
        bundle.acknowledgements = acknowledgements
        return bundle
    }

    /// The same with all records that the topics have.
    package func everything() throws(Fault) -> Bundle {
        var bundle = rules()
        let inputs = TaskTopics(try bundle.board().current.spec)
        var places: [KafkaLogReader.Place] = []
        for task in 0..<Int32(partitions) { places += inputs.ofTasks.map { KafkaLogReader.Place($0, task) } }
        let reader = try KafkaLogReader(kafka)
        places += try inputs.placesOfAll(reader)
        var ranges: [KafkaLogReader.Place: Range<Int64>] = [:]
        for place in places { ranges[place] = try reader.range(of: place) }
        bundle.logs = try Self.load(ranges, earliest: ranges.mapValues(\.lowerBound), kafka)
        return bundle
    }

    /// The records of these stretches, with what each topic still had.
    static func load(
        _ ranges: [KafkaLogReader.Place: Range<Int64>], earliest: [KafkaLogReader.Place: Int64],
        _ kafka: KafkaSettings
    ) throws(Fault) -> [Bundle.Log] {
        var logs: [KafkaLogReader.Place: Bundle.Log] = [:]
        for (place, range) in ranges {
            logs[place] = Bundle.Log(
                topic: place.topic, partition: place.partition, earliest: earliest[place] ?? range.lowerBound,
                from: range.lowerBound)
        }
        var bytes = 0
        try KafkaLogReader(kafka).read(ranges) { (place, record) throws(Fault) in
            let record = LoggedRecord(
                offset: record.offset, timestamp: record.timestamp, key: record.key.map { Array($0) },
                value: record.value.map { Array($0) })
            bytes += record.byteCount
            guard bytes <= Limits.bundleBytesMax else {
                throw Fault(
                    .external,
                    "its records have more than \(Limits.bundleBytesMax >> 20) MiB (topic '\(place.topic)' is being read), "
                        + "which is more than is kept in memory")
            }
            logs[place]?.records.append(record)
        }
        return logs.values.sorted { ($0.topic, $0.partition) < ($1.topic, $1.partition) }
    }
}

/// The topics that tasks take records from.
struct TaskTopics {
    /// Those of which a task has its partition; tables among them.
    let ofTasks: [String]
    let tables: Set<String>
    /// Those that every lane has all of.
    let ofAll: [String]
    let hasRepartitions: Bool

    init(_ spec: TopologySpec) {
        ofTasks = Array(Set(spec.sources.compactMap(\.topicOfTask))).sorted()
        ofAll = Array(Set(spec.sources.compactMap(\.topicOfAll))).sorted()
        tables = Set(spec.sources.filter { $0.table != nil }.compactMap { $0.topicOfTask ?? $0.topicOfAll })
        hasRepartitions = !spec.repartitions.isEmpty
    }

    func placesOfAll(_ reader: KafkaLogReader) throws(Fault) -> [KafkaLogReader.Place] {
        var places: [KafkaLogReader.Place] = []
        for topic in ofAll {
            guard let count = try reader.partitionCount(of: topic) else {
                throw Fault(.user, "there is no topic '\(topic)'")
            }
            for partition in 0..<Int32(count) { places.append(KafkaLogReader.Place(topic, partition)) }
        }
        return places
    }
}
