import Base
import Glibc
import Models

/// Models on a disk.
enum ModelFolder {
    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    static func split(_ path: String) -> (folder: String, file: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        return (
            slash == path.startIndex ? "/" : String(path[..<slash]), String(path[path.index(after: slash)...])
        )
    }

    static func load(_ folder: String) throws(Fault) -> LoadedModel {
        let path = "\(folder)/card.json"
        let card = try named(path) { () throws(Fault) in
            try ModelCard(try FileText.bytes(of: path, bytesMax: Limits.modelBytesMax))
        }
        return try named(folder) { () throws(Fault) in
            try LoadedModel(
                card: card,
                file: try FileText.bytes(of: "\(folder)/\(card.file)", bytesMax: Limits.modelBytesMax))
        }
    }

    /// Faults of the body begin with the file's name.
    static func named<T>(_ path: String, _ body: () throws(Fault) -> T) throws(Fault) -> T {
        do throws(Fault) {
            return try body()
        } catch {
            throw error.detail.hasPrefix(path)
                ? error : Fault(error.domain, "\(path): \(error.detail)", retry: error.retry)
        }
    }

    static func write(_ text: String, to path: String) throws(Fault) {
        guard let file = fopen(path, "wb") else {
            throw Fault(.user, "\(path): \(String(cString: strerror(errno)))")
        }
        let bytes = Array(text.utf8)
        let written = fwrite(bytes, 1, bytes.count, file)
        guard fclose(file) == 0, written == bytes.count else {
            throw Fault(.external, "\(path): \(String(cString: strerror(errno)))")
        }
    }
}
