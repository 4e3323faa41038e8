import Base

/// Reads the rows of one first field back, from all salts, in the order of their times.
package struct FlowReader {
    package struct Row {
        package var key: String
        /// Milliseconds; the event time.
        package var time: Int64
        package var cells: [(name: String, value: String)]
    }

    private let client: HBaseClient
    private let key: HBaseKey

    package init(_ table: HBaseTable, key: HBaseKey) throws(Fault) {
        client = try HBaseClient(table)
        self.key = key
    }

    /// Times are milliseconds, of the time behind the first field in the key, or else of the cells; `to` is
    /// not included. `isWhole` is false if there are more than `limit` rows, of which the newest or the
    /// oldest are there, as the key has them.
    package func rows(of value: String, from: Int64?, to: Int64?, limit: Int) throws(Fault) -> (
        rows: [Row], isWhole: Bool
    ) {
        guard let ranges = key.ranges(of: value, from: from, to: to.map { $0 - 1 }) else {
            throw Fault(
                .user,
                "the key \(key.pattern) does not begin with a field, so nothing can be looked for by it")
        }
        try client.check()
        var found: [(order: [UInt8], row: Row)] = []
        var isWhole = true
        for range in ranges {
            var count = 0
            try client.scan(start: range.start, end: range.end) { bytes, cells in
                let time = cells.map(\.timestamp).max() ?? 0
                if !key.boundsTime, time < from ?? Int64.min || time >= to ?? Int64.max { return true }
                guard count < limit else {
                    isWhole = false
                    return false
                }
                count += 1
                let texts = cells.map { (name: $0.name, value: String(decoding: $0.value, as: UTF8.self)) }
                let order = Array(key.salts == nil ? bytes[...] : bytes.dropFirst(2))
                found.append(
                    (order, Row(key: String(decoding: bytes, as: UTF8.self), time: time, cells: texts)))
                return true
            }
        }
        if found.count > limit {
            isWhole = false
            found.sort { $0.order.lexicographicallyPrecedes($1.order) }
            found.removeLast(found.count - limit)
        }
        let rows = found.sorted { a, b in
            a.row.time != b.row.time ? a.row.time < b.row.time : a.order.lexicographicallyPrecedes(b.order)
        }
        return (rows.map(\.row), isWhole)
    }
}
