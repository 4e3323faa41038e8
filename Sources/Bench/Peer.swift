import Engine
import Topology

/// An engine to compare with: a program that does the same job, and the topic that it is measured on.
struct Peer {
    var name: String
    var program: PeerJob.Program
    /// Of half an hour.
    var records: Int
    var input = BenchInput()
    var guarantees: [TopologySpec.Guarantee]
    /// How it runs.
    var note: String
    /// Name of the row with the engine's throughput over its own.
    var ratio: String
    /// What its rows have behind their names.
    var label: @Sendable (TopologySpec.Guarantee) -> String

    static func kafkaStreams(classPath: String, records: Int) -> Peer {
        Peer(
            name: "Kafka Streams",
            program: PeerJob.Program(classPath: classPath, mainClass: "VelocityJob", flags: ["-Xmx2g"]),
            records: records, guarantees: [.atLeastOnce, .exactlyOnce], note: "two threads, warmed up",
            ratio: "ratio",
            label: { " \($0.rawValue)" })
    }

    /// On `times` as many orders, for the JVM to compile what runs: the same stream for longer, and a denser
    /// one, which suits Flink: at a window's close it adds up thirty slices of every merchant, however little
    /// came into them.
    static func flink(classPath: String, records: Int, times: Int) -> [Peer] {
        let longer = Peer(
            name: "Flink SQL",
            program: PeerJob.Program(
                classPath: classPath, mainClass: "FlinkJob",
                flags: ["-Xms4g", "-Xmx4g", "-XX:+UseParallelGC", "-XX:+UseTransparentHugePages"]),
            records: records, input: BenchInput(times: times), guarantees: [.atLeastOnce],
            // Its quickest; the engine's at least once is the closest to it.
            note: "parallelism two, no checkpoints, warmed up", ratio: "ratio to Flink SQL",
            label: { _ in " longer" })
        var denser = longer
        denser.records = records * times
        denser.input = BenchInput()
        denser.label = { _ in " denser" }
        return [longer, denser]
    }
}
