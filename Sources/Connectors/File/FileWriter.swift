import Base
import Glibc
import Records

/// Appends bytes to a file or to standard output, buffered. What cannot be written is a fault that names the
/// place; the bytes that it is about, and those after it, are gone.
package final class FileWriter {
    private static let bufferBytes = 1 << 18

    private let path: String
    private let descriptor: Int32
    private let isOwned: Bool
    private let buffer = Arena(capacity: bufferBytes)
    private var isClosed = false

    /// Makes the file anew.
    package init(path: String) throws(Fault) {
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Fault(.user, "\(path): \(String(cString: strerror(errno)))") }
        self.path = path
        isOwned = true
    }

    /// A descriptor that is open and stays so: 1 is standard output.
    package init(descriptor: Int32, named name: String) {
        self.descriptor = descriptor
        path = name
        isOwned = false
    }

    package static func standardOutput() -> FileWriter { FileWriter(descriptor: 1, named: "standard output") }

    deinit { try? close() }

    package func writeLine(_ line: UnsafeBufferPointer<UInt8>) throws(Fault) {
        try write(line)
        buffer.appendByte(0x0A)
    }

    package func write(_ bytes: UnsafeBufferPointer<UInt8>) throws(Fault) {
        guard let start = bytes.baseAddress else { return }
        if buffer.count + bytes.count > Self.bufferBytes { try flush() }
        // What does not fit is not copied either.
        if bytes.count > Self.bufferBytes { return try Self.write(start, bytes.count, to: descriptor, path) }
        buffer.reserve(bytes.count + 1)
        _ = buffer.append(start, bytes.count)
    }

    package func write(_ text: String) throws(Fault) {
        _ = buffer.append(text)
        if buffer.count > Self.bufferBytes { try flush() }
    }

    package func flush() throws(Fault) {
        defer { buffer.removeAll() }
        try Self.write(buffer.base, buffer.count, to: descriptor, path)
    }

    /// Flushes and closes; some file systems tell only then that a quota is exceeded.
    package func close() throws(Fault) {
        if isClosed { return }
        isClosed = true
        var problem: Fault?
        do throws(Fault) { try flush() } catch { problem = error }
        if isOwned, Glibc.close(descriptor) != 0, problem == nil { problem = Self.fault(path) }
        if let problem { throw problem }
    }

    /// Writes all of the bytes, however many of them are taken at a time.
    static func write(_ bytes: UnsafePointer<UInt8>, _ count: Int, to descriptor: Int32, _ path: String)
        throws(Fault)
    {
        var done = 0
        while done < count {
            let written = Glibc.write(descriptor, bytes + done, count - done)
            if written >= 0 {
                done += written
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                // A terminal or pipe that somebody else has made so.
                var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&wait, 1, -1)
            default: throw fault(path)
            }
        }
    }

    private static func fault(_ path: String) -> Fault {
        Fault(.external, "\(path): \(String(cString: strerror(errno)))")
    }

    /// Makes a folder if it is not there.
    package static func makeFolder(_ path: String) throws(Fault) {
        if mkdir(path, 0o755) != 0, errno != EEXIST {
            throw Fault(.user, "\(path): \(String(cString: strerror(errno)))")
        }
    }
}
