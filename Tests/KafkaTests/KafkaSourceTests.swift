import Base
import Connectors
import Dataflow
import Testing
import Topology

@Suite struct KafkaSourceTests {
    @Test func readsWhatWasWritten() throws {
        // Goal: every record arrives once, in order, with null and empty keys and values told apart.
        let broker = try MockBroker()
        try broker.createTopic("orders", partitions: 3)
        let feeder = try KafkaFeeder(broker.settings())
        let topic = try feeder.topic("orders")
        var expected: [Seen] = []
        for index in 0..<300 {
            let key = index % 7 == 0 ? nil : index % 7 == 1 ? "" : "k\(index)"
            let value = index % 5 == 0 ? nil : index % 5 == 1 ? "" : "v\(index)"
            try feeder.send(to: topic, key: key, value: value, partition: Int32(index % 3))
            expected.append(
                Seen(partition: Int32(index % 3), offset: Int64(index / 3), key: key, value: value)
            )
        }
        try feeder.flush()
        let intake = Intake(try source(broker))
        #expect(intake.poll { intake.records.count >= expected.count })
        for partition in Int32(0)..<3 {
            #expect(
                intake.records.filter { $0.partition == partition }
                    == expected.filter { $0.partition == partition }
            )
        }
        #expect(intake.poll { intake.caughtUp.count == 3 })
        #expect(intake.source.assignment.count == 3)
        #expect(intake.source.lag(of: SourcePartition(source: 0, partition: 1)) == 0)
        #expect(intake.fault == nil)
    }

    @Test func goesOnFromTheCommittedPosition() throws {
        // Goal: a second consumer of the group starts where the first committed, not where it had read to.
        let broker = try MockBroker()
        try broker.createTopic("orders", partitions: 2)
        let feeder = try KafkaFeeder(broker.settings())
        let topic = try feeder.topic("orders")
        for index in 0..<100 {
            try feeder.send(to: topic, key: nil, value: "v\(index)", partition: Int32(index % 2))
        }
        try feeder.flush()
        let first = Intake(try source(broker))
        #expect(first.poll { first.records.count == 100 })
        try first.source.commit([
            SourcePartition(source: 0, partition: 0): 20, SourcePartition(source: 0, partition: 1): 45,
        ])
        first.source.close()
        let second = Intake(try source(broker))
        #expect(second.poll { second.records.count >= 35 && second.caughtUp.count == 2 })
        #expect(second.records.filter { $0.partition == 0 }.map(\.offset) == Array(20..<50))
        #expect(second.records.filter { $0.partition == 1 }.map(\.offset) == Array(45..<50))
    }

    @Test func latestStartsAtTheEndAndStaysThere() throws {
        // Goal: `latest` skips what is there; once the first position is committed it stays.
        let broker = try MockBroker()
        try broker.createTopic("orders", partitions: 1)
        let feeder = try KafkaFeeder(broker.settings())
        let topic = try feeder.topic("orders")
        try feeder.send(to: topic, key: nil, value: "old")
        try feeder.flush()
        let first = Intake(try source(broker, start: .latest))
        #expect(first.poll { !first.caughtUp.isEmpty })
        #expect(first.started == [SourcePartition(source: 0, partition: 0): 1])
        try first.source.commit(first.started)
        first.source.close()
        try feeder.send(to: topic, key: nil, value: "new")
        try feeder.flush()
        let second = Intake(try source(broker, start: .latest))
        #expect(second.poll { !second.records.isEmpty })
        #expect(second.records.map(\.value) == ["new"])
    }

    @Test func saysThatATopicIsMissing() throws {
        // Goal: the message names the topic and the broker.
        let broker = try MockBroker()
        broker.hideTopic("orders")
        let fault = #expect(throws: Fault.self) { try source(broker) }
        #expect(fault?.detail == "topic 'orders' does not exist on \(broker.bootstrapServers)")
        #expect(fault?.domain == .user)
    }

    @Test func saysThatNoBrokerAnswers() throws {
        // Goal: it tries until the deadline and then says where, and why.
        let settings = KafkaSettings(bootstrapServers: "127.0.0.1:1")
        let start = monotonicNanoseconds()
        let fault = #expect(throws: Fault.self) {
            try KafkaSource(
                settings,
                topics: [KafkaSourceTopic(topic: "orders", source: 0, start: .earliest)],
                deadlineMilliseconds: 4000
            )
        }
        #expect(fault?.detail.hasPrefix("no Kafka broker answers at 127.0.0.1:1: ") == true)
        // Which of its two errors librdkafka reports last is a matter of timing.
        let reasons = ["refused", "transport failure", "brokers are down"]
        #expect(reasons.contains { fault?.detail.contains($0) == true }, "\(fault?.detail ?? "")")
        #expect(fault?.retry == .withBackoff)
        #expect(monotonicNanoseconds() - start < 60_000_000_000)
    }

    @Test func aLostPositionIsAFault() throws {
        // Goal: a committed position past the end is never replaced by another one in silence.
        let broker = try MockBroker()
        try broker.createTopic("orders", partitions: 1)
        let feeder = try KafkaFeeder(broker.settings())
        try feeder.send(to: feeder.topic("orders"), key: nil, value: "only")
        try feeder.flush()
        let first = Intake(try source(broker))
        #expect(first.poll { !first.records.isEmpty })
        try first.source.commit([SourcePartition(source: 0, partition: 0): 1000])
        first.source.close()
        let second = Intake(try source(broker))
        #expect(second.poll { second.fault != nil })
        #expect(
            second.fault?.detail.contains("topic 'orders', partition 0: the group's position 1000") == true
        )
        #expect(second.records.isEmpty)
    }

    @Test func goesOnAfterTheBrokerWasAway() throws {
        // Goal: an outage is waited for; nothing is lost or seen twice.
        let broker = try MockBroker()
        try broker.createTopic("orders", partitions: 1)
        let feeder = try KafkaFeeder(broker.settings())
        let topic = try feeder.topic("orders")
        try feeder.send(to: topic, key: nil, value: "before")
        try feeder.flush()
        let intake = Intake(try source(broker))
        #expect(intake.poll { intake.records.count == 1 })
        broker.setDown(true)
        try feeder.send(to: topic, key: nil, value: "during")
        let outage = monotonicNanoseconds()
        #expect(intake.poll { monotonicNanoseconds() - outage > 300_000_000 })
        broker.setDown(false)
        try feeder.flush()
        #expect(intake.poll { intake.records.count >= 2 })
        #expect(intake.records.map(\.value) == ["before", "during"])
        #expect(intake.fault == nil)
    }

    @Test func pollingKeepsTheMembership() throws {
        // Goal: the batch call counts as polling, so that a quiet or busy lane is not put out of the group.
        let broker = try MockBroker()
        try broker.createTopic("orders", partitions: 1)
        var settings = broker.settings()
        settings.raw["session.timeout.ms"] = "4000"
        settings.raw["max.poll.interval.ms"] = "4000"
        let intake = Intake(
            try KafkaSource(
                settings,
                topics: [KafkaSourceTopic(topic: "orders", source: 0, start: .earliest)]
            )
        )
        #expect(intake.poll { intake.source.assignment.count == 1 })
        let start = monotonicNanoseconds()
        #expect(intake.poll { monotonicNanoseconds() - start > 8_000_000_000 })
        #expect(intake.events.allSatisfy { if case .revoked = $0 { false } else { true } })
        #expect(intake.source.assignment.count == 1)
    }

    @Test func looksTopicsUpAndMakesThemOnTheMock() throws {
        // Goal: administration works in demonstrations too, where topics come from being asked for.
        let broker = try MockBroker()
        let admin = try KafkaAdmin(broker.settings(), isMock: true)
        try admin.checkReachable(deadlineMilliseconds: 10_000)
        try admin.create([KafkaTopicPlan(name: "alerts", partitions: 4)])
        #expect(try admin.partitionCount(of: "alerts") == 4)
        let away = try KafkaAdmin(KafkaSettings(bootstrapServers: "127.0.0.1:1"))
        let fault = #expect(throws: Fault.self) { try away.checkReachable(deadlineMilliseconds: 300) }
        #expect(fault?.detail.hasPrefix("no Kafka broker answers at 127.0.0.1:1: ") == true)
    }

    private func source(_ broker: MockBroker, start: SourceSpec.Start = .earliest) throws(Fault)
        -> KafkaSource
    {
        var settings = broker.settings()
        // The mock's group waits about this long for a second member to join, and 3 s for the first.
        settings.raw["session.timeout.ms"] = "4000"
        return try KafkaSource(
            settings,
            topics: [KafkaSourceTopic(topic: "orders", source: 0, start: start)],
            deadlineMilliseconds: 10_000
        )
    }
}

extension Intake {
    var caughtUp: Set<SourcePartition> {
        Set(
            events.compactMap {
                if case .caughtUp(let partition) = $0 { partition } else { nil }
            }
        )
    }
}
