import Connectors
import Foundation
import Marketplace
import Records

/// An event as a reader of the JSON sees it.
struct SeenEvent {
    var merchant: Int
    var order: Substring
    var buyer: Substring
    var kind: Substring
    var cents: Int
    var time: Int64

    var localDay: Int64 { (time + Marketplace.zoneOffset) / Marketplace.day }
    var localHour: Int64 { (time + Marketplace.zoneOffset) % Marketplace.day / Marketplace.hour }
}

func text(_ arena: Arena) -> String {
    String(decoding: UnsafeBufferPointer(start: arena.base, count: arena.count), as: UTF8.self)
}

func bytes(_ options: MarketplaceOptions, step: Int) throws -> [UInt8] {
    var marketplace = try Marketplace(options)
    let events = MarketplaceEvents()
    while marketplace.next(into: events, eventsMax: step) > 0 {}
    return Array(UnsafeBufferPointer(start: events.bytes.base, count: events.bytes.count))
}

/// Milliseconds of `2026-03-01T16:00:00.000Z`.
func milliseconds(_ text: String) throws -> Int64 {
    let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
    return Int64((try style.parse(text).timeIntervalSince1970 * 1000).rounded())
}

/// Every event that is left, by splitting its line at the quotes.
func read(_ marketplace: inout Marketplace) throws -> [SeenEvent] {
    var seen: [SeenEvent] = []
    let events = MarketplaceEvents()
    while marketplace.next(into: events, eventsMax: 50_000) > 0 {
        for (line, event) in zip(text(events.bytes).split(separator: "\n"), events.events) {
            let parts = line.split(separator: "\"", omittingEmptySubsequences: false)
            let amount = parts[18].dropFirst().dropLast()
            seen.append(
                SeenEvent(
                    merchant: Int(parts[7].dropFirst())! - 1,
                    order: parts[3],
                    buyer: parts[11],
                    kind: parts[15],
                    cents: Int(amount.filter { $0 != "." })!,
                    time: event.time
                )
            )
        }
        events.removeAll()
    }
    return seen
}

/// A day's turnover above five times the mean of the days before it.
func findsVolumeSpike(_ events: [SeenEvent]) -> Bool {
    let days = Dictionary(grouping: events.filter { $0.kind == "paid" }, by: \.localDay)
    guard let first = days.keys.min() else { return false }
    return days.contains { day, today in
        let before = days.filter { $0.key < day }.values.joined()
        let count = Int(day - first)
        return count >= 3 && before.count >= 10 * count
            && today.reduce(0) { $0 + $1.cents } * count > 5 * before.reduce(0) { $0 + $1.cents }
    }
}

/// Refunds of 24 hours above 30 % of the orders, from 10 refunds and 20 orders on.
func findsRefundWave(_ events: [SeenEvent]) -> Bool {
    windows(events, length: Marketplace.day) { window in
        let paid = window.count { $0.kind == "paid" }
        let refunded = window.count { $0.kind == "refunded" }
        return refunded >= 10 && paid >= 20 && refunded * 10 > paid * 3
    }
}

/// More than half of a day's orders before 6 o'clock, from 20 orders on.
func findsOddHours(_ events: [SeenEvent]) -> Bool {
    let days = Dictionary(grouping: events.filter { $0.kind == "paid" }, by: \.localDay)
    return days.values.contains { day in
        day.count >= 20 && day.count { $0.localHour < 6 } * 2 > day.count
    }
}

/// More than 8 orders a buyer within an hour, from 30 orders on.
func findsOneBuyer(_ events: [SeenEvent]) -> Bool {
    windows(events.filter { $0.kind == "paid" }, length: Marketplace.hour) { window in
        window.count >= 30 && window.count > 8 * Set(window.map(\.buyer)).count
    }
}

/// Whether `holds` for the events of `length` up to any tenth event or so; looking at each would take long.
private func windows(
    _ events: [SeenEvent],
    length: Int64,
    _ holds: (ArraySlice<SeenEvent>) -> Bool
) -> Bool {
    var start = 0
    for end in events.indices {
        while events[start].time <= events[end].time - length { start += 1 }
        if end % 10 == 9, holds(events[start...end]) { return true }
    }
    return false
}
