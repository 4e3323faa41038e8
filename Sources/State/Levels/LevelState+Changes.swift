import Base
import Records

/// Levels as entries for a changelog and for snapshots, one for each key.
extension LevelState {
    package var keyCount: Int { keys.count }

    package var memoryBytes: Int {
        let items = entries.reduce(0) { sum, entry in
            sum + entry.items.reduce(0) { $0 + MemoryLayout<LevelItem>.stride + $1.name.count }
                + entry.suppressed.reduce(0) { $0 + MemoryLayout<Suppression>.stride + $1.name.count }
        }
        return keys.memoryBytes + timers.memoryBytes + entries.capacity * MemoryLayout<Entry>.stride + items
    }

    /// When the last item has expired and the last control ended, the levels come down one after the other.
    package var lastDue: Int64 {
        let holds = rules.levels.reduce(0) { $0 + $1.hold }
        var last = Int64.min
        for entry in entries where !entry.isEmpty {
            let ends =
                entry.suppressed.map(\.until)
                + [entry.allUntil, entry.snoozedUntil, entry.lostUntil].compactMap { $0 }
            for end in ends where end != .max { last = max(last, end) }
            for item in entry.items { last = max(last, item.time + rules.expire) }
            if entry.level > 0 { last = max(last, entry.since) }
        }
        return last == .min ? .min : last + holds
    }

    package func drainChanges(into out: Arena, _ body: (Range<Int>, Range<Int>?) -> Void) {
        for id in changed {
            entries[Int(id)].isChanged = false
            let (isGone, wasStored) = (entries[Int(id)].isEmpty, entries[Int(id)].isStored)
            if !isGone || wasStored {
                let key = append(keys.key(of: id), to: out)
                if !isGone { write(entries[Int(id)], to: out) }
                body(key, isGone ? nil : key.upperBound..<out.count)
            }
            entries[Int(id)].isStored = true
            if isGone { forget(id) }
        }
        changed.removeAll(keepingCapacity: true)
    }

    package func forEach(into out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        keys.forEach { id in
            if entries[Int(id)].isEmpty { return }
            let key = append(keys.key(of: id), to: out)
            write(entries[Int(id)], to: out)
            body(key, key.upperBound..<out.count)
        }
    }

    private func append(_ key: UnsafeBufferPointer<UInt8>, to out: Arena) -> Range<Int> {
        let start = out.count
        if let base = key.baseAddress { _ = out.append(base, key.count) }
        return start..<out.count
    }

    private func write(_ entry: Entry, to out: Arena) {
        out.appendVarint(UInt64(entry.level))
        out.appendZigzag(entry.since)
        // Nobody suppresses, snoozes or waits until the least of all times.
        out.appendZigzag(entry.allUntil ?? .min)
        out.appendZigzag(entry.snoozedUntil ?? .min)
        out.appendZigzag(entry.lostUntil ?? .min)
        out.appendVarint(UInt64(entry.items.count))
        for item in entry.items {
            item.name.withUnsafeBufferPointer { out.appendBlob($0) }
            out.appendZigzag(item.weight)
            out.appendZigzag(item.time)
            out.appendZigzag(item.repeats)
        }
        out.appendVarint(UInt64(entry.suppressed.count))
        for suppression in entry.suppressed {
            suppression.name.withUnsafeBufferPointer { out.appendBlob($0) }
            out.appendZigzag(suppression.until)
        }
    }

    package func restore(key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?) -> Bool {
        let id = id(of: key)
        guard let value else {
            forget(id)
            return true
        }
        var reader = BinaryReader(value)
        var entry = Entry()
        entry.level = reader.count(below: rules.levels.count + 1)
        entry.since = reader.zigzag()
        (entry.allUntil, entry.snoozedUntil) = (Self.until(reader.zigzag()), Self.until(reader.zigzag()))
        entry.lostUntil = Self.until(reader.zigzag())
        for _ in 0..<reader.count(below: Limits.levelItemsMax + 1) {
            let name = Array(reader.blob())
            let (weight, time) = (reader.zigzag(), reader.zigzag())
            entry.items.append(LevelItem(name: name, weight: weight, time: time, repeats: reader.zigzag()))
        }
        for _ in 0..<reader.count(below: Limits.levelItemsMax + 1) {
            let name = Array(reader.blob())
            entry.suppressed.append(Suppression(name: name, until: reader.zigzag()))
        }
        entry.isStored = true
        entries[Int(id)] = entry
        return reader.isValid && reader.isAtEnd && !entry.isEmpty
    }

    private static func until(_ value: Int64) -> Int64? { value == .min ? nil : value }

    package func finishRestore() {
        timers.removeAll()
        keys.forEach { id in
            entries[Int(id)].scheduled = .max
            settle(id)
        }
    }
}
