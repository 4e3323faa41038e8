import Base

/// The parts that topologies may name: their keys, readers, proofs and what runs them. A build has one, in which each part is
/// a line; no other code knows which there are.
package struct Catalogue: Sendable {
    /// The first one's example is that of a sink.
    package let sinks: [any SinkPart.Type]

    package init(sinks: [any SinkPart.Type] = []) {
        require(Set(sinks.map { $0.key }).count == sinks.count, "two sinks have one key")
        self.sinks = sinks
    }
}
