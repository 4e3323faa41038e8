import Base
import Connectors
import Foundation
import Records
import Testing

/// Goal: a snapshot is read as it was written or not at all; a damaged one gives way to the one before.
@Suite struct SnapshotFilesTests {
    private let folder = NSTemporaryDirectory() + "/millrace-snapshots-\(UInt32.random(in: 0...UInt32.max))"
    private let clock = ManualClock(1_000_000_000)

    private func files(cluster: String = "c1", group: String = "g", topology: String = "t") throws
        -> SnapshotFiles
    {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let owner = SnapshotFiles.Owner(cluster: cluster, group: group, topology: topology)
        return SnapshotFiles(folder: folder, owner: owner, clock: clock)
    }

    private static func bytes(_ count: Int, seed: UInt64) -> Arena {
        var random = SplitMix64(seed: seed)
        let arena = Arena(capacity: count)
        for _ in 0..<count { arena.appendByte(UInt8(truncatingIfNeeded: random.next())) }
        return arena
    }

    /// What is loaded, and the changelog offset that it stands at.
    private func load(_ files: SnapshotFiles) -> (bytes: [UInt8], end: Int64)? {
        var found: (bytes: [UInt8], end: Int64)?
        files.load(7) { bytes, end in
            found = (Array(bytes), end)
            return true
        }
        return found
    }

    private static func array(_ arena: Arena) -> [UInt8] {
        Array(UnsafeBufferPointer(start: arena.base, count: arena.count))
    }

    @Test func twoGenerationsAreKept() throws {
        let files = try files()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        #expect(load(files) == nil)
        // Below one block, several, and a whole number of them.
        for (round, size) in [10, 3_000_000, 2 << 20].enumerated() {
            files.save(7, Self.bytes(size, seed: UInt64(round)), changelogEnd: Int64(round))
            files.close()
            let found = try #require(load(files))
            #expect(
                found.end == Int64(round) && found.bytes == Self.array(Self.bytes(size, seed: UInt64(round))))
        }
        try FileManager.default.removeItem(atPath: SnapshotFiles.path(folder, 7))
        #expect(load(files)?.end == 1)
    }

    @Test func everyDamageIsSeen() throws {
        let files = try files()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let older = Self.bytes(1_100_000, seed: 1)
        try files.write(7, older, 1)
        try files.write(7, Self.bytes(1_100_000, seed: 2), 2)
        let path = SnapshotFiles.path(folder, 7)
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        let seed = UInt64.random(in: 1...1_000_000)
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        for round in 0..<60 {
            var damaged = whole
            // Headers of the file and of its blocks, and anything in between.
            let place = round < 30 ? round * 3 : Int(random.next() % UInt64(whole.count))
            if round % 2 == 0 {
                damaged[place] ^= 1 << UInt8(random.next() % 8)
            } else {
                damaged.removeLast(whole.count - place)
            }
            try damaged.write(to: URL(fileURLWithPath: path))
            let found = load(files)
            #expect(found?.end == 1, "round \(round), byte \(place)")
        }
        try (whole + Data([0])).write(to: URL(fileURLWithPath: path))
        #expect(load(files)?.end == 2)
    }

    @Test func whatIsNotOursOrTooOldIsLeftAside() throws {
        let files = try files()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try files.write(7, Self.bytes(100, seed: 1), 5)
        #expect(load(try self.files(cluster: "c2")) == nil)
        #expect(load(try self.files(group: "h")) == nil)
        #expect(load(try self.files(topology: "u")) == nil)
        clock.nowMilliseconds += 11 * 3_600_000
        #expect(load(files)?.end == 5)
        clock.nowMilliseconds += 2 * 3_600_000
        #expect(load(files) == nil)
    }

    /// Goal: a disk that takes no more costs the new snapshot only.
    @Test func aFailedWriteKeepsTheOlderOne() throws {
        let files = try files()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try files.write(7, Self.bytes(100, seed: 1), 5)
        // A folder stands where the new file would be written.
        try FileManager.default.createDirectory(
            atPath: SnapshotFiles.path(folder, 7) + ".tmp", withIntermediateDirectories: true)
        files.save(7, Self.bytes(100, seed: 2), changelogEnd: 6)
        files.close()
        #expect(load(files)?.end == 5)
    }

    @Test func workersOfOneFolderHaveNamesOfTheirOwn() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var first: StateFolder? = try StateFolder(folder, group: "g")
        let second = try StateFolder(folder, group: "g")
        #expect(first?.path != second.path && first?.instanceId != second.instanceId)
        let (path, name) = (first?.path, first?.instanceId)
        first = nil
        let again = try StateFolder(folder, group: "g")
        #expect(again.path == path && again.instanceId == name)
    }
}
