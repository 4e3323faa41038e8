import Base
import Synchronization
import Topology

/// Rules as they run on so many partitions.
struct RuleSet: Sendable {
    var epoch: Int64
    var spec: TopologySpec
}

/// The rules that a worker's lanes go by, which one thread sets and each lane takes up at its next commit.
package final class RuleSetBoard: Sendable {
    private struct State {
        /// By epoch, ascending.
        var sets: [RuleSet]
    }

    private let state: Mutex<State>
    /// The newest epoch, for lanes that look at it with every commit.
    private let epoch: Atomic<Int64>

    init(_ first: RuleSet) {
        state = Mutex(State(sets: [first]))
        epoch = Atomic(first.epoch)
    }

    package convenience init(epoch: Int64, _ spec: TopologySpec) { self.init(RuleSet(epoch: epoch, spec: spec)) }

    package var epochNow: Int64 { current.epoch }
    package var specNow: TopologySpec { current.spec }
    package func activate(epoch: Int64, _ spec: TopologySpec) { activate(RuleSet(epoch: epoch, spec: spec)) }

    var current: RuleSet { state.withLock { $0.sets[$0.sets.count - 1] } }

    func activate(_ set: RuleSet) {
        state.withLock { state in
            require(state.sets.allSatisfy { $0.epoch < set.epoch }, "an epoch that goes back")
            state.sets.append(set)
        }
        epoch.store(set.epoch, ordering: .releasing)
    }

    /// A set that was active before the worker began, by which its tasks may have been judged last.
    func remember(_ set: RuleSet) {
        state.withLock { state in
            guard !state.sets.contains(where: { $0.epoch == set.epoch }) else { return }
            state.sets.append(set)
            state.sets.sort { $0.epoch < $1.epoch }
        }
    }

    /// The rules of an epoch; nil: they are not known.
    package func set(_ epoch: Int64) -> TopologySpec? {
        state.withLock { state in state.sets.first { $0.epoch == epoch }?.spec }
    }

    func newest(after epoch: Int64) -> RuleSet? {
        self.epoch.load(ordering: .acquiring) > epoch ? current : nil
    }

    /// Whether a rule, by name, is another one in epoch `next` than in `former`; where that is not known any more, each is.
    package func changed(from former: Int64, to next: Int64) -> @Sendable (String) -> Bool {
        let (before, now) = state.withLock { state in
            (state.sets.first { $0.epoch == former }, state.sets.first { $0.epoch == next })
        }
        guard let before, let now else { return { _ in true } }
        let texts = Dictionary(before.spec.rules.map { ($0.name, RuleText.of($0, before.spec)) }) { a, _ in a }
        let changed = Set(now.spec.rules.filter { texts[$0.name] != RuleText.of($0, now.spec) }.map(\.name))
        return { changed.contains($0) }
    }
}

/// What decides whether a rule is true.
enum RuleText {
    static func of(_ rule: RuleSpec, _ spec: TopologySpec) -> String { spec.logic(of: rule) }
}
