import Records

/// What the names of an expression may stand for.
package struct ExpressionScope {
    package struct Column: Hashable {
        package var name: String
        /// nil: a mistake elsewhere keeps it from being known, which is no second mistake here.
        package var type: ValueType?

        package init(name: String, type: ValueType?) { (self.name, self.type) = (name, type) }
    }

    /// The index is that of `Expression.Node.column`.
    package var columns: [Column]
    /// Other names of columns: `amount` for `today.amount`.
    package var shortNames: [String: Int] = [:]
    /// Short names that several columns have, and those columns.
    package var ambiguousNames: [String: [String]] = [:]
    /// Names that this expression comes too early for.
    package var laterNames: Set<String> = []
    /// False where names are missing because of a mistake elsewhere.
    package var isComplete = true
    /// What the names are, for messages: `field of orders`.
    package var nameKind: String
    /// Zone of the time functions where none is written.
    package var zone: String?
    package var zones: ZoneNames
    /// The kind of windows whose aggregates may be used here; nil: none.
    package var window: WindowKind?

    package enum WindowKind: Hashable {
        case milliseconds, days, session
        /// No windows: records that are counted.
        case records
        /// A mistake in the window; nothing is known.
        case unknown
    }

    package func index(of name: String) -> Int? {
        columns.firstIndex { $0.name == name } ?? shortNames[name]
    }

    package var names: [String] { columns.map(\.name) + shortNames.keys.sorted() }
}

/// IANA time zones, as closures so that a test needs no system.
package struct ZoneNames: Sendable {
    package var isZone: @Sendable (String) -> Bool
    package var names: @Sendable () -> [String]

    package init(isZone: @escaping @Sendable (String) -> Bool, names: @escaping @Sendable () -> [String]) {
        self.isZone = isZone
        self.names = names
    }

    package static let system = ZoneNames(
        isZone: { TimeZoneTable.isZone($0) },
        names: { TimeZoneTable.zoneNames() }
    )

    /// The message for a name that is no zone.
    package func mistake(_ name: String) -> String {
        let known = names()
        // People know the city and not the continent.
        let city = known.first { $0.lowercased().hasSuffix("/" + name.lowercased()) }
        if let nearest = city ?? NearestName.nearest(to: name, among: known) {
            return "no time zone '\(name)'; did you mean '\(nearest)'?"
        }
        return "no time zone '\(name)'; zones are written like Asia/Shanghai or UTC"
    }
}
