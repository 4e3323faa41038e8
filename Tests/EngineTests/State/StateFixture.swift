import Base
import Connectors
import Foundation
import Records
import Testing

/// State as a build has once kept it, in a folder of `Fixtures`: for each task the records of its changelog
/// and a snapshot, and what it held.
struct StateFixture {
    /// A folder of `Fixtures`, with its topology.
    var topology: String
    /// A folder of that, by the formats of changelog and snapshot.
    var formats: String

    static let topologies = ["everything", "flow", "repartitioned"]
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
        "Fixtures"
    )

    static func text(_ topology: String) throws -> String {
        try String(contentsOf: folder.appendingPathComponent("\(topology)/topology.yaml"), encoding: .utf8)
    }

    static func partitions(_ topology: String) -> Int { topology == "repartitioned" ? 2 : 1 }

    /// Every one that is kept.
    static let all: [StateFixture] = topologies.flatMap { topology in
        let names =
            (try? FileManager.default.contentsOfDirectory(
                atPath: folder.appendingPathComponent(topology).path
            )) ?? []
        return names.filter { $0.hasPrefix("changelog-") }.sorted().map {
            StateFixture(topology: topology, formats: $0)
        }
    }

    static let read = all.filter { !$0.isRefused }
    static let refused = all.filter(\.isRefused)
    /// Format 6 had money in the tasks of its accounts, and now it is in one.
    private var isRefused: Bool { topology == "flow" && formats == "changelog-6-snapshot-6" }

    private var place: URL { Self.folder.appendingPathComponent("\(topology)/\(formats)") }

    /// How much of the input it has taken, and how much of that after the snapshot was written.
    static func parts(_ topology: String) -> (
        before: ArraySlice<StateFixtureInput>, tail: ArraySlice<StateFixtureInput>,
        rest: ArraySlice<StateFixtureInput>
    ) {
        let records = StateFixtureInput.records(topology)
        return (records[..<220], records[220..<264], records[264...])
    }

    /// A run that has taken all but the rest of the input.
    static func run(_ topology: String) throws -> StateFixtureRun {
        let run = try StateFixtureRun(text(topology), partitions: partitions(topology))
        let parts = parts(topology)
        try run.take(parts.before)
        run.snapshot()
        try run.take(parts.tail)
        run.compact()
        return run
    }

    /// A new run of today's build.
    func begin() throws -> StateFixtureRun {
        try StateFixtureRun(Self.text(topology), partitions: Self.partitions(topology))
    }

    // MARK: Files

    /// The format of the changelog stands in front of its definitions, that of a snapshot in front of all.
    static func formats(of run: StateFixtureRun) throws -> String {
        let changelog = try #require(run.changelogs[0].first { $0.key == [4] }?.value?.first)
        let snapshot = try #require(run.snapshots[0]?.bytes.first)
        return "changelog-\(changelog)-snapshot-\(snapshot)"
    }

    private final class FixedClock: Clock { let nowMilliseconds: Int64 = 1_700_000_000_000 }

    private var files: SnapshotFiles {
        SnapshotFiles(
            folder: place.path,
            owner: SnapshotFiles.Owner(cluster: "c", group: "g", topology: topology),
            clock: FixedClock()
        )
    }

    func write(_ run: StateFixtureRun) throws {
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        for task in 0..<run.partitions {
            var data = Data()
            for change in run.changelogs[task] {
                func append(_ number: Int64) {
                    withUnsafeBytes(of: number.littleEndian) { data.append(contentsOf: $0) }
                }
                append(change.offset)
                append(Int64(change.key.count))
                append(Int64(change.value?.count ?? -1))
                data.append(contentsOf: change.key + (change.value ?? []))
            }
            try data.write(to: place.appendingPathComponent("changelog-\(task)"))
            let snapshot = try #require(run.snapshots[task])
            let bytes = Arena(capacity: snapshot.bytes.count + 64)
            for byte in snapshot.bytes { bytes.appendByte(byte) }
            try files.write(Int32(task), bytes, snapshot.end)
        }
        try (run.description().joined(separator: "\n") + "\n")
            .write(to: place.appendingPathComponent("state.jsonl"), atomically: true, encoding: .utf8)
    }

    func changelogs() throws -> [[StateFixtureRun.Change]] {
        try (0..<Self.partitions(topology)).map { task in
            let data = Array(try Data(contentsOf: place.appendingPathComponent("changelog-\(task)")))
            var (at, changes) = (0, [StateFixtureRun.Change]())
            func number() -> Int64 {
                at += 8
                return data[at - 8..<at].reversed().reduce(0) { $0 << 8 | Int64($1) }
            }
            while at < data.count {
                let offset = number()
                let (keyCount, valueCount) = (Int(number()), Int(number()))
                let valueStart = at + keyCount
                let value = valueCount < 0 ? nil : Array(data[valueStart..<valueStart + valueCount])
                changes.append(
                    StateFixtureRun.Change(offset: offset, key: Array(data[at..<valueStart]), value: value)
                )
                at = valueStart + max(0, valueCount)
            }
            return changes
        }
    }

    func snapshots() throws -> [(bytes: [UInt8], end: Int64)?] {
        try (0..<Self.partitions(topology)).map { task in
            let snapshot = try SnapshotFiles.read(SnapshotFiles.path(place.path, Int32(task)))
            return (
                Array(UnsafeBufferPointer(start: snapshot.bytes.base, count: snapshot.bytes.count)),
                snapshot.changelogEnd
            )
        }
    }

    func state() throws -> [String] {
        try String(contentsOf: place.appendingPathComponent("state.jsonl"), encoding: .utf8).split(
            separator: "\n"
        ).map(String.init)
    }
}
