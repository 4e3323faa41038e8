/// Ids by age: each at most once, the one that was appended first is the oldest. Takes any of them out at
/// once.
package struct AgeList {
    /// Neighbours; -1: none.
    private struct Links {
        var older: Int32 = -1
        var younger: Int32 = -1
    }

    private var links: ContiguousArray<Links> = []
    /// -1: the list is empty.
    package private(set) var oldest: Int32 = -1
    private var youngest: Int32 = -1

    package init() {}

    package var memoryBytes: Int { links.capacity * MemoryLayout<Links>.stride }

    /// `id` is not in the list.
    package mutating func append(_ id: UInt32) {
        let index = Int(id)
        if index >= links.count {
            links.append(contentsOf: repeatElement(Links(), count: index + 1 - links.count + links.count / 2))
        }
        links[index] = Links(older: youngest)
        if youngest >= 0 { links[Int(youngest)].younger = Int32(id) } else { oldest = Int32(id) }
        youngest = Int32(id)
    }

    /// `id` is in the list.
    package mutating func remove(_ id: UInt32) {
        let own = links[Int(id)]
        if own.older >= 0 { links[Int(own.older)].younger = own.younger } else { oldest = own.younger }
        if own.younger >= 0 { links[Int(own.younger)].older = own.older } else { youngest = own.older }
    }

    package mutating func removeAll() { (oldest, youngest) = (-1, -1) }
}
