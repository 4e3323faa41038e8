import Base
import Records

/// The open sessions of a task: for each key the words of its aggregates, as a window's pane has them, and
/// sketches.
///
/// Records come in event-time order, of one instant by key. A session ends when no record came for `gap`, or
/// `max` after its first one, whichever is first: it holds records of [start, end). So the next to end is the
/// one whose last record is the oldest, or the one whose first record is, and two lists say which; both
/// orders follow from the sessions themselves, so that they are the same after a restore.
package final class SessionState: OperatorState {
    package struct Session {
        package var start: Int64 = 0
        package var last: Int64 = 0
        var isOpen = false
        var isDirty = false
        /// A changelog has it.
        var isStored = false
    }

    private let gap: Int64
    private let max: Int64
    private let sessionsMax: Int
    private let tracksChanges: Bool
    /// Of `records` first, then those that were asked for.
    private let aggregates: [Aggregate]
    private let offsets: [Int]
    private let wordsPerKey: Int
    private let sketchesPerKey: Int
    private let keys = KeyTable(rowsMax: 1)
    private var sessions: ContiguousArray<Session> = []
    private var words: UnsafeMutablePointer<Int64>
    private var distincts: [DistinctSet?] = []
    private var quantiles: [QuantileSketch?] = []
    private var byLast = AgeList()
    private var byStart = AgeList()
    private var dirty: [UInt32] = []
    private let gone = Arena(capacity: 256)
    private var goneCounts: [Int] = []

    /// `aggregates`: none that is about a window's panes or days.
    package init(
        gap: Int64, max: Int64, aggregates: [Aggregate], sessionsMax: Int = Limits.sessionsPerTaskMax,
        tracksChanges: Bool
    ) {
        (self.gap, self.max, self.sessionsMax, self.tracksChanges) = (gap, max, sessionsMax, tracksChanges)
        self.aggregates = [.records] + aggregates
        var words = 0
        var offsets: [Int] = []
        for aggregate in self.aggregates {
            offsets.append(
                aggregate.isSketch ? self.aggregates[..<offsets.count].count { $0.isSketch } : words)
            words += aggregate.words
        }
        self.offsets = offsets
        wordsPerKey = words
        sketchesPerKey = self.aggregates.count { $0.isSketch }
        self.words = .allocate(capacity: 1)
    }

    deinit { words.deallocate() }

    // MARK: Sessions

    /// Takes a record of a key: into its open session, or a new one, of which every aggregate is empty. The
    /// caller has closed what was over before. Adds to none of the aggregates but `records`. nil: it would be
    /// one too many, and nothing has changed.
    package func add(_ key: UnsafeBufferPointer<UInt8>, at time: Int64) -> UInt32? {
        let id = intern(key)
        let index = Int(id)
        guard keys.count <= sessionsMax || sessions[index].isOpen else {
            keys.remove(id)
            return nil
        }
        if sessions[index].isOpen {
            byLast.remove(id)
        } else {
            sessions[index].start = time
            open(index)
            byStart.append(id)
        }
        sessions[index].last = time
        byLast.append(id)
        words[index * wordsPerKey] += 1
        if tracksChanges, !sessions[index].isDirty {
            sessions[index].isDirty = true
            dirty.append(id)
        }
        return id
    }

    /// Adds a value of a record to the aggregate at `index` of its session; texts stand in `arena`.
    package func add(_ value: Int64, to index: Int, of id: UInt32, at time: Int64, arena: Arena) {
        let aggregate = aggregates[index]
        switch aggregate {
        case .distinct(let isText, _):
            let hash =
                isText ? DistinctSet.hash(TextReference(packed: value), arena) : DistinctSet.hash(value)
            distincts[Int(id) * sketchesPerKey + offsets[index]]?.add(hash, slot: 0)
        case .quantile: quantiles[Int(id) * sketchesPerKey + offsets[index]]?.add(value, slot: 0)
        default:
            aggregate.addAny(value, time, to: words + Int(id) * wordsPerKey + offsets[index], arena: arena)
        }
    }

    /// The same for a record whose value is null.
    package func addNull(to index: Int, of id: UInt32) {
        if case .sum(isCounted: true) = aggregates[index] {
            words[Int(id) * wordsPerKey + offsets[index] + 3] &+= 1
        }
    }

    /// The value of an aggregate, as `Aggregate.read` gives it.
    package func read(_ index: Int, of id: UInt32, arena: Arena) -> (value: Int64, valid: UInt8) {
        switch aggregates[index] {
        case .distinct:
            (distincts[Int(id) * sketchesPerKey + offsets[index]]?.estimate(firstSlot: 0, count: 1) ?? 0, 1)
        case .quantile(let perMille):
            quantiles[Int(id) * sketchesPerKey + offsets[index]]?
                .quantile(perMille: perMille, firstSlot: 0, count: 1).map { ($0, 1) } ?? (0, 0)
        default:
            aggregates[index].read(
                words + Int(id) * wordsPerKey + offsets[index], isFilled: true, arena: arena)
        }
    }

    package func session(_ id: UInt32) -> Session { sessions[Int(id)] }
    package func key(of id: UInt32) -> UnsafeBufferPointer<UInt8> { keys.key(of: id) }

    /// The first moment that is in a session no more.
    package func end(of id: UInt32) -> Int64 {
        Swift.min(sessions[Int(id)].last + gap, sessions[Int(id)].start + max)
    }

    /// The session that ends first, if its last moment is before `time`.
    package func nextOver(before time: Int64) -> UInt32? {
        guard byLast.oldest >= 0 else { return nil }
        let (quiet, long) = (UInt32(byLast.oldest), UInt32(byStart.oldest))
        let first = end(of: quiet) <= end(of: long) ? quiet : long
        return end(of: first) - 1 < time ? first : nil
    }

    package func close(_ id: UInt32) {
        if sessions[Int(id)].isStored {
            let key = keys.key(of: id)
            if let start = key.baseAddress { _ = gone.append(start, key.count) }
            goneCounts.append(key.count)
        }
        byLast.remove(id)
        byStart.remove(id)
        forget(Int(id))
        keys.remove(id)
    }

    private func forget(_ index: Int) {
        sessions[index] = Session()
        for sketch in index * sketchesPerKey..<(index + 1) * sketchesPerKey {
            distincts[sketch] = nil
            quantiles[sketch] = nil
        }
    }

    // MARK: Room

    private func intern(_ key: UnsafeBufferPointer<UInt8>) -> UInt32 {
        let id = keys.intern(key)
        if Int(id) >= sessions.count { grow(to: Int(id) + 1 + sessions.count / 2) }
        return id
    }

    private func grow(to count: Int) {
        let larger = UnsafeMutablePointer<Int64>.allocate(capacity: count * wordsPerKey)
        larger.initialize(repeating: 0, count: count * wordsPerKey)
        larger.update(from: words, count: sessions.count * wordsPerKey)
        words.deallocate()
        words = larger
        let more = count - sessions.count
        sessions.append(contentsOf: repeatElement(Session(), count: more))
        distincts.append(contentsOf: repeatElement(nil, count: more * sketchesPerKey))
        quantiles.append(contentsOf: repeatElement(nil, count: more * sketchesPerKey))
    }

    /// Makes all aggregates empty.
    private func open(_ index: Int) {
        sessions[index].isOpen = true
        for (aggregate, offset) in zip(aggregates, offsets) {
            switch aggregate {
            case .distinct(_, let exactMax):
                distincts[index * sketchesPerKey + offset] = DistinctSet(slots: 1, exactMax: exactMax)
            case .quantile: quantiles[index * sketchesPerKey + offset] = QuantileSketch(slots: 1)
            default: aggregate.clear(words + index * wordsPerKey + offset)
            }
        }
    }

    // MARK: Changes

    package func drainChanges(into out: Arena, _ body: (Range<Int>, Range<Int>?) -> Void) {
        // A key whose next session has begun is written after.
        var at = 0
        for count in goneCounts {
            let start = out.count
            _ = out.append(gone.base + at, count)
            at += count
            body(start..<start + count, nil)
        }
        goneCounts.removeAll(keepingCapacity: true)
        gone.removeAll()
        for id in dirty where sessions[Int(id)].isDirty {
            sessions[Int(id)].isDirty = false
            sessions[Int(id)].isStored = true
            write(id, to: out) { body($0, $1) }
        }
        dirty.removeAll(keepingCapacity: true)
    }

    package func forEach(into out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        keys.forEach { write($0, to: out, body) }
    }

    private func write(_ id: UInt32, to out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        let start = out.count
        let key = keys.key(of: id)
        if let base = key.baseAddress { _ = out.append(base, key.count) }
        let value = out.count
        out.appendZigzag(sessions[Int(id)].start)
        out.appendZigzag(sessions[Int(id)].last)
        for word in 0..<wordsPerKey { out.appendZigzag(words[Int(id) * wordsPerKey + word]) }
        for sketch in Int(id) * sketchesPerKey..<(Int(id) + 1) * sketchesPerKey {
            distincts[sketch]?.write(slots: 0..<1, 1, to: out)
            quantiles[sketch]?.write(slot: 0, to: out)
        }
        body(start..<value, value..<out.count)
    }

    package func restore(key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?) -> Bool {
        let id = intern(key)
        forget(Int(id))
        guard let value else {
            keys.remove(id)
            return true
        }
        open(Int(id))
        var reader = BinaryReader(value)
        sessions[Int(id)].start = reader.zigzag()
        sessions[Int(id)].last = reader.zigzag()
        sessions[Int(id)].isStored = tracksChanges
        for word in 0..<wordsPerKey { words[Int(id) * wordsPerKey + word] = reader.zigzag() }
        for sketch in Int(id) * sketchesPerKey..<(Int(id) + 1) * sketchesPerKey {
            distincts[sketch]?.read(into: [0], &reader)
            quantiles[sketch]?.read(slot: 0, &reader)
        }
        return reader.isValid && reader.isAtEnd
    }

    package func finishRestore() {
        var ids: [UInt32] = []
        keys.forEach { ids.append($0) }
        ids.sort { keys.key(of: $0).lexicographicallyPrecedes(keys.key(of: $1)) }
        byLast.removeAll()
        byStart.removeAll()
        // Sorting keeps the order of equals.
        for id in ids.sorted(by: { sessions[Int($0)].last < sessions[Int($1)].last }) { byLast.append(id) }
        for id in ids.sorted(by: { sessions[Int($0)].start < sessions[Int($1)].start }) { byStart.append(id) }
    }

    package var keyCount: Int { keys.count }

    package var memoryBytes: Int {
        keys.memoryBytes + byLast.memoryBytes + byStart.memoryBytes
            + sessions.capacity * (MemoryLayout<Session>.stride + 8 * wordsPerKey + 16 * sketchesPerKey)
            + distincts.reduce(0) { $0 + ($1?.memoryBytes ?? 0) }
            + quantiles.reduce(0) { $0 + ($1?.memoryBytes ?? 0) }
    }

    package var lastDue: Int64 {
        var last = Int64.min
        keys.forEach { last = Swift.max(last, end(of: $0) - 1) }
        return last
    }
}
