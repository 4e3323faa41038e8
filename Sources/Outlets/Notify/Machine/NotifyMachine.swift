import Base
import Records
import Topology

/// Decides who is told what and when: alerts, what people decided, results of sends and the time go in;
/// messages, letters and changes of its state come out, which are made durable together. It knows no clock
/// and no I/O: the same calls give the same.
package struct NotifyMachine {
    package let config: NotifyConfig
    package let topology: String
    package internal(set) var counts = NotifyCounts()
    package internal(set) var groups: [AlertGroup.Key: AlertGroup] = [:]
    package internal(set) var sends: [String: PendingSend] = [:]
    package internal(set) var watches: [String: EscalationWatch] = [:]
    package internal(set) var limits: [NotifyContact: SlidingLimits] = [:]
    var boxes: [NotifyContact: HeldBox] = [:]
    var storms: [String: StormWindow] = [:]
    /// Channels that want nothing any more, with the hash of their address.
    var disabled: [String: String] = [:]
    var dispositions: [String: AlertDisposition] = [:]
    var timers = DueQueue<NotifyTimer>()
    var out = NotifyOutputs()

    package init(_ config: NotifyConfig, topology: String) {
        (self.config, self.topology) = (config, topology)
    }

    package mutating func takeOutputs() -> NotifyOutputs {
        defer { out = NotifyOutputs() }
        return out
    }

    package var hasOutputs: Bool { !out.isEmpty }

    /// When `advance` has something to do next; nil: never.
    package var nextTime: Int64? { mutating get { timers.nextTime } }

    /// Alerts that contacts are yet to be told of.
    package var heldCount: Int { boxes.values.reduce(0) { $0 + $1.entries.count + $1.more } }

    /// Alerts that wait for others of their customer and risk.
    package var gatheredCount: Int { groups.values.reduce(0) { $0 + $1.pending.count } }

    package mutating func advance(to now: Int64) {
        while let timer = timers.pop(until: now) {
            switch timer {
            case .group(let key): groupIsDue(key, now)
            case .held(let contact): release(contact, now)
            case .watch(let id): watchIsDue(id, now)
            case .send(let id): sendIsDue(id, now)
            }
        }
    }

    package static let dispositionsMax = 1_000_000

    package mutating func take(_ disposition: AlertDisposition?, of alert: String) {
        guard let disposition, disposition.status != .open else {
            dispositions[alert] = nil
            return
        }
        guard dispositions.count < Self.dispositionsMax || dispositions[alert] != nil else { return }
        dispositions[alert] = disposition
    }

    // MARK: State

    mutating func keep(_ key: String, _ json: String?) { out.changes[key] = .some(json) }

    /// A summary of what went wrong with telling, for those whose business that is.
    mutating func notice(
        _ rule: String, severity: NotifyConfig.Severity = .high, customer: String, _ text: String, id: String,
        _ now: Int64
    ) {
        let brief = AlertBrief(
            id: id, revision: 1, isCleared: false, severity: severity, rule: Self.noticePrefix + rule,
            risk: "notification",
            customer: customer, measure: "millrace notify log --undelivered",
            message: AlertBrief.shortened(text, AlertBrief.messageMax),
            eventTime: CivilTime.string(now))
        for contact in config.system {
            hold([brief], contact, route: "system", step: 0, .system, until: now + Self.noticeWait)
        }
    }

    static let noticePrefix = "millrace-notify-"
    static let noticeWait: Int64 = 10_000
}

/// Messages of a route, minute by minute.
struct StormWindow: Equatable {
    static let milliseconds: Int64 = 60_000

    var start: Int64
    var count = 0
    /// The minute before had too many.
    var isStorm = false

    /// Counts a message; when it may go out: at once, or at the end of the minute.
    mutating func note(_ now: Int64, most: Int) -> Int64 {
        if now >= start + Self.milliseconds {
            isStorm = count > most && now < start + 2 * Self.milliseconds
            count = 0
            start = now
        }
        count += 1
        return isStorm || count > most ? start + Self.milliseconds : now
    }
}
