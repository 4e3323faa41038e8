import Base
import Connectors
import Dataflow
import Engine
import Formats
import Glibc
import Operators
import Records
import Runtime
import Topology

/// One lane of the engine, or the bare librdkafka loop that decodes the same fields, on a topic that is full.
struct BenchDrain {
    struct Speed {
        var recordsPerSecond: Double
        /// Of all threads, librdkafka's too.
        var cpuNanoseconds: Double
    }

    private struct Stopwatch {
        private let begin = monotonicNanoseconds()
        private let beginCpu = BenchClock.cpuNanoseconds()
        private var end: Int64 = 0
        private var endCpu: Int64 = 0

        /// The last one counts.
        mutating func stop() {
            end = monotonicNanoseconds()
            endCpu = BenchClock.cpuNanoseconds()
        }

        func speed(of records: Int) -> Speed {
            let count = Double(max(1, records))
            return Speed(
                recordsPerSecond: count * 1e9 / Double(max(1, end - begin)),
                cpuNanoseconds: Double(endCpu - beginCpu) / count)
        }
    }

    let settings: KafkaSettings
    let admin: KafkaAdmin
    let shape: BenchShape
    let answer: BenchAnswer
    let topic: String
    let records: Int

    func bare() throws(Fault) -> Speed {
        let spec = try shape.spec("bench-bare", topic: topic, limits: answer.limits)
        let decoder = JsonDecoder(try Planner(spec).wireColumns(of: spec.sources[0]))
        let batch = Batch(schema: Schema(spec.sources[0].wire.map(\.field)))
        var decoded = 0
        // As the engine's: from the first records on.
        var clock: Stopwatch?
        var first = 0
        _ = try KafkaDrain.run(settings, topic: topic) { _, raw in
            decoder.decode(raw, into: batch)
            for row in 0..<batch.count where batch.status[row] == 0 { decoded += 1 }
            if clock == nil {
                first = raw.count
                clock = Stopwatch()
            }
            clock?.stop()
        }
        guard decoded == records - answer.dead else {
            throw Fault(
                .defect, "\(shape.name): the bare loop decoded \(decoded) of \(records - answer.dead)")
        }
        return clock?.speed(of: records - first) ?? Speed(recordsPerSecond: 0, cpuNanoseconds: 0)
    }

    /// Until all is committed. Throws a defect if alerts, dead letters and late records, counted and
    /// published, are not those of the answer.
    func engine(as name: String, profile: BenchProfile.Measure? = nil) throws(Fault) -> Speed {
        let spec = try shape.spec(name, topic: topic, limits: answer.limits)
        let topics = Worker.topics(of: spec, group: name, partitions: shape.input.partitions)
        try admin.create(topics)
        defer { try? admin.delete(topics.map(\.name)) }
        var group = settings
        group.group = name
        let factory = LaneFactory(
            spec: spec, kafka: group, topics: [KafkaSourceTopic(topic: topic, source: 0, start: .earliest)],
            partitionCount: shape.input.partitions, keepsState: shape.keepsState)
        let (speed, counters) = try Self.run(factory, records: records, profile: profile)
        try check("counted", Int(counters.alerts), Int(counters.deadTotal), Int(counters.late))
        try checkPublished(name)
        return speed
    }

    /// One lane, from the first records until all of them are committed.
    static func run(_ factory: LaneFactory, records: Int, profile: BenchProfile.Measure? = nil) throws(Fault)
        -> (speed: Speed, counters: PipelineCounters)
    {
        var clock: Stopwatch?
        // A lane publishes its status after commits, last of all after the last.
        let (lane, pipeline) = try factory.make(0) { _ in clock?.stop() }
        // The clock starts with the first records: joining the group is not what is measured.
        while pipeline.counters.records == 0 { try lane.step() }
        let first = pipeline.counters.records
        profile?.begin(lane, pipeline)
        clock = Stopwatch()
        while pipeline.counters.records < Int64(records) { try lane.step() }
        try lane.run(until: { true })
        profile?.end(records - Int(first))
        let speed = clock?.speed(of: records - Int(first)) ?? Speed(recordsPerSecond: 0, cpuNanoseconds: 0)
        return (speed, pipeline.counters)
    }

    private func check(_ what: String, _ alerts: Int, _ dead: Int, _ late: Int) throws(Fault) {
        guard alerts == answer.alerts, dead == answer.dead, late == answer.late else {
            throw Fault(
                .defect,
                "\(shape.name): \(alerts) alerts, \(dead) dead, \(late) late are \(what); "
                    + "\(answer.alerts), \(answer.dead), \(answer.late) are right")
        }
    }

    /// A transaction counts as committed before its coordinator has told every partition: readers see the
    /// last results a little later.
    private func checkPublished(_ name: String) throws(Fault) {
        let deadline = monotonicNanoseconds() + 10_000_000_000
        while true {
            let alerts = try count("\(name)-alerts")
            let dead = try count("\(name)-dead-letter")
            let late = try count("\(name)-late")
            let isComplete = alerts >= answer.alerts && dead >= answer.dead && late >= answer.late
            guard isComplete || monotonicNanoseconds() > deadline else {
                usleep(100_000)
                continue
            }
            return try check("published", alerts, dead, late)
        }
    }

    /// Committed records of a topic.
    private func count(_ topic: String) throws(Fault) -> Int {
        try KafkaDrain.run(settings, topic: topic) { _, _ in }.records
    }
}
