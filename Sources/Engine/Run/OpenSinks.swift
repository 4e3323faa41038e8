import Base
import Connectors
import Dataflow
import Topology

/// The sinks of a worker that get what its lanes have committed, by sink; the lanes share them.
package struct OpenSinks {
    package private(set) var records: [Int: any RecordsSink] = [:]
    package private(set) var metrics: [Int: any MetricsSink] = [:]

    package init() {}

    package init(_ sinks: [SinkSpec], redis: RedisAddress?) throws(Fault) {
        for (index, sink) in sinks.enumerated() {
            if case .topic = sink.target.delivery { continue }
            guard let target = sink.target as? any RunnableSink else {
                unreachable("sink '\(sink.name)': a worker cannot open a \(type(of: sink.target))")
            }
            switch (sink.target.delivery, try target.open(SinkContext(name: sink.name, redis: redis))) {
            case (_, nil): break
            case (.committedRecords, .records(let sink)?): records[index] = sink
            case (.metrics, .metrics(let sink)?): metrics[index] = sink
            case (let delivery, let opened?):
                unreachable("sink '\(sink.name)' of \(delivery) opened \(opened)")
            }
        }
    }

    /// In the order of the sinks.
    var all: [(sink: Int, running: any CommittedSink)] {
        let all =
            records.map { (sink: $0, running: $1 as any CommittedSink) }
            + metrics.map { (sink: $0, running: $1 as any CommittedSink) }
        return all.sorted { $0.sink < $1.sink }
    }

    func close() { for (_, sink) in all { sink.close() } }
}
