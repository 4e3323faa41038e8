import Base
import Connectors
import Dataflow
import Topology

/// A sink whose records a lane publishes to a topic of the topology's own, in its transaction, and that is
/// served from there: by an outlet, which may be as slow as it likes.
package protocol OutletSink: SinkTarget {
    func outlet(_ context: OutletContext) throws(Fault) -> any Outlet
}

/// What a worker has for its outlets.
package struct OutletContext: Sendable {
    /// Of the sink.
    package var sink: String
    package var topology: String
    package var kafka: KafkaSettings
    package var stop: StopSignal

    package init(sink: String, topology: String, kafka: KafkaSettings, stop: StopSignal) {
        (self.sink, self.topology, self.kafka, self.stop) = (sink, topology, kafka, stop)
    }
}

/// Hands on what stands in a committed topic, at its own pace and with positions of its own: at least once.
package protocol Outlet: Sendable {
    /// On a thread of its own, until the signal to stop. Whatever is away is waited for, so that no alert
    /// depends on it.
    func run()
    /// On any thread.
    var report: SinkReport { get }
}
