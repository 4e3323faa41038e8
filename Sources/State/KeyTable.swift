import Base
import CPrefetch
import Glibc
import Records

/// Turns keys (bytes) into dense ids and back: open addressing with linear probing, 8 bytes a slot, so that
/// a lookup touches one line of the table, then the key's bytes.
///
/// An id stays with its key until `remove`, then it is given to another. Used by one thread.
package final class KeyTable {
    /// High half: high half of the hash. Low half: id + 1. 0: free.
    private var slots: UnsafeMutablePointer<UInt64>
    private var mask: Int
    private var entries: UnsafeMutablePointer<Entry>
    private var entriesCapacity: Int
    private var bytes = Arena(capacity: 4096)
    private var garbage = 0
    private var free: [UInt32] = []
    /// Where the first probe of a row lands; reading the slots of all rows at once lets the cache misses
    /// overlap.
    private let hashes: UnsafeMutablePointer<UInt64>
    private let touched: UnsafeMutablePointer<UInt64>

    /// Keys that have an id now.
    package private(set) var count = 0
    /// Every id is below this.
    package private(set) var idLimit = 0

    private struct Entry {
        var hash: UInt64
        var offset: Int
        var count: Int32
    }

    package init(rowsMax: Int = Limits.rowsPerBatchMax) {
        mask = 1023
        slots = .allocate(capacity: mask + 1)
        slots.initialize(repeating: 0, count: mask + 1)
        entriesCapacity = 512
        entries = .allocate(capacity: entriesCapacity)
        hashes = .allocate(capacity: rowsMax)
        hashes.initialize(repeating: 0, count: rowsMax)
        touched = .allocate(capacity: rowsMax)
        touched.initialize(repeating: 0, count: rowsMax)
    }

    deinit {
        slots.deallocate()
        entries.deallocate()
        hashes.deallocate()
        touched.deallocate()
    }

    package var memoryBytes: Int {
        (mask + 1) * 8 + entriesCapacity * MemoryLayout<Entry>.stride + bytes.capacity
    }

    /// Writes to `ids[row]` the id of the key that `keys[row]` (a `TextReference` into `arena`) names, for
    /// every selected row, in order; new keys get new ids.
    package func intern(
        _ keys: UnsafePointer<Int64>,
        in arena: Arena,
        rows: Selection,
        ids: UnsafeMutablePointer<UInt32>
    ) {
        reserve(rows.count)
        let (hashes, touched, slots, mask) = (self.hashes, self.touched, self.slots, self.mask)
        let base = arena.base
        for index in 0..<rows.count {
            let key = TextReference(packed: keys[rows[index]])
            let hash = hashBytes(base + key.offset, key.count)
            hashes[index] = hash
            touched[index] = slots[Int(truncatingIfNeeded: hash) & mask]
        }
        prefetch(rows.count)
        // Found keys, which are nearly all, are looked up through locals: a property of a class is checked
        // for exclusive access each time.
        var entries = self.entries
        var bytes = self.bytes.base
        for index in 0..<rows.count {
            let row = rows[index]
            let key = TextReference(packed: keys[row])
            let start = base + key.offset
            let hash = hashes[index]
            let tag = hash >> 32
            var slot = Int(truncatingIfNeeded: hash) & mask
            var found: UInt32?
            while slots[slot] != 0 {
                let candidate = slots[slot]
                if candidate >> 32 == tag {
                    let id = UInt32(truncatingIfNeeded: candidate) &- 1
                    let entry = entries[Int(id)]
                    if entry.hash == hash, Int(entry.count) == key.count,
                        memcmp(bytes + entry.offset, start, key.count) == 0
                    {
                        found = id
                        break
                    }
                }
                slot = (slot &+ 1) & mask
            }
            if let found {
                ids[row] = found
            } else {
                ids[row] = insert(start, key.count, hash: hash, at: slot)
                entries = self.entries
                bytes = self.bytes.base
            }
        }
    }

    /// Asks for the entries, then for the texts, of the keys that the first probes found. Of few keys all is
    /// in the cache.
    private func prefetch(_ rows: Int) {
        guard count > Self.cachedKeys else { return }
        let (touched, entries, bytes) = (touched, entries, bytes.base)
        for index in 0..<rows where touched[index] != 0 {
            cprefetch(entries + Int(UInt32(truncatingIfNeeded: touched[index]) &- 1))
        }
        for index in 0..<rows where touched[index] != 0 {
            cprefetch(bytes + entries[Int(UInt32(truncatingIfNeeded: touched[index]) &- 1)].offset)
        }
    }

    private static let cachedKeys = 1 << 15

    /// Writes to `ids[row]` the id of the key that `keys[row]` names, or `noId` if it has none or is not
    /// valid, for every selected row.
    package func find(
        _ keys: Column, in arena: Arena, rows: Selection, ids: UnsafeMutablePointer<UInt32>
    ) {
        let (hashes, touched, slots, mask) = (self.hashes, self.touched, self.slots, self.mask)
        let (values, valid, base) = (keys.values, keys.valid, arena.base)
        for index in 0..<rows.count {
            // A key without a value has the bytes of some other or none, which do no harm.
            let key = TextReference(packed: valid[rows[index]] == 1 ? values[rows[index]] : 0)
            let hash = hashBytes(base + key.offset, key.count)
            hashes[index] = hash
            touched[index] = slots[Int(truncatingIfNeeded: hash) & mask]
        }
        prefetch(rows.count)
        let (entries, bytes) = (self.entries, self.bytes.base)
        for index in 0..<rows.count {
            let row = rows[index]
            ids[row] = Self.noId
            guard valid[row] == 1 else { continue }
            let key = TextReference(packed: values[row])
            let hash = hashes[index]
            let tag = hash >> 32
            var slot = Int(truncatingIfNeeded: hash) & mask
            while slots[slot] != 0 {
                let candidate = slots[slot]
                if candidate >> 32 == tag {
                    let id = UInt32(truncatingIfNeeded: candidate) &- 1
                    let entry = entries[Int(id)]
                    if entry.hash == hash, Int(entry.count) == key.count,
                        memcmp(bytes + entry.offset, base + key.offset, key.count) == 0
                    {
                        ids[row] = id
                        break
                    }
                }
                slot = (slot &+ 1) & mask
            }
        }
    }

    package static let noId = UInt32.max

    /// The id of one key, new if need be.
    package func intern(_ key: UnsafePointer<UInt8>, _ keyCount: Int) -> UInt32 {
        reserve(1)
        return intern(key, keyCount, hash: hashBytes(key, keyCount))
    }

    /// The id of a key that is there, or nil.
    package func find(_ key: UnsafePointer<UInt8>, _ keyCount: Int) -> UInt32? {
        let hash = hashBytes(key, keyCount)
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0 {
            let id = UInt32(truncatingIfNeeded: slots[slot]) &- 1
            if matches(id, key, keyCount, hash: hash) { return id }
            slot = (slot &+ 1) & mask
        }
        return nil
    }

    /// The same for bytes that may be none, and have no address then.
    package func intern(_ key: UnsafeBufferPointer<UInt8>) -> UInt32 {
        Self.withAddress(of: key) { intern($0, key.count) }
    }
    package func find(_ key: UnsafeBufferPointer<UInt8>) -> UInt32? {
        Self.withAddress(of: key) { find($0, key.count) }
    }

    private static func withAddress<T>(
        of key: UnsafeBufferPointer<UInt8>, _ body: (UnsafePointer<UInt8>) -> T
    ) -> T {
        if let start = key.baseAddress { return body(start) }
        var nothing: UInt8 = 0
        return body(&nothing)
    }

    /// The bytes of a key that has an id; valid until the next change of the table.
    package func key(of id: UInt32) -> UnsafeBufferPointer<UInt8> {
        let entry = entries[Int(id)]
        return UnsafeBufferPointer(start: bytes.base + entry.offset, count: Int(entry.count))
    }

    /// False for an id that was removed or never given.
    package func hasKey(_ id: UInt32) -> Bool { id < idLimit && entries[Int(id)].count >= 0 }

    /// Calls `body` with every id that has a key, ascending.
    package func forEach(_ body: (_ id: UInt32) -> Void) {
        for id in 0..<idLimit where entries[id].count >= 0 { body(UInt32(id)) }
    }

    /// Forgets a key; its id may be given to another.
    package func remove(_ id: UInt32) {
        let entry = entries[Int(id)]
        var slot = Int(truncatingIfNeeded: entry.hash) & mask
        while UInt32(truncatingIfNeeded: slots[slot]) &- 1 != id {
            require(slots[slot] != 0, "removing a key that has no id")
            slot = (slot &+ 1) & mask
        }
        closeGap(at: slot)
        garbage += Int(entry.count)
        free.append(id)
        entries[Int(id)].count = -1
        count -= 1
        if garbage > bytes.count / 2, garbage > 1 << 16 { compact() }
    }

    private func intern(_ key: UnsafePointer<UInt8>, _ keyCount: Int, hash: UInt64) -> UInt32 {
        var slot = Int(truncatingIfNeeded: hash) & mask
        let tag = hash >> 32
        while true {
            let entry = slots[slot]
            if entry == 0 { break }
            if entry >> 32 == tag {
                let id = UInt32(truncatingIfNeeded: entry) &- 1
                if matches(id, key, keyCount, hash: hash) { return id }
            }
            slot = (slot &+ 1) & mask
        }
        return insert(key, keyCount, hash: hash, at: slot)
    }

    @inline(__always)
    private func matches(_ id: UInt32, _ key: UnsafePointer<UInt8>, _ keyCount: Int, hash: UInt64) -> Bool {
        let entry = entries[Int(id)]
        guard entry.hash == hash, Int(entry.count) == keyCount else { return false }
        return memcmp(bytes.base + entry.offset, key, keyCount) == 0
    }

    @inline(never)
    private func insert(_ key: UnsafePointer<UInt8>, _ keyCount: Int, hash: UInt64, at slot: Int) -> UInt32 {
        let id: UInt32
        if let reused = free.popLast() {
            id = reused
        } else {
            if idLimit == entriesCapacity { growEntries() }
            id = UInt32(idLimit)
            idLimit += 1
        }
        // Not that of a text, which has 32 bits.
        let offset = bytes.count
        _ = bytes.append(key, keyCount)
        entries[Int(id)] = Entry(hash: hash, offset: offset, count: Int32(keyCount))
        slots[slot] = (hash >> 32) << 32 | UInt64(id &+ 1)
        count += 1
        return id
    }

    private func growEntries() {
        let larger = UnsafeMutablePointer<Entry>.allocate(capacity: entriesCapacity * 2)
        larger.update(from: entries, count: idLimit)
        entries.deallocate()
        entries = larger
        entriesCapacity *= 2
    }

    /// Room for `more` keys at half load.
    private func reserve(_ more: Int) {
        var capacity = mask + 1
        while (count + more) * 2 > capacity { capacity *= 2 }
        guard capacity > mask + 1 else { return }
        slots.deallocate()
        slots = .allocate(capacity: capacity)
        slots.initialize(repeating: 0, count: capacity)
        mask = capacity - 1
        for id in 0..<idLimit where entries[id].count >= 0 {
            var slot = Int(truncatingIfNeeded: entries[id].hash) & mask
            while slots[slot] != 0 { slot = (slot + 1) & mask }
            slots[slot] = (entries[id].hash >> 32) << 32 | UInt64(id + 1)
        }
    }

    /// Backward-shift deletion (Knuth, TAOCP 6.4, algorithm R), so that no tombstones pile up.
    private func closeGap(at start: Int) {
        var gap = start
        var slot = (start + 1) & mask
        while slots[slot] != 0 {
            let home =
                Int(truncatingIfNeeded: entries[Int(UInt32(truncatingIfNeeded: slots[slot]) - 1)].hash) & mask
            // Movable if its home does not lie cyclically in (gap, slot].
            if (slot - home) & mask >= (slot - gap) & mask {
                slots[gap] = slots[slot]
                gap = slot
            }
            slot = (slot + 1) & mask
        }
        slots[gap] = 0
    }

    private func compact() {
        let packed = Arena(capacity: bytes.count - garbage)
        for id in 0..<idLimit where entries[id].count >= 0 {
            let offset = packed.count
            _ = packed.append(bytes.base + entries[id].offset, Int(entries[id].count))
            entries[id].offset = offset
        }
        bytes = packed
        garbage = 0
    }
}
