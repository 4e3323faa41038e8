import Base
import Records

/// Panes as bytes, for a changelog and for snapshots. The unit is a segment of eight slots of a key's ring: a
/// record costs a changelog more than the panes in it, and when a backlog is read many panes of a key change
/// at once. A segment's bytes carry the key's newest and oldest pane as well, so that the last record of a
/// key says which panes of the others still count. Totals are not kept: they are what the panes add up to.
extension WindowStore {
    static let slotsPerSegment = 8

    @inline(__always)
    func noteDirty(_ block: UnsafeMutablePointer<Int64>, _ id: UInt32, _ slot: Int) {
        let segment = slot >> 3
        block[masks + segment >> 6] |= Int64(bitPattern: 1 << UInt64(segment & 63))
        if block[listed] == 0 {
            block[listed] = 1
            dirty.append(id)
        }
    }

    /// The sketches of a key are kept in another way than before, also for panes that no record came for.
    func noteAllDirty(_ block: UnsafeMutablePointer<Int64>) {
        let id = live[Int(block[Self.position])]
        forEachOccupied(block, block[Self.oldest], block[Self.newest]) { noteDirty(block, id, $0) }
    }

    package var hasChanges: Bool { !dirty.isEmpty || ahead.hasChanges }

    /// Appends every segment that changed since the last call to `bytes` and calls `body` with its key, its
    /// number and where its bytes begin.
    package func drainChanges(into bytes: Arena, _ body: (_ id: UInt32, _ segment: Int, _ start: Int) -> Void)
    {
        for id in dirty {
            let block = block(of: id)
            guard block != emptyBlock else { continue }
            block[listed] = 0
            for word in 0..<maskWords {
                var bits = UInt64(bitPattern: block[masks + word])
                block[masks + word] = 0
                block[masks + maskWords + word] |= Int64(bitPattern: bits)
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

    /// Calls `body` with the segments that were drained for a key, which is gone since and whose id has not
    /// been given away yet.
    package func forgetDrained(_ id: UInt32, _ body: (_ segment: Int) -> Void) {
        let block = rawBlock(of: id)
        for word in 0..<maskWords {
            var bits = UInt64(bitPattern: block[masks + maskWords + word])
            block[masks + maskWords + word] = 0
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

    /// Panes of the ring, newest pane, how many panes to the oldest, a byte that says which slots of the
    /// segment hold records, those panes, and the sketches of the slots.
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
            guard pane >= oldest, isOccupied(block, slot) else { continue }
            mask |= 1 << UInt8(slot & 7)
            for word in 0..<paneWords { bytes.appendZigzag(words[word]) }
        }
        bytes.base[maskAt] = mask
        if sketchesPerKey > 0 { writeSketches(block, segment, mask, to: bytes) }
    }

    /// What the sketches hold of those slots of a segment that `mask` says.
    private func writeSketches(
        _ block: UnsafeMutablePointer<Int64>, _ segment: Int, _ mask: UInt8, to bytes: Arena
    ) {
        // A key that has no sketches yet has empty ones.
        let isThere = block[Self.sketch] != 0 && mask != 0
        bytes.appendByte(isThere ? 1 : 0)
        guard isThere else { return }
        let slots = slots(of: segment, ring: ringCount)
        for index in aggregates.indices where aggregates[index].isSketch {
            let sketch = sketchIndex(block, index)
            sketches[sketch]?.write(slots: slots, mask, to: bytes)
            guard let quantile = quantiles[sketch] else { continue }
            for slot in slots where mask & 1 << UInt8(slot & 7) != 0 { quantile.write(slot: slot, to: bytes) }
        }
    }

    // MARK: Restoring

    /// Puts a segment back that `drainChanges` wrote. Segments must come in the order in which they were
    /// drained; `finishRestore` makes the store whole. False if the bytes are not of this store.
    package func restoreSegment(_ id: UInt32, _ segment: Int, _ reader: inout BinaryReader) -> Bool {
        let ring = Int(truncatingIfNeeded: reader.varint())
        let newest = reader.zigzag()
        let count = reader.count(below: max(ring, 1))
        let mask = reader.byte()
        // Of another ring: the definitions, which differ too, are refused when all has been read.
        if reader.isValid, ring != ringCount { return true }
        guard reader.isValid, newest > Int64.min + Int64(ring), segment < (ring + 7) / 8 else { return false }
        let oldest = newest - Int64(count)
        let block = restoreBlock(id, newest: newest, oldest: oldest)
        setDrained(block, segment, true)
        var places: [Int?] = []
        for slot in slots(of: segment, ring: ring) {
            let pane = pane(at: slot, newest: newest, ring: ring)
            let isThere = mask & 1 << UInt8(slot & 7) != 0
            places.append(isThere ? self.slot(pane) : nil)
            guard pane >= oldest else {
                if isThere { return false }
                continue
            }
            vacate(block, pane, pane)
            if isThere {
                occupy(block, self.slot(pane))
                let words = paneWords(block, pane)
                for word in 0..<paneWords { words[word] = reader.zigzag() }
            }
        }
        if sketchesPerKey > 0 { readSketches(block, places, &reader) }
        return reader.isValid
    }

    private func setDrained(_ block: UnsafeMutablePointer<Int64>, _ segment: Int, _ isDrained: Bool) {
        guard maskWords > 0 else { return }
        let word = masks + maskWords + segment >> 6
        let bit = Int64(bitPattern: 1 << UInt64(segment & 63))
        block[word] = isDrained ? block[word] | bit : block[word] & ~bit
    }

    /// `places`: the slots that `writeSketches` wrote, each where it is now; nil for those that it did not
    /// write.
    private func readSketches(
        _ block: UnsafeMutablePointer<Int64>, _ places: [Int?], _ reader: inout BinaryReader
    ) {
        guard reader.byte() != 0 else { return }
        for index in aggregates.indices where aggregates[index].isSketch {
            let sketch = sketchIndex(block, index)
            sketches[sketch]?.read(into: places, &reader)
            guard let quantile = quantiles[sketch] else { continue }
            for case let slot? in places { quantile.read(slot: slot, &reader) }
        }
    }

    /// The key's block with these newest and oldest panes; panes that it did not have before are empty.
    private func restoreBlock(_ id: UInt32, newest: Int64, oldest: Int64) -> UnsafeMutablePointer<Int64> {
        var block = block(of: id)
        if block == emptyBlock { block = makeBlock(of: id) }
        let (newestBefore, oldestBefore) = (block[Self.newest], block[Self.oldest])
        if newestBefore != Self.none {
            vacate(block, max(newestBefore + 1, newest - Int64(ringCount) + 1), newest)
            vacate(block, max(oldestBefore, newest - Int64(ringCount) + 1), min(oldest - 1, newestBefore))
            vacate(block, max(oldest, newest - Int64(ringCount) + 1), min(oldestBefore - 1, newest))
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
        guard (0..<maskWords).allSatisfy({ block[masks + maskWords + $0] == 0 }) else { return false }
        remove(id)
        return !ahead.holds(id)
    }

    /// How far windows were closed, and when keys without records are looked for again.
    package var closing: (closed: Int64, sweepDue: Int64) {
        get { (closedAnchor, sweepDue) }
        set { (closedAnchor, sweepDue) = newValue }
    }

    /// Makes totals and lists agree with the panes, after the last of them and after `closing` was set.
    package func finishRestore() {
        for slot in touched.indices { touched[slot].removeAll() }
        ahead.finishRestore()
        (greatest, newestClosed) = (.min, .min)
        for id in ahead.ids { greatest = max(greatest, ahead.newest(of: id) ?? .min) }
        let closedPanes = closedAnchor == Self.none ? nil : panes(at: closedAnchor)
        for id in live {
            let block = block(of: id)
            let (newest, oldest) = (block[Self.newest], block[Self.oldest])
            greatest = max(greatest, newest)
            let (low, high) = panes(at: newest)
            if options.keepsRunning { rescan(block, block + running, low, high) }
            guard options.keepsClosed else { continue }
            rescan(block, block + closed, closedPanes?.low ?? 0, closedPanes?.high ?? -1)
            // Which windows changed since the last close is not known any more: look at them all once.
            noteChange(of: id, block, changeRound)
            forEachOccupied(block, max(oldest, closedPanes?.low ?? oldest), newest) { touched[$0].append(id) }
        }
        if let (low, high) = closedPanes, options.keepsClosed {
            for pane in low...high where !touched[slot(pane)].isEmpty { newestClosed = pane }
        }
    }

    // MARK: Snapshots

    /// Appends the pages ahead: the key's number, the page's, and what it holds. Then the panes of every key:
    /// the key's number, newest and oldest pane, the drained segments, a bit for every pane from the oldest
    /// on that says whether it holds records, the words of those that do, and the sketches of each segment.
    /// Only while nothing is dirty.
    package func writeSnapshot(numbers: UnsafePointer<UInt32>, to bytes: Arena) {
        require(dirty.isEmpty, "a snapshot between commits")
        bytes.appendVarint(UInt64(ringCount))
        bytes.appendVarint(UInt64(ahead.pageCount))
        ahead.forEach { page in
            bytes.appendWord(numbers[Int(page.id)])
            bytes.appendZigzag(page.number)
            write(page, to: bytes)
        }
        bytes.appendVarint(UInt64(live.count))
        for id in live {
            let block = block(of: id)
            let (newest, oldest) = (block[Self.newest], block[Self.oldest])
            bytes.appendWord(numbers[Int(id)])
            bytes.appendWord(UInt64(bitPattern: newest))
            bytes.appendVarint(UInt64(newest - oldest))
            append(block + masks + maskWords, maskWords, to: bytes)
            let first = slot(oldest)
            for start in stride(from: oldest, through: newest, by: 64) {
                var bits: UInt64 = 0
                forEachOccupied(block, start, min(start + 63, newest)) { slot in
                    let place = slot - first - Int(start - oldest)
                    bits |= 1 << UInt64(place < 0 ? place + ringCount : place)
                }
                bytes.appendWord(bits)
            }
            forEachOccupied(block, oldest, newest) {
                append(block + ring + $0 * paneWords, paneWords, to: bytes)
            }
            guard sketchesPerKey > 0 else { continue }
            for segment in 0..<(ringCount + 7) / 8 {
                writeSketches(block, segment, occupied(block, segment), to: bytes)
            }
        }
    }

    /// The slots of a segment that hold records, a bit each.
    private func occupied(_ block: UnsafeMutablePointer<Int64>, _ segment: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: block[Self.occupied + segment >> 3] >> Int64((segment & 7) * 8))
    }

    private func append(_ words: UnsafeMutablePointer<Int64>, _ count: Int, to bytes: Arena) {
        guard count > 0 else { return }
        bytes.reserve(count * 8)
        _ = bytes.append(UnsafeRawPointer(words).assumingMemoryBound(to: UInt8.self), count * 8)
    }

    /// Puts back what `writeSnapshot` wrote into an empty store. `ids`: by the keys' numbers. False if the
    /// bytes are not of this store.
    package func readSnapshot(_ reader: inout BinaryReader, ids: [UInt32]) -> Bool {
        guard reader.varint() == UInt64(ringCount) else { return false }
        for _ in 0..<reader.count(below: reader.left + 1) {
            let (number, page) = (Int(reader.word32()), reader.zigzag())
            guard reader.isValid, ids.indices.contains(number), restoreAhead(ids[number], page, &reader)
            else { return false }
        }
        let keys = reader.count(below: ids.count + 1)
        for _ in 0..<keys {
            let number = Int(reader.word32())
            let newest = Int64(bitPattern: reader.word64())
            let count = reader.count(below: ringCount) + 1
            guard reader.isValid, ids.indices.contains(number), newest > Int64.min + Int64(ringCount) else {
                return false
            }
            let oldest = newest - Int64(count) + 1
            let block = restoreBlock(ids[number], newest: newest, oldest: oldest)
            copy(&reader, to: block + masks + maskWords, maskWords)
            for start in stride(from: oldest, through: newest, by: 64) {
                var bits = reader.word64() & (~0 >> UInt64(max(0, start + 63 - newest)))
                while bits != 0 {
                    occupy(block, slot(start + Int64(bits.trailingZeroBitCount)))
                    bits &= bits &- 1
                }
            }
            forEachOccupied(block, oldest, newest) {
                copy(&reader, to: block + ring + $0 * paneWords, paneWords)
            }
            guard sketchesPerKey > 0 else { continue }
            for segment in 0..<(ringCount + 7) / 8 {
                let there = occupied(block, segment)
                let places = slots(of: segment, ring: ringCount).map {
                    there & 1 << UInt8($0 & 7) != 0 ? $0 : nil
                }
                readSketches(block, places, &reader)
            }
        }
        return reader.isValid
    }

    private func copy(_ reader: inout BinaryReader, to words: UnsafeMutablePointer<Int64>, _ count: Int) {
        let bytes = reader.bytes(count * 8)
        if let start = bytes.baseAddress {
            UnsafeMutableRawPointer(words).copyMemory(from: start, byteCount: bytes.count)
        }
    }
}
