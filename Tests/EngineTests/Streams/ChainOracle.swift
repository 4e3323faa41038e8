import Foundation
import Topology

/// A row of a stream as a plain program has it: event time and texts by field.
struct ChainRow: Hashable {
    var time: Int64
    var fields: [String: String]

    subscript(_ name: String) -> String { fields[name] ?? "null" }
}

/// What operators make, as walks over lists.
enum ChainOracle {
    /// Those of one instant stay as they are.
    static func byTime(_ rows: [ChainRow]) -> [ChainRow] {
        rows.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }.map(
            \.element)
    }

    /// Rows of each key, in event-time order.
    static func keyed(_ rows: [ChainRow], _ key: String) -> [[ChainRow]] {
        Array(Dictionary(grouping: byTime(rows)) { $0[key] }.values)
    }

    /// `aggregate: { n: count(), note: first(note), last: last(note) }`
    static func window(_ rows: [ChainRow], key: String, size: Int64, note: String = "note") -> [ChainRow] {
        keyed(rows, key).flatMap { own in
            Dictionary(grouping: own) { $0.time / size }.map { index, rows in
                ChainRow(time: (index + 1) * size - 1, fields: totals(rows, key, note))
            }
        }
    }

    static func totals(_ rows: [ChainRow], _ key: String, _ note: String) -> [String: String] {
        let notes = rows.map { $0[note] }.filter { $0 != "null" }
        return [
            key: rows[0][key], "n": "\(rows.count)", "note": notes.first ?? "null",
            "last": notes.last ?? "null",
        ]
    }

    static func session(_ rows: [ChainRow], key: String, gap: Int64, max: Int64) -> [ChainRow] {
        keyed(rows, key).flatMap { own in
            var sessions: [[ChainRow]] = []
            func end(_ session: [ChainRow]) -> Int64 {
                min(session[session.count - 1].time + gap, session[0].time + max)
            }
            for row in own {
                if let last = sessions.last, row.time < end(last) {
                    sessions[sessions.count - 1].append(row)
                } else {
                    sessions.append([row])
                }
            }
            return sessions.map { ChainRow(time: end($0) - 1, fields: totals($0, key, "note")) }
        }
    }

    static func join(_ left: [ChainRow], _ right: [ChainRow], key: String, within: Int64, isLeft: Bool)
        -> [ChainRow]
    {
        let partners = Dictionary(grouping: right) { $0[key] }
        return left.flatMap { row in
            let found = (partners[row[key]] ?? []).filter { abs($0.time - row.time) <= within }
            if found.isEmpty, isLeft {
                return [
                    ChainRow(time: row.time + within, fields: row.fields.merging(["r.found": "false"]) { $1 })
                ]
            }
            return found.map { partner in
                var fields = row.fields
                for (name, value) in partner.fields { fields["r.\(name)"] = value }
                if isLeft { fields["r.found"] = "true" }
                return ChainRow(time: max(row.time, partner.time), fields: fields)
            }
        }
    }

    /// The row at which so many in a row have come.
    static func repeated(_ rows: [ChainRow], key: String, times: Int, within: Int64) -> [ChainRow] {
        keyed(rows, key).compactMap { own in
            own.count >= times && own[times - 1].time - own[0].time <= within ? own[times - 1] : nil
        }
    }

    static func then(
        _ rows: [ChainRow], key: String, within: Int64, _ first: (ChainRow) -> Bool,
        _ second: (ChainRow) -> Bool
    ) -> [ChainRow] {
        keyed(rows, key).flatMap { own in
            var waiting: [ChainRow] = []
            return own.compactMap { row -> ChainRow? in
                waiting.removeAll { row.time - $0.time > within }
                var made: ChainRow?
                if second(row), let place = waiting.firstIndex(where: { $0.time < row.time }) {
                    var fields = row.fields
                    for (name, value) in waiting.remove(at: place).fields { fields["first.\(name)"] = value }
                    made = ChainRow(time: row.time, fields: fields)
                }
                if first(row) { waiting.append(row) }
                return made
            }
        }
    }

    static func without(
        _ rows: [ChainRow], key: String, within: Int64, _ first: (ChainRow) -> Bool,
        _ second: (ChainRow) -> Bool
    ) -> [ChainRow] {
        keyed(rows, key).flatMap { own in
            own.filter(first).filter { row in
                !own.contains { second($0) && $0.time > row.time && $0.time - row.time <= within }
            }.map { ChainRow(time: $0.time + within, fields: $0.fields) }
        }
    }

    /// The greatest of one instant and key; of equals the first by `note`.
    static func top(_ rows: [ChainRow], key: String, count: Int, by value: String) -> [ChainRow] {
        Dictionary(grouping: rows) { "\($0[key]) \($0.time)" }.values.flatMap { own in
            let best = own.sorted { a, b in
                let (one, other) = (Int(a[value]) ?? 0, Int(b[value]) ?? 0)
                return one != other ? one > other : a["note"] < b["note"]
            }
            return best.prefix(count).enumerated().map { rank, row in
                ChainRow(time: row.time, fields: row.fields.merging(["rank": "\(rank + 1)"]) { $1 })
            }
        }
    }

    static func deduplicate(_ rows: [ChainRow], by key: String, within: Int64) -> [ChainRow] {
        keyed(rows, key).flatMap { own in
            var last = Int64.min / 2
            return own.filter { row in
                guard row.time - last > within else { return false }
                last = row.time
                return true
            }
        }
    }
}
