import Engine
import Glibc

/// Folders that benches make for themselves.
enum BenchFolder {
    /// With all that is in it; links are not followed.
    static func delete(_ path: String) {
        guard remove(path) != 0, let folder = opendir(path) else { return }
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { delete("\(path)/\(name)") }
        }
        closedir(folder)
        rmdir(path)
    }
}
