import Base

/// How the levels of a key follow from its items; `LevelsSpec` of the topology says what it all means.
package struct LevelRules: Sendable {
    package struct Level: Sendable {
        /// Scores in units of the weights' scale; milliseconds.
        package var at: Int64
        package var below: Int64
        package var hold: Int64
        /// So many counted items of at least this weight are enough, whatever the score.
        package var many: (count: Int, weight: Int64)?

        package init(at: Int64, below: Int64, hold: Int64, many: (count: Int, weight: Int64)?) {
            self.at = at
            self.below = below
            self.hold = hold
            self.many = many
        }
    }

    /// From the lowest up; level 0 of a key is none of them, level n is the nth.
    package var levels: [Level]
    /// How long an item counts after its newest record.
    package var expire: Int64
    /// How long further records of an item change nothing; 0: they always do.
    package var group: Int64
    /// Of a key, at most, and suppressions.
    package var items: Int

    package init(levels: [Level], expire: Int64, group: Int64, items: Int = Limits.levelItemsDefault) {
        self.levels = levels
        self.expire = expire
        self.group = group
        self.items = items
    }
}

/// An item of a key that its newest record says is active.
package struct LevelItem: Sendable {
    /// Bytes of UTF-8, at most `Limits.levelItemBytesMax`.
    package var name: [UInt8]
    package var weight: Int64
    /// Event time of the newest record that was not grouped with one before.
    package var time: Int64
    /// Grouped records since the item became active.
    package var repeats: Int64
}

/// What a control record asks for.
package enum LevelControl {
    /// `until` nil: until it is resumed.
    case suppress(item: UnsafeBufferPointer<UInt8>?, until: Int64?)
    case snooze(until: Int64)
    case resume(item: UnsafeBufferPointer<UInt8>?)
}

package enum LevelRefusal: Error, Sendable {
    /// `until` does not lie after the record.
    case isOver
    case nothingToResume
    case tooMany
    case nameTooLong
}

/// What a key's levels made of an item's record.
package enum LevelTaken: Sendable {
    case changed
    /// Nothing more is to be done.
    case nothing
    /// One item more than there may be, or a name longer than it may be: nothing has changed, but that the
    /// key does not come down before the item would have expired.
    case tooMany, nameTooLong
}

/// One step of a key's level.
package struct LevelChange: Sendable, Equatable {
    package var level: Int
    package var previous: Int

    package init(level: Int, previous: Int) {
        self.level = level
        self.previous = previous
    }
}

/// What time brings about for a key.
package enum LevelCause: Sendable {
    /// A level's hold is over.
    case hold
    /// An item expired.
    case expiry
    /// A suppression or a snooze ended.
    case control
}
