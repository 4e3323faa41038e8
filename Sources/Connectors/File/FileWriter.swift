import Base
import Glibc

/// Appends lines to a file, buffered.
package final class FileWriter {
    private let path: String
    private let file: UnsafeMutablePointer<FILE>

    /// Makes the file anew.
    package init(path: String) throws(Fault) {
        guard let file = fopen(path, "wb") else {
            throw Fault(.user, "\(path): \(String(cString: strerror(errno)))")
        }
        self.path = path
        self.file = file
        setvbuf(file, nil, _IOFBF, 1 << 18)
    }

    private init(standardOutput: UnsafeMutablePointer<FILE>) {
        path = "standard output"
        file = standardOutput
    }

    package static func standardOutput() -> FileWriter { FileWriter(standardOutput: fdopen(dup(1), "wb")) }

    deinit { fclose(file) }

    package func writeLine(_ line: UnsafeBufferPointer<UInt8>) throws(Fault) {
        let written = fwrite(line.baseAddress, 1, line.count, file)
        if written != line.count || putc(0x0A, file) == EOF { throw fault }
    }

    package func write(_ bytes: UnsafeBufferPointer<UInt8>) throws(Fault) {
        if fwrite(bytes.baseAddress, 1, bytes.count, file) != bytes.count { throw fault }
    }

    package func flush() throws(Fault) { if fflush(file) != 0 { throw fault } }

    private var fault: Fault { Fault(.external, "\(path): \(String(cString: strerror(errno)))") }

    /// Makes a folder if it is not there.
    package static func makeFolder(_ path: String) throws(Fault) {
        if mkdir(path, 0o755) != 0, errno != EEXIST {
            throw Fault(.user, "\(path): \(String(cString: strerror(errno)))")
        }
    }
}
