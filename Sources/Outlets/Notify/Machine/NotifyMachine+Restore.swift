import Base

extension NotifyMachine {
    /// Goes on with what was kept, by the keys and values of `NotifyOutputs.changes`.
    package mutating func restore(_ state: [String: [UInt8]], _ now: Int64) throws(Fault) {
        try KeptState.restore(state, into: &self, now)
    }
}
