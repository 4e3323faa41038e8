import Base
import Glibc
import Records

/// The rows of a table, by key and event time: of each key the versions that may still be asked for, oldest
/// first.
///
/// A version is dropped once a newer one of its key has come to lie at or before the bound, and a deletion
/// that nothing preceded, or that is all there is of its key, once it lies there itself; so is the oldest of
/// a key that has too many. Lookups leave out what should be dropped, whether that was done or not, so that
/// when it is done makes no difference, and say that they do not know where they would have to look at it.
/// Rows are bytes that only their owner can read.
package final class VersionedTable: OperatorState {
    struct Version {
        var time: Int64
        var offset: Int
        /// -1: the key is deleted.
        var count: Int32
        /// The changelog does not have it yet; it has it.
        var isDirty: Bool
        var isKept: Bool
    }

    /// Where a key's versions stand in `pool`.
    struct Chunk {
        var start = 0
        var count: Int32 = 0
        var capacity: Int32 = 0
        /// Of the key there was something before the oldest version that is kept; a changelog has that.
        var isCut = false
        var isCutKept = false
    }

    let keys = KeyTable()
    var chunks: [Chunk] = []
    var pool: UnsafeMutablePointer<Version>
    private var poolCount = 0
    private var poolCapacity = 64
    /// Entries of `pool` that belong to no chunk any more.
    private var poolGarbage = 0
    let rows = Arena(capacity: 1 << 12)
    var rowGarbage = 0
    let tracksChanges: Bool
    var dirty: [UInt32] = []
    var isDirty: [Bool] = []
    /// Names (time, key) of versions that the changelog has and the table has no more.
    var gone = Arena(capacity: 64)
    var goneNames: [Range<Int>] = []
    private var swept: UInt32 = 0
    /// Of each row of a lookup.
    private let ids: UnsafeMutablePointer<UInt32>
    package internal(set) var versionCount = 0
    var cutCount = 0
    /// What `forEach` tells.
    package var entryCount: Int { versionCount + cutCount }
    private let versionsPerKey: Int
    /// Versions that left since their key had too many.
    package private(set) var displaced: Int64 = 0

    package init(
        tracksChanges: Bool, rowsMax: Int = Limits.rowsPerBatchMax,
        versionsPerKey: Int = Limits.tableVersionsPerKeyMax
    ) {
        self.tracksChanges = tracksChanges
        self.versionsPerKey = versionsPerKey
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
        keys.memoryBytes + chunks.capacity * MemoryLayout<Chunk>.stride + poolCapacity
            * MemoryLayout<Version>.stride
            + rows.capacity
    }
    package var lastDue: Int64 { .min }

    // MARK: Lookups

    /// Where rows stand that lookups and `forEachVersion` tell; valid until the next `put`.
    package var rowBytes: UnsafeMutablePointer<UInt8> { rows.base }

    /// What a lookup says instead of a place.
    package static let none = -1, unknown = -2

    /// Writes to `places[row]` where the row stands that the key in `keys` has as of `times[row]`, `none`, or
    /// `unknown` where what it had was dropped; tells how many are unknown. `bound`: event time up to which
    /// only the newest version of a key is kept.
    package func find(
        _ keys: Column, in arena: Arena, rows: Selection, times: UnsafePointer<Int64>, bound: Int64,
        places: UnsafeMutablePointer<Int>
    ) -> Int {
        self.keys.find(keys, in: arena, rows: rows, ids: ids)
        let (ids, pool) = (self.ids, self.pool)
        return chunks.withUnsafeBufferPointer { chunks in
            var unknown = 0
            for index in 0..<rows.count {
                let row = rows[index]
                guard ids[row] != KeyTable.noId else {
                    places[row] = Self.none
                    continue
                }
                let chunk = chunks[Int(ids[row])]
                let versions = pool + chunk.start
                let count = Int(chunk.count)
                let after = Self.firstAfter(times[row], versions, count)
                if after == 0 || after < count && versions[after].time <= bound {
                    let isUnknown = Self.isCut(chunk, versions, bound)
                    places[row] = isUnknown ? Self.unknown : Self.none
                    unknown += isUnknown ? 1 : 0
                } else if versions[after - 1].count < 0 {
                    places[row] = Self.none
                } else {
                    places[row] = versions[after - 1].offset
                }
            }
            return unknown
        }
    }

    /// Whether a key would be cut once all is dropped that nobody can ask for any more. One that is deleted
    /// and forgotten is as if it had never been.
    private static func isCut(_ chunk: Chunk, _ versions: UnsafePointer<Version>, _ bound: Int64) -> Bool {
        let last = versions[Int(chunk.count) - 1]
        if last.count < 0, last.time <= bound { return false }
        if chunk.isCut { return true }
        var next = 1
        while next < Int(chunk.count), versions[next].time <= bound {
            if versions[next - 1].count >= 0 { return true }
            next += 1
        }
        return false
    }

    /// The number of versions whose time is not after `time`.
    @inline(__always)
    static func firstAfter(_ time: Int64, _ versions: UnsafePointer<Version>, _ count: Int) -> Int {
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
        _ key: UnsafePointer<UInt8>, _ keyCount: Int, time: Int64, row: UnsafeBufferPointer<UInt8>?,
        bound: Int64
    ) {
        let id = keys.intern(key, keyCount)
        makeChunk(id)
        prune(id, bound)
        insert(id, time, row, isKept: false)
        prune(id, bound)
        if Int(chunks[Int(id)].count) > versionsPerKey {
            displaced += 1
            dropFirst(1, of: id)
        }
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

    func makeChunk(_ id: UInt32) {
        while chunks.count <= Int(id) { chunks.append(Chunk()) }
        if tracksChanges { while isDirty.count <= Int(id) { isDirty.append(false) } }
    }

    func forget(_ id: UInt32) {
        uncut(id)
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
        if first < Int(chunk.count), versions[first].count < 0, versions[first].time <= bound {
            // Where something was before it, it says from when on there was nothing.
            let isLast = first + 1 == Int(chunk.count)
            if isLast || !Self.isCut(chunk, versions, bound) { first += 1 }
        }
        if first > 0 { dropFirst(first, of: id) }
    }

    private func dropFirst(_ count: Int, of id: UInt32) {
        let chunk = chunks[Int(id)]
        let versions = pool + chunk.start
        // That there was nothing is said by what is left, or by nothing.
        let isCut = chunk.isCut || (0..<count).contains { versions[$0].count >= 0 }
        for index in 0..<count { noteRemoval(versions[index], of: id) }
        (versions).update(from: versions + count, count: Int(chunk.count) - count)
        chunks[Int(id)].count -= Int32(count)
        versionCount -= count
        // A key of which nothing is left is as one that never was, even if something comes for it at once.
        if chunks[Int(id)].count == 0 { return uncut(id) }
        guard isCut, !chunk.isCut else { return }
        chunks[Int(id)].isCut = true
        cutCount += 1
        markDirty(id)
    }

    private func uncut(_ id: UInt32) {
        if chunks[Int(id)].isCutKept { noteGone(Self.cutTime, id) }
        cutCount -= chunks[Int(id)].isCut ? 1 : 0
        chunks[Int(id)].isCut = false
        chunks[Int(id)].isCutKept = false
    }

    private func markDirty(_ id: UInt32) {
        guard tracksChanges, !isDirty[Int(id)] else { return }
        isDirty[Int(id)] = true
        dirty.append(id)
    }

    private func noteRemoval(_ version: Version, of id: UInt32) {
        rowGarbage += Int(max(0, version.count))
        if version.isKept, tracksChanges { noteGone(version.time, id) }
    }

    private func noteGone(_ time: Int64, _ id: UInt32) {
        let start = gone.count
        appendName(time, id, to: gone)
        goneNames.append(start..<gone.count)
    }

    func insert(_ id: UInt32, _ time: Int64, _ row: UnsafeBufferPointer<UInt8>?, isKept: Bool) {
        if rows.count > 1 << 16, rowGarbage > rows.count / 2 { compactRows() }
        var version = Version(time: time, offset: 0, count: -1, isDirty: false, isKept: isKept)
        if let row {
            version.count = Int32(row.count)
            version.offset = rows.count
            if let start = row.baseAddress { _ = rows.append(start, row.count) }
        }
        if tracksChanges, !isKept {
            version.isDirty = true
            markDirty(id)
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
        chunks[Int(id)].start = poolCount
        chunks[Int(id)].capacity = Int32(capacity)
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
                // Not that of a text, which has 32 bits.
                let offset = packed.count
                _ = packed.append(rows.base + pool[index].offset, Int(pool[index].count))
                pool[index].offset = offset
            }
        }
        rows.removeAll()
        rows.reserve(packed.count)
        _ = rows.append(packed.base, packed.count)
        rowGarbage = 0
    }
}
