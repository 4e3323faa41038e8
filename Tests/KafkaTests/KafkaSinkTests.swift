import Base
import Connectors
import Dataflow
import Records
import Testing

@Suite struct KafkaSinkTests {
    @Test func publishesWithHeadersKeysAndDestinations() throws {
        // Goal: each record goes to its destination's topic with its key, value and headers.
        let broker = try MockBroker()
        for topic in ["alerts", "dead", "late"] { try broker.createTopic(topic, partitions: 1) }
        let clock = ManualClock(1_000_000)
        var latencies: [Int64] = []
        let sink = try KafkaSink(
            broker.settings(),
            topics: KafkaSink.Topics(sinks: [nil, "alerts"], deadLetter: "dead", late: "late"),
            clock: clock,
            onDelivery: { latencies.append($0) }
        )
        var outbox = Outbox()
        add("M1", "alert", .sink(1), causedAt: 999_900, to: &outbox)
        add("M1", "nowhere", .sink(0), to: &outbox)
        add(nil, nil, .sink(1), to: &outbox)
        add("", "", .late, to: &outbox)
        var dead = outbox.begin(.deadLetter, timestamp: 5)
        outbox.setValue([0x7B], 1, of: &dead)
        outbox.addHeader("__streams.errors.exception", "MalformedRecord", to: &dead)
        outbox.addHeader("millrace.errors.step", "", to: &dead)
        outbox.end(dead)
        try sink.send(outbox)
        try sink.flush()
        #expect(sink.counts.sent == 4)
        #expect(sink.counts.delivered == 4)
        #expect(latencies == [100])
        let alerts = try readAll(broker.settings(), "alerts")
        #expect(alerts.map(\.0.key) == ["M1", nil])
        #expect(alerts.map(\.0.value) == ["alert", nil])
        let late = try readAll(broker.settings(), "late")
        #expect(late.map(\.0.key) == [""])
        #expect(late.map(\.0.value) == [""])
        let letters = try readAll(broker.settings(), "dead")
        #expect(letters.map(\.0.value) == ["{"])
        #expect(letters.first?.1.map(\.name) == ["__streams.errors.exception", "millrace.errors.step"])
        #expect(letters.first?.1.map(\.value) == ["MalformedRecord", ""])
    }

    @Test(arguments: [false, true])
    func headersAreReadByName(isSplit: Bool) throws {
        // Goal: the last header of a name is found, one without bytes too; of a record that has none, none.
        let broker = try MockBroker()
        try broker.createTopic("dead", partitions: 1)
        let sink = try KafkaSink(
            broker.settings(), topics: KafkaSink.Topics(sinks: [], deadLetter: "dead", late: "late"),
            clock: ManualClock(1), onDelivery: { _ in })
        var outbox = Outbox()
        for number in 0..<20 {
            var dead = outbox.begin(.deadLetter, timestamp: 5)
            outbox.setValue([0x7B], 1, of: &dead)
            if number % 2 == 0 {
                outbox.addHeader("trace", "first", to: &dead)
                outbox.addHeader("trace", "t\(number)", to: &dead)
                outbox.addHeader("none", "", to: &dead)
            }
            outbox.end(dead)
        }
        try sink.send(outbox)
        try sink.flush()
        let source = try KafkaSource(
            broker.settings(), topics: [KafkaSourceTopic(topic: "dead", source: 0, start: .earliest)],
            isSplit: isSplit)
        defer { source.close() }
        var found: [String] = []
        func take(_ raw: RawRecords) {
            for row in 0..<raw.count {
                guard let holder = raw.holders[row], let find = raw.findHeader else { continue }
                func header(_ name: String) -> String {
                    var start: UnsafePointer<UInt8>?
                    let count = name.withCString { find(holder, $0, &start) }
                    return count < 0 ? "-" : text(start, Int32(count)) ?? "?"
                }
                found.append("\(header("trace"))\(header("none"))\(header("other"))")
            }
        }
        let deadline = monotonicNanoseconds() + 60_000_000_000
        let partition = SourcePartition(source: 0, partition: 0)
        while found.count < 20, monotonicNanoseconds() < deadline {
            var assigned: [SourcePartition]?
            source.poll(timeoutMilliseconds: 10) { _, raw in
                take(raw)
            } onEvent: { event in
                if case .assigned(let partitions) = event { assigned = partitions }
            }
            if let assigned { _ = try source.start(at: source.committed(assigned)) }
            if isSplit, let held = source.take(from: partition, atMost: 7) { take(held.raw) }
        }
        #expect(found == (0..<20).map { $0 % 2 == 0 ? "t\($0)-" : "---" })
    }

    @Test func aRefusedRecordFailsTheFlush() throws {
        // Goal: what a broker did not take is never counted as published.
        let broker = try MockBroker()
        try broker.createTopic("alerts", partitions: 1)
        let sink = try sink(broker)
        broker.failProduceRequests(10)
        var outbox = Outbox()
        add("M1", "alert", .sink(0), to: &outbox)
        let fault = #expect(throws: Fault.self) {
            try sink.send(outbox)
            try sink.flush()
        }
        #expect(fault?.detail.contains("topic 'alerts', 7 bytes") == true, "\(fault?.detail ?? "")")
        // The same record again would be refused again.
        #expect(
            fault?.detail.contains("Raise the topic's max.message.bytes") == true && fault?.retry == .never)
        #expect(fault?.domain == .user)
        #expect(sink.counts.delivered == 0)
    }

    @Test func waitsForABrokerThatIsAwayAndThenGivesUp() throws {
        // Goal: an outage shorter than the deadline only delays; a longer one is a fault that may be retried.
        let broker = try MockBroker()
        try broker.createTopic("alerts", partitions: 1)
        let patient = try sink(broker)
        let hasty = try sink(broker, flushMilliseconds: 200)
        broker.setDown(true)
        var outbox = Outbox()
        add("M1", "alert", .sink(0), to: &outbox)
        try hasty.send(outbox)
        let fault = #expect(throws: Fault.self) { try hasty.flush() }
        #expect(fault?.retry == .withBackoff)
        #expect(fault?.detail.contains("1 records were not acknowledged") == true)
        hasty.close()
        try patient.send(outbox)
        broker.setDown(false)
        try patient.flush()
        #expect(patient.counts.delivered == 1)
        #expect(try readAll(broker.settings(), "alerts").count == 1)
    }

    @Test func holdsBackASenderThatIsTooFast() throws {
        // Goal: a full queue is waited for, and nothing is lost.
        let broker = try MockBroker()
        try broker.createTopic("alerts", partitions: 1)
        var settings = broker.settings()
        settings.raw["queue.buffering.max.messages"] = "100"
        let sink = try KafkaSink(
            settings,
            topics: KafkaSink.Topics(sinks: ["alerts"]),
            clock: SystemClock()
        )
        var outbox = Outbox()
        for index in 0..<5000 { add("k\(index)", "v", .sink(0), to: &outbox) }
        try sink.send(outbox)
        try sink.flush()
        #expect(sink.counts.delivered == 5000)
        #expect(try readAll(broker.settings(), "alerts").map(\.0.key) == (0..<5000).map { "k\($0)" })
    }

    @Test func leavesOutTheValueOfATooLargeDeadLetter() throws {
        // Goal: a record that is too large to keep does not stop the stream; its trace is kept.
        let broker = try MockBroker()
        for topic in ["alerts", "dead"] { try broker.createTopic(topic, partitions: 1) }
        let sink = try KafkaSink(
            broker.settings(),
            topics: KafkaSink.Topics(sinks: ["alerts"], deadLetter: "dead", late: nil),
            clock: SystemClock()
        )
        let large = String(repeating: "x", count: 2 << 20)
        var outbox = Outbox()
        add("M1", large, .deadLetter, to: &outbox)
        try sink.send(outbox)
        try sink.flush()
        #expect(sink.counts.delivered == 1)
        #expect(sink.counts.shortened == 1)
        #expect(try readAll(broker.settings(), "dead").map(\.0.value) == [nil])
        outbox.removeAll()
        add("M1", large, .sink(0), to: &outbox)
        #expect(throws: Fault.self) { try sink.send(outbox) }
    }

    @Test func saysThatATopicIsMissing() throws {
        // Goal: a missing output topic is named at the start, not waited for.
        let broker = try MockBroker()
        broker.hideTopic("alerts")
        let fault = #expect(throws: Fault.self) { try sink(broker) }
        #expect(fault?.detail == "topic 'alerts' does not exist on \(broker.bootstrapServers)")
    }

    private func sink(_ broker: MockBroker, flushMilliseconds: Int64 = 10_000) throws(Fault) -> KafkaSink {
        try KafkaSink(
            broker.settings(),
            topics: KafkaSink.Topics(sinks: ["alerts"]),
            clock: SystemClock(),
            flushMilliseconds: flushMilliseconds
        )
    }
}
