import Base
import Dataflow
import Records

/// Records that were refused for one reason by one source or step.
package struct Refusal: Sendable {
    /// Where: the name of a source, which could not read them, or of a step.
    package var step: String
    /// Why, of the first of them, for a person.
    package var message: String
    package var count: Int64 = 0
    /// The first of them: the source or topic, and its number there, from 0.
    package var origin: String
    package var number: Int64
}

/// Counts dead letters by reason. The reasons are as many as a topology has fields, not as there are records.
struct RefusalTally {
    private(set) var refusals: [Refusal] = []
    private var places: [UInt64: Int] = [:]

    /// Counts one; returns the place of its reason in `refusals` and the number that the record has in its
    /// source.
    mutating func add(_ record: Outbox.Record, of outbox: borrowing Outbox) -> (place: Int, number: Int64) {
        var step = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
        var (message, origin, number) = (step, step, step)
        var hash: UInt64 = 0
        outbox.forEachHeader(of: record) { name, value in
            if name.elementsEqual("__streams.errors.message".utf8) {
                message = value
            } else if name.elementsEqual("__streams.errors.topic".utf8) {
                origin = value
            } else if name.elementsEqual("__streams.errors.offset".utf8) {
                number = value
            } else if let start = value.baseAddress {
                // What is the same for all that are refused for one reason: exception, step, field.
                hash = hashBytes(start, value.count, seed: hash &+ UInt64(name.count))
                if name.elementsEqual("millrace.errors.step".utf8) { step = value }
            }
        }
        let row = number.reduce(Int64(0)) { $0 &* 10 &+ Int64($1 &- 0x30) }
        if let place = places[hash] {
            refusals[place].count += 1
            return (place, row)
        }
        func text(_ bytes: UnsafeBufferPointer<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }
        places[hash] = refusals.count
        refusals.append(
            Refusal(step: text(step), message: text(message), count: 1, origin: text(origin), number: row))
        return (refusals.count - 1, row)
    }
}
