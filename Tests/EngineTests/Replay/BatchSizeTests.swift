import Base
import Foundation
import Testing
import Topology

/// Goal: the same bytes for every batch size. Method: random topologies over random records, among them late, malformed
/// and refused ones; every output of batches of 1, 7, 2,048 and a random number of rows, byte by byte. A failure is made
/// small before it is shown. `MILLRACE_TOPOLOGIES=5000` runs so many, `MILLRACE_SEED` begins at another.
@Suite struct BatchSizeTests {
    @Test func bytesDoNotDependOnTheBatchSize() throws {
        let environment = ProcessInfo.processInfo.environment
        let count = environment["MILLRACE_TOPOLOGIES"].flatMap { UInt64($0) } ?? 40
        let first = environment["MILLRACE_SEED"].flatMap { UInt64($0) } ?? 1
        print("seeds \(first) to \(first + count - 1)")
        var (ran, records, outputs) = (0, Int64(0), 0)
        for seed in first..<first + count {
            if environment["MILLRACE_VERBOSE"] != nil { print("seed \(seed)") }
            let topology = RandomTopology(seed: seed)
            guard let run = try Self.run(topology, rowsMax: 2048) else { continue }
            ran += 1
            records += run.summary.records
            outputs += run.outputs.values.reduce(0) { $0 + $1.count }
            #expect(run["late"].count == run.summary.late && run["dead-letter"].count == run.summary.dead, "seed \(seed)")
            guard let difference = try Self.difference(topology, seed) else { continue }
            let small = try Self.shrink(topology, seed)
            Issue.record(
                """
                seed \(seed): \(difference)
                made small:
                \(small.text)\(small.inputs.map { "\($0.source):\n" + $0.lines.joined(separator: "\n") }.joined(separator: "\n"))
                \(try Self.difference(small, seed) ?? "")
                """)
        }
        print("\(ran) topologies, \(records) records, \(outputs) outputs")
        #expect(ran * 10 >= Int(count) * 8)
    }

    /// nil: the topology has a mistake.
    static func run(_ topology: RandomTopology, rowsMax: Int) throws -> ReplayRun? {
        guard let spec = TopologyReader.read(topology.text, file: "t.yaml").spec else { return nil }
        return try ReplayRun(spec, topology.inputs, rowsMax: rowsMax)
    }

    static func difference(_ topology: RandomTopology, _ seed: UInt64) throws -> String? {
        guard let one = try run(topology, rowsMax: 1) else { return nil }
        for rowsMax in [7, 2048, 2 + Int(seed % 60)] {
            guard let other = try run(topology, rowsMax: rowsMax) else { return nil }
            if let difference = one.difference(to: other) { return "batches of 1 and \(rowsMax): \(difference)" }
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
