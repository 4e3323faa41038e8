import Base
import Records

/// A store's panes as bytes, for a changelog and for snapshots. The unit is a segment of eight slots of a
/// key's ring: a record costs a changelog more than the panes in it, and when a backlog is read many panes of
/// a key change at once. A segment's bytes carry the key's newest and oldest pane as well, so that the last
/// record of a key says which panes of the others still count. Totals are not kept: they are what the panes
/// add up to.
package struct WindowCodec {
    private let store: WindowStore
    private let rings: PaneRings
    private let layout: PaneLayout

    init(_ store: WindowStore) { (self.store, rings, layout) = (store, store.rings, store.layout) }

    // MARK: Changes

    package var hasChanges: Bool { !rings.dirty.isEmpty || store.ahead.hasChanges }

    /// Appends every segment that changed since the last call to `bytes` and calls `body` with its key, its
    /// number and where its bytes begin.
    package func drainChanges(into bytes: Arena, _ body: (_ id: UInt32, _ segment: Int, _ start: Int) -> Void)
    {
        rings.takeDirty { id, block, segment in
            let start = bytes.count
            write(block, segment, to: bytes)
            body(id, segment, start)
        }
    }

    /// Calls `body` with the segments that were drained for a key, which is gone since and whose id has not
    /// been given away yet.
    package func forgetDrained(_ id: UInt32, _ body: (_ segment: Int) -> Void) {
        rings.forgetDrained(id, body)
    }

    /// Panes of the ring, newest pane, how many panes to the oldest, a byte that says which slots of the
    /// segment hold records, those panes, and the sketches of the slots.
    private func write(_ block: Block, _ segment: Int, to bytes: Arena) {
        let (newest, oldest) = (block[PaneLayout.newest], block[PaneLayout.oldest])
        bytes.appendVarint(UInt64(layout.ringCount))
        bytes.appendZigzag(newest)
        bytes.appendVarint(UInt64(newest - oldest))
        let maskAt = bytes.count
        var mask: UInt8 = 0
        bytes.appendByte(0)
        for slot in layout.slots(of: segment) {
            let pane = layout.pane(at: slot, newest: newest)
            let words = layout.words(block, slot: slot)
            guard pane >= oldest, layout.isOccupied(block, slot) else { continue }
            mask |= 1 << UInt8(slot & 7)
            for word in 0..<layout.paneWords { bytes.appendZigzag(words[word]) }
        }
        bytes.base[maskAt] = mask
        if rings.sketches.perKey > 0 {
            rings.sketches.write(block, slots: layout.slots(of: segment), mask, to: bytes)
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
        if reader.isValid, ring != layout.ringCount { return true }
        guard reader.isValid, newest > Int64.min + Int64(ring), segment < layout.segmentCount else {
            return false
        }
        let oldest = newest - Int64(count)
        let block = restoreBlock(id, newest: newest, oldest: oldest)
        rings.setDrained(block, segment, true)
        var places: [Int?] = []
        for slot in layout.slots(of: segment) {
            let pane = layout.pane(at: slot, newest: newest)
            let isThere = mask & 1 << UInt8(slot & 7) != 0
            places.append(isThere ? layout.slot(pane) : nil)
            guard pane >= oldest else {
                if isThere { return false }
                continue
            }
            rings.vacate(block, pane, pane)
            if isThere {
                rings.occupy(block, layout.slot(pane))
                let words = layout.words(block, slot: layout.slot(pane))
                for word in 0..<layout.paneWords { words[word] = reader.zigzag() }
            }
        }
        if rings.sketches.perKey > 0 { rings.sketches.read(block, places, &reader) }
        return reader.isValid
    }

    /// The key's block with these newest and oldest panes; panes that it did not have before are empty.
    private func restoreBlock(_ id: UInt32, newest: Int64, oldest: Int64) -> Block {
        var block = rings.block(of: id)
        if block == rings.emptyBlock { block = store.makeBlock(of: id) }
        let (newestBefore, oldestBefore) = (block[PaneLayout.newest], block[PaneLayout.oldest])
        if newestBefore != PaneLayout.none {
            rings.vacate(block, max(newestBefore + 1, newest - Int64(layout.ringCount) + 1), newest)
            rings.vacate(
                block, max(oldestBefore, newest - Int64(layout.ringCount) + 1), min(oldest - 1, newestBefore))
            rings.vacate(
                block, max(oldest, newest - Int64(layout.ringCount) + 1), min(oldestBefore - 1, newest))
        }
        block[PaneLayout.newest] = newest
        block[PaneLayout.oldest] = oldest
        return block
    }

    /// A segment of a key was taken back; true if that was its last one and the key is gone.
    package func restoreRemoval(_ id: UInt32, _ segment: Int) -> Bool {
        let block = rings.block(of: id)
        guard block != rings.emptyBlock, segment < layout.segmentCount else { return false }
        rings.setDrained(block, segment, false)
        if rings.isDrained(block) { return false }
        rings.remove(id)
        return !store.ahead.holds(id)
    }

    // MARK: Panes ahead

    /// Appends every page of panes ahead that changed since the last call to `bytes` and calls `body` with
    /// its key, its number and where its bytes begin.
    package func drainAhead(into bytes: Arena, _ body: (_ id: UInt32, _ page: Int64, _ start: Int) -> Void) {
        guard store.ahead.hasChanges else { return }
        for page in store.ahead.takeChanges() {
            let start = bytes.count
            write(page, to: bytes)
            body(page.id, page.number, start)
        }
    }

    /// Pages that were drained and are gone since the last call, whose keys are still there.
    package func takeGoneAhead() -> [(id: UInt32, number: Int64)] { store.ahead.takeGone() }

    /// A bit for each pane that holds records, and those panes.
    func write(_ page: AheadPanes.Page, to bytes: Arena) {
        bytes.appendByte(page.mask)
        for slot in 0..<AheadPanes.panesPerPage where page.mask & 1 << UInt8(slot) != 0 {
            let words = page.words + slot * layout.paneWords
            for word in 0..<layout.paneWords { bytes.appendZigzag(words[word]) }
            for place in page.distinct.indices {
                page.distinct[place]?.write(pane: slot, to: bytes)
                page.quantiles[place]?.write(slot: slot, to: bytes)
            }
        }
    }

    /// Puts a page back that `write` wrote. False if the bytes are not of this store.
    package func restoreAhead(_ id: UInt32, _ number: Int64, _ reader: inout BinaryReader) -> Bool {
        let mask = reader.byte()
        guard reader.isValid, mask != 0, number >= Int64.min >> 3, number <= Int64.max >> 3 else {
            return false
        }
        if !store.hasKey(id) { store.noteArrival(id) }
        let page = store.ahead.restore(id, number: number, mask: mask)
        for slot in 0..<AheadPanes.panesPerPage where mask & 1 << UInt8(slot) != 0 {
            let words = page.words + slot * layout.paneWords
            for word in 0..<layout.paneWords { words[word] = reader.zigzag() }
            for place in page.distinct.indices {
                page.distinct[place]?.read(pane: slot, into: slot, &reader)
                page.quantiles[place]?.read(slot: slot, &reader)
            }
        }
        store.ahead.noteSketches(of: page)
        return reader.isValid
    }

    /// A page was taken back; true if that was the last that the key had.
    package func restoreAheadRemoval(_ id: UInt32, _ number: Int64) -> Bool {
        guard store.ahead.holds(id) else { return false }
        store.ahead.forget(id, number: number)
        return !store.hasKey(id)
    }

    // MARK: Snapshots

    /// Appends the pages ahead: the key's number, the page's, and what it holds. Then the panes of every key:
    /// the key's number, newest and oldest pane, the drained segments, a bit for every pane from the oldest
    /// on that says whether it holds records, the words of those that do, and the sketches of each segment.
    /// Only while nothing is dirty.
    package func writeSnapshot(numbers: UnsafePointer<UInt32>, to bytes: Arena) {
        require(rings.dirty.isEmpty, "a snapshot between commits")
        bytes.appendVarint(UInt64(layout.ringCount))
        bytes.appendVarint(UInt64(store.ahead.pageCount))
        store.ahead.forEach { page in
            bytes.appendWord(numbers[Int(page.id)])
            bytes.appendZigzag(page.number)
            write(page, to: bytes)
        }
        bytes.appendVarint(UInt64(rings.live.count))
        for id in rings.live {
            let block = rings.block(of: id)
            let (newest, oldest) = (block[PaneLayout.newest], block[PaneLayout.oldest])
            bytes.appendWord(numbers[Int(id)])
            bytes.appendWord(UInt64(bitPattern: newest))
            bytes.appendVarint(UInt64(newest - oldest))
            append(block + layout.masks + layout.maskWords, layout.maskWords, to: bytes)
            let first = layout.slot(oldest)
            for start in stride(from: oldest, through: newest, by: 64) {
                var bits: UInt64 = 0
                layout.forEachOccupied(block, start, min(start + 63, newest)) { slot in
                    let place = slot - first - Int(start - oldest)
                    bits |= 1 << UInt64(place < 0 ? place + layout.ringCount : place)
                }
                bytes.appendWord(bits)
            }
            layout.forEachOccupied(block, oldest, newest) {
                append(layout.words(block, slot: $0), layout.paneWords, to: bytes)
            }
            guard rings.sketches.perKey > 0 else { continue }
            for segment in 0..<layout.segmentCount {
                rings.sketches.write(
                    block, slots: layout.slots(of: segment), occupied(block, segment), to: bytes)
            }
        }
    }

    /// The slots of a segment that hold records, a bit each.
    private func occupied(_ block: Block, _ segment: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: block[PaneLayout.occupied + segment >> 3] >> Int64((segment & 7) * 8))
    }

    private func append(_ words: UnsafeMutablePointer<Int64>, _ count: Int, to bytes: Arena) {
        guard count > 0 else { return }
        bytes.reserve(count * 8)
        _ = bytes.append(UnsafeRawPointer(words).assumingMemoryBound(to: UInt8.self), count * 8)
    }

    /// Puts back what `writeSnapshot` wrote into an empty store. `ids`: by the keys' numbers. False if the
    /// bytes are not of this store.
    package func readSnapshot(_ reader: inout BinaryReader, ids: [UInt32]) -> Bool {
        guard reader.varint() == UInt64(layout.ringCount) else { return false }
        for _ in 0..<reader.count(below: reader.left + 1) {
            let (number, page) = (Int(reader.word32()), reader.zigzag())
            guard reader.isValid, ids.indices.contains(number), restoreAhead(ids[number], page, &reader)
            else { return false }
        }
        let keys = reader.count(below: ids.count + 1)
        for _ in 0..<keys {
            let number = Int(reader.word32())
            let newest = Int64(bitPattern: reader.word64())
            let count = reader.count(below: layout.ringCount) + 1
            guard reader.isValid, ids.indices.contains(number), newest > Int64.min + Int64(layout.ringCount)
            else {
                return false
            }
            let oldest = newest - Int64(count) + 1
            let block = restoreBlock(ids[number], newest: newest, oldest: oldest)
            copy(&reader, to: block + layout.masks + layout.maskWords, layout.maskWords)
            for start in stride(from: oldest, through: newest, by: 64) {
                var bits = reader.word64() & (~0 >> UInt64(max(0, start + 63 - newest)))
                while bits != 0 {
                    rings.occupy(block, layout.slot(start + Int64(bits.trailingZeroBitCount)))
                    bits &= bits &- 1
                }
            }
            layout.forEachOccupied(block, oldest, newest) {
                copy(&reader, to: layout.words(block, slot: $0), layout.paneWords)
            }
            guard rings.sketches.perKey > 0 else { continue }
            for segment in 0..<layout.segmentCount {
                let there = occupied(block, segment)
                let places = layout.slots(of: segment).map {
                    there & 1 << UInt8($0 & 7) != 0 ? $0 : nil
                }
                rings.sketches.read(block, places, &reader)
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
