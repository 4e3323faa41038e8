import Records

/// Levels by looking at every second: which items there are is found anew from all of a customer's records
/// each time.
struct LevelsOracle {
    typealias Event = LevelsHarness.Event

    static let columns = [
        "changed_at", "direction", "level", "previous", "score", "items", "repeats", "measure", "cause",
        "item", "until",
        "reason", "owner",
    ]
    static let names = ["none", "a", "b", "c"]
    static let measures = ["-", "look", "-", "call; freeze"]
    static let at: [Int64] = [0, 30, 60, 90]
    static let below: [Int64] = [0, 20, 45, 70]
    static let hold: [Int64] = [0, 20_000, 0, 30_000]
    static let expire: Int64 = 40_000

    /// 0: none.
    var group: Int64
    private var rows: [String] = []
    private var alerts: [Event] = []
    private var level = 0
    private var since: Int64 = 0
    private var suppressed: [String: Int64] = [:]
    private var allUntil: Int64?
    private var snoozed: Int64?

    init(group: Int64) { self.group = group }

    /// The rows of each customer, from events of which none is late.
    static func rows(_ events: [Event], group: Int64) -> [String: [String]] {
        var result: [String: [String]] = [:]
        for (customer, events) in Dictionary(grouping: events, by: \.customer) {
            var oracle = LevelsOracle(group: group)
            let seconds = Dictionary(grouping: events, by: \.time)
            var second: Int64 = 0
            let last = (events.map { max($0.time, $0.until ?? 0) }.max() ?? 0) + 200_000
            while second <= last {
                // Controls first.
                for event in (seconds[second] ?? []).sorted(by: { $0.isControl && !$1.isControl }) {
                    event.isControl ? oracle.control(event) : oracle.alert(event)
                }
                oracle.end(of: second)
                second += 1000
            }
            if !oracle.rows.isEmpty { result["C\(customer)"] = oracle.rows }
        }
        return result
    }

    struct Item: Equatable {
        var name: String
        var weight: Int64
        var time: Int64
        var repeats = 0
    }

    /// The items at `time`; `isOver`: what is due at that instant has happened.
    private func items(_ time: Int64, isOver: Bool) -> [Item] {
        var items: [String: Item] = [:]
        for alert in alerts {
            guard let name = alert.item else { continue }
            if let item = items[name], item.time + Self.expire < alert.time { items[name] = nil }
            guard alert.isRaised else {
                items[name] = nil
                continue
            }
            let weight = alert.weight ?? 0
            if let item = items[name], group > 0, alert.time < item.time + group, weight <= item.weight {
                items[name]?.repeats += 1
            } else {
                items[name] = Item(
                    name: name, weight: weight, time: alert.time, repeats: items[name]?.repeats ?? 0)
            }
        }
        let left = items.values.filter {
            isOver ? time < $0.time + Self.expire : time <= $0.time + Self.expire
        }
        return left.sorted { ($1.weight, $0.name) < ($0.weight, $1.name) }
    }

    private func counts(_ item: Item) -> Bool { allUntil == nil && suppressed[item.name] == nil }

    private mutating func alert(_ event: Event) {
        let before = items(event.time, isOver: false)
        alerts.append(event)
        let after = items(event.time, isOver: false)
        guard let name = event.item,
            before.map(\.time) != after.map(\.time) || before.map(\.weight) != after.map(\.weight)
                || before.map(\.name) != after.map(\.name)
        else { return }
        evaluate(event.time, after, cause: name, isFree: false)
    }

    private mutating func control(_ event: Event) {
        let refusal = refusal(event)
        let current = level
        let wasSnoozed = snoozed != nil
        if refusal == nil {
            switch (event.action, event.item) {
            case ("suppress", nil): allUntil = event.until ?? .max
            case ("suppress", let item?): suppressed[item] = event.until ?? .max
            case ("snooze", _): snoozed = event.until
            case (_, let item?): suppressed[item] = nil
            default: (allUntil, snoozed, suppressed) = (nil, nil, [:])
            }
        }
        let items = items(event.time, isOver: false)
        add(
            event.time, "control", current, current, items,
            cause: refusal.map { "refused: \($0)" } ?? event.action ?? "", event)
        if refusal == nil {
            var record = event
            (record.item, record.until) = (nil, nil)
            evaluate(event.time, items, cause: "control", isFree: wasSnoozed && snoozed == nil, record)
        }
    }

    private func refusal(_ event: Event) -> String? {
        guard let action = event.action else { return "no action" }
        if action == "stop" { return "no action 'stop'; there are suppress, snooze and resume" }
        if event.reason ?? "" == "" { return "no reason" }
        if event.owner ?? "" == "" { return "no owner" }
        if action == "snooze", event.item != nil {
            return "snooze is for all items; leave out 'item', or suppress it"
        }
        if action == "snooze", event.until == nil { return "snooze needs 'until'" }
        if action != "resume", let until = event.until, until <= event.time {
            return "'until' is not after the record"
        }
        if action == "resume" {
            let isThere =
                event.item.map { suppressed[$0] != nil }
                ?? (allUntil != nil || snoozed != nil || !suppressed.isEmpty)
            if !isThere { return "nothing to resume" }
        }
        return nil
    }

    private mutating func end(of second: Int64) {
        let before = items(second, isOver: false)
        let after = items(second, isOver: true)
        var cause = "hold"
        var isFree = false
        if let until = snoozed, until <= second { (snoozed, cause, isFree) = (nil, "control", true) }
        if let until = allUntil, until <= second { (allUntil, cause) = (nil, "control") }
        for (name, until) in suppressed where until <= second { (suppressed[name], cause) = (nil, "control") }
        if before.count != after.count { cause = "expiry" }
        evaluate(second, after, cause: cause, isFree: isFree)
    }

    private func score(_ items: [Item]) -> Int64 { items.filter(counts).reduce(0) { $0 + $1.weight } }

    private func isHeldUp(_ level: Int, _ items: [Item]) -> Bool {
        level == 3 && items.filter { counts($0) && $0.weight >= 40 }.count >= 2
    }

    private mutating func evaluate(
        _ time: Int64, _ items: [Item], cause: String, isFree: Bool, _ event: Event? = nil
    ) {
        if snoozed != nil { return }
        let score = score(items)
        let target = (1...3).last { score >= Self.at[$0] || isHeldUp($0, items) } ?? 0
        if target > level {
            add(time, "up", target, level, items, cause: cause, event)
            (level, since) = (target, time)
            return
        }
        func mayLeave(_ level: Int) -> Bool {
            level > 0 && score < Self.below[level] && !isHeldUp(level, items)
        }
        while mayLeave(level), since + Self.hold[level] <= time {
            var next = level - 1
            while isFree, mayLeave(next) { next -= 1 }
            add(time, "down", next, level, items, cause: cause, event)
            (level, since) = (next, time)
        }
    }

    private mutating func add(
        _ time: Int64, _ direction: String, _ level: Int, _ previous: Int, _ items: [Item], cause: String,
        _ event: Event?
    ) {
        let list = items.map {
            "\($0.name) \(Decimal.string($0.weight, scale: 1))\(counts($0) ? "" : " (suppressed)")"
        }
        let values: [String] = [
            CivilTime.string(time), direction, Self.names[level], Self.names[previous],
            Decimal.string(score(items), scale: 1), list.joined(separator: ", "),
            "\(items.reduce(0) { $0 + $1.repeats })",
            level == previous ? "-" : Self.measures[level], cause, event?.item ?? "-",
            event?.until.map { CivilTime.string($0) } ?? "-", event?.reason ?? "-", event?.owner ?? "-",
        ]
        rows.append(values.joined(separator: "|"))
    }
}
