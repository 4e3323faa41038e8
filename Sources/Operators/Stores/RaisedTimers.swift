import State

/// When raised alerts of a rule are to be looked at again, as event time goes on without a record of the key:
/// what a window holds changes when a pane leaves it, and nothing else changes what the rule says. Not part
/// of what is kept: after a restore every raised alert is looked at when the next window ends, which changes
/// nothing that is right.
struct RaisedTimers {
    private var queue = TimerQueue()
    /// By id; `.max`: nothing is due.
    private var due: [Int64] = []

    func due(of id: UInt32) -> Int64 { Int(id) < due.count ? due[Int(id)] : .max }

    /// `.min`: at the next end of a window; `.max`: never.
    mutating func set(_ id: UInt32, to time: Int64) {
        if Int(id) >= due.count {
            if time == .max { return }
            due.append(contentsOf: repeatElement(.max, count: Int(id) + 1 - due.count + due.count / 2))
        }
        if due[Int(id)] == time { return }
        due[Int(id)] = time
        if time != .max { queue.add(time, id) }
    }

    /// The first time at which an alert is due; `.max`: none is.
    var first: Int64 {
        mutating get {
            while let timer = queue.first {
                if due[Int(timer.id)] == timer.time { return timer.time }
                // It was set anew, or its alert is cleared.
                _ = queue.removeFirst(before: .max)
            }
            return .max
        }
    }

    /// Those that are due at `time` or before; they are due no more.
    mutating func take(through time: Int64) -> [UInt32] {
        var ids: [UInt32] = []
        while first <= time, let timer = queue.removeFirst(before: .max) {
            due[Int(timer.id)] = .max
            ids.append(timer.id)
        }
        return ids
    }
}
