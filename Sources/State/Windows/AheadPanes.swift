import Base
import Records

/// Panes of keys that lie further ahead than the keys' rings reach.
///
/// A source's own records lead its watermark by the out-of-order bound at most, and the ring is made for
/// that. The watermark of a stream is that of its slowest input, and that of a repartition topic that of the
/// slowest partition before it: records of the others can be ahead of it by days. A ring over days would take
/// its memory for every key, so the panes that such records lie in are kept here until the watermark comes
/// near: eight in a page, which a key has only where it has records. A page takes as long to find whatever
/// its distance, and records of one pane take no more than the pane.
final class AheadPanes {
    /// Eight panes of one key, from `number * 8` on.
    final class Page {
        let id: UInt32
        let number: Int64
        /// A bit for each pane that holds records; the words of the others are neutral.
        fileprivate(set) var mask: UInt8 = 0
        /// Words of the panes, one after the other.
        let words: UnsafeMutablePointer<Int64>
        /// By place among the aggregates that are sketches; nil where it is one of the other kind.
        let distinct: [DistinctSet?]
        let quantiles: [QuantileSketch?]
        /// Changed since the changes were drained.
        fileprivate(set) var isDirty = false
        /// A changelog has it.
        var isStored = false
        fileprivate var sketchBytes = 0

        fileprivate init(_ id: UInt32, _ number: Int64, words count: Int, _ sketches: [Aggregate]) {
            self.id = id
            self.number = number
            words = .allocate(capacity: count)
            distinct = sketches.map {
                if case .distinct(_, let exactMax) = $0 {
                    DistinctSet(slots: AheadPanes.panesPerPage, exactMax: exactMax)
                } else {
                    nil
                }
            }
            quantiles = sketches.map {
                if case .quantile = $0 { QuantileSketch(slots: AheadPanes.panesPerPage) } else { nil }
            }
        }

        deinit { words.deallocate() }

        @inline(__always)
        func holds(_ pane: Int64) -> Bool { pane >> 3 == number && mask & 1 << UInt8(pane & 7) != 0 }

        fileprivate func measureSketches() -> Int {
            distinct.reduce(0) { $0 + ($1?.memoryBytes ?? 0) }
                + quantiles.reduce(0) { $0 + ($1?.memoryBytes ?? 0) }
        }
    }

    private struct Place: Hashable {
        var id: UInt32
        var number: Int64
    }

    /// What a key has here.
    private struct Key {
        var newest: Int64
        var pages: Int
    }

    static let panesPerPage = 8
    /// Of a page beside its words: the object, its places in the tables.
    private static let pageBytes = 256

    private let aggregates: PaneAggregates
    private let sketches: [Aggregate]
    private let tracksChanges: Bool
    private let bytesMax: Int
    private var pages: [Place: Page] = [:]
    private var keys: [UInt32: Key] = [:]
    /// Pages by number, of each in the order in which they came, and the numbers, least first.
    private var byNumber: [Int64: [Page]] = [:]
    private var numbers = TimerQueue()
    private(set) var memoryBytes = 0
    private var dirty: [Page] = []
    /// Pages that a changelog has and that have left since.
    private var gone: [(id: UInt32, number: Int64)] = []

    /// `aggregates` outlive this object.
    init(_ aggregates: PaneAggregates, bytesMax: Int, tracksChanges: Bool) {
        (self.aggregates, self.bytesMax, self.tracksChanges) = (aggregates, bytesMax, tracksChanges)
        sketches = aggregates.all.filter(\.isSketch)
    }

    var isEmpty: Bool { pages.isEmpty }
    var pageCount: Int { pages.count }
    /// In no particular order.
    var ids: [UInt32] { keys.keys.sorted() }

    func holds(_ id: UInt32) -> Bool { keys[id] != nil }

    /// The key's newest pane; nil: it has none here.
    func newest(of id: UInt32) -> Int64? { keys[id]?.newest }

    /// The oldest pane of all; nil: there is none.
    var first: Int64? {
        guard let number = numbers.first?.time else { return nil }
        let mask = (byNumber[number] ?? []).reduce(UInt8(0)) { $0 | $1.mask }
        return number << 3 + Int64(mask.trailingZeroBitCount)
    }

    func page(_ id: UInt32, holding pane: Int64) -> Page? { pages[Place(id: id, number: pane >> 3)] }

    /// The pages of the oldest number, in the order in which they came.
    var oldest: [Page] { numbers.first.flatMap { byNumber[$0.time] } ?? [] }

    @inline(__always)
    func words(_ page: Page, _ pane: Int64) -> Accumulator { page.words + Int(pane & 7) * aggregates.words }

    // MARK: Records

    /// The page for a record of a pane, which then holds records; nil: there is no room for another page.
    func open(_ id: UInt32, _ pane: Int64) -> Page? {
        let place = Place(id: id, number: pane >> 3)
        let page: Page
        if let old = pages[place] {
            page = old
        } else {
            guard memoryBytes + wordBytes + Self.pageBytes <= bytesMax else { return nil }
            page = add(place)
        }
        page.mask |= 1 << UInt8(pane & 7)
        reach(pane, id)
        if tracksChanges { note(page) }
        return page
    }

    /// Adds a row to a pane of a page that is open for it.
    func add(
        _ row: Int, time: Int64, _ calls: [(index: Int, argument: Column?, condition: Column?)],
        to page: Page, _ pane: Int64, _ arena: Arena
    ) {
        let words = words(page, pane)
        words[0] += 1
        for call in calls where call.index > 0 {
            if let condition = call.condition, condition.valid[row] != 1 || condition.values[row] == 0 {
                continue
            }
            if let argument = call.argument, argument.valid[row] != 1 {
                if case .sum(isCounted: true) = aggregates.all[call.index] {
                    words[aggregates.offsets[call.index] + 3] += 1
                }
                continue
            }
            let value = call.argument?.values[row] ?? 0
            add(value, time, call.index, words + aggregates.offsets[call.index], page, Int(pane & 7), arena)
        }
        noteSketches(of: page)
    }

    private func add(
        _ value: Int64, _ time: Int64, _ index: Int, _ words: Accumulator, _ page: Page, _ slot: Int,
        _ arena: Arena
    ) {
        switch aggregates.all[index] {
        case .distinct(let isText, _):
            let hash =
                isText ? DistinctSet.hash(TextReference(packed: value), arena) : DistinctSet.hash(value)
            page.distinct[place(index)]?.add(hash, slot: slot)
        case .quantile: page.quantiles[place(index)]?.add(value, slot: slot)
        default: aggregates.all[index].addAny(value, time, to: words, arena: arena)
        }
    }

    /// Position of a sketch aggregate among those of a page.
    func place(_ index: Int) -> Int {
        aggregates.all[..<index].reduce(0) { $0 + ($1.isSketch ? 1 : 0) }
    }

    private func add(_ place: Place) -> Page {
        memoryBytes += wordBytes + Self.pageBytes
        let page = Page(place.id, place.number, words: Self.panesPerPage * aggregates.words, sketches)
        for pane in 0..<Self.panesPerPage { aggregates.clear(page.words + pane * aggregates.words) }
        noteSketches(of: page)
        pages[place] = page
        keys[place.id, default: Key(newest: .min, pages: 0)].pages += 1
        if byNumber[place.number] == nil { numbers.add(place.number, 0) }
        byNumber[place.number, default: []].append(page)
        return page
    }

    private func reach(_ pane: Int64, _ id: UInt32) {
        let newest = keys[id]?.newest ?? pane
        keys[id]?.newest = max(newest, pane)
    }

    private var wordBytes: Int { Self.panesPerPage * aggregates.words * 8 }

    /// To be called when sketches of a page have changed.
    func noteSketches(of page: Page) {
        if sketches.isEmpty { return }
        let bytes = page.measureSketches()
        memoryBytes += bytes - page.sketchBytes
        page.sketchBytes = bytes
    }

    private func note(_ page: Page) {
        if page.isDirty { return }
        page.isDirty = true
        dirty.append(page)
    }

    /// Takes the panes up to `top` out of the oldest pages.
    func removeOldest(through top: Int64) {
        guard let number = numbers.first?.time else { return }
        let left = top >= number << 3 + 7 ? 0 : UInt8(truncatingIfNeeded: 0xFF << (top - number << 3 + 1))
        var kept: [Page] = []
        for page in byNumber[number] ?? [] {
            if page.mask & left == 0 {
                remove(page)
            } else {
                if page.mask & ~left != 0, tracksChanges { note(page) }
                page.mask &= left
                kept.append(page)
            }
        }
        if kept.isEmpty {
            byNumber[number] = nil
            _ = numbers.removeFirst(before: number + 1)
        } else {
            byNumber[number] = kept
        }
    }

    private func remove(_ page: Page) {
        page.mask = 0
        memoryBytes -= wordBytes + Self.pageBytes + page.sketchBytes
        pages[Place(id: page.id, number: page.number)] = nil
        keys[page.id]?.pages -= 1
        if keys[page.id]?.pages == 0 { keys[page.id] = nil }
        if page.isStored { gone.append((page.id, page.number)) }
    }

    // MARK: Changes

    var hasChanges: Bool { !dirty.isEmpty }

    /// Pages that changed since the last call and are still here; a changelog has them from now on.
    func takeChanges() -> [Page] {
        let changed = dirty.filter { $0.mask != 0 }
        for page in dirty { page.isDirty = false }
        for page in changed { page.isStored = true }
        dirty.removeAll(keepingCapacity: true)
        return changed
    }

    /// Pages that a changelog has and that have left since the last call.
    func takeGone() -> [(id: UInt32, number: Int64)] {
        defer { gone.removeAll(keepingCapacity: true) }
        return gone
    }

    /// All pages, by number, of each number as they came.
    func forEach(_ body: (Page) -> Void) {
        for number in byNumber.keys.sorted() { (byNumber[number] ?? []).forEach(body) }
    }

    /// Puts an empty page into place, for the panes of `mask`.
    func restore(_ id: UInt32, number: Int64, mask: UInt8) -> Page {
        forget(id, number: number)
        let page = add(Place(id: id, number: number))
        page.mask = mask
        page.isStored = true
        let newest = number << 3 + Int64(7 - mask.leadingZeroBitCount)
        reach(newest, id)
        return page
    }

    /// Takes a page away, as a changelog says.
    func forget(_ id: UInt32, number: Int64) {
        guard let page = pages[Place(id: id, number: number)] else { return }
        page.isStored = false
        remove(page)
        byNumber[number]?.removeAll { $0 === page }
        // Its number comes out of the queue with what restores it, or in `finishRestore`.
    }

    /// Makes queue and keys agree with the pages.
    func finishRestore() {
        numbers.removeAll()
        for (number, pages) in byNumber {
            if pages.isEmpty { byNumber[number] = nil } else { numbers.add(number, 0) }
        }
        keys = keys.mapValues { Key(newest: .min, pages: $0.pages) }
        forEach { page in
            keys[page.id]?.newest = page.number << 3 + Int64(7 - page.mask.leadingZeroBitCount)
        }
    }
}
