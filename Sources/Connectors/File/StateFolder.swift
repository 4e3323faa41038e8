import Base
import Glibc

/// The folder of one worker's snapshots: `DIR/GROUP/N`, N the first number that no other process holds. A
/// worker that is started again finds its own, and with it the name under which its group and its
/// transactions know it.
package final class StateFolder {
    package let path: String
    /// Stable over restarts.
    package let instanceId: String
    private let lock: Int32

    /// `instanceId`: given by the operator; nil: one that was made when the folder was.
    package init(_ directory: String, group: String, instanceId: String? = nil) throws(Fault) {
        let parent = "\(directory)/\(group)"
        try Self.make(parent)
        for number in 0..<Limits.workersPerStateFolderMax {
            let path = "\(parent)/\(number)"
            try Self.make(path)
            let lock = open("\(path)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            guard lock >= 0 else { throw Self.fault("\(path)/lock") }
            guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
                close(lock)
                continue
            }
            self.path = path
            self.lock = lock
            if let instanceId {
                self.instanceId = instanceId
            } else {
                self.instanceId = try Self.name(in: path)
            }
            return
        }
        throw Fault(.user, "\(parent): \(Limits.workersPerStateFolderMax) workers use it already")
    }

    deinit { close(lock) }

    private static func name(in path: String) throws(Fault) -> String {
        let file = "\(path)/instance-id"
        if let text = try? FileText.read(file), text.hasPrefix("worker-") {
            return String(text.prefix { !$0.isNewline })
        }
        let name = "worker-" + String(UInt64.random(in: 0...UInt64.max), radix: 36)
        guard let made = fopen(file, "wb") else { throw fault(file) }
        defer { fclose(made) }
        guard fputs(name + "\n", made) >= 0, fflush(made) == 0 else { throw fault(file) }
        return name
    }

    /// Makes a folder and those above it.
    private static func make(_ path: String) throws(Fault) {
        if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            throw fault(path)
        }
        try make(String(path[..<slash]))
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw fault(path) }
    }

    private static func fault(_ path: String) -> Fault {
        Fault(.user, "state folder: \(path): \(String(cString: strerror(errno)))")
    }
}
