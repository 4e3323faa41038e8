/// Key ids in a row. Held through a pointer by those who append for every record: a property of a class is
/// checked for exclusive access each time.
struct IdList {
    private var base: UnsafeMutablePointer<UInt32>?
    private(set) var count = 0
    private var capacity = 0

    var ids: UnsafeBufferPointer<UInt32> { UnsafeBufferPointer(start: base, count: count) }
    var isEmpty: Bool { count == 0 }

    @inline(__always)
    mutating func append(_ id: UInt32) {
        if count == capacity { grow() }
        base?[count] = id
        count &+= 1
    }

    mutating func removeAll() { count = 0 }

    /// To be called once, at the end.
    func deallocate() { base?.deallocate() }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<UInt32>.allocate(capacity: max(16, capacity * 2))
        if let base { larger.update(from: base, count: count) }
        base?.deallocate()
        base = larger
        capacity = max(16, capacity * 2)
    }
}
