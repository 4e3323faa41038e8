/// Rings of event times, oldest first, in one block of memory. A ring has room for a power of two and moves
/// to twice the room when it is full; what it leaves is kept for others of that size.
struct TimeRings {
    struct Ring {
        fileprivate var offset = 0
        fileprivate var head: Int32 = 0
        fileprivate(set) var count: Int32 = 0
        /// Room for 2^log2; -1: none yet.
        fileprivate var log2: Int8 = -1
    }

    private var memory: ContiguousArray<Int64> = []
    /// By size: where rings were that nobody has.
    private var free: [[Int]] = []

    var memoryBytes: Int { memory.capacity * 8 + free.reduce(0) { $0 + $1.capacity * 8 } }

    func first(_ ring: Ring) -> Int64 { memory[ring.offset + Int(ring.head)] }

    /// The time at `index` from the oldest.
    subscript(ring: Ring, index: Int) -> Int64 {
        memory[ring.offset + (Int(ring.head) + index) & (1 << Int(ring.log2) - 1)]
    }

    mutating func append(_ time: Int64, to ring: inout Ring) {
        if ring.log2 < 0 || ring.count == 1 << Int32(ring.log2) { grow(&ring) }
        let mask = 1 << Int(ring.log2) - 1
        memory[ring.offset + (Int(ring.head) + Int(ring.count)) & mask] = time
        ring.count += 1
    }

    func removeFirst(_ ring: inout Ring) {
        ring.head = (ring.head + 1) & (1 << Int32(ring.log2) - 1)
        ring.count -= 1
    }

    /// Empties a ring and gives its room back.
    mutating func clear(_ ring: inout Ring) {
        if ring.log2 >= 0 { free[Int(ring.log2)].append(ring.offset) }
        ring = Ring()
    }

    private mutating func grow(_ ring: inout Ring) {
        var larger = Ring(log2: ring.log2 + 1)
        let size = Int(larger.log2)
        while free.count <= size { free.append([]) }
        if let unused = free[size].popLast() {
            larger.offset = unused
        } else {
            larger.offset = memory.count
            memory.append(contentsOf: repeatElement(0, count: 1 << size))
        }
        for index in 0..<Int(ring.count) { memory[larger.offset + index] = self[ring, index] }
        larger.count = ring.count
        clear(&ring)
        ring = larger
    }
}
