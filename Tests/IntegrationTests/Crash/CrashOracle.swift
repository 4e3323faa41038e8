import Base
import Connectors
import Engine
import Foundation
import Records

/// The aggregates that Redis must hold, computed plainly from the orders as they stand in the topic.
enum CrashOracle {
    private struct Window {
        var start: Int64
        var end: Int64
        var orders: [CrashStream.Order]
    }

    /// The fields of each merchant's hash.
    /// - Parameter partitions: good and bad orders of each partition in the order of their offsets.
    static func hashes(_ partitions: [[CrashStream.Order]]) throws -> [String: [String: String]] {
        let zone = try TimeZoneTable.read("Asia/Shanghai")
        var result: [String: [String: String]] = [:]
        for orders in partitions {
            for (merchant, window) in windows(orders, bounds: fiveMinutes) {
                result["merchant:\(merchant)", default: [:]].merge(fields("turnover", window)) { $1 }
            }
            for (merchant, window) in windows(orders, bounds: { day($0, zone) }) {
                result["merchant:\(merchant)", default: [:]].merge(fields("today", window)) { $1 }
            }
        }
        return result
    }

    /// The newest window of five minutes that `time` lies in; they slide by ten seconds.
    private static func fiveMinutes(_ time: Int64) -> (start: Int64, end: Int64, lastEnd: Int64) {
        let end = (time / 10_000 + 1) * 10_000
        return (end - 300_000, end, end + 290_000)
    }

    private static func day(_ time: Int64, _ zone: TimeZoneTable) -> (
        start: Int64, end: Int64, lastEnd: Int64
    ) {
        var cursor = zone.cursor()
        let day = zone.localDay(containing: time, &cursor)
        let end = zone.startOfDay(ordinal: day + 1)
        return (zone.startOfDay(ordinal: day), end, end)
    }

    /// Of each merchant, the window of its newest order. An order counts unless the last window that it lies
    /// in had closed when it came. Merchants without an order in any open window are left out: when they are
    /// forgotten depends on how fast time passed, and so does whether their last window was still shown.
    private static func windows(
        _ orders: [CrashStream.Order],
        bounds: (Int64) -> (start: Int64, end: Int64, lastEnd: Int64)
    ) -> [String: Window] {
        var counted: [String: [CrashStream.Order]] = [:]
        var greatest = Int64.min
        for order in orders where order.malformed == nil {
            greatest = max(greatest, order.time)
            let isInTime = bounds(order.time).lastEnd > greatest - CrashStream.outOfOrderMilliseconds
            if order.isPaid, isInTime { counted[order.merchantName, default: []].append(order) }
        }
        return counted.compactMapValues { orders in
            let newest = orders.map(\.time).max() ?? 0
            let (start, end, lastEnd) = bounds(newest)
            guard lastEnd > greatest - CrashStream.outOfOrderMilliseconds else { return nil }
            return Window(start: start, end: end, orders: orders.filter { $0.time >= start && $0.time < end })
        }
    }

    private static func fields(_ step: String, _ window: Window) -> [String: String] {
        let orders = window.orders
        let amounts = orders.map(\.amount)
        var fields = [
            "orders": "\(orders.count)",
            "amount": CrashStream.decimal(amounts.reduce(0, +)),
            "largest": CrashStream.decimal(amounts.max() ?? 0),
            "buyers": "\(Set(orders.map(\.buyer)).count)",
            "window_start": CivilTime.string(window.start),
            "window_end": CivilTime.string(window.end),
        ]
        if step == "turnover" {
            fields["smallest"] = CrashStream.decimal(amounts.min() ?? 0)
            // Of orders at one instant the first, and the last, that came.
            var (first, last) = (orders[0], orders[0])
            for order in orders {
                if order.time < first.time { first = order }
                if order.time >= last.time { last = order }
            }
            fields["opening"] = first.id
            fields["closing"] = CrashStream.decimal(last.amount)
        }
        return Dictionary(uniqueKeysWithValues: fields.map { ("\(step).\($0.key)", $0.value) })
    }

    /// Where the stores, as their changelog has them, hold something else; each in at most 400 characters.
    static func differences(_ expected: [String: [String: String]], _ stores: StateInspector) -> [String] {
        var kept: [String: String] = [:]
        for entry in stores.entries(where: { ["turnover", "today"].contains($0.store) }) {
            kept["\(entry.state.store) merchant:\(entry.state.text)"] = entry.state.json
        }
        var found: [String] = []
        for (key, fields) in expected.sorted(by: { $0.key < $1.key }) {
            for (field, value) in fields.sorted(by: { $0.key < $1.key }) {
                let parts = field.split(separator: ".", maxSplits: 1)
                let json = kept["\(parts[0]) \(key)"] ?? "nothing"
                let name =
                    parts[1] == "window_start" ? "start" : parts[1] == "window_end" ? "end" : String(parts[1])
                // Decimals, texts and times stand in quotes, counts do not.
                guard !json.contains("\"\(name)\":\"\(value)\""), !json.contains("\"\(name)\":\(value),"),
                    !json.contains("\"\(name)\":\(value)}")
                else { continue }
                found.append(CrashComparison.short("store \(key): \(field) is not \(value): \(json)"))
            }
        }
        return found
    }

    /// Where Redis holds something else; each in at most 400 characters.
    static func differences(_ expected: [String: [String: String]], _ redis: RedisAddress) throws -> [String]
    {
        let reader = try RedisReader(redis)
        var found: [String] = []
        for (key, fields) in expected.sorted(by: { $0.key < $1.key }) {
            let held = try reader.hash(key)
            let wrong = fields.sorted { $0.key < $1.key }.filter { held[$0.key] != $0.value }.map {
                "\($0.key) is \(held[$0.key] ?? "missing"), not \($0.value)"
            }
            if !wrong.isEmpty {
                found.append(CrashComparison.short("Redis \(key): \(wrong.joined(separator: "; "))"))
            }
        }
        return found
    }
}
