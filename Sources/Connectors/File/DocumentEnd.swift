import Glibc

/// Finds where JSON values end that stand one behind the other, or as elements of one array, in a buffer that
/// grows: the search goes on where it stopped. Positions count from the value's first byte.
struct DocumentEnd {
    private var at = 0
    private var depth = 0
    private var isText = false
    /// Line breaks in what was looked at.
    private(set) var breaks = 0
    /// True if the file's elements are those of an array.
    private var isArray = false
    private var isFirst = true

    /// Another value begins.
    mutating func restart() {
        at = 0
        depth = 0
        isText = false
        breaks = 0
    }

    /// How many bytes stand before the next value: blanks, commas, and the brackets of the array that the
    /// file is; and how many lines end in them.
    mutating func gap(_ base: UnsafePointer<UInt8>, _ count: Int) -> (bytes: Int, lines: Int) {
        var place = 0
        var lines = 0
        while place < count {
            let byte = base[place]
            if byte == 0x5B, isFirst {
                isArray = true
            } else if byte == 0x0A {
                lines += 1
            } else if byte != 0x20, byte != 0x09, byte != 0x0D, !(isArray && (byte == 0x2C || byte == 0x5D)) {
                isFirst = false
                break
            }
            isFirst = isFirst && byte != 0x5B
            place += 1
        }
        return (place, lines)
    }

    /// Where the value of which `count` bytes are there ends; nil: not among them. What is no object or array
    /// ends at the next comma or line end.
    mutating func find(_ base: UnsafePointer<UInt8>, _ count: Int) -> Int? {
        guard count > 0 else { return nil }
        let isNested = base[0] == 0x7B || base[0] == 0x5B
        while at < count {
            let byte = base[at]
            at += 1
            if byte == 0x0A { breaks += 1 }
            if isText {
                if byte == 0x22 { isText = false }
                // What is escaped may not be there yet.
                if byte == 0x5C {
                    guard at < count else {
                        at -= 1
                        return nil
                    }
                    at += 1
                }
                continue
            }
            switch byte {
            case 0x22: isText = true
            case 0x7B, 0x5B: depth += 1
            case 0x7D, 0x5D:
                depth -= 1
                if isNested, depth == 0 { return at }
                // The end of the array, behind a value that is none.
                if depth < 0 { return max(1, at - 1) }
            case 0x2C, 0x0A:
                guard !isNested, depth == 0 else { break }
                if byte == 0x0A { breaks -= 1 }
                return max(1, at - 1)
            default: break
            }
        }
        return nil
    }
}
