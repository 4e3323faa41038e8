import Base
import Records

/// By key, a run of consecutive records for which something holds. Records come in event-time order.
package final class RunState: OperatorState {
    package struct Run: Equatable {
        package var count: Int64 = 0
        package var start: Int64 = 0
        package var last: Int64 = 0
        /// It has been told.
        package var isDone = false
    }

    private struct Entry {
        /// No run: the count is 0.
        var run = Run()
        var isDirty = false
        /// A changelog has it.
        var isStored = false
    }

    private let within: Int64
    private let gap: Int64
    private let keys = KeyTable(rowsMax: 1)
    private var entries: ContiguousArray<Entry> = []
    /// Keys with runs, by the runs' last records.
    private var byLast = AgeList()
    private var dirty: [UInt32] = []
    private let gone = Arena(capacity: 256)
    private var goneCounts: [Int] = []
    private let tracksChanges: Bool

    /// `within`: from the first record of a run to its last; `gap`: between neighbours.
    package init(within: Int64, gap: Int64? = nil, tracksChanges: Bool) {
        self.within = within
        self.gap = min(gap ?? within, within)
        self.tracksChanges = tracksChanges
    }

    /// A record for which it holds. Gives the run with it, and whether it has just become `times` long.
    package func extend(_ key: UnsafeBufferPointer<UInt8>, at time: Int64, times: Int64) -> (run: Run, isComplete: Bool) {
        let id = intern(key)
        var run = entries[Int(id)].run
        if run.count == 0 || isOver(run, at: time) { run = Run(start: time) }
        run.count += 1
        run.last = time
        let isComplete = !run.isDone && run.count == times
        if isComplete { run.isDone = true }
        put(run, id)
        return (run, isComplete)
    }

    /// True if a record begins a run; if it does not, it changes nothing.
    package func begin(_ key: UnsafeBufferPointer<UInt8>, at time: Int64) -> Bool {
        let id = intern(key)
        let run = entries[Int(id)].run
        if run.count > 0, !isOver(run, at: time) { return false }
        put(Run(count: 1, start: time, last: time), id)
        return true
    }

    /// A record for which it does not hold.
    package func end(_ key: UnsafeBufferPointer<UInt8>) {
        if let id = withBytes(key, { keys.find($0, $1) }) { remove(id) }
    }

    private func isOver(_ run: Run, at time: Int64) -> Bool {
        time > (run.isDone ? run.last : run.start) + within || time > run.last + gap
    }

    /// Forgets runs that are over before `time`: all whose last record is too old for another.
    package func advance(to time: Int64) {
        while byLast.oldest >= 0, entries[Int(byLast.oldest)].run.last + gap < time { remove(UInt32(byLast.oldest)) }
    }

    // MARK: Keys

    private func intern(_ key: UnsafeBufferPointer<UInt8>) -> UInt32 {
        let id = withBytes(key) { keys.intern($0, $1) }
        if Int(id) >= entries.count {
            entries.append(contentsOf: repeatElement(Entry(), count: Int(id) + 1 - entries.count + entries.count / 2))
        }
        return id
    }

    private func withBytes<T>(_ key: UnsafeBufferPointer<UInt8>, _ body: (UnsafePointer<UInt8>, Int) -> T) -> T {
        if let start = key.baseAddress { return body(start, key.count) }
        var nothing: UInt8 = 0
        return body(&nothing, 0)
    }

    private func put(_ run: Run, _ id: UInt32) {
        if entries[Int(id)].run.count > 0 { byLast.remove(id) }
        entries[Int(id)].run = run
        byLast.append(id)
        guard tracksChanges, !entries[Int(id)].isDirty else { return }
        entries[Int(id)].isDirty = true
        dirty.append(id)
    }

    private func remove(_ id: UInt32) {
        if entries[Int(id)].isStored {
            let key = keys.key(of: id)
            if let start = key.baseAddress { _ = gone.append(start, key.count) }
            goneCounts.append(key.count)
        }
        byLast.remove(id)
        entries[Int(id)] = Entry()
        keys.remove(id)
    }

    // MARK: Changes

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
            entries[Int(id)].isDirty = false
            entries[Int(id)].isStored = true
            write(id, to: out) { body($0, $1) }
        }
        dirty.removeAll(keepingCapacity: true)
    }

    package func forEach(into out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        keys.forEach { write($0, to: out, body) }
    }

    private func write(_ id: UInt32, to out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        let run = entries[Int(id)].run
        let start = out.count
        let key = keys.key(of: id)
        if let base = key.baseAddress { _ = out.append(base, key.count) }
        let value = out.count
        out.appendZigzag(run.count)
        out.appendZigzag(run.start)
        out.appendZigzag(run.last)
        out.appendByte(run.isDone ? 1 : 0)
        body(start..<value, value..<out.count)
    }

    package func restore(key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?) -> Bool {
        let id = intern(key)
        entries[Int(id)] = Entry()
        guard let value else {
            keys.remove(id)
            return true
        }
        var reader = BinaryReader(value)
        entries[Int(id)].run = Run(
            count: reader.zigzag(), start: reader.zigzag(), last: reader.zigzag(), isDone: reader.byte() != 0)
        entries[Int(id)].isStored = tracksChanges
        return reader.isValid && reader.isAtEnd && entries[Int(id)].run.count > 0
    }

    package func finishRestore() {
        var ids: [UInt32] = []
        keys.forEach { ids.append($0) }
        byLast.removeAll()
        for id in ids.sorted(by: { entries[Int($0)].run.last < entries[Int($1)].run.last }) { byLast.append(id) }
    }

    package var keyCount: Int { keys.count }
    package var memoryBytes: Int { keys.memoryBytes + byLast.memoryBytes + entries.capacity * MemoryLayout<Entry>.stride }
    /// Its end makes no row.
    package var lastDue: Int64 { .min }
}
