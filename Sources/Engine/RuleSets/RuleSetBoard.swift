import Base
import Synchronization
import Topology

/// Rules as they run on so many partitions.
package struct RuleSet: Sendable {
    package var epoch: Int64
    package var spec: TopologySpec

    package init(epoch: Int64, spec: TopologySpec) { (self.epoch, self.spec) = (epoch, spec) }
}

/// The rules that a worker's lanes go by, which one thread sets and each lane takes up at its next commit.
package final class RuleSetBoard: Sendable {
    /// By epoch, ascending.
    private let sets: Mutex<[RuleSet]>
    /// The newest epoch, for lanes that look at it with every commit.
    private let epoch: Atomic<Int64>
    let trials = RuleSetTrials()

    package init(_ first: RuleSet) {
        sets = Mutex([first])
        epoch = Atomic(first.epoch)
    }

    package var current: RuleSet { sets.withLock { $0[$0.count - 1] } }

    package func activate(_ set: RuleSet) {
        sets.withLock { sets in
            require(sets.allSatisfy { $0.epoch < set.epoch }, "an epoch that goes back")
            sets.append(set)
        }
        epoch.store(set.epoch, ordering: .releasing)
    }

    /// A set that was active before the worker began, by which its tasks may have been judged last.
    func remember(_ set: RuleSet) {
        sets.withLock { sets in
            guard !sets.contains(where: { $0.epoch == set.epoch }) else { return }
            sets.append(set)
            sets.sort { $0.epoch < $1.epoch }
        }
    }

    /// The rules of an epoch; nil: they are not known.
    package func set(_ epoch: Int64) -> TopologySpec? {
        sets.withLock { sets in sets.first { $0.epoch == epoch }?.spec }
    }

    func newest(after epoch: Int64) -> RuleSet? {
        self.epoch.load(ordering: .acquiring) > epoch ? current : nil
    }

    /// Whether a rule, by name, is another one in epoch `next` than in `former`; where that is not known any
    /// more, each is.
    package func changed(from former: Int64, to next: Int64) -> @Sendable (String) -> Bool {
        guard let before = set(former), let now = set(next) else { return { _ in true } }
        return Self.changed(from: before, to: now)
    }

    static func changed(from before: TopologySpec, to now: TopologySpec) -> @Sendable (String) -> Bool {
        let texts = Dictionary(before.rules.map { ($0.name, before.logic(of: $0)) }) { a, _ in a }
        let changed = Set(now.rules.filter { texts[$0.name] != now.logic(of: $0) }.map(\.name))
        return { changed.contains($0) }
    }
}
