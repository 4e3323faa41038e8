import Topology

extension NotifyMachine {

    /// Tells a contact now, or holds it back.
    mutating func deliver(
        _ alerts: [AlertBrief], to contact: NotifyContact, _ route: String, _ kind: NotifyMessage.Kind,
        step: Int, watch: String?,
        stormEnd: Int64, _ now: Int64
    ) {
        guard let channel = config.channels[contact.channel] else {
            return send(alerts[...], to: contact, route, kind, step: step, watch: watch, now)
        }
        let isCritical = alerts.contains { $0.severity == .critical }
        if stormEnd > now, channel.isForPeople {
            return hold(alerts, contact, route: route, step: step, .storm, until: stormEnd)
        }
        if !isCritical, let end = quietEnd(of: contact, now) {
            return hold(alerts, contact, route: route, step: step, .quiet, until: end)
        }
        var rest = alerts[...]
        while !rest.isEmpty {
            if !channel.limits.isEmpty {
                // What waits for a slot already comes first.
                let waits = boxes[contact]?.entries.contains { $0.notBefore <= now } ?? false
                guard !waits, limits[contact, default: SlidingLimits()].next(channel.limits, now) == now
                else {
                    counts.add(\.throttled, rest.count, of: contact.channel)
                    return hold(Array(rest), contact, route: route, step: step, .limit, until: now)
                }
            }
            let part = rest.prefix(channel.count(of: rest))
            rest = rest.dropFirst(part.count)
            send(part, to: contact, route, kind, step: step, watch: watch, now)
        }
    }

    private func quietEnd(of contact: NotifyContact, _ now: Int64) -> Int64? {
        config.people[contact.person]?.quiet?.end(after: now)
    }

    mutating func hold(
        _ alerts: [AlertBrief], _ contact: NotifyContact, route: String, step: Int,
        _ reason: HeldAlert.Reason, until: Int64
    ) {
        for alert in alerts {
            // In place: a box may be large.
            let number = boxes[contact, default: HeldBox()].next
            guard boxes[contact, default: HeldBox()].entries.count < HeldBox.entriesMax else {
                boxes[contact, default: HeldBox()].more += 1
                let more = boxes[contact]?.more ?? 0
                keep(
                    HeldBox.moreKey(contact),
                    "{\"contact\":\(JsonText.quoted("\(contact)")),\"more\":\(more)}")
                continue
            }
            let entry = HeldAlert(
                contact: contact, number: number, route: route, step: step, reason: reason, notBefore: until,
                alert: alert)
            boxes[contact, default: HeldBox()].next += 1
            boxes[contact, default: HeldBox()].entries.append(entry)
            keep(entry.key, entry.json)
        }
        if until < boxes[contact]?.due ?? .max { schedule(contact, at: until) }
    }

    private mutating func schedule(_ contact: NotifyContact, at time: Int64) {
        boxes[contact]?.due = time
        timers.set(.held(contact), at: time)
    }

    mutating func setTimer(of contact: NotifyContact) {
        guard let first = boxes[contact]?.entries.map(\.notBefore).min() else { return }
        schedule(contact, at: first)
    }

    /// Sends what a contact has to be told of by now, as far as limits allow.
    mutating func release(_ contact: NotifyContact, _ now: Int64) {
        guard let channel = config.channels[contact.channel] else {
            // Nobody is there any more; its letters say so.
            let entries = boxes.removeValue(forKey: contact)?.entries ?? []
            for entry in entries { keep(entry.key, nil) }
            keep(HeldBox.moreKey(contact), nil)
            send(
                entries.map(\.alert)[...], to: contact, entries.first?.route ?? "", .digest, step: 0,
                watch: nil, now)
            return
        }
        while let box = boxes[contact] {
            let ready = box.entries.filter { $0.notBefore <= now }
            guard !ready.isEmpty else {
                setTimer(of: contact)
                return
            }
            if !ready.contains(where: { $0.alert.severity == .critical }),
                let end = quietEnd(of: contact, now)
            {
                schedule(contact, at: end)
                return
            }
            if !channel.limits.isEmpty {
                // Where all slots are under way, their ends look here again.
                let next = limits[contact, default: SlidingLimits()].next(channel.limits, now) ?? now + 60_000
                if next > now {
                    schedule(contact, at: next)
                    return
                }
            }
            release(ready, of: contact, channel, now)
        }
    }

    private mutating func release(
        _ ready: [HeldAlert], of contact: NotifyContact, _ channel: NotifyChannel, _ now: Int64
    ) {
        let part = ready.prefix(channel.count(of: ready.map(\.alert)))
        let numbers = Set(part.map(\.number))
        boxes[contact]?.entries.removeAll { numbers.contains($0.number) }
        for entry in part { keep(entry.key, nil) }
        let isLast = boxes[contact]?.entries.isEmpty ?? true
        let more = isLast ? boxes[contact]?.more ?? 0 : 0
        if more > 0 { keep(HeldBox.moreKey(contact), nil) }
        if isLast { boxes[contact] = nil }
        let isSingle = part.count == 1 && more == 0
        let kind: NotifyMessage.Kind = !isSingle ? .digest : part[0].alert.isCleared ? .cleared : .alert
        send(
            part.map(\.alert)[...], to: contact, part[0].route, kind, step: part.map(\.step).max() ?? 0,
            watch: nil, more: more, now)
    }
}

extension AlertBrief {
    /// At most so many as JSON, beside the names of its members.
    var bytes: Int {
        [id, rule, risk, customer, measure, message, eventTime].reduce(150) { sum, text in
            text.utf8.reduce(sum) { $0 + ($1 < 0x20 ? 6 : $1 == 0x22 || $1 == 0x5C ? 2 : 1) }
        }
    }
}
