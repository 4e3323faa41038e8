import Base
import Engine
import Foundation
import Testing
import Topology

/// Goal: the same bytes for every batch size. Method: random topologies over random records, among them late,
/// malformed and refused ones; every output of batches of 1, 7, 2,048 and a random number of rows, byte by
/// byte. A failure is made small before it is shown. `MILLRACE_TOPOLOGIES=5000` runs so many, `MILLRACE_SEED`
/// begins at another.
@Suite struct BatchSizeTests {
    static let parts = 6

    /// In parts, which run side by side.
    @Test(arguments: 0..<parts) func bytesDoNotDependOnTheBatchSize(part: Int) throws {
        let environment = ProcessInfo.processInfo.environment
        let count = environment["MILLRACE_TOPOLOGIES"].flatMap { UInt64($0) } ?? 150
        let first = environment["MILLRACE_SEED"].flatMap { UInt64($0) } ?? 1
        let seeds = (first..<first + count).filter { $0 % UInt64(Self.parts) == part }
        var (ran, records, outputs) = (0, Int64(0), 0)
        for seed in seeds {
            if environment["MILLRACE_VERBOSE"] != nil { print("seed \(seed)") }
            guard let run = try Self.check(RandomTopology(seed: seed), seed) else { continue }
            ran += 1
            records += run.summary.records
            outputs += run.outputs.values.reduce(0) { $0 + $1.count }
        }
        print(
            "seeds \(first) to \(first + count - 1), part \(part): \(ran) topologies, \(records) records, \(outputs) outputs"
        )
        #expect(ran * 10 >= seeds.count * 8)
    }

    /// Seeds that failed once: keys of a close in the order of their ids; rows of windows `until: previous`
    /// in that of the record that reached their end, not of the one that closed them; panes behind the ring;
    /// windows of a stream that were as far as the last row of its batch.
    @Test(arguments: [
        (60, false), (73, false), (525, false), (625, false), (716, false), (805, false), (8, true),
        (136, true), (826, true),
    ])
    func seedsThatFailedOnce(seed: UInt64, hasUnions: Bool) throws {
        #expect(try Self.check(RandomTopology(seed: seed, hasUnions: hasUnions), seed) != nil)
    }

    /// The run row by row; nil: the topology has a mistake.
    private static func check(_ topology: RandomTopology, _ seed: UInt64) throws -> ReplayRun? {
        guard let one = try run(topology, rowsMax: 1) else { return nil }
        #expect(
            one["late"].count == one.summary.late && one["dead-letter"].count == one.summary.dead,
            "seed \(seed)")
        guard let difference = try difference(topology, seed, one) else { return one }
        let small = try shrink(topology, seed)
        Issue.record(
            """
            seed \(seed): \(difference)
            made small:
            \(small.text)\(small.inputs.map { "\($0.source):\n" + $0.lines.joined(separator: "\n") }.joined(separator: "\n"))
            \(try Self.difference(small, seed) ?? "")
            """)
        return one
    }

    /// nil: the topology has a mistake.
    static func run(_ topology: RandomTopology, rowsMax: Int) throws -> ReplayRun? {
        guard let spec = TopologyReader.read(topology.text, file: "t.yaml").spec else { return nil }
        return try ReplayRun(spec, topology.inputs, rowsMax: rowsMax)
    }

    /// `one`: the run row by row, if it is known.
    static func difference(_ topology: RandomTopology, _ seed: UInt64, _ one: ReplayRun? = nil) throws
        -> String?
    {
        guard let one = try one ?? run(topology, rowsMax: 1) else { return nil }
        for rowsMax in [7, 2048, 2 + Int(seed % 60)] {
            guard let other = try run(topology, rowsMax: rowsMax) else { return nil }
            if let difference = one.difference(to: other) {
                return "batches of 1 and \(rowsMax): \(difference)"
            }
        }
        return nil
    }

    /// Leaves out parts and records as long as it fails.
    static func shrink(_ topology: RandomTopology, _ seed: UInt64) throws -> RandomTopology {
        var small = topology
        func fails(_ other: RandomTopology) -> Bool { (try? difference(other, seed)) ?? nil != nil }
        var hasChanged = true
        while hasChanged {
            hasChanged = false
            for part in small.parts.indices.reversed() where part < small.parts.count {
                let other = small.without(part)
                if !other.inputs.isEmpty, fails(other) { (small, hasChanged) = (other, true) }
            }
            for input in small.inputs.indices {
                var size = max(1, small.inputs[input].lines.count / 2)
                while true {
                    var start = 0
                    while start < small.inputs[input].lines.count {
                        var lines = small.inputs[input].lines
                        lines.removeSubrange(start..<min(start + size, lines.count))
                        let other = small.with(lines, of: input)
                        if fails(other) { (small, hasChanged) = (other, true) } else { start += size }
                    }
                    if size == 1 { break }
                    size /= 2
                }
            }
        }
        return small
    }
}
