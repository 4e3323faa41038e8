import Base
import Records

/// The accounts of a task: ids for their names, a row each, and a book of lots for those with tainted money.
/// Tells which of them changed.
final class FundAccounts {
    struct Row {
        /// All clean money of the account.
        var clean: Int64
        /// Newest event time of an operation.
        var touched: Int64
        /// Index of its lots plus 1; 0: nothing tainted.
        var book: Int32 = 0
        var isDirty = false
        /// What was drained last is not a removal.
        var isStored = false
    }

    let names = KeyTable(rowsMax: 1)
    private(set) var rows: UnsafeMutablePointer<Row>
    private var rowsCapacity = 512
    private var books: ContiguousArray<FundBook> = []
    private var freeBooks: [Int32] = []
    private(set) var dirty: [UInt32] = []

    init() { rows = .allocate(capacity: rowsCapacity) }

    deinit { rows.deallocate() }

    var count: Int { names.count }
    var taintedCount: Int { books.count - freeBooks.count }

    var memoryBytes: Int {
        names.memoryBytes + rowsCapacity * MemoryLayout<Row>.stride + dirty.capacity * 4 + books.count * 128
    }

    /// The id of an account, which has `opening` of clean money if it was never seen.
    func open(_ account: UnsafeBufferPointer<UInt8>, opening: Int64) -> Int {
        guard let start = account.baseAddress else { unreachable("an account without a name") }
        let known = names.count
        let id = Int(names.intern(start, account.count))
        if names.count > known {
            if id >= rowsCapacity { growRows() }
            rows[id] = Row(clean: opening, touched: .min)
        }
        return id
    }

    /// The lots of an account that has tainted ones.
    @inline(__always)
    func book(_ id: Int) -> FundBook { book(rows[id]) }

    @inline(__always)
    func book(_ row: Row) -> FundBook { books[Int(row.book) - 1] }

    func newBook(of id: Int) -> FundBook {
        let book = FundBook()
        if let free = freeBooks.popLast() {
            books[Int(free)] = book
            rows[id].book = free + 1
        } else {
            books.append(book)
            rows[id].book = Int32(books.count)
        }
        return book
    }

    /// Nothing on the account is tainted any more.
    func close(_ id: Int, _ loans: FundLoans) {
        let book = book(id)
        for index in book.head..<book.lots.count { loans.drop(book.lots[index]) }
        book.lots = []
        freeBooks.append(rows[id].book - 1)
        rows[id].book = 0
    }

    /// To be called before an account changes.
    @inline(__always)
    func noteDirty(_ id: Int) {
        if rows[id].isDirty { return }
        rows[id].isDirty = true
        dirty.append(UInt32(id))
    }

    private func growRows() {
        let larger = UnsafeMutablePointer<Row>.allocate(capacity: rowsCapacity * 2)
        larger.update(from: rows, count: rowsCapacity)
        rows.deallocate()
        rows = larger
        rowsCapacity *= 2
    }

    /// Calls `body` with every account that changed, and whether it is gone, which is as if it had never been
    /// seen; then it is forgotten.
    func drain(opening: Int64, _ body: (_ id: UInt32, _ row: Row, _ isGone: Bool) -> Void) {
        for id in dirty {
            let row = rows[Int(id)]
            let isGone = row.book == 0 && row.clean == opening
            rows[Int(id)].isDirty = false
            rows[Int(id)].isStored = !isGone
            if !isGone || row.isStored { body(id, row, isGone) }
            if isGone { names.remove(id) }
        }
        dirty.removeAll(keepingCapacity: true)
    }

    func removeAll() {
        names.forEach { names.remove($0) }
        books = []
        freeBooks = []
        dirty = []
    }
}
