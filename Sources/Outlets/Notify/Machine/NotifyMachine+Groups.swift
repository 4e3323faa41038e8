import Topology

extension NotifyMachine {
    /// How long it is remembered who was told of an alert that is not cleared.
    static let groupKept: Int64 = 30 * 86_400_000
    /// Customers and risks of a route that are remembered for alerts that were too old when they were read.
    static let staleGroupsMax = 100_000

    /// `at`: when the alert could be read, milliseconds.
    package mutating func take(_ alert: AlertBrief, at: Int64, _ now: Int64) {
        counts.alerts += 1
        let routes = config.routes(of: alert)
        if routes.isEmpty { counts.unrouted += 1 }
        for route in routes { take(alert, route, at: at, now) }
    }

    private mutating func take(_ alert: AlertBrief, _ route: NotifyRoute, at: Int64, _ now: Int64) {
        let key = AlertGroup.Key(route: route.name, customer: alert.customer, risk: alert.risk)
        let isStale = !alert.isCleared && now - at > config.giveUp(alert.severity)
        if isStale, groups[key] == nil, groups.count >= Self.staleGroupsMax {
            // A first start reads whatever the topics hold: of so much only the digest is kept.
            for contact in route.to {
                hold([alert], contact, route: route.name, step: 0, .stale, until: now + Self.noticeWait)
            }
            return
        }
        var group = groups[key] ?? AlertGroup(key: key)
        // What nobody was told of needs no word that it is over.
        if alert.isCleared, !group.seen.contains(where: { $0.id == alert.id }) { return }
        guard group.note(alert) else {
            counts.repeated += 1
            return
        }
        defer {
            groups[key] = group
            keep(key.text, group.json)
            setTimer(of: group, route, now)
        }
        if let place = group.pending.firstIndex(where: { $0.id == alert.id }) {
            // It is told once, as it is by then.
            var newest = alert
            if group.pending[place].severity.rank > alert.severity.rank {
                newest.severity = group.pending[place].severity
            }
            group.pending[place] = newest
            return
        }
        if isStale {
            for contact in route.to {
                hold([alert], contact, route: route.name, step: 0, .stale, until: now + Self.noticeWait)
                if !group.told.contains(contact) { group.told.append(contact) }
            }
            return
        }
        let time = group.due(alert, route, now)
        group.pending.append(alert)
        let isFull =
            group.pending.count >= AlertGroup.pendingMax
            || group.pending.reduce(0) { $0 + $1.bytes } > AlertBrief.messageBytesMax
        group.due = min(group.due ?? .max, isFull ? now : time)
    }

    /// Of what the group waits for next: its message, or that it can be forgotten.
    mutating func setTimer(of group: AlertGroup, _ route: NotifyRoute?, _ now: Int64) {
        let quiet = group.hasRaised ? Self.groupKept : max(route?.join ?? 0, 3_600_000)
        timers.set(.group(group.key), at: group.due ?? (group.sentAt ?? now) + quiet)
    }

    mutating func groupIsDue(_ key: AlertGroup.Key, _ now: Int64) {
        guard var group = groups[key] else { return }
        guard !group.pending.isEmpty else {
            groups[key] = nil
            keep(key.text, nil)
            return
        }
        let alerts = group.pending
        group.pending = []
        group.due = nil
        guard let route = config.route(named: key.route) else {
            // The route is gone from the file: what it had not told goes where alerts go now.
            groups[key] = nil
            keep(key.text, nil)
            for alert in alerts { take(alert, at: now, now) }
            return
        }
        flush(&group, alerts, route, now)
        groups[key] = group
        keep(key.text, group.json)
        setTimer(of: group, route, now)
    }

    private mutating func flush(
        _ group: inout AlertGroup, _ alerts: [AlertBrief], _ route: NotifyRoute, _ now: Int64
    ) {
        let raised = alerts.filter { !$0.isCleared }
        let kind: NotifyMessage.Kind = raised.isEmpty && group.sentAt != nil ? .cleared : .alert
        let contacts = kind == .cleared ? group.told : route.to
        var watch: EscalationWatch?
        if let first = route.escalation.first,
            raised.contains(where: { $0.severity.rank >= route.escalatesFrom.rank })
        {
            let id = NotifyMessage.id(
                of: alerts, route: route.name, contact: NotifyContact(person: "", channel: ""), step: 0)
            watch = EscalationWatch(
                id: id, group: group.key, sentAt: now, due: now + first.after, step: 0,
                alerts: raised.filter { $0.severity.rank >= route.escalatesFrom.rank })
        }
        if let watch {
            watches[watch.id] = watch
            keep(watch.key, watch.json)
            timers.set(.watch(watch.id), at: watch.due)
        }
        let notBefore = stormEnd(route.name, now)
        for contact in contacts {
            deliver(
                alerts, to: contact, route.name, kind, step: 0, watch: watch?.id, stormEnd: notBefore, now)
            if !group.told.contains(contact) { group.told.append(contact) }
        }
        group.sentAt = now
        let worst = raised.map(\.severity).max { $0.rank < $1.rank }
        if group.hasRaised {
            if let worst, worst.rank > group.sentSeverity?.rank ?? -1 { group.sentSeverity = worst }
        } else {
            group.sentSeverity = nil
        }
    }

    /// When the route's next message may go out.
    private mutating func stormEnd(_ route: String, _ now: Int64) -> Int64 {
        var window = storms[route] ?? StormWindow(start: now)
        let end = window.note(now, most: config.storm)
        storms[route] = window
        keep(
            "storm\u{1F}\(route)",
            "{\"route\":\(JsonText.quoted(route)),\"start\":\(window.start),\"count\":\(window.count),\"storm\":\(window.isStorm)}"
        )
        return end
    }

    // MARK: Escalation

    mutating func watchIsDue(_ id: String, _ now: Int64) {
        guard var watch = watches[id] else { return }
        let group = groups[watch.group]
        var until: Int64?
        watch.alerts.removeAll { alert in
            if group?.isCleared(alert.id) ?? true { return true }
            switch dispositions[alert.id] {
            case nil: return false
            case let disposition? where disposition.status == .snoozed:
                guard let end = disposition.until else { return true }
                if end > now { until = max(until ?? end, end) }
                return false
            default: return true
            }
        }
        guard !watch.alerts.isEmpty, let route = config.route(named: watch.group.route),
            watch.step < route.escalation.count
        else {
            return drop(watch)
        }
        if let until {
            watch.due = until
        } else {
            let step = route.escalation[watch.step]
            for contact in step.to {
                deliver(
                    watch.alerts, to: contact, route.name, .escalation, step: watch.step + 1, watch: id,
                    stormEnd: now, now)
                if groups[watch.group]?.told.contains(contact) == false {
                    groups[watch.group]?.told.append(contact)
                }
            }
            if let group = groups[watch.group] { keep(watch.group.text, group.json) }
            watch.step += 1
            guard watch.step < route.escalation.count else { return drop(watch) }
            watch.due = max(now, watch.sentAt + route.escalation[watch.step].after)
        }
        watches[id] = watch
        keep(watch.key, watch.json)
        timers.set(.watch(id), at: watch.due)
    }

    private mutating func drop(_ watch: EscalationWatch) {
        watches[watch.id] = nil
        timers.remove(.watch(watch.id))
        keep(watch.key, nil)
    }
}
