import Base
import Records

/// Panes as bytes, for a changelog and for snapshots. The unit is a segment of eight slots of a key's ring: a record
/// costs a changelog more than the panes in it, and when a backlog is read many panes of a key change at once. A
/// segment's bytes carry the key's newest and oldest pane as well, so that the last record of a key says which
/// panes of the others still count. Totals are not kept: they are what the panes add up to.
extension WindowStore {
    static let slotsPerSegment = 8

    @inline(__always)
    func noteDirty(_ block: UnsafeMutablePointer<Int64>, _ id: UInt32, _ slot: Int) {
        let segment = slot >> 3
        block[Self.masks + segment >> 6] |= Int64(bitPattern: 1 << UInt64(segment & 63))
        if block[Self.listed] == 0 {
            block[Self.listed] = 1
            dirty.append(id)
        }
    }

    package var hasChanges: Bool { !dirty.isEmpty }

    /// Appends every segment that changed since the last call to `bytes` and calls `body` with its key, its number
    /// and where its bytes begin.
    package func drainChanges(into bytes: Arena, _ body: (_ id: UInt32, _ segment: Int, _ start: Int) -> Void) {
        for id in dirty {
            let block = block(of: id)
            guard block != emptyBlock else { continue }
            block[Self.listed] = 0
            for word in 0..<maskWords {
                var bits = UInt64(bitPattern: block[Self.masks + word])
                block[Self.masks + word] = 0
                block[Self.masks + maskWords + word] |= Int64(bitPattern: bits)
                while bits != 0 {
                    let segment = word << 6 + bits.trailingZeroBitCount
                    bits &= bits &- 1
                    let start = bytes.count
                    write(block, segment, to: bytes)
                    body(id, segment, start)
                }
            }
        }
        dirty.removeAll(keepingCapacity: true)
    }

    /// Calls `body` with the segments that were drained for a key, which is gone since and whose id has not been
    /// given away yet.
    package func forgetDrained(_ id: UInt32, _ body: (_ segment: Int) -> Void) {
        let block = rawBlock(of: id)
        for word in 0..<maskWords {
            var bits = UInt64(bitPattern: block[Self.masks + maskWords + word])
            block[Self.masks + maskWords + word] = 0
            while bits != 0 {
                body(word << 6 + bits.trailingZeroBitCount)
                bits &= bits &- 1
            }
        }
    }

    /// The pane that a slot of a ring holds while `newest` is the newest one.
    private func pane(at slot: Int, newest: Int64, ring: Int) -> Int64 {
        let behind = Self.slot(newest, ring) - slot
        return newest - Int64(behind < 0 ? behind + ring : behind)
    }

    private func slots(of segment: Int, ring: Int) -> Range<Int> {
        let first = segment * Self.slotsPerSegment
        return first..<max(first, min(first + Self.slotsPerSegment, ring))
    }

    /// Panes of the ring, newest pane, how many panes to the oldest, a byte that says which slots of the segment hold records, and
    /// those panes.
    private func write(_ block: UnsafeMutablePointer<Int64>, _ segment: Int, to bytes: Arena) {
        let (newest, oldest) = (block[Self.newest], block[Self.oldest])
        bytes.appendVarint(UInt64(ringCount))
        bytes.appendZigzag(newest)
        bytes.appendVarint(UInt64(newest - oldest))
        let maskAt = bytes.count
        var mask: UInt8 = 0
        bytes.appendByte(0)
        for slot in slots(of: segment, ring: ringCount) {
            let pane = pane(at: slot, newest: newest, ring: ringCount)
            let words = block + ring + slot * paneWords
            guard pane >= oldest, words[0] != 0 else { continue }
            mask |= 1 << UInt8(slot & 7)
            for word in 0..<paneWords { bytes.appendZigzag(words[word]) }
            if sketchesPerKey > 0 { writeSketches(block, pane, to: bytes) }
        }
        bytes.base[maskAt] = mask
    }

    private func writeSketches(_ block: UnsafeMutablePointer<Int64>, _ pane: Int64, to bytes: Arena) {
        for index in aggregates.indices where aggregates[index].isSketch {
            // A key that has no sketches yet has empty ones.
            if block[Self.sketch] == 0 {
                bytes.appendByte(0)
            } else if case .quantile = aggregates[index] {
                quantiles[sketchIndex(block, index)]?.write(slot: slot(pane), to: bytes)
            } else {
                sketches[sketchIndex(block, index)]?.write(slot: slot(pane), to: bytes)
            }
        }
    }

    // MARK: Restoring

    /// Puts a segment back that `drainChanges` wrote. Segments must come in the order in which they were drained;
    /// `finishRestore` makes the store whole. False if the bytes are not of this store.
    package func restoreSegment(_ id: UInt32, _ segment: Int, _ reader: inout BinaryReader) -> Bool {
        let ring = reader.count(below: Limits.ringPanesMax + ringCount)
        let newest = reader.zigzag()
        let count = reader.count(below: max(ring, 1))
        let mask = reader.byte()
        guard reader.isValid, newest > Int64.min + Int64(ring), segment < (ring + 7) / 8 else { return false }
        growRing(to: ring)
        let oldest = newest - Int64(count)
        let block = restoreBlock(id, newest: newest, oldest: oldest)
        setDrained(block, segment, true)
        for slot in slots(of: segment, ring: ring) {
            let pane = pane(at: slot, newest: newest, ring: ring)
            let isThere = mask & 1 << UInt8(slot & 7) != 0
            guard pane >= oldest else {
                if isThere { return false }
                continue
            }
            if !isThere {
                for index in aggregates.indices { clearPanes(index, block, pane, pane) }
            } else {
                let words = paneWords(block, pane)
                for word in 0..<paneWords { words[word] = reader.zigzag() }
                readSketches(block, self.slot(pane), &reader)
            }
        }
        return reader.isValid
    }

    private func setDrained(_ block: UnsafeMutablePointer<Int64>, _ segment: Int, _ isDrained: Bool) {
        guard maskWords > 0 else { return }
        let word = Self.masks + maskWords + segment >> 6
        let bit = Int64(bitPattern: 1 << UInt64(segment & 63))
        block[word] = isDrained ? block[word] | bit : block[word] & ~bit
    }

    private func readSketches(_ block: UnsafeMutablePointer<Int64>, _ slot: Int, _ reader: inout BinaryReader) {
        for index in aggregates.indices where aggregates[index].isSketch {
            let sketch = sketchIndex(block, index)
            quantiles[sketch]?.read(slot: slot, &reader)
            sketches[sketch]?.read(slot: slot, &reader)
        }
    }

    /// The key's block with these newest and oldest panes; panes that it did not have before are empty.
    private func restoreBlock(_ id: UInt32, newest: Int64, oldest: Int64) -> UnsafeMutablePointer<Int64> {
        var block = block(of: id)
        if block == emptyBlock { block = makeBlock(of: id) }
        let (newestBefore, oldestBefore) = (block[Self.newest], block[Self.oldest])
        for index in aggregates.indices {
            if newestBefore == Self.none {
                clearPanes(index, block, oldest, newest)
            } else {
                clearPanes(index, block, max(newestBefore + 1, oldest), newest)
                clearPanes(index, block, oldest, min(oldestBefore - 1, newest))
            }
        }
        block[Self.newest] = newest
        block[Self.oldest] = oldest
        return block
    }

    /// A segment of a key was taken back; true if that was its last one and the key is gone.
    package func restoreRemoval(_ id: UInt32, _ segment: Int) -> Bool {
        let block = block(of: id)
        guard block != emptyBlock, segment < (ringCount + 7) / 8 else { return false }
        setDrained(block, segment, false)
        guard (0..<maskWords).allSatisfy({ block[Self.masks + maskWords + $0] == 0 }) else { return false }
        remove(id)
        return true
    }

    /// How far windows were closed, and when keys without records are looked for again.
    package var closing: (closed: Int64, sweepDue: Int64) {
        get { (closedAnchor, sweepDue) }
        set { (closedAnchor, sweepDue) = newValue }
    }

    /// Makes totals and lists agree with the panes, after the last of them and after `closing` was set.
    package func finishRestore() {
        for slot in touched.indices { touched[slot].removeAll(keepingCapacity: true) }
        let closedPanes = closedAnchor == Self.none ? nil : panes(at: closedAnchor)
        for id in live {
            let block = block(of: id)
            let (newest, oldest) = (block[Self.newest], block[Self.oldest])
            let (low, high) = panes(at: newest)
            for index in aggregates.indices where !aggregates[index].isSketch {
                if options.keepsRunning {
                    rescan(index, block, block + running + offsets[index], max(low, oldest), min(high, newest))
                }
                guard options.keepsClosed else { continue }
                let total = block + closed + offsets[index]
                if let closedPanes {
                    rescan(index, block, total, max(closedPanes.low, oldest), min(closedPanes.high, newest))
                } else {
                    aggregates[index].clear(total)
                }
            }
            guard options.keepsClosed else { continue }
            // Which windows changed since the last close is not known any more: look at them all once.
            noteChange(of: id)
            var pane = max(oldest, closedPanes?.low ?? oldest)
            while pane <= newest {
                if paneWords(block, pane)[0] > 0 { touched[slot(pane)].append(id) }
                pane += 1
            }
        }
    }

    // MARK: Snapshots

    /// Appends the panes of every key: the key's number, newest and oldest pane, the drained segments, then the
    /// panes' words as they stand in memory. Only while nothing is dirty.
    package func writeSnapshot(numbers: UnsafePointer<UInt32>, to bytes: Arena) {
        require(dirty.isEmpty, "a snapshot between commits")
        bytes.appendVarint(UInt64(ringCount))
        bytes.appendVarint(UInt64(live.count))
        for id in live {
            let block = block(of: id)
            let (newest, oldest) = (block[Self.newest], block[Self.oldest])
            bytes.appendWord(numbers[Int(id)])
            bytes.appendWord(UInt64(bitPattern: newest))
            bytes.appendVarint(UInt64(newest - oldest))
            append(block + Self.masks + maskWords, maskWords, to: bytes)
            // At most two runs, since the ring turns over once.
            let first = slot(oldest)
            let count = Int(newest - oldest) + 1
            let straight = min(count, ringCount - first)
            append(block + ring + first * paneWords, straight * paneWords, to: bytes)
            append(block + ring, (count - straight) * paneWords, to: bytes)
            if sketchesPerKey > 0 { for pane in oldest...newest { writeSketches(block, pane, to: bytes) } }
        }
    }

    private func append(_ words: UnsafeMutablePointer<Int64>, _ count: Int, to bytes: Arena) {
        guard count > 0 else { return }
        bytes.reserve(count * 8)
        _ = bytes.append(UnsafeRawPointer(words).assumingMemoryBound(to: UInt8.self), count * 8)
    }

    /// Puts back what `writeSnapshot` wrote into an empty store. `ids`: by the keys' numbers. False if the
    /// bytes are not of this store.
    package func readSnapshot(_ reader: inout BinaryReader, ids: [UInt32]) -> Bool {
        growRing(to: reader.count(below: Limits.ringPanesMax + ringCount))
        let keys = reader.count(below: ids.count + 1)
        for _ in 0..<keys {
            let number = Int(reader.word32())
            let newest = Int64(bitPattern: reader.word64())
            let count = reader.count(below: ringCount) + 1
            guard reader.isValid, ids.indices.contains(number), newest > Int64.min + Int64(ringCount) else { return false }
            let oldest = newest - Int64(count) + 1
            let block = restoreBlock(ids[number], newest: newest, oldest: oldest)
            copy(&reader, to: block + Self.masks + maskWords, maskWords)
            let first = slot(oldest)
            let straight = min(count, ringCount - first)
            copy(&reader, to: block + ring + first * paneWords, straight * paneWords)
            copy(&reader, to: block + ring, (count - straight) * paneWords)
            guard sketchesPerKey > 0 else { continue }
            for pane in oldest...newest { readSketches(block, slot(pane), &reader) }
        }
        return reader.isValid
    }

    private func copy(_ reader: inout BinaryReader, to words: UnsafeMutablePointer<Int64>, _ count: Int) {
        let bytes = reader.bytes(count * 8)
        if let start = bytes.baseAddress { UnsafeMutableRawPointer(words).copyMemory(from: start, byteCount: bytes.count) }
    }
}
