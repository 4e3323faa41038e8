import Base
import Glibc
import Records

/// The items, levels and controls of one task's keys.
///
/// Calls come in the order of event time. Each of them leaves what it changed in `changes`; `settle` comes
/// after them, once the caller has read what it wants of the key.
package final class LevelState: OperatorState {
    struct Suppression {
        var name: [UInt8]
        /// `.max`: until it is resumed.
        var until: Int64
    }

    struct Entry {
        var level = 0
        /// Event time at which the level was entered.
        var since: Int64 = 0
        /// By name.
        var items: [LevelItem] = []
        /// By name.
        var suppressed: [Suppression] = []
        /// nil: not every item is suppressed.
        var allUntil: Int64?
        var snoozedUntil: Int64?
        /// Until then an item that was refused would count.
        var lostUntil: Int64?
        /// The timer that counts; `.max`: none.
        var scheduled = Int64.max
        var isChanged = false
        /// True if a changelog knows the key.
        var isStored = false

        var isEmpty: Bool {
            level == 0 && items.isEmpty && suppressed.isEmpty && allUntil == nil && snoozedUntil == nil
                && lostUntil == nil
        }
    }

    package let rules: LevelRules
    let keys = KeyTable()
    var entries: [Entry] = []
    var timers = TimerQueue()
    var changed: [UInt32] = []
    let tracksChanges: Bool
    /// What the last call changed, in order.
    package private(set) var changes: [LevelChange] = []
    /// The key of no bytes stands here.
    private let nowhere = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)

    package init(_ rules: LevelRules, tracksChanges: Bool) {
        self.rules = rules
        self.tracksChanges = tracksChanges
    }

    deinit { nowhere.deallocate() }

    // MARK: What there is

    package func id(of key: UnsafeBufferPointer<UInt8>) -> UInt32 {
        let id = keys.intern(key.baseAddress ?? UnsafePointer(nowhere), key.count)
        if Int(id) == entries.count { entries.append(Entry()) }
        return id
    }

    package func key(of id: UInt32) -> UnsafeBufferPointer<UInt8> { keys.key(of: id) }
    package func level(of id: UInt32) -> Int { entries[Int(id)].level }
    package func items(of id: UInt32) -> [LevelItem] { entries[Int(id)].items }
    package func repeats(of id: UInt32) -> Int64 { entries[Int(id)].items.reduce(0) { $0 + $1.repeats } }

    package func isSuppressed(_ item: LevelItem, of id: UInt32) -> Bool {
        Self.isSuppressed(item, entries[Int(id)])
    }

    /// Sum of the weights that count, at most what 64 bits hold.
    package func score(of id: UInt32) -> Int64 { Self.score(entries[Int(id)]) }

    private static func isSuppressed(_ item: LevelItem, _ entry: Entry) -> Bool {
        entry.allUntil != nil
            || (!entry.suppressed.isEmpty && entry.suppressed.contains { $0.name == item.name })
    }

    private static func score(_ entry: Entry) -> Int64 {
        if entry.allUntil != nil { return 0 }
        var sum: Int128 = 0
        for item in entry.items where !isSuppressed(item, entry) { sum += Int128(item.weight) }
        return Int64(clamping: sum)
    }

    private func isHeldUp(_ entry: Entry, by level: LevelRules.Level) -> Bool {
        guard let many = level.many, entry.allUntil == nil else { return false }
        var count = 0
        for item in entry.items where item.weight >= many.weight && !Self.isSuppressed(item, entry) {
            count += 1
        }
        return count >= many.count
    }

    /// True if nothing but time keeps the key from leaving a level. Of an item that was refused nobody knows
    /// the weight.
    private func mayLeave(_ level: Int, _ entry: Entry, _ score: Int64) -> Bool {
        (entry.lostUntil == nil || entry.allUntil != nil) && score < rules.levels[level - 1].below
            && !isHeldUp(entry, by: rules.levels[level - 1])
    }

    // MARK: Records

    /// Takes an item's record.
    package func take(
        _ name: UnsafeBufferPointer<UInt8>, isActive: Bool, weight: Int64, time: Int64, of id: UInt32
    ) -> LevelTaken {
        changes.removeAll(keepingCapacity: true)
        guard name.count <= Limits.levelItemBytesMax else {
            if isActive { lose(id, time) }
            return .nameTooLong
        }
        let (place, isThere) = Self.find(name, entries[Int(id)].items) { $0.name }
        if !isActive {
            guard isThere else { return .nothing }
            entries[Int(id)].items.remove(at: place)
        } else if isThere {
            let item = entries[Int(id)].items[place]
            if rules.group > 0, time - item.time < rules.group, weight <= item.weight {
                entries[Int(id)].items[place].repeats += 1
                note(id)
                return .nothing
            }
            entries[Int(id)].items[place].weight = weight
            entries[Int(id)].items[place].time = time
        } else {
            guard entries[Int(id)].items.count < rules.items else {
                lose(id, time)
                return .tooMany
            }
            let item = LevelItem(name: Array(name), weight: weight, time: time, repeats: 0)
            entries[Int(id)].items.insert(item, at: place)
        }
        note(id)
        evaluate(id, time, isFree: false)
        return .changed
    }

    private func lose(_ id: UInt32, _ time: Int64) {
        entries[Int(id)].lostUntil = time + rules.expire
        note(id)
    }

    /// Takes a control record; what it refuses changes nothing.
    package func take(_ control: LevelControl, time: Int64, of id: UInt32) throws(LevelRefusal) {
        changes.removeAll(keepingCapacity: true)
        var wasSnoozed = false
        switch control {
        case .suppress(let item, let until):
            guard until.map({ $0 > time }) ?? true else { throw .isOver }
            guard let item else {
                entries[Int(id)].allUntil = until ?? .max
                break
            }
            guard item.count <= Limits.levelItemBytesMax else { throw .nameTooLong }
            let (place, isThere) = Self.find(item, entries[Int(id)].suppressed) { $0.name }
            if isThere {
                entries[Int(id)].suppressed[place].until = until ?? .max
            } else {
                guard entries[Int(id)].suppressed.count < rules.items else { throw .tooMany }
                entries[Int(id)].suppressed.insert(
                    Suppression(name: Array(item), until: until ?? .max), at: place)
            }
        case .snooze(let until):
            guard until > time else { throw .isOver }
            entries[Int(id)].snoozedUntil = until
        case .resume(let item):
            if let item {
                let (place, isThere) = Self.find(item, entries[Int(id)].suppressed) { $0.name }
                guard isThere else { throw .nothingToResume }
                entries[Int(id)].suppressed.remove(at: place)
            } else {
                let entry = entries[Int(id)]
                guard entry.allUntil != nil || entry.snoozedUntil != nil || !entry.suppressed.isEmpty else {
                    throw .nothingToResume
                }
                wasSnoozed = entry.snoozedUntil != nil
                entries[Int(id)].allUntil = nil
                entries[Int(id)].snoozedUntil = nil
                entries[Int(id)].suppressed.removeAll()
            }
        }
        note(id)
        evaluate(id, time, isFree: wasSnoozed)
    }

    /// Ends what is due before event time `time`, of the key that is next; nil: nothing is due. Keys of one
    /// instant come in no order that means anything.
    package func fire(before time: Int64) -> (id: UInt32, time: Int64, cause: LevelCause)? {
        while let timer = timers.removeFirst(before: time) {
            let id = timer.id
            guard Int(id) < entries.count, entries[Int(id)].scheduled == timer.time else { continue }
            entries[Int(id)].scheduled = .max
            guard due(entries[Int(id)]) <= timer.time else {
                settle(id)
                continue
            }
            changes.removeAll(keepingCapacity: true)
            let now = timer.time
            let wasSnoozed = entries[Int(id)].snoozedUntil.map { $0 <= now } ?? false
            if wasSnoozed { entries[Int(id)].snoozedUntil = nil }
            var cause = wasSnoozed ? LevelCause.control : .hold
            if let until = entries[Int(id)].allUntil, until <= now {
                entries[Int(id)].allUntil = nil
                cause = .control
            }
            if let until = entries[Int(id)].lostUntil, until <= now {
                entries[Int(id)].lostUntil = nil
                cause = .expiry
            }
            let counts = (items: entries[Int(id)].items.count, suppressed: entries[Int(id)].suppressed.count)
            entries[Int(id)].suppressed.removeAll { $0.until <= now }
            if entries[Int(id)].suppressed.count < counts.suppressed { cause = .control }
            entries[Int(id)].items.removeAll { $0.time + rules.expire <= now }
            if entries[Int(id)].items.count < counts.items { cause = .expiry }
            note(id)
            evaluate(id, now, isFree: wasSnoozed)
            return (id, now, cause)
        }
        return nil
    }

    // MARK: Levels

    /// Brings the level to where the items say that it is at `time`. `isFree`: a snooze has just ended.
    private func evaluate(_ id: UInt32, _ time: Int64, isFree: Bool) {
        let entry = entries[Int(id)]
        if entry.snoozedUntil != nil { return }
        let score = Self.score(entry)
        let highest = rules.levels.indices.last { index in
            score >= rules.levels[index].at || isHeldUp(entry, by: rules.levels[index])
        }
        let target = highest.map { $0 + 1 } ?? 0
        if target > entry.level { return move(id, to: target, time) }
        while entries[Int(id)].level > 0 {
            let (level, since) = (entries[Int(id)].level, entries[Int(id)].since)
            guard mayLeave(level, entry, score), time - since >= rules.levels[level - 1].hold else { return }
            var next = level - 1
            if isFree { while next > 0, mayLeave(next, entry, score) { next -= 1 } }
            move(id, to: next, time)
        }
    }

    private func move(_ id: UInt32, to level: Int, _ time: Int64) {
        changes.append(LevelChange(level: level, previous: entries[Int(id)].level))
        entries[Int(id)].level = level
        entries[Int(id)].since = time
    }

    /// Event time after which something is due for a key; `.max`: nothing is.
    private func due(_ entry: Entry) -> Int64 {
        var due = min(entry.snoozedUntil ?? .max, entry.allUntil ?? .max, entry.lostUntil ?? .max)
        for suppression in entry.suppressed { due = min(due, suppression.until) }
        for item in entry.items { due = min(due, item.time + rules.expire) }
        if entry.level > 0, entry.snoozedUntil == nil, mayLeave(entry.level, entry, Self.score(entry)) {
            due = min(due, entry.since + rules.levels[entry.level - 1].hold)
        }
        return due
    }

    /// Ends a call: what is due is remembered, and a key without anything is forgotten.
    package func settle(_ id: UInt32) {
        if entries[Int(id)].isEmpty {
            entries[Int(id)].scheduled = .max
            if !tracksChanges || !entries[Int(id)].isChanged { forget(id) }
            return
        }
        let due = due(entries[Int(id)])
        guard due < entries[Int(id)].scheduled else { return }
        entries[Int(id)].scheduled = due
        timers.add(due, id)
    }

    func forget(_ id: UInt32) {
        entries[Int(id)] = Entry()
        keys.remove(id)
    }

    private func note(_ id: UInt32) {
        guard tracksChanges, !entries[Int(id)].isChanged else { return }
        entries[Int(id)].isChanged = true
        changed.append(id)
    }

    // MARK: Names

    /// Where a name stands, or would.
    private static func find<Element>(
        _ name: UnsafeBufferPointer<UInt8>, _ list: [Element], _ nameOf: (Element) -> [UInt8]
    ) -> (place: Int, isThere: Bool) {
        var (low, high) = (0, list.count)
        while low < high {
            let middle = (low + high) / 2
            let other = nameOf(list[middle])
            let order = other.withUnsafeBufferPointer { other in
                let common = min(other.count, name.count)
                // No pointer to compare by where one is empty.
                guard common > 0, let a = other.baseAddress, let b = name.baseAddress else {
                    return other.count - name.count
                }
                let order = Int(memcmp(a, b, common))
                return order != 0 ? order : other.count - name.count
            }
            if order == 0 { return (middle, true) }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return (low, false)
    }
}
