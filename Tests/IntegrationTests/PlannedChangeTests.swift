import Base
import Connectors
import Engine
import Foundation
import Testing

/// Workers that join and leave as they were asked to.
@Suite(.serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)) struct PlannedChangeTests {
    private let rig: OperationsRig

    init() throws { rig = try OperationsRig() }

    /// Goal: a worker that comes takes over what others have in memory, one that goes for good is a member no
    /// more as soon as it has ended, and windows are whole throughout.
    @Test func aWorkerComesAndGoesForGood() throws {
        let text = OperationsRig.Text(condition: "orders > 9")
        try rig.makeTopic(rig.orders, records: 0..<100)
        let first = try rig.startAndWait(100, text)
        let second = try rig.start(text, state: "second")
        #expect(WorkerTests.wait(seconds: 120) { second.worker.isReady || second.hasEnded })
        try rig.feed(rig.orders, 100..<160)
        #expect(
            WorkerTests.wait(seconds: 120) {
                first.processed + second.processed == 160 || first.hasEnded || second.hasEnded
            })
        #expect(second.processed > 0)
        let members = try KafkaWatch(rig.cluster.settings(group: rig.group))
        #expect(try members.members(deadlineMilliseconds: 10_000).count == 2)
        let before = first.processed
        second.worker.stop(forGood: true)
        #expect(second.end() == nil)
        #expect(try members.members(deadlineMilliseconds: 10_000).count == 1)
        try rig.feed(rig.orders, 160..<200)
        #expect(first.finish(after: before + 40) == nil)
        let reader = try KafkaReader(rig.cluster.settings(group: ""), topic: "\(rig.group)-alerts")
        var counts: [String: Int] = [:]
        while !reader.isAtEnd {
            try reader.poll(timeoutMilliseconds: 100) { record in
                guard let value = record.valueText, let key = record.keyText else { return }
                #expect(value.contains("\"sold.orders\":10"), "\(value)")
                counts[key, default: 0] += 1
            }
        }
        #expect(counts.count == 20 && counts.values.allSatisfy { $0 == 1 }, "\(counts)")
    }
}
