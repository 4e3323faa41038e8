import Base
import Records

/// Sets that wait to be written, one per key, the newest of each field. Not locked: `RedisSink` does that.
///
/// Keys are spread over shards so that no single call has to move a large table when it grows.
struct RedisPending {
    struct Entry {
        var key: String
        var fields: [(name: String, value: String)]
        var ttlMilliseconds: Int64

        /// About what it takes in memory.
        var bytes: Int {
            fields.reduce(160 + key.utf8.count) { $0 + 64 + $1.name.utf8.count + $1.value.utf8.count }
        }
    }

    private struct Shard {
        var entries: [String: Entry] = [:]
        /// Keys, longest waiting first, from `first` on.
        var order: [String] = []
        var first = 0
        var bytes = 0
    }

    private static let shardCount = 64
    private var shards = Array(repeating: Shard(), count: Self.shardCount)
    private let shardBytesMax: Int
    private var next = 0
    private(set) var keys = 0
    private(set) var bytes = 0
    private(set) var coalesced = 0
    /// Keys given up because too many bytes were waiting.
    private(set) var dropped = 0

    init(bytesMax: Int) { shardBytesMax = max(bytesMax / Self.shardCount, 1) }

    /// The newest values; those of an older set that stay out of this one are kept.
    mutating func put(_ entry: Entry) {
        let shard = shard(of: entry.key)
        insert(entry, in: shard, isNewer: true)
        while shards[shard].bytes > shardBytesMax, drop(from: shard) {}
    }

    /// Values that could not be written: they give way to any that came since. `atEnd`: other keys have their
    /// turn first.
    mutating func putBack(_ entries: [Entry], atEnd: Bool = false) {
        for entry in entries.reversed() {
            let shard = shard(of: entry.key)
            insert(entry, in: shard, isNewer: false, atEnd: atEnd)
            while shards[shard].bytes > shardBytesMax, drop(from: shard) {}
        }
    }

    /// Takes up to `count` entries, of each shard those that waited longest.
    mutating func take(_ count: Int) -> [Entry] {
        var taken: [Entry] = []
        taken.reserveCapacity(min(count, keys))
        while taken.count < count, keys > 0 {
            while taken.count < count, let entry = removeFirst(from: next) { taken.append(entry) }
            if taken.count < count { next = (next + 1) % Self.shardCount }
        }
        return taken
    }

    private func shard(of key: String) -> Int {
        var key = key
        return key.withUTF8 { bytes in
            bytes.baseAddress.map { Int(hashBytes($0, bytes.count) % UInt64(Self.shardCount)) } ?? 0
        }
    }

    private mutating func insert(_ entry: Entry, in shard: Int, isNewer: Bool, atEnd: Bool = false) {
        guard let old = shards[shard].entries[entry.key] else {
            shards[shard].entries[entry.key] = entry
            if isNewer || atEnd {
                shards[shard].order.append(entry.key)
            } else if shards[shard].first > 0 {
                shards[shard].first -= 1
                shards[shard].order[shards[shard].first] = entry.key
            } else {
                shards[shard].order.insert(entry.key, at: 0)
            }
            change(shard, keys: 1, bytes: entry.bytes)
            return
        }
        let merged = isNewer ? Self.merge(old, under: entry) : Self.merge(entry, under: old)
        shards[shard].entries[entry.key] = merged
        change(shard, keys: 0, bytes: merged.bytes - old.bytes)
        coalesced += 1
    }

    private static func merge(_ old: Entry, under new: Entry) -> Entry {
        // A sink writes the same fields every time: then there is nothing to look up.
        if old.fields.count == new.fields.count,
            zip(old.fields, new.fields).allSatisfy({ $0.name == $1.name })
        {
            return new
        }
        var merged = new
        for field in old.fields where !new.fields.contains(where: { $0.name == field.name }) {
            merged.fields.append(field)
        }
        return merged
    }

    private mutating func drop(from shard: Int) -> Bool {
        // The last one stays: it is the newest.
        guard shards[shard].entries.count > 1, removeFirst(from: shard) != nil else { return false }
        dropped += 1
        return true
    }

    private mutating func removeFirst(from shard: Int) -> Entry? {
        guard shards[shard].first < shards[shard].order.count else { return nil }
        let key = shards[shard].order[shards[shard].first]
        shards[shard].order[shards[shard].first] = ""
        shards[shard].first += 1
        if shards[shard].first == shards[shard].order.count {
            shards[shard].order.removeAll(keepingCapacity: true)
            shards[shard].first = 0
        } else if shards[shard].first > 4096, shards[shard].first * 2 > shards[shard].order.count {
            shards[shard].order.removeFirst(shards[shard].first)
            shards[shard].first = 0
        }
        guard let entry = shards[shard].entries.removeValue(forKey: key) else { return nil }
        change(shard, keys: -1, bytes: -entry.bytes)
        return entry
    }

    private mutating func change(_ shard: Int, keys count: Int, bytes difference: Int) {
        keys += count
        bytes += difference
        shards[shard].bytes += difference
    }
}
