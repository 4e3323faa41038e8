import Base
import Connectors
import Glibc

/// The folder that a replay writes to. What lies in it afterwards is of that run alone, as far as a replay
/// has written it: each leaves a list of the files that it may write, and the next one removes those.
struct OutputFolder {
    /// Hidden, so that a folder that is read as an input leaves it out.
    static let listName = ".millrace-output"

    private let path: String

    init(_ path: String) { self.path = path }

    /// `names`: of what may be written, without `.jsonl`.
    func prepare(for names: [String], keeping inputs: [String]) throws(Fault) {
        try FileWriter.makeFolder(path)
        let files = names.map { "\($0).jsonl" }
        let kept = Set(inputs.compactMap { Self.identity($0) })
        // An input that an earlier run wrote stays, and one that this run would write is no folder for it.
        for file in files {
            if let identity = Self.identity("\(path)/\(file)"), kept.contains(identity) {
                throw Fault(
                    .user,
                    "\(path)/\(file) is read by this run and would be written over; name another --output folder"
                )
            }
        }
        for file in Set(files + listed()) {
            if let identity = Self.identity("\(path)/\(file)"), kept.contains(identity) { continue }
            if unlink("\(path)/\(file)") != 0, errno != ENOENT {
                throw Fault(.user, "\(path)/\(file): \(String(cString: strerror(errno)))")
            }
        }
        let list = try FileWriter(path: "\(path)/\(Self.listName)")
        for file in files.sorted() { try list.write(file + "\n") }
        try list.close()
    }

    /// What earlier runs may have written. A name that leads elsewhere is not theirs.
    private func listed() -> [String] {
        guard let text = try? FileText.read("\(path)/\(Self.listName)") else { return [] }
        return text.split(whereSeparator: \.isNewline).map(String.init).filter { name in
            name.hasSuffix(".jsonl") && !name.hasPrefix(".") && !name.contains("/")
        }
    }

    private struct Identity: Hashable {
        var device: UInt64
        var file: UInt64
    }

    /// The same for every path to one file.
    private static func identity(_ path: String) -> Identity? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Identity(device: UInt64(status.st_dev), file: UInt64(status.st_ino))
    }
}
