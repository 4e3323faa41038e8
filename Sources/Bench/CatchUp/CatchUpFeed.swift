import Base
import Connectors
import Engine
import Records
import Topology

/// Puts a case's records into its topics: file after file as fast as they go, or all in event-time order at a
/// rate.
struct CatchUpFeed {
    private let feeder: KafkaFeeder
    private let inputs: [CatchUpCase.Input]
    private let topics: [KafkaFeeder.Topic]
    private var key: [UInt8] = []

    init(_ settings: KafkaSettings, _ inputs: [CatchUpCase.Input]) throws(Fault) {
        feeder = try KafkaFeeder(settings)
        self.inputs = inputs
        var topics: [KafkaFeeder.Topic] = []
        for input in inputs { topics.append(try feeder.topic(input.topic)) }
        self.topics = topics
    }

    mutating func preload() throws(Fault) {
        for input in inputs.indices {
            for line in inputs[input].lines.lines.indices { try send(input, line) }
        }
        try feeder.flush()
    }

    /// `each`: called some times a second with the share that is sent.
    mutating func send(rate: Int, each: (Double) -> Void) throws(Fault) {
        var next = inputs.map { _ in 0 }
        var heads = inputs.indices.map { time($0, 0) }
        let total = inputs.reduce(0) { $0 + $1.lines.lines.count }
        let begin = monotonicNanoseconds()
        var told = begin
        for sent in 0..<total {
            guard let input = heads.indices.min(by: { heads[$0] < heads[$1] }) else { break }
            try send(input, next[input])
            next[input] += 1
            heads[input] = time(input, next[input])
            guard sent & 15 == 0 else { continue }
            let due = begin + Int64(Double(sent) / Double(rate) * 1e9)
            while monotonicNanoseconds() < due { feeder.poll() }
            if monotonicNanoseconds() - told > 20_000_000 {
                told = monotonicNanoseconds()
                each(Double(sent) / Double(total))
            }
        }
        try feeder.flush()
    }

    private func time(_ input: Int, _ line: Int) -> Int64 {
        guard line < inputs[input].lines.lines.count else { return .max }
        return inputs[input].lines.time(inputs[input].time, line) ?? .min
    }

    private mutating func send(_ input: Int, _ line: Int) throws(Fault) {
        let lines = inputs[input].lines
        key.removeAll(keepingCapacity: true)
        for name in inputs[input].key { if let value = lines.value(name, line) { key += value } }
        let hasKey = !inputs[input].key.isEmpty
        let fault: Fault? = key.withUnsafeBufferPointer { key in
            do throws(Fault) {
                try feeder.send(to: topics[input], key: hasKey ? key : nil, value: lines.line(line))
                return nil
            } catch { return error }
        }
        if let fault { throw fault }
    }
}
