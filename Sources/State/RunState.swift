import Base
import Records

/// By key, a run of consecutive records for which something holds.
package final class RunState: OperatorState {
    package struct Run: Equatable {
        package var count: Int64 = 0
        package var start: Int64 = 0
        package var last: Int64 = 0
        /// It has been told.
        package var isDone = false
    }

    private let within: Int64
    private let keys = KeyTable(rowsMax: 1)
    private var runs: [Run] = []
    private var isDirty: [Bool] = []
    private var dirty: [UInt32] = []
    private var gone: [[UInt8]] = []
    private var timers = TimerQueue()
    private let tracksChanges: Bool

    package init(within: Int64, tracksChanges: Bool) {
        self.within = within
        self.tracksChanges = tracksChanges
    }

    /// A record for which it holds. Gives the run with it, and whether it has just become `times` long.
    package func extend(_ key: UnsafeBufferPointer<UInt8>, at time: Int64, times: Int64) -> (run: Run, isComplete: Bool) {
        let id = intern(key)
        var run = runs[Int(id)]
        if run.count == 0 || time > end(of: run) { run = Run(start: time) }
        run.count += 1
        run.last = time
        let isComplete = !run.isDone && run.count == times
        if isComplete { run.isDone = true }
        // One timer goes on for as long as the run does.
        if run.count == 1 { timers.add(end(of: run), id) }
        runs[Int(id)] = run
        markDirty(id)
        return (run, isComplete)
    }

    /// A record for which it does not hold.
    package func end(_ key: UnsafeBufferPointer<UInt8>) {
        guard let start = key.baseAddress, let id = keys.find(start, key.count) else { return }
        remove(id)
    }

    private func end(of run: Run) -> Int64 { (run.isDone ? run.last : run.start) + within }

    /// Runs whose time is over before `time` end.
    package func advance(to time: Int64) {
        while let timer = timers.removeFirst(before: time) {
            guard Int(timer.id) < runs.count, runs[Int(timer.id)].count > 0 else { continue }
            let end = end(of: runs[Int(timer.id)])
            if end < time { remove(timer.id) } else { timers.add(end, timer.id) }
        }
    }

    private func intern(_ key: UnsafeBufferPointer<UInt8>) -> UInt32 {
        var nothing: UInt8 = 0
        let id = key.baseAddress.map { keys.intern($0, key.count) } ?? keys.intern(&nothing, 0)
        if Int(id) >= runs.count {
            let more = Int(id) + 1 - runs.count + runs.count / 2
            runs.append(contentsOf: repeatElement(Run(), count: more))
            isDirty.append(contentsOf: repeatElement(false, count: more))
        }
        return id
    }

    private func remove(_ id: UInt32) {
        if tracksChanges { gone.append(Array(keys.key(of: id))) }
        runs[Int(id)] = Run()
        isDirty[Int(id)] = false
        keys.remove(id)
    }

    private func markDirty(_ id: UInt32) {
        guard tracksChanges, !isDirty[Int(id)] else { return }
        isDirty[Int(id)] = true
        dirty.append(id)
    }

    // MARK: Changes

    package func drainChanges(into out: Arena, _ body: (Range<Int>, Range<Int>?) -> Void) {
        // A key that ended and began again is written after.
        for key in gone {
            let start = out.count
            key.withUnsafeBufferPointer { if let base = $0.baseAddress { _ = out.append(base, $0.count) } }
            body(start..<out.count, nil)
        }
        gone.removeAll(keepingCapacity: true)
        for id in dirty where isDirty[Int(id)] {
            isDirty[Int(id)] = false
            write(id, to: out) { body($0, $1) }
        }
        dirty.removeAll(keepingCapacity: true)
    }

    package func forEach(into out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        keys.forEach { write($0, to: out, body) }
    }

    private func write(_ id: UInt32, to out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        let run = runs[Int(id)]
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
        guard let value else {
            runs[Int(id)] = Run()
            keys.remove(id)
            return true
        }
        var reader = BinaryReader(value)
        runs[Int(id)] = Run(
            count: reader.zigzag(), start: reader.zigzag(), last: reader.zigzag(), isDone: reader.byte() != 0)
        return reader.isValid && reader.isAtEnd && runs[Int(id)].count > 0
    }

    package func finishRestore() {
        timers.removeAll()
        keys.forEach { timers.add(end(of: runs[Int($0)]), $0) }
    }

    package var keyCount: Int { keys.count }
    package var memoryBytes: Int { keys.memoryBytes + runs.capacity * MemoryLayout<Run>.stride + timers.memoryBytes }
    /// Its end makes no row.
    package var lastDue: Int64 { .min }
}
