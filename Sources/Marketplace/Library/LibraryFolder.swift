import Base
import Connectors
import Records

/// The folder that a library month is written to: a file of JSON lines for each stream.
struct LibraryFolder {
    let path: String
    private let seed: UInt64
    private var dates = EventWriter()
    private(set) var records = 0

    init(path: String, seed: UInt64) throws(Fault) {
        try FileWriter.makeFolder(path)
        self.path = path
        self.seed = seed
    }

    /// Writes `<name>.jsonl`: a record for each of `times`, in the order of their arrival. One record in
    /// sixteen arrives up to a second late; those of a table do not.
    mutating func write(
        _ name: String,
        times: [Int64],
        isTable: Bool = false,
        _ record: (Int, inout LineWriter) -> Void
    ) throws(Fault) {
        let words = hashWord(UInt64(times.count), seed: seed)
        var order = times.indices.map { index in
            let word = hashWord(UInt64(index), seed: words)
            let isLate = !isTable && word & 15 == 0
            let lateness =
                isLate ? Marketplace.below(UInt64(LibraryOptions.outOfOrderMilliseconds) + 1, word) : 0
            return Arrival(time: times[index] + Int64(lateness), index: index)
        }
        order.sort()
        let writer = try FileWriter(path: "\(path)/\(name).jsonl")
        let bytes = Arena(capacity: 2 * LineWriter.bytesMax)
        for arrival in order {
            var line = LineWriter(at: bytes.base, dates: dates)
            record(arrival.index, &line)
            let count = line.end() - bytes.base
            require(count <= LineWriter.bytesMax, "a record of \(name) is longer than a line")
            dates = line.dates
            try writer.write(UnsafeBufferPointer(start: bytes.base, count: count))
        }
        try writer.close()
        records += times.count
    }
}

private struct Arrival: Comparable {
    var time: Int64
    var index: Int

    static func < (left: Arrival, right: Arrival) -> Bool {
        left.time != right.time ? left.time < right.time : left.index < right.index
    }
}

/// Writes one JSON object, member by member. Texts are the generator's own: nothing needs an escape.
struct LineWriter {
    static let bytesMax = 512

    private var out: Appender
    private(set) var dates: EventWriter
    private var isFirst = true

    init(at start: UnsafeMutablePointer<UInt8>, dates: EventWriter) {
        out = Appender(at: start)
        self.dates = dates
    }

    mutating func text(_ name: StaticString, _ value: String) {
        member(name)
        out.append(byte: 0x22)
        append(value)
        out.append(byte: 0x22)
    }

    /// A letter and a number with so many digits: `M000007`.
    mutating func id(
        _ name: StaticString, _ letter: StaticString, _ number: some BinaryInteger, digits: Int = 6
    ) {
        member(name)
        out.append(byte: 0x22)
        out.append(letter)
        out.appendDigits(UInt64(number), count: digits)
        out.append(byte: 0x22)
    }

    /// A merchant by its index, as in the marketplace.
    mutating func merchant(_ name: StaticString, _ index: some BinaryInteger) {
        id(name, "M", index + 1)
    }

    /// `O17`, as in the marketplace.
    mutating func order(_ number: Int64) {
        member("order_id")
        out.append("\"O")
        out.appendNumber(UInt64(number))
        out.append(byte: 0x22)
    }

    mutating func number(_ name: StaticString, _ value: Int64) {
        member(name)
        if value < 0 { out.append(byte: 0x2D) }
        out.appendNumber(value.magnitude)
    }

    mutating func money(_ name: StaticString, cents: Int64) {
        member(name)
        if cents < 0 { out.append(byte: 0x2D) }
        out.appendMoney(cents.magnitude)
    }

    mutating func bool(_ name: StaticString, _ value: Bool) {
        member(name)
        out.append(value ? "true" : "false")
    }

    mutating func null(_ name: StaticString) {
        member(name)
        out.append("null")
    }

    mutating func time(_ name: StaticString, _ milliseconds: Int64) {
        member(name)
        out.append(byte: 0x22)
        dates.appendTime(milliseconds, to: &out)
        out.append(byte: 0x22)
    }

    /// Closes the object; where the line ends.
    mutating func end() -> UnsafeMutablePointer<UInt8> {
        out.append("}\n")
        return out.at
    }

    private mutating func member(_ name: StaticString) {
        out.append(isFirst ? "{\"" : ",\"")
        isFirst = false
        out.append(name)
        out.append("\":")
    }

    private mutating func append(_ value: String) {
        for byte in value.utf8 { out.append(byte: byte) }
    }
}
