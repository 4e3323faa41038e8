import Base
import Records
import Topology

extension NotifyMachine {
    /// How long after its end a try of unknown outcome may still have been taken.
    static let unknownMargin: Int64 = 10_000

    mutating func send(
        _ alerts: ArraySlice<AlertBrief>, to contact: NotifyContact, _ route: String,
        _ kind: NotifyMessage.Kind, step: Int,
        watch: String?, more: Int = 0, _ now: Int64
    ) {
        guard !alerts.isEmpty else { return }
        var message = NotifyMessage(
            topology: topology, route: route, contact: contact, kind: kind, step: step, createdAt: now,
            giveUpAt: now,
            alerts: Array(alerts), more: more)
        message.giveUpAt = now + config.giveUp(message.severity)
        guard sends[message.id] == nil else { return }
        counts.messages += 1
        out.messages.append(message)
        start(PendingSend(message: message, watch: watch, next: now), now)
    }

    /// A letter that somebody wants to have sent again.
    package mutating func resend(_ message: NotifyMessage, _ now: Int64) {
        guard sends[message.id] == nil else { return }
        var message = message
        message.giveUpAt = now + config.giveUp(message.severity)
        if disabled.removeValue(forKey: message.contact.channel) != nil {
            keep("disabled\u{1F}\(message.contact.channel)", nil)
        }
        start(PendingSend(message: message, watch: nil, isResent: true, next: now), now)
    }

    private mutating func start(_ send: PendingSend, _ now: Int64) {
        let contact = send.message.contact
        guard let channel = config.channels[contact.channel], config.isKnown(contact) else {
            return bury(
                send, SendOutcome(.dead, text: "there is no '\(contact)' in the configuration any more"), now)
        }
        if case .popup = channel.kind {
            counts.add(\.sent, of: contact.channel)
            note(
                send, SendOutcome(.delivered, text: "for the console to show"), status: "posted", next: nil,
                now)
            if send.isResent { out.letters.append((send.message.id, nil)) }
            return
        }
        if disabled[contact.channel] != nil {
            return bury(
                send, SendOutcome(.gone, code: 410, text: "the endpoint is disabled since it answered 410"),
                now)
        }
        keep(send.key, send.json)
        sends[send.message.id] = send
        sendIsDue(send.message.id, now)
    }

    mutating func sendIsDue(_ id: String, _ now: Int64) {
        guard var send = sends[id], !send.isInFlight else { return }
        let contact = send.message.contact
        guard let channel = config.channels[contact.channel], config.isKnown(contact) else {
            return bury(
                send, SendOutcome(.dead, text: "there is no '\(contact)' in the configuration any more"), now)
        }
        if !channel.limits.isEmpty {
            let next = limits[contact, default: SlidingLimits()].next(channel.limits, now) ?? now + 60_000
            guard next <= now else {
                send.next = next
                sends[id] = send
                keep(send.tryKey, send.tryJson)
                timers.set(.send(id), at: next)
                counts.add(\.throttled, of: contact.channel)
                return
            }
            limits[contact, default: SlidingLimits()].begin()
            keepLimits(of: contact)
        }
        send.tries += 1
        send.isInFlight = true
        sends[id] = send
        keep(send.tryKey, send.tryJson)
        out.tries.append(send)
    }

    private mutating func keepLimits(of contact: NotifyContact) {
        if let limits = limits[contact] { keep("limits\u{1F}\(contact)", limits.json(of: contact)) }
    }

    /// A try has ended; `finishedAt` and `now`: milliseconds since 1970.
    package mutating func take(_ outcome: SendOutcome, of id: String, finishedAt: Int64, _ now: Int64) {
        guard var send = sends[id], send.isInFlight else { return }
        send.isInFlight = false
        let contact = send.message.contact
        if let channel = config.channels[contact.channel], !channel.limits.isEmpty {
            let isUnknown = outcome.verdict == .unknown
            limits[contact, default: SlidingLimits()].end(
                at: finishedAt + (isUnknown ? Self.unknownMargin : 0),
                counts: isUnknown || outcome.verdict == .delivered,
                channel.limits)
            keepLimits(of: contact)
            if boxes[contact] != nil { timers.set(.held(contact), at: now) }
            wake(contact, now)
        }
        counts.add(outcome.verdict == .delivered ? \.sent : \.failed, of: contact.channel)
        switch outcome.verdict {
        case .delivered:
            note(send, outcome, status: "delivered", next: nil, now)
            remove(send)
            if send.isResent { out.letters.append((id, nil)) }
        case .dead, .gone:
            if outcome.verdict == .gone { disable(contact.channel, now) }
            bury(send, outcome, now)
        case .refused, .unknown:
            let wait = RetrySchedule.wait(
                config.retries, tries: send.tries, id: id, retryAfter: outcome.retryAfter)
            guard let wait, now + wait <= send.message.giveUpAt else {
                var last = outcome
                last.text = "given up after \(send.tries) tries: \(outcome.text)"
                return bury(send, last, now)
            }
            send.next = now + wait
            sends[id] = send
            counts.add(\.retried, of: contact.channel)
            note(send, outcome, status: "failed", next: send.next, now)
            keep(send.tryKey, send.tryJson)
            timers.set(.send(id), at: send.next)
        }
    }

    /// Tries that wait for a slot look for it again.
    private mutating func wake(_ contact: NotifyContact, _ now: Int64) {
        for send in sends.values where send.message.contact == contact && !send.isInFlight && send.tries == 0
        {
            timers.set(.send(send.message.id), at: now)
        }
    }

    private mutating func disable(_ channel: String, _ now: Int64) {
        guard let url = config.channels[channel]?.url, disabled[channel] == nil else { return }
        disabled[channel] = Self.address(url)
        keep(
            "disabled\u{1F}\(channel)",
            "{\"channel\":\(JsonText.quoted(channel)),\"address\":\"\(Self.address(url))\"}")
        let id =
            "notice-"
            + NotifyMessage.id(
                of: [], route: channel, contact: NotifyContact(person: "", channel: "\(now)"), step: 0)
        notice(
            "endpoint", customer: "",
            "channel '\(channel)' answered 410: nothing is sent to it any more until its url is changed, or a "
                + "letter of it is sent again", id: id, now)
    }

    static func address(_ url: String) -> String { String(Sha256.hex(Array(url.utf8)).prefix(32)) }

    private mutating func remove(_ send: PendingSend) {
        sends[send.message.id] = nil
        timers.remove(.send(send.message.id))
        keep(send.key, nil)
        keep(send.tryKey, nil)
    }

    /// It is not tried any more: a letter, a word to those who look after it, and the next step of its
    /// escalation.
    private mutating func bury(_ send: PendingSend, _ outcome: SendOutcome, _ now: Int64) {
        counts.add(\.givenUp, of: send.message.contact.channel)
        note(send, outcome, status: outcome.verdict == .gone ? "disabled" : "dead", next: nil, now)
        remove(send)
        out.letters.append((send.message.id, DeliveryRecord.letter(send, outcome, now)))
        if let id = send.watch, watches[id] != nil { timers.set(.watch(id), at: now) }
        if send.message.alerts.contains(where: { !$0.rule.hasPrefix(Self.noticePrefix) }) {
            notice(
                "undelivered", customer: send.message.customer ?? "",
                "\(send.message.id) to \(send.message.contact) by route '\(send.message.route)' was not delivered: \(outcome.text)",
                id: "notice-\(send.message.id)", now)
        }
    }

    /// A record of an alerts topic that is no alert: kept as a letter, and said.
    package mutating func takeUnreadable(
        _ topic: String, _ partition: Int32, _ offset: Int64, _ text: String, _ error: String, _ now: Int64
    ) {
        counts.unreadable += 1
        let id = "unreadable-\(topic)-\(partition)-\(offset)"
        out.letters.append((id, DeliveryRecord.unreadable(id, topic, partition, offset, text, error, now)))
        notice(
            "unreadable", customer: "",
            "topic '\(topic)', partition \(partition), offset \(offset) is no alert: \(error)",
            id: "notice-" + id, now)
    }

    /// A record of the delivery log.
    private mutating func note(
        _ send: PendingSend, _ outcome: SendOutcome, status: String, next: Int64?, _ now: Int64
    ) {
        out.deliveries.append(
            (send.message.id, DeliveryRecord.json(send, outcome, status: status, next: next, now)))
    }
}
