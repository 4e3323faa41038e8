import Base

/// The parts that topologies may name: their keys, readers, proofs and what runs them. A build has one, in which each part is
/// a line; no other code knows which there are.
package struct Catalogue: Sendable {
    /// In the order in which a step is searched for them.
    package let operators: [any OperatorPart.Type]
    /// The first one's example is that of a sink.
    package let sinks: [any SinkPart.Type]

    package init(operators: [any OperatorPart.Type] = [], sinks: [any SinkPart.Type] = []) {
        let keys = operators.compactMap { $0.place.key }
        require(Set(keys).count == keys.count, "two operators have one key")
        require(Set(sinks.map { $0.key }).count == sinks.count, "two sinks have one key")
        self.operators = operators
        self.sinks = sinks
    }
}
