import Base
import Glibc

/// What commands look for when no file is named.
enum Files {
    static func topologies() -> [String] {
        if access("topology.yaml", R_OK) == 0 { return ["topology.yaml"] }
        guard let folder = opendir("Topologies") else { return [] }
        defer { closedir(folder) }
        var found: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            let path = "Topologies/\(name)/topology.yaml"
            if !name.hasPrefix("."), access(path, R_OK) == 0 { found.append(path) }
        }
        return found.sorted()
    }
}
