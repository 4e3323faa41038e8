import Base
import Glibc
import Records

/// The rows of a table, by key and event time: of each key the versions that may still be asked for, oldest first.
///
/// A version is dropped once a newer one of its key has come to lie at or before the bound, and a deletion that nothing
/// precedes once it lies there itself. Lookups leave out what should be dropped, whether that was done or not, so that
/// when it is done makes no difference. Rows are bytes that only their owner can read.
package final class VersionedTable: OperatorState {
    private struct Version {
        var time: Int64
        var offset: Int
        /// -1: the key is deleted.
        var count: Int32
        /// The changelog does not have it yet; it has it.
        var isDirty: Bool
        var isKept: Bool
    }

    /// Where a key's versions stand in `pool`.
    private struct Chunk {
        var start = 0
        var count: Int32 = 0
        var capacity: Int32 = 0
    }

    private let keys = KeyTable()
    private var chunks: [Chunk] = []
    private var pool: UnsafeMutablePointer<Version>
    private var poolCount = 0
    private var poolCapacity = 64
    /// Entries of `pool` that belong to no chunk any more.
    private var poolGarbage = 0
    private let rows = Arena(capacity: 1 << 12)
    private var rowGarbage = 0
    private let tracksChanges: Bool
    private var dirty: [UInt32] = []
    private var isDirty: [Bool] = []
    /// Names (time, key) of versions that the changelog has and the table has no more.
    private var gone = Arena(capacity: 64)
    private var goneNames: [Range<Int>] = []
    private var swept: UInt32 = 0
    /// Of each row of a lookup.
    private let ids: UnsafeMutablePointer<UInt32>
    package private(set) var versionCount = 0

    package init(tracksChanges: Bool, rowsMax: Int = Limits.rowsPerBatchMax) {
        self.tracksChanges = tracksChanges
        pool = .allocate(capacity: poolCapacity)
        ids = .allocate(capacity: rowsMax)
        ids.initialize(repeating: 0, count: rowsMax)
    }

    deinit {
        pool.deallocate()
        ids.deallocate()
    }

    package var keyCount: Int { keys.count }
    package var memoryBytes: Int {
        keys.memoryBytes + chunks.capacity * MemoryLayout<Chunk>.stride + poolCapacity * MemoryLayout<Version>.stride
            + rows.capacity
    }
    package var lastDue: Int64 { .min }

    // MARK: Lookups

    /// Where rows stand that lookups and `forEachVersion` tell; valid until the next `put`.
    package var rowBytes: UnsafeMutablePointer<UInt8> { rows.base }

    /// Writes to `places[row]` where the row stands that the key in `keys` has as of `times[row]`, -1: none. `bound`:
    /// event time up to which only the newest version of a key is kept.
    package func find(
        _ keys: Column, in arena: Arena, rows: Selection, times: UnsafePointer<Int64>, bound: Int64,
        places: UnsafeMutablePointer<Int>
    ) {
        self.keys.find(keys, in: arena, rows: rows, ids: ids)
        let (ids, pool) = (self.ids, self.pool)
        chunks.withUnsafeBufferPointer { chunks in
            for index in 0..<rows.count {
                let row = rows[index]
                guard ids[row] != KeyTable.noId else {
                    places[row] = -1
                    continue
                }
                let chunk = chunks[Int(ids[row])]
                let versions = pool + chunk.start
                let count = Int(chunk.count)
                let after = Self.firstAfter(times[row], versions, count)
                if after == 0 || after < count && versions[after].time <= bound || versions[after - 1].count < 0 {
                    places[row] = -1
                } else {
                    places[row] = versions[after - 1].offset
                }
            }
        }
    }

    /// The number of versions whose time is not after `time`.
    @inline(__always)
    private static func firstAfter(_ time: Int64, _ versions: UnsafePointer<Version>, _ count: Int) -> Int {
        // Mostly the newest is asked for.
        if count > 0, versions[count - 1].time <= time { return count }
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if versions[middle].time <= time { low = middle + 1 } else { high = middle }
        }
        return low
    }

    // MARK: Changes

    /// As of `time` the key has this row; nil: it is deleted.
    package func put(
        _ key: UnsafePointer<UInt8>, _ keyCount: Int, time: Int64, row: UnsafeBufferPointer<UInt8>?, bound: Int64
    ) {
        let id = keys.intern(key, keyCount)
        makeChunk(id)
        prune(id, bound)
        insert(id, time, row, isKept: false)
        prune(id, bound)
        if chunks[Int(id)].count > Int32(Limits.tableVersionsPerKeyMax) { dropFirst(1, of: id) }
        if chunks[Int(id)].count == 0 { forget(id) }
        // Two keys for each version that comes, so that what is not touched any more does not stay for long.
        for _ in 0..<2 { sweep(bound) }
    }

    private func sweep(_ bound: Int64) {
        if swept >= UInt32(chunks.count) { swept = 0 }
        guard swept < UInt32(chunks.count) else { return }
        let id = swept
        swept += 1
        guard chunks[Int(id)].count > 0 else { return }
        prune(id, bound)
        if chunks[Int(id)].count == 0 { forget(id) }
    }

    private func makeChunk(_ id: UInt32) {
        while chunks.count <= Int(id) { chunks.append(Chunk()) }
        if tracksChanges { while isDirty.count <= Int(id) { isDirty.append(false) } }
    }

    private func forget(_ id: UInt32) {
        poolGarbage += Int(chunks[Int(id)].capacity)
        chunks[Int(id)] = Chunk()
        keys.remove(id)
    }

    /// Drops what nobody can ask for any more.
    private func prune(_ id: UInt32, _ bound: Int64) {
        let chunk = chunks[Int(id)]
        let versions = pool + chunk.start
        var first = 0
        while first + 1 < Int(chunk.count), versions[first + 1].time <= bound { first += 1 }
        if first < Int(chunk.count), versions[first].count < 0, versions[first].time <= bound { first += 1 }
        if first > 0 { dropFirst(first, of: id) }
    }

    private func dropFirst(_ count: Int, of id: UInt32) {
        let chunk = chunks[Int(id)]
        let versions = pool + chunk.start
        for index in 0..<count { noteRemoval(versions[index], of: id) }
        (versions).update(from: versions + count, count: Int(chunk.count) - count)
        chunks[Int(id)].count -= Int32(count)
        versionCount -= count
    }

    private func noteRemoval(_ version: Version, of id: UInt32) {
        rowGarbage += Int(max(0, version.count))
        guard version.isKept, tracksChanges else { return }
        let start = gone.count
        appendName(version.time, id, to: gone)
        goneNames.append(start..<gone.count)
    }

    private func insert(_ id: UInt32, _ time: Int64, _ row: UnsafeBufferPointer<UInt8>?, isKept: Bool) {
        if rows.count > 1 << 16, rowGarbage > rows.count / 2 { compactRows() }
        var version = Version(time: time, offset: 0, count: -1, isDirty: false, isKept: isKept)
        if let row {
            version.count = Int32(row.count)
            version.offset = rows.count
            if let start = row.baseAddress { version.offset = rows.append(start, row.count).offset }
        }
        if tracksChanges, !isKept {
            version.isDirty = true
            if !isDirty[Int(id)] {
                isDirty[Int(id)] = true
                dirty.append(id)
            }
        }
        let chunk = chunks[Int(id)]
        let place = Self.firstAfter(time, pool + chunk.start, Int(chunk.count))
        if place > 0, pool[chunk.start + place - 1].time == time {
            let old = pool[chunk.start + place - 1]
            rowGarbage += Int(max(0, old.count))
            version.isKept = version.isKept || old.isKept
            pool[chunk.start + place - 1] = version
            return
        }
        if chunk.count == chunk.capacity { grow(id) }
        let versions = pool + chunks[Int(id)].start
        (versions + place + 1).update(from: versions + place, count: Int(chunk.count) - place)
        (versions + place).initialize(to: version)
        chunks[Int(id)].count += 1
        versionCount += 1
    }

    // MARK: Memory

    /// Moves a key's versions to the end of the pool, into twice the room.
    private func grow(_ id: UInt32) {
        if poolCount > 1 << 12, poolGarbage > poolCount / 2 { compactPool() }
        let chunk = chunks[Int(id)]
        let capacity = max(1, Int(chunk.capacity) * 2)
        if poolCount + capacity > poolCapacity {
            let larger = UnsafeMutablePointer<Version>.allocate(capacity: (poolCount + capacity) * 2)
            larger.update(from: pool, count: poolCount)
            pool.deallocate()
            pool = larger
            poolCapacity = (poolCount + capacity) * 2
        }
        (pool + poolCount).update(from: pool + chunk.start, count: Int(chunk.count))
        poolGarbage += Int(chunk.capacity)
        chunks[Int(id)] = Chunk(start: poolCount, count: chunk.count, capacity: Int32(capacity))
        poolCount += capacity
    }

    private func compactPool() {
        let capacity = max(64, poolCount - poolGarbage) * 2
        let packed = UnsafeMutablePointer<Version>.allocate(capacity: capacity)
        var count = 0
        for id in chunks.indices where chunks[id].capacity > 0 {
            (packed + count).update(from: pool + chunks[id].start, count: Int(chunks[id].count))
            chunks[id].start = count
            count += Int(chunks[id].capacity)
        }
        pool.deallocate()
        (pool, poolCount, poolCapacity, poolGarbage) = (packed, count, capacity, 0)
    }

    private func compactRows() {
        let packed = Arena(capacity: max(64, rows.count - rowGarbage))
        for chunk in chunks {
            for index in chunk.start..<chunk.start + Int(chunk.count) where pool[index].count > 0 {
                pool[index].offset = packed.append(rows.base + pool[index].offset, Int(pool[index].count)).offset
            }
        }
        rows.removeAll()
        rows.reserve(packed.count)
        _ = rows.append(packed.base, packed.count)
        rowGarbage = 0
    }

    // MARK: OperatorState

    /// A version is known by its time and key.
    private func appendName(_ time: Int64, _ id: UInt32, to out: Arena) {
        out.appendWord(UInt64(bitPattern: time))
        let key = keys.key(of: id)
        out.reserve(key.count)
        if let start = key.baseAddress { _ = out.append(start, key.count) }
    }

    private func write(_ version: Version, _ id: UInt32, to out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        let start = out.count
        appendName(version.time, id, to: out)
        let value = out.count
        out.appendByte(version.count < 0 ? 0 : 1)
        out.reserve(Int(max(0, version.count)))
        if version.count > 0 { _ = out.append(rows.base + version.offset, Int(version.count)) }
        body(start..<value, value..<out.count)
    }

    package func drainChanges(into out: Arena, _ body: (Range<Int>, Range<Int>?) -> Void) {
        for name in goneNames {
            let start = out.count
            out.reserve(name.count)
            _ = out.append(gone.base + name.lowerBound, name.count)
            body(start..<out.count, nil)
        }
        gone.removeAll()
        goneNames.removeAll(keepingCapacity: true)
        for id in dirty {
            isDirty[Int(id)] = false
            let chunk = chunks[Int(id)]
            for index in chunk.start..<chunk.start + Int(chunk.count) where pool[index].isDirty {
                pool[index].isDirty = false
                pool[index].isKept = true
                write(pool[index], id, to: out, body)
            }
        }
        dirty.removeAll(keepingCapacity: true)
    }

    package func forEach(into out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        keys.forEach { id in
            let chunk = chunks[Int(id)]
            for index in chunk.start..<chunk.start + Int(chunk.count) { write(pool[index], id, to: out, body) }
        }
    }

    /// Calls `body` with every version; `place` as lookups tell it, -1: the key is deleted.
    package func forEachVersion(_ body: (_ key: UnsafeBufferPointer<UInt8>, _ time: Int64, _ place: Int) -> Void) {
        keys.forEach { id in
            let chunk = chunks[Int(id)]
            for index in chunk.start..<chunk.start + Int(chunk.count) {
                body(keys.key(of: id), pool[index].time, pool[index].count < 0 ? -1 : pool[index].offset)
            }
        }
    }

    package func restore(key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?) -> Bool {
        var reader = BinaryReader(key)
        let time = Int64(bitPattern: reader.word64())
        let name = reader.bytes(reader.left)
        guard reader.isValid else { return false }
        var nothing: UInt8 = 0
        let id = withUnsafeMutablePointer(to: &nothing) { keys.intern(name.baseAddress ?? UnsafePointer($0), name.count) }
        makeChunk(id)
        guard let value else {
            remove(time, of: id)
            return true
        }
        guard value.count > 0, value[0] <= 1 else { return false }
        insert(id, time, value[0] == 0 ? nil : UnsafeBufferPointer(rebasing: value[1...]), isKept: true)
        return true
    }

    private func remove(_ time: Int64, of id: UInt32) {
        let chunk = chunks[Int(id)]
        let versions = pool + chunk.start
        let after = Self.firstAfter(time, versions, Int(chunk.count))
        if after > 0, versions[after - 1].time == time {
            rowGarbage += Int(max(0, versions[after - 1].count))
            (versions + after - 1).update(from: versions + after, count: Int(chunk.count) - after)
            chunks[Int(id)].count -= 1
            versionCount -= 1
        }
        if chunks[Int(id)].count == 0 { forget(id) }
    }

    package func finishRestore() {}
}
