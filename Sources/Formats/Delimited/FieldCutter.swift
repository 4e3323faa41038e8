import Records

/// Cuts a record into fields that stand side by side.
protocol FieldCutter {
    associatedtype Mistake: FieldMistake
    /// The name of what it reads, for dead letters.
    static var notation: String { get }
    /// The field at `at`, which then stands at the delimiter behind it or at the end. A text that does not
    /// stand in the record as it is meant is put together in `scratch`, which has room for the whole record.
    /// One of no bytes is null where no text is wanted.
    func next(
        _ bytes: UnsafePointer<UInt8>, _ count: Int, _ at: inout Int, _ scratch: Arena,
        _ mistake: inout Mistake?
    ) -> Token
    /// Frees what it holds; to be called once.
    func free()
}

/// Why a record cannot be cut: a part of a sentence.
protocol FieldMistake {
    var text: String { get }
}
