import Records
import State

/// A few numbers that an operator remembers of a task, for as long as they mean the same: numbers that were
/// kept for another model begin anew.
package final class NumbersState: OperatorState {
    private(set) var numbers: [Int64]
    private let initial: [Int64]
    private var isDirty = false
    private var isStored = false
    private let tracksChanges: Bool
    private let meaning: UInt64
    /// Event time that must pass before nothing is left to be done.
    var due = Int64.min

    /// `meaning`: what two lists of numbers must have alike to be one.
    init(_ initial: [Int64], of meaning: String, tracksChanges: Bool) {
        var meaning = meaning
        self.meaning = meaning.withUTF8 { bytes in bytes.baseAddress.map { hashBytes($0, bytes.count) } ?? 0 }
        (self.initial, numbers, self.tracksChanges) = (initial, initial, tracksChanges)
    }

    func set(_ place: Int, _ value: Int64) {
        numbers[place] = value
        isDirty = true
    }

    func add(_ place: Int) {
        numbers[place] += 1
        isDirty = true
    }

    /// Forgets all of them.
    func reset() {
        numbers = initial
        due = .min
        isDirty = true
    }

    package func drainChanges(into out: Arena, _ body: (Range<Int>, Range<Int>?) -> Void) {
        guard isDirty, tracksChanges else { return }
        isDirty = false
        if numbers == initial {
            if isStored { write(to: out) { key, _ in body(key, nil) } }
            isStored = false
        } else {
            isStored = true
            write(to: out) { body($0, $1) }
        }
    }

    package func forEach(into out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        if numbers != initial { write(to: out, body) }
    }

    private func write(to out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        let start = out.count
        out.appendByte(0)
        let value = out.count
        out.appendVarint(meaning)
        out.appendZigzag(due)
        for number in numbers { out.appendZigzag(number) }
        body(start..<value, value..<out.count)
    }

    package func restore(key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?) -> Bool {
        (numbers, due, isStored) = (initial, .min, false)
        guard let value else { return true }
        var reader = BinaryReader(value)
        guard reader.varint() == meaning else { return reader.isValid }
        due = reader.zigzag()
        for place in numbers.indices { numbers[place] = reader.zigzag() }
        isStored = tracksChanges
        return reader.isValid && reader.isAtEnd
    }

    package func finishRestore() {}
    package var keyCount: Int { numbers == initial ? 0 : 1 }
    package var memoryBytes: Int { numbers.capacity * 16 }
    package var lastDue: Int64 { due }
}
