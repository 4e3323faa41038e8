import Base
import Connectors
import Dataflow
import Formats
import Operators
import Records
import Topology

/// The event times of an input's records, by a decoder that reads no other field, and how far the input is
/// from being in their order.
final class EventTimes {
    /// Records that have an earlier time than one before them, and by how much at most, milliseconds.
    struct Disorder: Equatable, Sendable {
        var records: Int64 = 0
        var behindMost: Int64 = 0
    }

    private let pipeline: Pipeline
    private let decoder: any RecordDecoder
    private var last = Int64.min
    private var greatest = Int64.min
    private(set) var disorder = Disorder()

    init(_ spec: TopologySpec, source: Int, rowsMax: Int) throws(Fault) {
        let (pipeline, decoders) = try Planner(spec.onlyTime(of: source))
            .pipeline(Pipeline.Options(rowsMax: rowsMax, clock: nil))
        self.pipeline = pipeline
        decoder = decoders[0]
    }

    /// The input is read from its beginning once more.
    func restart() {
        last = .min
        greatest = .min
        disorder = Disorder()
    }

    func setHeader(_ header: FileSource.Header) { decoder.setHeader(header.names) }

    /// The time of each record, milliseconds. A record without one that can be read has that of the record
    /// before it, so that it keeps its place behind it; at the beginning of the input it has `.min`. So have
    /// all records of a table that knows no time.
    func read(_ records: RawRecords) -> [Int64] {
        var times = pipeline.eventTimes(of: records, source: 0)
        for row in times.indices {
            if times[row] == .min { times[row] = last }
            last = times[row]
            guard last < greatest else {
                greatest = last
                continue
            }
            disorder.records += 1
            disorder.behindMost = max(disorder.behindMost, greatest &- last)
        }
        return times
    }
}
