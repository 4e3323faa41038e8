/// The aggregates of a step. Equal calls are kept once.
struct AggregateCalls {
    private(set) var calls: [AggregateCall] = []
    private var texts: [String] = []

    /// The column in which the result of the call is found.
    mutating func add(_ call: AggregateCall) -> Int {
        let text = call.description
        if let index = texts.firstIndex(of: text) { return index }
        calls.append(call)
        texts.append(text)
        return calls.count - 1
    }
}
