/// What a sink writes to, as everyone but the code that writes it sees it.
package protocol SinkTarget: Sendable {
    var delivery: SinkDelivery { get }
    /// The file that is its alone; nil: it has none.
    var file: String? { get }
    /// What `explain` calls it: `topic risk-alerts`.
    var shown: String { get }
    /// A worker opens or starts something for it, once, when it starts itself.
    var isOpenedByWorker: Bool { get }
    /// How rows of steps are written to it.
    var rowFormat: RowFormat { get }
    /// Of its topic, where a worker makes that.
    var topicConfiguration: [String: String] { get }
    /// All of it that has a meaning, for the hash of the logic: no addresses, which may hold secrets. Groups
    /// that run know their topology by that hash, so this text must not change.
    var logic: String { get }
}

extension SinkTarget {
    package var file: String? { nil }
    package var isOpenedByWorker: Bool { if case .topic = delivery { false } else { true } }
    package var topicConfiguration: [String: String] { [:] }
    package var rowFormat: RowFormat { .json }
}

/// A kind of sink that topologies may name: how it is read, and what there is to say of it. What runs it is
/// in the folder of its own, if it is not the lane itself (`SinkDelivery`).
package protocol SinkPart: SinkTarget {
    /// The key in `sinks.<name>` that says that it is one of these.
    static var key: String { get }
    /// That key and a mapping, on a line: `kafka: { topic: risk-alerts }`.
    static var example: String { get }
    /// Markdown, for the language's page: what it does, its keys, what it guarantees.
    static var reference: String { get }
    /// Reads what stands under the key. nil after mistakes were reported.
    static func read(_ node: YamlNode, _ scope: SinkScope) -> Self?
}

/// What a sink is given, and when.
package enum SinkDelivery: Sendable {
    /// Records, published to this Kafka topic in the lane's own transaction.
    case topic(String)
    /// Records, each once the commit that it belongs to has succeeded.
    case committedRecords
    /// What windows hold of the keys that changed, some time after the commit: the newest only.
    case metrics(HotMetrics)
    /// Records, of runs that end; no worker serves it. `refusal` goes on after the sink's name: `writes the
    /// file a, which …`.
    case bounded(refusal: String)
}

/// Hashes that hold the newest metrics of each key of some windows.
package struct HotMetrics: Hashable, Sendable {
    /// Each names a key field of every step that the sink takes.
    package var key: [KeyPart]
    /// Milliseconds that a hash lives after it was written.
    package var ttl: Int64

    package init(key: [KeyPart], ttl: Int64) {
        self.key = key
        self.ttl = ttl
    }
}

/// Stands in for a sink in a run whose caller takes the records itself.
package struct CapturedRecords: SinkTarget {
    package init() {}

    package var delivery: SinkDelivery { .bounded(refusal: "is served by its caller") }
    package var shown: String { "the caller" }
    package var logic: String { "" }
}
