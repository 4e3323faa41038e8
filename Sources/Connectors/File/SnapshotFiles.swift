import Base
import Dataflow
import Glibc
import Records
import Synchronization

/// Snapshots of tasks as files of one folder, two generations of each: `task-3.snapshot`, the newest, and
/// `task-3.previous`.
///
/// A file is a header and blocks of at most a mebibyte, each with its length and a hash of its bytes; the
/// last one is empty. It is written under another name, flushed to the disk and then renamed, so that a crash
/// leaves the older file or the newer one, and a file that lost or changed a byte is recognised.
package final class SnapshotFiles: SnapshotStore, @unchecked Sendable {
    private let folder: String
    /// Whose changelog the offsets are of.
    private let owner: Owner
    private let clock: any Clock
    private let ageMillisecondsMax: Int64
    private var writer: pthread_t?
    private let isBusy = Atomic<Bool>(false)
    /// When a failure was told last, monotonic milliseconds, and how many were not since.
    private let toldAt = Atomic<Int64>(.min)
    private let untold = Atomic<Int>(0)

    private static let magic: UInt64 = 0x3250_414E_5353_524D  // "MRSSNAP2" in a file
    private static let blockBytes = 1 << 20

    /// What a snapshot is of, beside its task.
    package struct Owner: Equatable, Sendable {
        /// The id of the Kafka cluster.
        package var cluster: String
        package var group: String
        package var topology: String

        package init(cluster: String, group: String, topology: String) {
            self.cluster = cluster
            self.group = group
            self.topology = topology
        }
    }

    /// `ageMillisecondsMax`: older snapshots are left aside, since the changelog may have forgotten by then
    /// what was removed since (`delete.retention.ms`).
    package init(folder: String, owner: Owner, clock: any Clock, ageMillisecondsMax: Int64 = 12 * 3_600_000) {
        self.folder = folder
        self.owner = owner
        self.clock = clock
        self.ageMillisecondsMax = ageMillisecondsMax
    }

    deinit { close() }

    package static func path(_ folder: String, _ task: Int32, isPrevious: Bool = false) -> String {
        "\(folder)/task-\(task).\(isPrevious ? "previous" : "snapshot")"
    }

    // MARK: Reading

    package func load(_ task: Int32, _ body: (UnsafeBufferPointer<UInt8>, _ changelogEnd: Int64) -> Bool) {
        for isPrevious in [false, true] {
            let path = Self.path(folder, task, isPrevious: isPrevious)
            guard access(path, F_OK) == 0 else { continue }
            do throws(Fault) {
                let snapshot = try Self.read(path)
                if let stranger = stranger(snapshot, task) { throw Fault(.user, "it is of \(stranger)") }
                guard clock.nowMilliseconds - snapshot.createdAt < ageMillisecondsMax else {
                    throw Fault(.user, "it is older than the changelog's memory of what was removed")
                }
                let bytes = snapshot.bytes
                if body(UnsafeBufferPointer(start: bytes.base, count: bytes.count), snapshot.changelogEnd) {
                    return
                }
                throw Fault(.user, "it was written under other definitions")
            } catch {
                Log.warning("snapshot \(path) is left aside: \(error.detail)")
            }
        }
    }

    /// What a snapshot is of, if not of this task and its owner.
    private func stranger(_ snapshot: Snapshot, _ task: Int32) -> String? {
        let theirs = snapshot.owner
        if theirs.cluster != owner.cluster { return "another cluster, \(theirs.cluster)" }
        if theirs.group != owner.group { return "another group, '\(theirs.group)'" }
        if theirs.topology != owner.topology { return "another topology, '\(theirs.topology)'" }
        return snapshot.task == task ? nil : "another task, \(snapshot.task)"
    }

    package struct Snapshot {
        package var task: Int32
        package var owner: Owner
        package var createdAt: Int64
        package var changelogEnd: Int64
        package var bytes: Arena
    }

    /// A whole snapshot file; throws on any byte that is not as it was written.
    package static func read(_ path: String) throws(Fault) -> Snapshot {
        guard let file = fopen(path, "rb") else {
            throw Fault(.external, "\(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        let head = Arena(capacity: 256)
        guard let headCount = try block(file, into: head), headCount > 0 else {
            throw Fault(.external, "\(path): no header")
        }
        var reader = BinaryReader(UnsafeBufferPointer(start: head.base, count: head.count))
        guard reader.word64() == magic else {
            throw Fault(.external, "\(path): not a snapshot of this format")
        }
        let task = Int32(truncatingIfNeeded: reader.varint())
        let createdAt = reader.zigzag()
        let changelogEnd = reader.zigzag()
        let total = reader.varint()
        let owner = Owner(cluster: reader.text(), group: reader.text(), topology: reader.text())
        guard reader.isValid, total < 1 << 40 else {
            throw Fault(.external, "\(path): its header is damaged")
        }
        let bytes = Arena(capacity: Int(total) + 64)
        while true {
            guard let count = try block(file, into: bytes) else {
                throw Fault(.external, "\(path): it ends too early")
            }
            if count == 0 { break }
        }
        guard bytes.count == Int(total) else { throw Fault(.external, "\(path): parts of it are missing") }
        return Snapshot(
            task: task, owner: owner, createdAt: createdAt, changelogEnd: changelogEnd, bytes: bytes)
    }

    /// Appends the next block; its bytes, nil at the end of the file.
    private static func block(_ file: UnsafeMutablePointer<FILE>, into bytes: Arena) throws(Fault) -> Int? {
        var head = (count: UInt64(0), hash: UInt64(0))
        guard fread(&head, 16, 1, file) == 1 else { return nil }
        guard head.count <= blockBytes else { throw Fault(.external, "a block's length is damaged") }
        let count = Int(head.count)
        bytes.reserve(count + 64)
        let start = bytes.base + bytes.count
        guard fread(start, 1, count, file) == count else { return nil }
        guard foldBytes(start, count, seed: head.count) == head.hash else {
            throw Fault(.external, "a block's bytes are damaged")
        }
        bytes.count += count
        return count
    }

    // MARK: Writing

    package var isSaving: Bool { isBusy.load(ordering: .acquiring) }

    package func save(_ task: Int32, _ snapshot: Arena, changelogEnd: Int64) {
        close()
        isBusy.store(true, ordering: .releasing)
        let job = Job { [self] in
            do throws(Fault) {
                try write(task, snapshot, changelogEnd)
            } catch {
                tell("snapshot of task \(task): \(error.detail); the one before stays")
            }
            isBusy.store(false, ordering: .releasing)
        }
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { context in
                if let context { Unmanaged<Job>.fromOpaque(context).takeRetainedValue().body() }
                return nil
            }, Unmanaged.passRetained(job).toOpaque())
        require(code == 0, "no thread: \(code)")
        writer = thread
    }

    private static let tellMilliseconds: Int64 = 60_000

    /// A full disk fails every snapshot: once a minute is enough.
    private func tell(_ text: String) {
        let now = monotonicNanoseconds() / 1_000_000
        let before = toldAt.load(ordering: .relaxed)
        if before != .min, now - before < Self.tellMilliseconds {
            untold.add(1, ordering: .relaxed)
            return
        }
        toldAt.store(now, ordering: .relaxed)
        let others = untold.exchange(0, ordering: .relaxed)
        Log.warning(text + (others == 0 ? "" : " (and \(others) more since the last such line)"))
    }

    package func close() {
        if let writer { pthread_join(writer, nil) }
        writer = nil
    }

    private final class Job {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }

    /// Writes a snapshot and waits until the disk has it.
    package func write(_ task: Int32, _ snapshot: Arena, _ changelogEnd: Int64) throws(Fault) {
        let path = Self.path(folder, task)
        let temporary = path + ".tmp"
        guard let file = fopen(temporary, "wb") else { throw Self.fault(temporary) }
        do throws(Fault) {
            let head = Arena(capacity: 256)
            head.appendWord(Self.magic)
            head.appendVarint(UInt64(task))
            head.appendZigzag(clock.nowMilliseconds)
            head.appendZigzag(changelogEnd)
            head.appendVarint(UInt64(snapshot.count))
            for name in [owner.cluster, owner.group, owner.topology] { head.appendBlob(name) }
            try Self.write(head.base, head.count, to: file, temporary)
            var start = 0
            while start < snapshot.count {
                let count = min(Self.blockBytes, snapshot.count - start)
                try Self.write(snapshot.base + start, count, to: file, temporary)
                start += count
                Plant.pass(.snapshotWrite)
            }
            try Self.write(head.base, 0, to: file, temporary)
            guard fflush(file) == 0, fsync(fileno(file)) == 0 else { throw Self.fault(temporary) }
        } catch {
            fclose(file)
            unlink(temporary)
            throw error
        }
        guard fclose(file) == 0 else { throw Self.fault(temporary) }
        Plant.pass(.snapshotRename)
        let previous = Self.path(folder, task, isPrevious: true)
        guard rename(path, previous) == 0 || errno == ENOENT else { throw Self.fault(previous) }
        guard rename(temporary, path) == 0 else { throw Self.fault(path) }
        let directory = open(folder, O_RDONLY | O_DIRECTORY)
        guard directory >= 0 else { throw Self.fault(folder) }
        defer { Glibc.close(directory) }
        guard fsync(directory) == 0 else { throw Self.fault(folder) }
    }

    private static func write(
        _ bytes: UnsafePointer<UInt8>, _ count: Int, to file: UnsafeMutablePointer<FILE>, _ path: String
    ) throws(Fault) {
        var head = (count: UInt64(count), hash: foldBytes(bytes, count, seed: UInt64(count)))
        guard fwrite(&head, 16, 1, file) == 1, fwrite(bytes, 1, count, file) == count else {
            throw fault(path)
        }
    }

    private static func fault(_ path: String) -> Fault {
        Fault(.external, "\(path): \(String(cString: strerror(errno)))", retry: .withBackoff)
    }
}
