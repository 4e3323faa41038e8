import Base
import Connectors
import Dataflow
import Testing
import Topology

// One after the other: one of them kills the broker.
@Suite(.serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)) struct KafkaIntegrationTests
{
    @Test func twoConsumersShareAndHandOverWithoutLossOrRepeat() throws {
        // Goal: while a second consumer joins and leaves, every offset is seen exactly once, because each
        // commits inside the revocation and the next one starts there.
        let cluster = try KafkaCluster.shared()
        let topic = try cluster.makeTopic("orders", partitions: 4)
        let feeder = try KafkaFeeder(cluster.settings(group: ""))
        let target = try feeder.topic(topic)
        var sent = 0
        func feed(_ count: Int) throws {
            for _ in 0..<count {
                try feeder.send(to: target, key: nil, value: "v\(sent)", partition: Int32(sent % 4))
                sent += 1
            }
            try feeder.flush()
        }
        func join(_ group: String) throws -> Intake {
            let intake = Intake(
                try KafkaSource(
                    cluster.settings(group: group),
                    topics: [KafkaSourceTopic(topic: topic, source: 0, start: .earliest)]
                )
            )
            intake.onEvent = { [unowned intake] event in
                if case .revoked(let partitions) = event {
                    let positions = intake.positions.filter { partitions.contains($0.key) }
                    #expect(throws: Never.self) { try intake.source.commit(positions) }
                }
            }
            return intake
        }
        try feed(4000)
        let group = "share-\(UInt32.random(in: 0...UInt32.max))"
        let first = try join(group)
        #expect(first.poll { first.records.count >= 1000 })
        let second = try join(group)
        #expect(
            first.poll {
                second.pollOnce()
                return second.source.assignment.count == 2
            }
        )
        try feed(4000)
        #expect(
            first.poll {
                second.pollOnce()
                return first.records.count + second.records.count >= 8000
            }
        )
        #expect(!second.records.isEmpty)
        try second.source.commit(second.positions)
        second.source.close()
        try feed(4000)
        #expect(first.poll { first.records.count + second.records.count >= 12_000 })
        let seen = (first.records + second.records).map(\.value)
        #expect(seen.count == 12_000)
        #expect(Set(seen).count == 12_000)
        #expect(first.fault == nil && second.fault == nil)
    }

    @Test func publishesCommitsAndGoesOn() throws {
        // Goal: the way of a record through a lane: read, publish, flush, commit; a restart repeats nothing.
        let cluster = try KafkaCluster.shared()
        let input = try cluster.makeTopic("orders", partitions: 2)
        let output = try cluster.makeTopic("alerts", partitions: 2)
        let feeder = try KafkaFeeder(cluster.settings(group: ""))
        let target = try feeder.topic(input)
        let group = "lane-\(UInt32.random(in: 0...UInt32.max))"
        for round in 0..<2 {
            for index in 0..<1000 { try feeder.send(to: target, key: "M\(index)", value: "\(round)") }
            try feeder.flush()
            var latencies: [Int64] = []
            let sink = try KafkaSink(
                cluster.settings(group: group),
                topics: KafkaSink.Topics(sinks: [output]),
                clock: SystemClock(),
                onDelivery: { latencies.append($0) }
            )
            let intake = Intake(
                try KafkaSource(
                    cluster.settings(group: group, instanceId: "lane-0"),
                    topics: [KafkaSourceTopic(topic: input, source: 0, start: .earliest)]
                )
            )
            #expect(intake.poll { intake.records.count >= 1000 && intake.source.assignment.count == 2 })
            var outbox = Outbox()
            let now = SystemClock().nowMilliseconds
            for record in intake.records {
                add(record.key, record.value, .sink(0), causedAt: now, to: &outbox)
            }
            try sink.send(outbox)
            try sink.flush()
            try intake.source.commit(intake.positions)
            intake.source.close()
            #expect(intake.records.count == 1000)
            #expect(intake.records.allSatisfy { $0.value == "\(round)" })
            #expect(latencies.count == 1000 && latencies.allSatisfy { 0...10_000 ~= $0 })
        }
        let published = try readAll(cluster.settings(group: ""), output).map(\.0)
        #expect(published.count == 2000)
        #expect(Set(published.map { "\($0.key ?? "")/\($0.value ?? "")" }).count == 2000)
    }

    @Test func positionsSayWithWhichCommitTheyWereMade() throws {
        // Goal: who restores a task learns of its last commit, though that moved no position.
        let cluster = try KafkaCluster.shared()
        let input = try cluster.makeTopic("orders", partitions: 1)
        let output = try cluster.makeTopic("alerts", partitions: 1)
        let feeder = try KafkaFeeder(cluster.settings(group: ""))
        try feeder.send(to: feeder.topic(input), key: "M", value: "1")
        try feeder.flush()
        let group = "noted-\(UInt32.random(in: 0...UInt32.max))"
        let orders = SourcePartition(source: 0, partition: 0)
        for sequence in [nil, 7, 8] as [UInt64?] {
            let intake = Intake(
                try KafkaSource(
                    cluster.settings(group: group, instanceId: "lane-0"),
                    topics: [KafkaSourceTopic(topic: input, source: 0, start: .earliest)]))
            #expect(intake.poll { intake.source.assignment.count == 1 })
            #expect(intake.source.sequence(of: orders) == (sequence == 8 ? 7 : nil))
            var settings = cluster.settings(group: group)
            settings.transactionalId = "\(group)-lane-0"
            let sink = try KafkaSink(
                settings, topics: KafkaSink.Topics(sinks: [output]), group: intake.source,
                clock: SystemClock())
            try sink.commit(Outbox(), [orders: 1], sequences: sequence.map { [0: $0] } ?? [:])
            #expect(try intake.source.committed([orders]) == [orders: 1])
            #expect(intake.source.sequence(of: orders) == sequence)
            sink.close()
        }
    }

    @Test func choosesThePartitionsThatKafkaChooses() throws {
        // Goal: keys of our producers and of Kafka's own meet in the same partitions.
        let cluster = try KafkaCluster.shared()
        let ours = try cluster.makeTopic("ours", partitions: 7)
        let theirs = try cluster.makeTopic("theirs", partitions: 7)
        let keys = (0..<300).map { "M\($0 * 7919)" } + ["ключ", "商户", "a"]
        let sink = try KafkaSink(
            cluster.settings(group: ""),
            topics: KafkaSink.Topics(sinks: [ours]),
            clock: SystemClock()
        )
        var outbox = Outbox()
        for key in keys { add(key, "v", .sink(0), to: &outbox) }
        try sink.send(outbox)
        try sink.flush()
        try cluster.run(
            ["produce", "--topic", theirs, "--property", "parse.key=true", "--property", "key.separator=|"],
            input: keys.map { "\($0)|v\n" }.joined()
        )
        func partitions(_ topic: String) throws -> [String?: Int32] {
            Dictionary(
                uniqueKeysWithValues: try readAll(cluster.settings(group: ""), topic).map {
                    ($0.0.key, $0.0.partition)
                }
            )
        }
        let expected = try partitions(theirs)
        #expect(expected.count == keys.count)
        #expect(try partitions(ours) == expected)
    }

    @Test func makesTopicsOnce() throws {
        // Goal: making a topic twice is no error and changes nothing; a wrong setting is named.
        let cluster = try KafkaCluster.shared()
        let admin = try KafkaAdmin(cluster.settings(group: ""))
        let topic = try cluster.makeTopic("changelog", partitions: 3, ["cleanup.policy": "compact"])
        try admin.create([KafkaTopicPlan(name: topic, partitions: 5)])
        #expect(try admin.partitionCount(of: topic) == 3)
        #expect(
            try cluster.run(["configs", "--describe", "--topic", topic]).contains("cleanup.policy=compact")
        )
        let fault = #expect(throws: Fault.self) {
            try admin.create([KafkaTopicPlan(name: "x", partitions: 1, configuration: ["no.such": "1"])])
        }
        #expect(fault?.detail.contains("no.such") == true, "\(fault?.detail ?? "")")
        #expect(try admin.partitionCount(of: "no-such-topic") == nil)
        let missing = #expect(throws: Fault.self) {
            try KafkaSource(
                cluster.settings(group: "g"),
                topics: [KafkaSourceTopic(topic: "nope", source: 0, start: .latest)]
            )
        }
        #expect(missing?.detail == "topic 'nope' does not exist on \(cluster.bootstrapServers)")
    }

    @Test func survivesAKilledBroker() throws {
        // Goal: with the broker gone (kill -9) nothing is reported as published; once it is back, everything
        // arrives exactly once, and the reader, whom the group has given up by then, goes on where it
        // committed.
        let cluster = try KafkaCluster.own(brokers: 1)
        defer { cluster.wipe() }
        let topic = try cluster.makeTopic("alerts", partitions: 1)
        let sink = try KafkaSink(
            cluster.settings(group: ""),
            topics: KafkaSink.Topics(sinks: [topic]),
            clock: SystemClock(),
            flushMilliseconds: 60_000
        )
        let intake = Intake(
            try KafkaSource(
                cluster.settings(group: "killed-\(UInt32.random(in: 0...UInt32.max))"),
                topics: [KafkaSourceTopic(topic: topic, source: 0, start: .earliest)]
            )
        )
        var outbox = Outbox()
        for index in 0..<100 { add("k\(index)", "before", .sink(0), to: &outbox) }
        try sink.send(outbox)
        try sink.flush()
        #expect(intake.poll { intake.records.count == 100 })
        try intake.source.commit(intake.positions)
        try cluster.run(["kill", "1"])
        try sink.send(outbox)
        intake.pollOnce()
        #expect(sink.counts.delivered == 100)
        try cluster.run(["start", "1"])
        try sink.flush()
        #expect(sink.counts.delivered == 200)
        #expect(intake.poll(seconds: 60) { intake.records.count >= 200 })
        #expect(Set(intake.records.map(\.offset)) == Set(0..<200))
        #expect(intake.records.filter { $0.offset < 100 }.count == 100)
        #expect(try readAll(cluster.settings(group: ""), topic).count == 200)
        #expect(intake.fault == nil)
    }

    @Test func drainsATopic() throws {
        // Goal: the bare loop reads every record once, in runs of one partition, and counts them right.
        let cluster = try KafkaCluster.shared()
        let topic = try cluster.makeTopic("load", partitions: 3)
        let feeder = try KafkaFeeder(cluster.settings(group: ""))
        let target = try feeder.topic(topic)
        for index in 0..<10_000 { try feeder.send(to: target, key: "k\(index)", value: "v") }
        try feeder.flush()
        var next: [Int32: Int64] = [:]
        var inOrder = true
        let result = try KafkaDrain.run(cluster.settings(group: ""), topic: topic) { partition, raw in
            for index in 0..<raw.count {
                inOrder = inOrder && raw.offsets[index] == next[partition, default: 0]
                next[partition] = raw.offsets[index] + 1
            }
        }
        #expect(inOrder)
        #expect(result.records == 10_000)
        #expect(next.values.reduce(0, +) == 10_000)
        #expect(result.bytes == (0..<10_000).reduce(0) { $0 + 2 + "\($1)".utf8.count })
    }
}
