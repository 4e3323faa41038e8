import Base
import Dataflow
import Synchronization

/// Writes values as lines. Lanes take turns, as do several sinks of one process, so a line is never torn.
package final class StdoutSink: RecordsSink {
    private static let turn = Mutex<Void>(())
    nonisolated(unsafe) private let output: FileWriter

    package init(_ output: FileWriter) { self.output = output }

    package func write(_ records: borrowing Outbox) throws(Fault) {
        try Self.turn.withLock { (_) throws(Fault) in
            for record in records.records {
                guard let value = records.value(of: record) else { unreachable("an output without a value") }
                try output.writeLine(value)
            }
            try output.flush()
        }
    }

    package func close() {}
}
