import Base
import Glibc

/// The lines of a file or pipe, plain, gzip or xz.
package final class FileLines {
    package let path: String
    private let reader: ByteReader
    private let bytesMax: Int
    private let buffer: UnsafeMutablePointer<UInt8>
    private static let capacity = 256 << 10
    private var next = 0
    private var end = 0
    /// The number of the line that was given last, from 1.
    package private(set) var number = 0

    /// `bytesMax`: of a line.
    package init(_ path: String, bytesMax: Int) throws(Fault) {
        self.path = path
        self.bytesMax = bytesMax
        reader = try ByteReader(path)
        buffer = .allocate(capacity: Self.capacity)
    }

    deinit { buffer.deallocate() }

    /// The next line without its end; nil: there is none. `isWhole`: it had an end.
    package func line() throws(Fault) -> (bytes: [UInt8], isWhole: Bool)? {
        var line: [UInt8] = []
        number += 1
        while true {
            if next == end {
                (next, end) = (0, try reader.read(into: buffer, Self.capacity))
                if end == 0 { return line.isEmpty ? nil : (line, false) }
            }
            let rest = UnsafeBufferPointer(start: buffer + next, count: end - next)
            let stop = rest.firstIndex(of: 0x0A)
            line += rest[..<(stop ?? rest.count)]
            next += (stop ?? rest.count) + (stop == nil ? 0 : 1)
            if line.count > bytesMax {
                throw Fault(.user, "\(path):\(number): a line of more than \(bytesMax) bytes")
            }
            if stop != nil { return (line, true) }
        }
    }
}
