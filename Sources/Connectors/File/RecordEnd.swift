import Dataflow
import Glibc

/// Finds where records of fields end, in a buffer that grows: the search goes on where it stopped. Positions
/// count from the record's first byte. Quotes count where they open a field; a stray one ends with its line.
struct RecordEnd {
    private let delimiter: UInt8
    private let quote: Int32
    private let escape: Int32
    private let isTrimmed: Bool
    private var lineEnd: Int32
    /// Bytes that were looked at, and line breaks among them that end nothing.
    private var at = 0
    private(set) var breaks = 0
    /// Where the quote stands that is open.
    private(set) var openQuote: Int?

    init(_ fields: FileLayout.Fields, lineEnd: UInt8) {
        delimiter = fields.delimiter
        quote = fields.quote.map(Int32.init) ?? -1
        escape = fields.escape.map(Int32.init) ?? -1
        isTrimmed = fields.isTrimmed
        self.lineEnd = Int32(lineEnd)
    }

    /// Another record begins.
    mutating func restart() {
        at = 0
        breaks = 0
        openQuote = nil
    }

    /// Position of the line end behind the record of which `count` bytes are there; nil: it is not among
    /// them.
    mutating func find(_ base: UnsafePointer<UInt8>, _ count: Int, isWhole: Bool) -> Int? {
        while true {
            if openQuote != nil {
                guard close(base, count, isWhole) else { return nil }
            }
            let end = Self.find(lineEnd, base, at..<count)
            if quote < 0, escape >= 0, let end, isEscaped(base, end) {
                breaks += 1
                at = end + 1
                continue
            }
            let limit = end ?? count
            guard let opened = open(base, limit) else {
                // What was searched in vain is searched again where it may be the beginning of a field.
                if end == nil { at = max(at, limit) }
                return end
            }
            openQuote = opened
            at = opened + 1
        }
    }

    /// An odd number of escapes stands before it.
    private func isEscaped(_ base: UnsafePointer<UInt8>, _ place: Int) -> Bool {
        var first = place
        while first > 0, Int32(base[first - 1]) == escape { first -= 1 }
        return (place - first) % 2 == 1
    }

    /// The next quote before `limit` that opens a field.
    private mutating func open(_ base: UnsafePointer<UInt8>, _ limit: Int) -> Int? {
        guard quote >= 0 else { return nil }
        while at < limit {
            guard let place = Self.find(quote, base, at..<limit) else { return nil }
            var before = place
            while isTrimmed, before > 0, isBlank(base[before - 1]) { before -= 1 }
            if before == 0 || base[before - 1] == delimiter { return place }
            at = place + 1
        }
        return nil
    }

    private func isBlank(_ byte: UInt8) -> Bool { (byte == 0x20 || byte == 0x09) && byte != delimiter }

    /// Goes behind the quote that closes what is open; false: it is not there, or what stands behind it is
    /// not.
    private mutating func close(_ base: UnsafePointer<UInt8>, _ count: Int, _ isWhole: Bool) -> Bool {
        while at < count {
            var place = count
            if escape >= 0 {
                place = at
                while place < count, Int32(base[place]) != quote, Int32(base[place]) != escape { place += 1 }
            } else if let found = Self.find(quote, base, at..<count) {
                place = found
            }
            breaks += Self.count(lineEnd, base, at..<place)
            at = place
            guard place < count else { return false }
            if Int32(base[place]) == escape {
                // What is escaped may not be there yet.
                guard place + 1 < count else { return false }
                if Int32(base[place + 1]) == lineEnd { breaks += 1 }
                at = place + 2
                continue
            }
            guard place + 1 < count || isWhole else { return false }
            at = place + 1
            guard at < count, Int32(base[at]) == quote else {
                openQuote = nil
                return true
            }
            at += 1
        }
        return false
    }

    @inline(__always)
    private static func find(_ byte: Int32, _ base: UnsafePointer<UInt8>, _ range: Range<Int>) -> Int? {
        guard let found = memchr(base + range.lowerBound, byte, range.count) else { return nil }
        return base.distance(to: found.assumingMemoryBound(to: UInt8.self))
    }

    private static func count(_ byte: Int32, _ base: UnsafePointer<UInt8>, _ range: Range<Int>) -> Int {
        var start = range.lowerBound
        var number = 0
        while let found = find(byte, base, start..<range.upperBound) {
            start = found + 1
            number += 1
        }
        return number
    }
}
