import Base
import Connectors
import Foundation
import Testing

/// Goal: `stdout: {}` in a pipeline of the shell: each record once over a restart, nothing else on standard
/// output, and a reader that leaves ends the worker with a word instead of a signal.
@Suite(.serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)) struct StdoutTests {
    private let cluster: KafkaCluster
    private let program: Program
    private let topic: String

    init() throws {
        cluster = try KafkaCluster.shared()
        program = try Program()
        topic = try cluster.makeTopic("numbers", partitions: 2)
        try program.write(
            "t.yaml",
            """
            topology: \(topic)
            sources:
              numbers: { kafka: { topic: \(topic) }, time: { field: at, out_of_order: 0s }, schema: { n: int, at: timestamp } }
            steps:
              odd: { from: numbers, where: n % 2 == 1, only: [n, at] }
            sinks:
              seen: { stdout: {}, from: odd }
            """)
    }

    private func feed(_ numbers: Range<Int>) throws {
        let feeder = try KafkaFeeder(cluster.settings(group: ""))
        let target = try feeder.topic(topic)
        for number in numbers {
            try feeder.send(
                to: target, key: "\(number)", value: "{\"n\":\(number),\"at\":\(1_767_225_600_000 + number)}",
                partition: Int32(number / 2 % 2))
        }
        try feeder.flush()
    }

    private var run: String {
        "$MILLRACE run t.yaml --bootstrap-server \(cluster.bootstrapServers) --state state --lanes 2"
    }

    /// Runs the worker until the file has so many lines, and stops it.
    private func run(until lines: Int) throws -> Program.Result {
        try program.shell(
            """
            \(run) --execute >> out.jsonl & worker=$!
            for turn in $(seq 1200); do [ $(wc -l < out.jsonl) -ge \(lines) ] && break; sleep 0.1; done
            kill -TERM $worker; wait $worker
            """)
    }

    @Test func eachRecordOnceOverARestart() throws {
        try program.write("out.jsonl", "")
        try feed(0..<1000)
        let first = try run(until: 500)
        #expect(
            first.code == 0 && first.output.isEmpty && first.errors.contains("topics that must exist"),
            "\(first)")
        try feed(1000..<1600)
        let second = try run(until: 800)
        #expect(second.code == 0 && second.output.isEmpty, "\(second)")
        let lines = (program.read("out.jsonl") ?? "").split(separator: "\n").map(String.init)
        let expected = stride(from: 1, to: 1600, by: 2).map {
            "{\"n\":\($0),\"at\":\"2026-01-01T00:00:0\($0 / 1000).\(String($0 % 1000 + 1000).dropFirst())Z\"}"
        }
        #expect(lines.sorted() == expected.sorted())
        // Each partition's in its order.
        let numbers = lines.compactMap { Int($0.dropFirst(5).prefix { $0.isNumber }) }
        for partition in 0..<2 {
            let own = numbers.filter { $0 / 2 % 2 == partition }
            #expect(own == own.sorted())
        }
    }

    @Test func aReaderThatHasLeftEndsIt() throws {
        try feed(0..<100)
        let reader = "exec 3> >(exec 0<&-; touch left); while [ ! -e left ]; do sleep 0.01; done"
        let result = try program.shell("\(reader); timeout 120 \(run) >&3")
        #expect(result.hasExited && result.code == 1, "\(result)")
        #expect(result.errors.hasSuffix("standard output: Broken pipe\n"), "\(result)")
    }
}
