/// The parts that topologies may name: their keys, readers, proofs and what runs them. A build has one, in which each part is
/// a line; no other code knows which there are.
package struct Catalogue: Sendable {
    package init() {}
}
