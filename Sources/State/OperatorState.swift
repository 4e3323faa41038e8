import Records

/// What an operator remembers of one task, by key. Whatever changes can be told, key by key, to a changelog,
/// and be put back from what was told.
package protocol OperatorState: AnyObject {
    /// Appends key and value of every key that changed since the last call to `out` and tells `body` where
    /// they are; value nil: the key is gone.
    func drainChanges(into out: Arena, _ body: (_ key: Range<Int>, _ value: Range<Int>?) -> Void)
    /// As `drainChanges`, but for every key that there is, and without forgetting what changed.
    func forEach(into out: Arena, _ body: (_ key: Range<Int>, _ value: Range<Int>) -> Void)
    /// Takes what `drainChanges` or `forEach` told; value nil: the key is gone. False: the bytes are none of
    /// its own.
    func restore(key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?) -> Bool
    /// After the last `restore`.
    func finishRestore()

    var keyCount: Int { get }
    var memoryBytes: Int { get }
    /// Event time that must pass before nothing is left that time alone brings about; `.min`: nothing is.
    var lastDue: Int64 { get }
    /// How many rows one more row may make of those that wait for it, at most.
    var partnersMost: Int { get }
}

extension OperatorState {
    package var partnersMost: Int { 1 }
}

/// The state of an operator that remembers nothing.
package final class NoState: OperatorState {
    package init() {}
    package func drainChanges(into out: Arena, _ body: (Range<Int>, Range<Int>?) -> Void) {}
    package func forEach(into out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {}
    package func restore(key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?) -> Bool {
        false
    }
    package func finishRestore() {}
    package var keyCount: Int { 0 }
    package var memoryBytes: Int { 0 }
    package var lastDue: Int64 { .min }
}
