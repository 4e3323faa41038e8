import Base
import Records

/// One life of a worker: it ends with a kill, after which nothing that is left of its lanes reaches the
/// world.
final class SimulatedLife {
    enum Point {
        case send, commitBegin, commitSent, commitOffsets, committed, restore, start
    }

    /// Chances in 65,536 at each point.
    struct Troubles {
        var crash = 0
        /// A call gets no answer: what it asked for is done or not.
        var doubt = 0
    }

    private(set) var isOver = false
    private let broker: SimulatedBroker
    private let troubles: () -> Troubles

    init(_ broker: SimulatedBroker, troubles: @escaping () -> Troubles) {
        self.broker = broker
        self.troubles = troubles
    }

    func end() { isOver = true }

    static let killed = Fault(.external, "simulated: killed", retry: .withBackoff)

    /// To be called before each effect on the world: throws once the life is over, and ends it here by
    /// chance.
    func pass(_ point: Point) throws(Fault) {
        if isOver { throw Self.killed }
        let troubles = troubles()
        if troubles.crash > 0, chance(troubles.crash) {
            isOver = true
            throw Self.killed
        }
    }

    enum Answer { case given, lostBefore, lostAfter }

    /// What becomes of a call.
    func answer() -> Answer {
        let doubt = troubles().doubt
        guard doubt > 0, chance(doubt) else { return .given }
        return broker.random.next() & 1 == 0 ? .lostBefore : .lostAfter
    }

    static let unanswered = Fault(.external, "simulated: no answer", retry: .withBackoff)

    private func chance(_ of65536: Int) -> Bool { Int(broker.random.next() & 0xFFFF) < of65536 }
}
