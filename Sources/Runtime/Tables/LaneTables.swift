import Base
import Dataflow

/// Tables that a lane has all of.
struct LaneTables {
    let broadcasts: [Lane.Broadcast]
    let graph: any LaneGraph
    let now: () -> Int64

    /// Reads every table that the lane has all of to its end.
    func load(until shouldStop: () -> Bool) throws(Fault) {
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
    func poll() throws(Fault) {
        for broadcast in broadcasts {
            try broadcast.reader.poll(timeoutMilliseconds: 0) {
                graph.processBroadcast(source: broadcast.source, $0)
            }
        }
    }
}
