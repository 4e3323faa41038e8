import Base
import Dataflow
import Topology

/// A sink that a worker opens, since its lanes do not publish it themselves: one whose delivery is
/// `committedRecords` or `metrics`.
package protocol RunnableSink: SinkTarget {
    /// Opened once, before the lanes start; they share it. nil: it is left out, which was said. What is
    /// opened is of the kind that `delivery` names.
    func open(_ context: SinkContext) throws(Fault) -> RunningSink?
}

package enum RunningSink {
    case records(any RecordsSink)
    case metrics(any MetricsSink)
}

/// What a worker has for its sinks.
package struct SinkContext: Sendable {
    /// Of the sink.
    package var name: String
    /// `--redis`
    package var redis: RedisAddress?

    package init(name: String, redis: RedisAddress?) {
        self.name = name
        self.redis = redis
    }
}
