import CPrefetch
import Glibc

/// Blocks of words of one size, one for each key id, in chunks that never move.
///
/// The first chunks come one by one, so that a store of few keys takes little. Then eight at a time, on huge
/// pages: a window of many keys is visited all over, and with small pages every visit misses the TLB as well
/// as the cache.
struct BlockMemory {
    let blockWords: Int
    /// log2 of the blocks of a chunk.
    private let shift: Int
    private var chunks: UnsafeMutablePointer<UnsafeMutablePointer<Int64>>
    private var capacity = 16
    private(set) var chunkCount = 0
    /// Chunks that have memory. Nothing here is counted by reference: the struct is read in loops.
    private var reserved = 0

    /// How many keys before its turn a key's block is asked for: about as long as memory takes.
    static let prefetchDistance = 8

    /// A quarter of a megabyte.
    private static let chunkWords = 1 << 15
    private static let chunksAtOnce = 8
    private static let hugePage = 2 << 20

    init(blockWords: Int) {
        self.blockWords = blockWords
        let blocks = max(1, Self.chunkWords / blockWords)
        shift = Int.bitWidth - 1 - blocks.leadingZeroBitCount
        chunks = .allocate(capacity: capacity)
    }

    /// To be called once, at the end.
    func deallocate() {
        for chunk in 0..<reserved where chunk < Self.chunksAtOnce || chunk % Self.chunksAtOnce == 0 {
            free(chunks[chunk])
        }
        chunks.deallocate()
    }

    var memoryBytes: Int { chunkCount * chunkBytes }

    private var chunkBytes: Int { blockWords * 8 << shift }

    /// nil where no block of that chunk was ever made.
    @inline(__always)
    subscript(id: UInt32) -> UnsafeMutablePointer<Int64>? {
        let chunk = Int(id) >> shift
        if chunk >= chunkCount { return nil }
        return chunks[chunk] + (Int(id) & (1 << shift - 1)) &* blockWords
    }

    /// The key's block, its chunk made if there is none. Word `mark` of every block of a new chunk is -1; the
    /// others hold anything: pages that no key uses are never touched.
    mutating func make(_ id: UInt32, mark: Int) -> UnsafeMutablePointer<Int64> {
        while Int(id) >> shift >= chunkCount {
            if chunkCount == reserved { reserve() }
            for block in 0..<1 << shift { chunks[chunkCount][block * blockWords + mark] = -1 }
            chunkCount += 1
        }
        return chunks[Int(id) >> shift] + (Int(id) & (1 << shift - 1)) * blockWords
    }

    private mutating func reserve() {
        let count = chunkCount < Self.chunksAtOnce ? 1 : Self.chunksAtOnce
        let bytes = count * chunkBytes
        var memory: UnsafeMutableRawPointer?
        let isLarge = bytes >= Self.hugePage / 2
        guard posix_memalign(&memory, isLarge ? Self.hugePage : 64, bytes) == 0, let memory else {
            fatalError("no memory for \(bytes) bytes of windows")
        }
        // A wish: without, everything works as well, only slower.
        if isLarge { madvise(memory, bytes, MADV_HUGEPAGE) }
        if reserved + count > capacity { growChunks() }
        for chunk in 0..<count {
            (chunks + reserved + chunk).initialize(
                to: (memory + chunk * chunkBytes).assumingMemoryBound(to: Int64.self))
        }
        reserved += count
    }

    private mutating func growChunks() {
        let larger = UnsafeMutablePointer<UnsafeMutablePointer<Int64>>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: chunks, count: reserved)
        chunks.deallocate()
        chunks = larger
        capacity *= 2
    }

    /// Asks for the first `words` of a key's block, and for `count` words from `offset` on.
    @inline(__always)
    func prefetch(_ id: UInt32, words: Int, offset: Int, count: Int) {
        guard let block = self[id] else { return }
        var word = 0
        while word < words {
            cprefetch(block + word)
            word += 8
        }
        cprefetch(block + offset)
        cprefetch(block + offset + count - 1)
    }
}
