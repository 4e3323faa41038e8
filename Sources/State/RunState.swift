import Base
import Records

/// By key, a run of consecutive records for which something holds, and the event times of its last ones.
/// Records come in event-time order.
package final class RunState: OperatorState {
    private struct Entry {
        /// Event time of the newest record; `isOpen`: there is a run.
        var last: Int64 = 0
        /// Of those that may still be among the ones that complete it; none once it is done.
        var times = TimeRings.Ring()
        /// How many times have left the ring since the key came: the first one of the ring has this number.
        var first: Int64 = 0
        var isOpen = false
        /// It has been told.
        var isDone = false
        var isDirty = false
        /// A changelog has it, and of it these chunks of times.
        var isStored = false
        var chunks: Range<Int64> = 0..<0
    }

    private let times: Int64
    private let within: Int64
    private let gap: Int64
    private let keys = KeyTable(rowsMax: 1)
    private var entries: ContiguousArray<Entry> = []
    private var rings = TimeRings()
    /// Keys with runs, by the runs' last records.
    private var byLast = AgeList()
    private var dirty: [UInt32] = []
    /// Keys of entries that a changelog has and that are no more.
    private let gone = Arena(capacity: 256)
    private var goneCounts: [Int] = []
    private var restoredChunks: [UInt32: [Int64: (start: Int64, times: [Int64])]] = [:]
    private let tracksChanges: Bool

    /// `times`: so many records make a run complete, the first and the last of them at most `within` apart;
    /// `gap`: at most, between neighbours.
    package init(times: Int = 1, within: Int64, gap: Int64? = nil, tracksChanges: Bool) {
        self.times = Int64(times)
        self.within = within
        self.gap = min(gap ?? within, within)
        self.tracksChanges = tracksChanges
    }

    /// A record for which it holds. Where it completes the key's run: the time of the first of those that do.
    package func extend(_ key: UnsafeBufferPointer<UInt8>, at time: Int64) -> Int64? {
        let id = intern(key)
        let index = Int(id)
        if !entries[index].isOpen || time > entries[index].last + gap { restart(index) }
        var start: Int64?
        if !entries[index].isDone {
            rings.append(time, to: &entries[index].times)
            // The new one stays: it is no time away from itself.
            while time - rings.first(entries[index].times) > within { dropFirst(index) }
            if entries[index].times.count == times {
                start = rings.first(entries[index].times)
                entries[index].isDone = true
                clear(index)
            }
        }
        put(id, last: time)
        return start
    }

    /// True if a record begins a run; if it does not, it changes nothing.
    package func begin(_ key: UnsafeBufferPointer<UInt8>, at time: Int64) -> Bool {
        let id = intern(key)
        if entries[Int(id)].isOpen, time <= entries[Int(id)].last + gap { return false }
        put(id, last: time)
        return true
    }

    /// A record for which it does not hold.
    package func end(_ key: UnsafeBufferPointer<UInt8>) {
        if let id = keys.find(key) { remove(id) }
    }

    /// Forgets runs that are over before `time`: all whose last record is too old for another.
    package func advance(to time: Int64) {
        while byLast.oldest >= 0, entries[Int(byLast.oldest)].last + gap < time {
            remove(UInt32(byLast.oldest))
        }
    }

    private func restart(_ index: Int) {
        clear(index)
        entries[index].isDone = false
    }

    private func dropFirst(_ index: Int) {
        rings.removeFirst(&entries[index].times)
        entries[index].first += 1
    }

    private func clear(_ index: Int) {
        entries[index].first += Int64(entries[index].times.count)
        rings.clear(&entries[index].times)
    }

    // MARK: Keys

    private func intern(_ key: UnsafeBufferPointer<UInt8>) -> UInt32 {
        let id = keys.intern(key)
        if Int(id) >= entries.count {
            entries.append(
                contentsOf: repeatElement(Entry(), count: Int(id) + 1 - entries.count + entries.count / 2))
        }
        return id
    }

    private func put(_ id: UInt32, last: Int64) {
        if entries[Int(id)].isOpen { byLast.remove(id) }
        entries[Int(id)].isOpen = true
        entries[Int(id)].last = last
        byLast.append(id)
        guard tracksChanges, !entries[Int(id)].isDirty else { return }
        entries[Int(id)].isDirty = true
        dirty.append(id)
    }

    private func remove(_ id: UInt32) {
        if entries[Int(id)].isStored {
            noteGone(id, nil)
            for chunk in entries[Int(id)].chunks { noteGone(id, chunk) }
        }
        byLast.remove(id)
        clear(Int(id))
        entries[Int(id)] = Entry()
        keys.remove(id)
    }

    private func noteGone(_ id: UInt32, _ chunk: Int64?) {
        let start = gone.count
        _ = appendKey(id, chunk, to: gone)
        goneCounts.append(gone.count - start)
    }

    // MARK: Changes

    // A key's entry has the newest of its times; older ones, where there are many, stand in chunks with
    // entries of their own, so that a record costs the changelog no more the longer a run is.

    private static let chunkTimes: Int64 = 64

    private func appendKey(_ id: UInt32, _ chunk: Int64?, to out: Arena) -> Range<Int> {
        let start = out.count
        out.appendVarint(UInt64((chunk ?? -1) + 1))
        let key = keys.key(of: id)
        if let base = key.baseAddress { _ = out.append(base, key.count) }
        return start..<out.count
    }

    package func drainChanges(into out: Arena, _ body: (Range<Int>, Range<Int>?) -> Void) {
        // A key that ended and began again is written after.
        var at = 0
        for count in goneCounts {
            let start = out.count
            _ = out.append(gone.base + at, count)
            at += count
            body(start..<start + count, nil)
        }
        goneCounts.removeAll(keepingCapacity: true)
        gone.removeAll()
        for id in dirty where entries[Int(id)].isDirty {
            let stored = entries[Int(id)].chunks
            let chunks = chunks(of: id)
            for chunk in stored where !chunks.contains(chunk) { body(appendKey(id, chunk, to: out), nil) }
            for chunk in chunks where !stored.contains(chunk) { write(id, chunk, to: out) { body($0, $1) } }
            entries[Int(id)].chunks = chunks
            entries[Int(id)].isDirty = false
            entries[Int(id)].isStored = true
            write(id, to: out) { body($0, $1) }
        }
        dirty.removeAll(keepingCapacity: true)
    }

    package func forEach(into out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        keys.forEach { id in
            for chunk in chunks(of: id) { write(id, chunk, to: out, body) }
            write(id, to: out, body)
        }
    }

    /// Those that are full and have as many times after them.
    private func chunks(of id: UInt32) -> Range<Int64> {
        let entry = entries[Int(id)]
        let first = entry.first / Self.chunkTimes
        let end = (entry.first + Int64(entry.times.count) - Self.chunkTimes) / Self.chunkTimes
        return first..<max(first, end)
    }

    private func write(_ id: UInt32, _ chunk: Int64, to out: Arena, _ body: (Range<Int>, Range<Int>) -> Void)
    {
        let key = appendKey(id, chunk, to: out)
        appendTimes(id, from: chunk * Self.chunkTimes, to: (chunk + 1) * Self.chunkTimes, to: out)
        body(key, key.upperBound..<out.count)
    }

    private func write(_ id: UInt32, to out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        let entry = entries[Int(id)]
        let key = appendKey(id, nil, to: out)
        out.appendByte(entry.isDone ? 1 : 0)
        out.appendZigzag(entry.last)
        out.appendZigzag(entry.first)
        appendTimes(
            id, from: chunks(of: id).upperBound * Self.chunkTimes, to: entry.first + Int64(entry.times.count),
            to: out)
        body(key, key.upperBound..<out.count)
    }

    /// Where the first one stands, how many there are, and each as its distance from the one before.
    private func appendTimes(_ id: UInt32, from start: Int64, to end: Int64, to out: Arena) {
        let entry = entries[Int(id)]
        let start = max(start, entry.first)
        out.appendZigzag(start)
        out.appendVarint(UInt64(end - start))
        var before: Int64 = 0
        for number in start..<end {
            let time = rings[entry.times, Int(number - entry.first)]
            out.appendZigzag(time - before)
            before = time
        }
    }

    package func restore(key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?) -> Bool {
        var keyReader = BinaryReader(key)
        let chunk = Int64(truncatingIfNeeded: keyReader.varint()) - 1
        let name = keyReader.bytes(keyReader.left)
        guard keyReader.isValid, chunk >= -1 else { return false }
        let id = intern(name)
        var reader = BinaryReader(value ?? UnsafeBufferPointer(start: nil, count: 0))
        if chunk >= 0 {
            restoredChunks[id, default: [:]][chunk] = value == nil ? nil : Self.times(&reader)
            return value == nil || reader.isValid && reader.isAtEnd
        }
        clear(Int(id))
        entries[Int(id)] = Entry()
        guard value != nil else { return true }
        entries[Int(id)].isOpen = true
        entries[Int(id)].isDone = reader.byte() != 0
        entries[Int(id)].last = reader.zigzag()
        entries[Int(id)].first = reader.zigzag()
        entries[Int(id)].isStored = tracksChanges
        guard let (start, times) = Self.times(&reader), reader.isValid, reader.isAtEnd else { return false }
        for time in times { rings.append(time, to: &entries[Int(id)].times) }
        // For now the ring begins behind the chunks.
        entries[Int(id)].chunks = entries[Int(id)].first / Self.chunkTimes..<start / Self.chunkTimes
        return true
    }

    private static func times(_ reader: inout BinaryReader) -> (start: Int64, times: [Int64])? {
        let start = reader.zigzag()
        var before: Int64 = 0
        let times = (0..<reader.count(below: reader.left + 1)).map { _ in
            before &+= reader.zigzag()
            return before
        }
        return reader.isValid ? (start, times) : nil
    }

    package func finishRestore() {
        var ids: [UInt32] = []
        var nothing: [UInt32] = []
        keys.forEach { if entries[Int($0)].isOpen { ids.append($0) } else { nothing.append($0) } }
        for id in nothing { keys.remove(id) }
        for id in ids { prependChunks(id) }
        restoredChunks.removeAll()
        byLast.removeAll()
        for id in ids.sorted(by: { entries[Int($0)].last < entries[Int($1)].last }) { byLast.append(id) }
    }

    /// Puts the chunks' times before those of the key's entry, less those that have left since they were
    /// written.
    private func prependChunks(_ id: UInt32) {
        let chunks = entries[Int(id)].chunks
        guard !chunks.isEmpty else { return }
        let first = entries[Int(id)].first
        var ring = TimeRings.Ring()
        for chunk in chunks {
            guard let (start, times) = restoredChunks[id]?[chunk] else { continue }
            for (index, time) in times.enumerated() where start + Int64(index) >= first {
                rings.append(time, to: &ring)
            }
        }
        for index in 0..<Int(entries[Int(id)].times.count) {
            rings.append(rings[entries[Int(id)].times, index], to: &ring)
        }
        rings.clear(&entries[Int(id)].times)
        entries[Int(id)].times = ring
    }

    package var keyCount: Int { keys.count }
    package var memoryBytes: Int {
        keys.memoryBytes + byLast.memoryBytes + rings.memoryBytes + entries.capacity
            * MemoryLayout<Entry>.stride
    }
    /// Its end makes no row.
    package var lastDue: Int64 { .min }
}
