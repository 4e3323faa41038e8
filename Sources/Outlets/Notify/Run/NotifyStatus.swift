import Synchronization

/// How a notifier is, for whoever looks from another thread.
package final class NotifyStatus: Sendable {
    private struct State {
        var metrics = ""
        /// nil: alerts are read.
        var unreadiness: String? = "it is starting"
    }
    private let state = Mutex(State())

    package init() {}

    /// In Prometheus' text format.
    package var metrics: String { state.withLock { $0.metrics } }
    package var unreadiness: String? { state.withLock { $0.unreadiness } }

    func show(_ metrics: String) {
        state.withLock { ($0.metrics, $0.unreadiness) = (metrics, nil) }
    }

    func isNotReady(_ reason: String) { state.withLock { $0.unreadiness = reason } }

    /// `now`: milliseconds since 1970.
    static func text(_ machine: NotifyMachine, _ now: Int64) -> String {
        let topology = label("topology", machine.topology)
        var text = ""
        func metric(_ name: String, _ kind: String, _ help: String, _ rows: [(labels: String, value: String)])
        {
            text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind)\n"
            for row in rows { text += "\(name){\(row.labels)} \(row.value)\n" }
        }
        let counts = machine.counts
        func byChannel(_ count: KeyPath<NotifyCounts.Channel, Int>) -> [(labels: String, value: String)] {
            machine.config.channels.keys.sorted().map { name in
                (
                    "\(topology),\(label("channel", name))",
                    "\((counts.channels[name] ?? NotifyCounts.Channel())[keyPath: count])"
                )
            }
        }
        metric(
            "millrace_notify_sent_total", "counter", "Messages that were taken by the other side.",
            byChannel(\.sent))
        metric(
            "millrace_notify_failed_total", "counter", "Tries that failed, or had no answer.",
            byChannel(\.failed))
        metric(
            "millrace_notify_retried_total", "counter", "Failed tries that are made again.",
            byChannel(\.retried))
        metric(
            "millrace_notify_given_up_total", "counter", "Messages that were given up.", byChannel(\.givenUp))
        metric(
            "millrace_notify_throttled_total", "counter",
            "Alerts and messages that had to wait for a limit of their recipient.", byChannel(\.throttled))
        metric(
            "millrace_notify_alerts_total", "counter", "Alerts read.", [(topology, "\(counts.alerts)")])
        metric(
            "millrace_notify_unreadable_total", "counter", "Records of alerts topics that were no alerts.",
            [(topology, "\(counts.unreadable)")])
        metric(
            "millrace_notify_messages_waiting", "gauge",
            "Messages that were decided and are not delivered yet.",
            [(topology, "\(machine.sends.count)")])
        metric(
            "millrace_notify_alerts_held", "gauge",
            "Alerts held back by limits, quiet hours or a storm, or gathered with others.",
            [(topology, "\(machine.heldCount + machine.gatheredCount)")])
        let age = oldest(machine).map { max(0, now - $0) } ?? 0
        metric(
            "millrace_notify_oldest_message_seconds", "gauge",
            "Age of the oldest message that is not delivered yet; 0: there is none.",
            [(topology, "\(age / 1000)")])
        return text
    }

    /// When the oldest of the messages that are not delivered yet was decided, milliseconds since 1970.
    static func oldest(_ machine: NotifyMachine) -> Int64? {
        machine.sends.values.lazy.map(\.message.createdAt).min()
    }

    private static func label(_ name: String, _ value: String) -> String {
        var escaped = ""
        for character in value {
            switch character {
            case "\\", "\"": escaped += "\\\(character)"
            case "\n", "\r", "\r\n": escaped += "\\n"
            default: escaped.append(character)
            }
        }
        return "\(name)=\"\(escaped)\""
    }
}
