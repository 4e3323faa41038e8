import Base
import Records
import Testing
import Topology

@testable import Outlets

/// A notifier without Kafka and network: a machine whose outputs are "committed" into dictionaries, that is
/// killed at will and begins again with them, and endpoints that take, refuse, or leave one in the dark.
struct NotifyWorld {
    struct Acceptance {
        var message: NotifyMessage
        var at: Int64
    }

    let config: NotifyConfig
    var machine: NotifyMachine
    var now: Int64
    var random: SplitMix64
    /// As a compacted topic has it.
    var state: [String: [UInt8]] = [:]
    var outbox: [NotifyMessage] = []
    var letters: [String: String] = [:]
    var statuses: [String: [String]] = [:]
    var accepted: [Acceptance] = []
    /// Tries that are under way: when they end, how, and when they are taken (nil: never).
    var underWay: [(message: NotifyMessage, ends: Int64, takenAt: Int64?, outcome: SendOutcome)] = []
    /// Of 100 tries.
    var failing: UInt64 = 0
    /// Of 1000 commits.
    var killing: UInt64 = 0
    var dispositions: [String: AlertDisposition] = [:]
    var kills = 0

    init(_ config: NotifyConfig, seed: UInt64, now: Int64 = 1_764_300_000_000) {
        (self.config, self.now) = (config, now)
        random = SplitMix64(seed: seed)
        machine = NotifyMachine(config, topology: "t")
    }

    /// Commits what was decided and begins the tries. False: it was killed, before or behind the commit.
    @discardableResult
    mutating func commit() throws -> Bool {
        let fate = killing > 0 ? random.next() % 1000 : 1000
        let outputs = machine.takeOutputs()
        if fate < killing / 2 {
            try kill()
            return false
        }
        for (key, json) in outputs.changes { state[key] = json.map { Array($0.utf8) } }
        outbox += outputs.messages
        for (id, json) in outputs.letters { letters[id] = json }
        for (id, json) in outputs.deliveries {
            statuses[id, default: []].append(
                ["delivered", "failed", "dead", "disabled", "posted"].first {
                    json.contains("\"status\":\"\($0)\"")
                } ?? "?")
        }
        for send in outputs.tries { begin(send.message) }
        if fate < killing {
            try kill()
            return false
        }
        return true
    }

    private mutating func begin(_ message: NotifyMessage) {
        let ends = now + 1 + Int64(random.next() % 800)
        guard random.next() % 100 < failing else {
            underWay.append((message, ends, ends - 1, SendOutcome(.delivered, code: 200)))
            return
        }
        switch random.next() % 4 {
        case 0: underWay.append((message, ends, nil, SendOutcome(.refused, code: 500, text: "500")))
        case 1:
            underWay.append(
                (message, ends, nil, SendOutcome(.refused, code: 429, text: "429", retryAfter: 2000)))
        case 2: underWay.append((message, ends, nil, SendOutcome(.unknown, text: "reset")))
        // It is taken although nobody hears of it, later than anybody waits.
        default:
            underWay.append((message, ends + 9_000, ends + 15_000, SendOutcome(.unknown, text: "timeout")))
        }
    }

    /// The process ends without a word; what is under way may still be taken. A new one goes on.
    mutating func kill() throws {
        kills += 1
        for send in underWay {
            if let at = send.takenAt { accepted.append(Acceptance(message: send.message, at: max(at, now))) }
        }
        underWay = []
        machine = NotifyMachine(config, topology: "t")
        try machine.restore(state, now)
        for (alert, disposition) in dispositions { machine.take(disposition, of: alert) }
    }

    /// Time goes on to `end`, in steps at which something happens.
    mutating func run(to end: Int64) throws {
        var turns = 0
        while true {
            turns += 1
            require(turns < 200_000, "the world does not come to its end")
            let ending = underWay.filter { $0.ends <= now }
            underWay.removeAll { $0.ends <= now }
            for send in ending {
                if let at = send.takenAt { accepted.append(Acceptance(message: send.message, at: at)) }
                machine.take(send.outcome, of: send.message.id, finishedAt: send.ends, now)
            }
            machine.advance(to: now)
            if machine.hasOutputs {
                try commit()
                continue
            }
            let next = min(machine.nextTime ?? .max, underWay.map(\.ends).min() ?? .max)
            guard next <= end else {
                now = max(now, end)
                return
            }
            now = max(now, next)
        }
    }

    mutating func take(_ alert: AlertBrief) throws {
        // Killed before the commit, it is read again.
        repeat { machine.take(alert, at: now, now) } while try !settle(alert)
    }

    private mutating func settle(_ alert: AlertBrief) throws -> Bool {
        machine.advance(to: now)
        let before = state
        if try commit() { return true }
        return state != before
    }

    mutating func decide(_ alert: String, _ disposition: AlertDisposition) {
        dispositions[alert] = disposition
        machine.take(disposition, of: alert)
    }
}
