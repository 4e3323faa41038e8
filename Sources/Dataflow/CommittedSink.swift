import Base

/// What takes the outputs of a worker's lanes once they are committed.
package protocol CommittedSink: AnyObject {
    /// For whoever watches the worker; on any thread.
    var report: SinkReport { get }
    func close()
}

extension CommittedSink {
    package var report: SinkReport { SinkReport() }
}

/// Records on their way to something that takes no part in a lane's transaction. Shared by lanes, each a
/// thread.
package protocol RecordsSink: CommittedSink, Sendable {
    /// Hands on one commit's records for this sink, in their order, and returns once they are. They are not
    /// handed over again after a fault, so one that trying again could mend is to be mended here.
    func write(_ records: borrowing Outbox) throws(Fault)
}

/// Newest metrics of changed keys on their way to a cache. Never waits.
package protocol MetricsSink: CommittedSink {
    /// The hash at `key` gets these fields; an older set for the same key that was not written yet is
    /// replaced field by field. `fields` holds (name, value) pairs in text.
    func put(key: String, fields: [(name: String, value: String)], ttlMilliseconds: Int64)
}

/// What a sink tells of itself.
package struct SinkReport: Sendable {
    package struct Figure: Sendable {
        /// In Prometheus' terms: a name, `counter` or `gauge`, and what it means, the same for every sink of
        /// a kind.
        package var name: String
        package var type: String
        package var help: String
        package var value: Int

        package init(_ name: String, _ type: String, _ help: String, _ value: Int) {
            self.name = name
            self.type = type
            self.help = help
            self.value = value
        }
    }

    package var figures: [Figure]
    /// Limits that were hit, and how often.
    package var limits: [(limit: LimitName, count: Int64)]

    package init(figures: [Figure] = [], limits: [(limit: LimitName, count: Int64)] = []) {
        self.figures = figures
        self.limits = limits
    }
}
