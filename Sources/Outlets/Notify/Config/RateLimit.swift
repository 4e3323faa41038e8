import Topology

/// So many within so long.
package struct RateLimit: Equatable, Sendable {
    package var count: Int
    package var milliseconds: Int64

    package init(_ count: Int, _ milliseconds: Int64) {
        (self.count, self.milliseconds) = (count, milliseconds)
    }

    /// What gateways of China allow a number, and a little less.
    package static let sms = [RateLimit(3, 60_000), RateLimit(10, 3_600_000), RateLimit(40, 86_400_000)]
}

/// What was sent to one contact, against several limits at once. A window of any limit that ends at any
/// moment holds at most its count: what is under way counts until it has ended, and from then on as of its
/// end.
package struct SlidingLimits: Equatable, Sendable {
    /// Ends, ascending, as many as the greatest count.
    package private(set) var log: [Int64] = []
    /// Under way.
    package private(set) var pending = 0

    package init(log: [Int64] = [], pending: Int = 0) { (self.log, self.pending) = (log.sorted(), pending) }

    /// When another one may begin; `now`: at once. nil: not before something under way has ended.
    package func next(_ limits: [RateLimit], _ now: Int64) -> Int64? {
        var time = now
        for limit in limits {
            let free = limit.count - pending
            if free <= 0 { return nil }
            guard log.count >= free else { continue }
            time = max(time, log[log.count - free] + limit.milliseconds)
        }
        return time
    }

    package mutating func begin() { pending += 1 }

    /// It has ended; `counts`: it may have been taken.
    package mutating func end(at time: Int64, counts: Bool, _ limits: [RateLimit]) {
        pending = max(0, pending - 1)
        guard counts else { return }
        log.append(time)
        log.sort()
        let most = limits.map(\.count).max() ?? 0
        if log.count > most { log.removeFirst(log.count - most) }
    }

    func json(of contact: NotifyContact) -> String {
        let log = log.map { "\($0)" }.joined(separator: ",")
        return "{\"contact\":\(JsonText.quoted("\(contact)")),\"pending\":\(pending),\"log\":[\(log)]}"
    }
}
