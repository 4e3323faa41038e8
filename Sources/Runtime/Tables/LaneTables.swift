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
                records += try take(broadcast, timeoutMilliseconds: 100)
            }
            Log.info("table '\(broadcast.name)': \(records) records read in \(now() - begin) ms")
        }
    }

    /// Takes in what has come since.
    func poll() throws(Fault) {
        for broadcast in broadcasts { _ = try take(broadcast, timeoutMilliseconds: 0) }
    }

    /// Returns how many records came.
    private func take(_ broadcast: Lane.Broadcast, timeoutMilliseconds: Int) throws(Fault) -> Int {
        var count = 0
        var fault: Fault?
        try broadcast.reader.poll(timeoutMilliseconds: timeoutMilliseconds) { raw in
            do throws(Fault) {
                try graph.prepare(raw, source: broadcast.source)
            } catch {
                fault = error
                return
            }
            count += raw.count
            graph.processBroadcast(source: broadcast.source, raw)
        }
        if let fault { throw fault }
        return count
    }
}
