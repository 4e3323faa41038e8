/// What `NotifyMachine` waits for.
package enum NotifyTimer: Hashable {
    case group(AlertGroup.Key)
    case held(NotifyContact)
    case watch(String)
    case send(String)
}

/// What one turn wants to have written, and sent after it was.
package struct NotifyOutputs {
    package var messages: [NotifyMessage] = []
    /// By message id, JSON.
    package var deliveries: [(id: String, json: String)] = []
    /// By message id; nil: it was delivered after all.
    package var letters: [(id: String, json: String?)] = []
    /// Of the state; nil: gone.
    package var changes: [String: String?] = [:]
    /// Tries to be made once all of this is durable.
    package var tries: [PendingSend] = []

    package var isEmpty: Bool {
        messages.isEmpty && deliveries.isEmpty && letters.isEmpty && changes.isEmpty && tries.isEmpty
    }
}

/// Since the start.
package struct NotifyCounts: Equatable, Sendable {
    package var alerts = 0
    package var repeated = 0
    /// Alerts that no route takes.
    package var unrouted = 0
    package var unreadable = 0
    package var messages = 0
    package var delivered: Int { channels.values.reduce(0) { $0 + $1.sent } }
    package var undelivered: Int { channels.values.reduce(0) { $0 + $1.givenUp } }

    package struct Channel: Equatable, Sendable {
        package var sent = 0
        /// Tries.
        package var failed = 0
        package var retried = 0
        package var givenUp = 0
        /// Alerts and messages that waited for a limit.
        package var throttled = 0
    }
    package var channels: [String: Channel] = [:]

    mutating func add(_ what: WritableKeyPath<Channel, Int>, _ more: Int = 1, of channel: String) {
        channels[channel, default: Channel()][keyPath: what] += more
    }
}
