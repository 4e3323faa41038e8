import Base
import Records
import Topology

/// What state was made of, beside what it means: kept with the definitions, and compared at a restart.
struct StateNotes: Equatable {
    struct Topic: Equatable {
        /// Of the source's name.
        var source: UInt32
        var topic: String
    }

    /// The topology's name.
    var topology: String
    /// Where each source's records come from, of those that are topics.
    var topics: [Topic]

    init(_ spec: TopologySpec) {
        topology = spec.name
        topics = spec.sources.compactMap { source in
            switch source.origin {
            case .kafka(let topic, _), .repartition(let topic): Topic(source: StateIdentities.hash(source.name), topic: topic)
            case .file, .generate, .redis, .stream: nil
            }
        }
    }

    init?(_ reader: inout BinaryReader) {
        topology = reader.text()
        topics = (0..<reader.count(below: Limits.nodesMax + 1)).map { _ in Topic(source: reader.word32(), topic: reader.text()) }
        guard reader.isValid else { return nil }
    }

    func append(to bytes: Arena) {
        bytes.appendBlob(topology)
        bytes.appendVarint(UInt64(topics.count))
        for topic in topics {
            bytes.appendWord(topic.source)
            bytes.appendBlob(topic.topic)
        }
    }
}
