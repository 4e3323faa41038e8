import Base
import Engine
import Synchronization

/// Every topology that the console knows, for those who ask.
package final class TopologyBoard: Sendable {
    private let states = Mutex<[String: TopologyState]>([:])
    /// Which are looked at; empty: all.
    private let only: Set<String>

    /// As the workers hold it: what does not count for them does not for the console.
    private let policy: ApprovalPolicy?

    package init(only: Set<String> = [], policy: ApprovalPolicy? = nil) {
        (self.only, self.policy) = (only, policy)
    }

    package func wants(_ name: String) -> Bool { only.isEmpty || only.contains(name) }

    package var all: [TopologyState] { states.withLock { $0.values.sorted { $0.name < $1.name } } }
    package subscript(name: String) -> TopologyState? { states.withLock { $0[name] } }

    package func change(_ name: String, _ body: (inout TopologyState) -> Void) {
        states.withLock { states in
            var state = states[name] ?? TopologyState(name: name, policy: policy)
            body(&state)
            states[name] = state
        }
    }

    package func topology(_ name: String) throws(ApiError) -> TopologyState {
        guard let state = self[name] else { throw .notFound("there is no topology '\(name.prefix(100))'") }
        return state
    }
}
