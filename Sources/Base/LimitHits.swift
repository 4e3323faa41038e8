/// How often limits were hit, by limit and step. A hit is rare, and may cost what a dead letter costs.
package struct LimitHits: Sendable {
    package struct Place: Hashable, Sendable {
        package var limit: LimitName
        /// The step, source or sink that it was hit at.
        package var step: String

        package init(_ limit: LimitName, _ step: String) {
            self.limit = limit
            self.step = step
        }
    }

    private struct Hits: Sendable {
        var count: Int64 = 0
        /// Since the last line, and hashes of their keys, the first `Limits.limitKeysCounted`.
        var untold: Int64 = 0
        var keys: Set<UInt64> = []
        /// When the last line was due, milliseconds.
        var toldAt: Int64?
    }

    private var hits: [Place: Hits] = [:]
    private static let minute: Int64 = 60_000

    package init() {}

    package var isEmpty: Bool { hits.isEmpty }

    /// `key`: a hash of the key that it was hit for, if there is one.
    package mutating func note(_ limit: LimitName, _ step: String, key: UInt64? = nil, count: Int64 = 1) {
        hits[Place(limit, step), default: Hits()].count += count
        hits[Place(limit, step), default: Hits()].untold += count
        let known = hits[Place(limit, step)]?.keys.count ?? 0
        if let key, known < Limits.limitKeysCounted { hits[Place(limit, step)]?.keys.insert(key) }
    }

    /// Hits since the start, sorted by name.
    package var counts: [(place: Place, count: Int64)] {
        hits.map { ($0.key, $0.value.count) }.sorted {
            ($0.0.limit.rawValue, $0.0.step) < ($1.0.limit.rawValue, $1.0.step)
        }
    }

    /// A line for each limit that was hit since its last one, at most one a minute. `now`: milliseconds of a
    /// clock that does not go back; nil: all that is untold, whenever the last line was.
    package mutating func lines(now: Int64?) -> [String] {
        var lines: [String] = []
        for (place, _) in counts {
            guard let told = hits[place], told.untold > 0 else { continue }
            if let now, let last = told.toldAt, now - last < Self.minute { continue }
            lines.append(Self.line(place, told))
            hits[place]?.untold = 0
            hits[place]?.keys = []
            hits[place]?.toldAt = now
        }
        return lines
    }

    private static func line(_ place: Place, _ hits: Hits) -> String {
        let entry = place.limit.entry
        let times = hits.untold == 1 ? "once" : "\(hits.untold) times"
        let isAtLeast = hits.keys.count >= Limits.limitKeysCounted
        let many = isAtLeast ? "\(Limits.limitKeysCounted) keys or more" : "\(hits.keys.count) keys"
        let keys = hits.keys.isEmpty ? "" : hits.keys.count == 1 ? ", for one key" : ", for \(many)"
        let raised = entry.raisedBy.map { "; \($0) raises it" } ?? ""
        return
            "'\(place.step)': limit \(place.limit.rawValue) was hit \(times)\(keys): \(entry.whenHit)\(raised)"
    }
}
