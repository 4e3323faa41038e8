import Glibc

/// Small files, read whole.
package enum FileText {
    package static func read(_ path: String, bytesMax: Int = 16 << 20) throws(Fault) -> String {
        String(decoding: try bytes(of: path, bytesMax: bytesMax), as: UTF8.self)
    }

    package static func bytes(of path: String, bytesMax: Int) throws(Fault) -> [UInt8] {
        guard let file = fopen(path, "rb") else {
            throw Fault(.user, "\(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            bytes += chunk[..<count]
            if bytes.count > bytesMax { throw Fault(.user, "\(path): larger than \(bytesMax) bytes") }
        }
        if ferror(file) != 0 { throw Fault(.user, "\(path): \(String(cString: strerror(errno)))") }
        return bytes
    }
}
