import Base
import Records

/// Keys of which a record was refused, and the newest event time of those records: nobody can say any more
/// that there was none. Kept for as long as somebody may ask; where there are too many, what is kept is true
/// of every key.
package final class LostKeys {
    private let span: Int64
    private let keysMax: Int
    /// Before every key of an entry.
    private let tag: UInt8
    private let tracksChanges: Bool
    private let keys = KeyTable(rowsMax: 1)
    private var entries: ContiguousArray<Entry> = []
    private var dirty: [UInt32] = []
    /// Keys of entries that a changelog has and that are no more.
    private var gone: [[UInt8]] = []
    /// Of some keys, it is not known which; `.min`: of none.
    private var ofAll = Int64.min
    private var ofAllIsDirty = false
    /// Before this time no entry can be forgotten.
    private var sweepDue = Int64.min

    private struct Entry {
        var time = Int64.min
        var isDirty = false
        /// A changelog has it.
        var isStored = false
    }

    /// `span`: for how long after its time somebody may ask for a record.
    package init(span: Int64, keysMax: Int = Limits.lostKeysMax, tag: UInt8, tracksChanges: Bool) {
        (self.span, self.keysMax, self.tag, self.tracksChanges) = (span, keysMax, tag, tracksChanges)
    }

    package var isEmpty: Bool { keys.count == 0 && ofAll == .min }
    package var memoryBytes: Int { keys.memoryBytes + entries.capacity * MemoryLayout<Entry>.stride }

    /// A record of a key was refused. `now`: how far event time has come.
    package func note(_ key: UnsafeBufferPointer<UInt8>, at time: Int64, now: Int64) {
        if let id = keys.find(key) { return set(id, max(entries[Int(id)].time, time)) }
        if keys.count >= keysMax { sweep(now) }
        guard keys.count < keysMax else {
            guard time > ofAll else { return }
            ofAll = time
            ofAllIsDirty = tracksChanges
            return
        }
        set(intern(key), time)
    }

    /// The newest event time of a refused record of a key; `.min`: none was refused.
    package func latest(_ key: UnsafeBufferPointer<UInt8>) -> Int64 {
        guard let id = keys.find(key) else { return ofAll }
        return max(ofAll, entries[Int(id)].time)
    }

    private func sweep(_ now: Int64) {
        guard now >= sweepDue else { return }
        var oldest = Int64.max
        keys.forEach { id in
            if entries[Int(id)].time + span < now {
                remove(id)
            } else {
                oldest = min(oldest, entries[Int(id)].time)
            }
        }
        sweepDue = oldest == .max ? .min : oldest + span + 1
    }

    private func remove(_ id: UInt32) {
        if entries[Int(id)].isStored { gone.append(Array(keys.key(of: id))) }
        entries[Int(id)] = Entry()
        keys.remove(id)
    }

    private func set(_ id: UInt32, _ time: Int64) {
        entries[Int(id)].time = time
        guard tracksChanges, !entries[Int(id)].isDirty else { return }
        entries[Int(id)].isDirty = true
        dirty.append(id)
    }

    private func intern(_ key: UnsafeBufferPointer<UInt8>) -> UInt32 {
        let id = keys.intern(key)
        if Int(id) >= entries.count {
            entries.append(
                contentsOf: repeatElement(Entry(), count: Int(id) + 1 - entries.count + entries.count / 2))
        }
        return id
    }

    // MARK: Changes

    /// Entries are tag, 1 and the key, or, of every key, tag and 0.
    package func drainChanges(into out: Arena, _ body: (Range<Int>, Range<Int>?) -> Void) {
        for key in gone { key.withUnsafeBufferPointer { body(appendKey($0, to: out), nil) } }
        gone.removeAll()
        for id in dirty where entries[Int(id)].isDirty {
            entries[Int(id)].isDirty = false
            entries[Int(id)].isStored = true
            write(id, to: out) { body($0, $1) }
        }
        dirty.removeAll(keepingCapacity: true)
        guard ofAllIsDirty else { return }
        ofAllIsDirty = false
        writeOfAll(to: out) { body($0, $1) }
    }

    package func forEach(into out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        if ofAll != .min { writeOfAll(to: out, body) }
        keys.forEach { write($0, to: out, body) }
    }

    private func appendKey(_ key: UnsafeBufferPointer<UInt8>?, to out: Arena) -> Range<Int> {
        let start = out.count
        out.appendByte(tag)
        out.appendByte(key == nil ? 0 : 1)
        if let key, let base = key.baseAddress { _ = out.append(base, key.count) }
        return start..<out.count
    }

    private func write(_ id: UInt32, to out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        let key = appendKey(keys.key(of: id), to: out)
        out.appendZigzag(entries[Int(id)].time)
        body(key, key.upperBound..<out.count)
    }

    private func writeOfAll(to out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        let key = appendKey(nil, to: out)
        out.appendZigzag(ofAll)
        body(key, key.upperBound..<out.count)
    }

    /// `key`: what follows the tag.
    package func restore(key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?) -> Bool {
        guard let kind = key.first, kind <= 1, kind == 1 || key.count == 1 else { return false }
        var reader = BinaryReader(value ?? UnsafeBufferPointer(start: nil, count: 0))
        let time = value == nil ? .min : reader.zigzag()
        if kind == 0 {
            ofAll = time
        } else {
            let id = intern(UnsafeBufferPointer(rebasing: key[1...]))
            entries[Int(id)] = Entry(time: time, isStored: tracksChanges && value != nil)
            if value == nil { keys.remove(id) }
        }
        return value == nil || reader.isValid && reader.isAtEnd
    }
}
