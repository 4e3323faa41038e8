/// What it takes to go from one text of a topology to another, the lightest first.
package enum ChangeClass: String, Sendable, CaseIterable, Comparable {
    /// Running workers take it over at a commit; nothing stops and nothing is lost.
    case hot
    /// So they do, and windows hold rows of both for as long as they reach back.
    case mixed
    /// New or other windows: they must be filled first, or begin empty.
    case warmStart = "warm-start"
    /// Workers must be started anew, one after the other; their state goes on.
    case restart
    /// The state cannot go on: another group begins from nothing beside the old one.
    case newGroup = "new-group"

    package static func < (a: ChangeClass, b: ChangeClass) -> Bool {
        allCases.firstIndex(of: a).unsafelyUnwrapped < allCases.firstIndex(of: b).unsafelyUnwrapped
    }
}
