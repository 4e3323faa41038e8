import Base
import Dataflow

/// Tables are read to their ends before the streams that look things up in them.
extension Lane {
    // MARK: Tables of tasks

    /// Streams of tasks that have tables wait.
    func holdStreams() throws(Fault) {
        loading = [:]
        for partition in partitions.keys where graph.isTable(partition) { loading[partition.partition, default: []].insert(partition) }
        if !loading.isEmpty { try source.hold(waiting) }
    }

    /// Partitions that nothing may come from yet.
    var waiting: Set<SourcePartition> { Set(partitions.keys.filter(isWaiting)) }

    func isWaiting(_ partition: SourcePartition) -> Bool {
        loading[partition.partition] != nil && !graph.isTable(partition)
    }

    func noteCaughtUp(_ partition: SourcePartition) {
        guard loading[partition.partition]?.remove(partition) != nil, loading[partition.partition]?.isEmpty == true else { return }
        loading[partition.partition] = nil
        isLoaded = true
        for other in partitions.keys where other.partition == partition.partition {
            partitions[other]?.lastRecordAt = now()
        }
    }

    // MARK: Tables of lanes

    /// Reads every table that the lane has all of to its end.
    func loadBroadcasts(until shouldStop: () -> Bool) throws(Fault) {
        guard !broadcasts.isEmpty else { return }
        phase.enter(.restoring)
        for broadcast in broadcasts {
            let begin = now()
            var records = 0
            while !broadcast.reader.isAtEnd, !shouldStop() {
                try broadcast.reader.poll(timeoutMilliseconds: 100) { raw in
                    records += raw.count
                    graph.processBroadcast(source: broadcast.source, raw)
                }
            }
            Log.info("table '\(broadcast.name)': \(records) records read in \(now() - begin) ms")
        }
    }

    /// Takes in what has come since.
    func pollBroadcasts() throws(Fault) {
        for broadcast in broadcasts {
            try broadcast.reader.poll(timeoutMilliseconds: 0) { graph.processBroadcast(source: broadcast.source, $0) }
        }
    }
}
