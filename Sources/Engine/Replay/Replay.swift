import Base
import Connectors
import Dataflow
import Formats
import Operators
import Records
import Topology

/// Runs a topology over files, bounded, in event time: the very operators that `run` runs. The same input
/// gives the same bytes, whatever the batch size.
package struct Replay {
    package struct Summary {
        package var records: Int64 = 0
        package var alerts: Int64 = 0
        package var late: Int64 = 0
        package var dead: Int64 = 0
        package var results: Int64 = 0
        /// The greatest number of keys with state that was seen, and the bytes of all state then.
        package var keysMost = 0
        package var stateBytes = 0
        /// The greatest event time that was read; what comes of later times comes of the end of the input.
        package var lastEventTime = Int64.min
    }

    private let spec: TopologySpec
    private let pipeline: Pipeline
    private let decoders: [any RecordDecoder]
    private var inputs: [Input] = []
    private let task: TaskState
    private var outbox = Outbox()

    /// One input and the block of it that is being consumed.
    private final class Input {
        let source: Int
        let file: FileSource
        var records = RawRecords()
        var position = 0
        /// Event times of the block's records; only where several inputs are merged.
        var times: [Int64] = []
        var isAtEnd = false

        init(source: Int, file: FileSource) {
            self.source = source
            self.file = file
        }
    }

    /// - Parameters:
    ///   - inputs: source name to paths.
    ///   - rowsMax: rows of a batch; the result does not depend on it.
    ///   - keepsResults: sinks that take the results of steps are served (by whoever reads the output).
    package init(
        _ spec: TopologySpec,
        inputs: [(source: String, paths: [String])],
        rowsMax: Int = Limits.rowsPerBatchMax,
        keepsResults: Bool,
        clock: any Clock = SystemClock()
    ) throws(Fault) {
        var spec = spec
        // Files stand in for every sink.
        spec.sinks = spec.sinks.compactMap { sink in
            var sink = sink
            if case .steps = sink.input, !keepsResults { return nil }
            sink.target = .file(path: "\(sink.name).jsonl")
            return sink
        }
        self.spec = spec
        let planner = try Planner(spec)
        let bound = clock.nowMilliseconds + (spec.sources.map(\.ahead).max() ?? 0)
        (pipeline, decoders) = planner.pipeline(Pipeline.Options(rowsMax: rowsMax, clock: nil, timeMax: bound))
        task = pipeline.makeTask(partition: 0)
        // A source that names a file needs no --input.
        var inputs = inputs
        for source in spec.sources where !inputs.contains(where: { $0.source == source.name }) {
            if case .file(let path) = source.origin { inputs.append((source.name, [path])) }
        }
        if inputs.isEmpty {
            let names = spec.sources.filter { !$0.origin.isStream }.map(\.name).joined(separator: ", ")
            throw Fault(.user, "--input NAME=PATH is missing; sources: \(names)")
        }
        for (name, paths) in inputs {
            guard let index = spec.sources.firstIndex(where: { $0.name == name && !$0.origin.isStream }) else {
                let names = spec.sources.filter { !$0.origin.isStream }.map(\.name).joined(separator: ", ")
                throw Fault(.user, "--input \(name)=…: the topology has no source '\(name)'; it has \(names)")
            }
            let format: FileSource.Format = spec.sources[index].format == .csv ? .csv : .jsonLines
            let file = try FileSource(paths: paths, format: format, rowsMax: rowsMax)
            self.inputs.append(Input(source: index, file: file))
        }
        // At equal times a table comes first: what it says as of then is seen then.
        let sources = spec.sources
        self.inputs = self.inputs.filter { sources[$0.source].table != nil }
            + self.inputs.filter { sources[$0.source].table == nil }
    }

    /// The sinks' names, by the index in `Destination.sink`.
    package var sinkNames: [String] { spec.sinks.map(\.name) }

    /// True for sinks that take alerts.
    package func takesAlerts(_ sink: Int) -> Bool { if case .alerts = spec.sinks[sink].input { true } else { false } }

    /// Runs to the end. `output` gets the records in order; `progress` the bytes read and their total.
    package mutating func run(
        output: (borrowing Outbox) throws(Fault) -> Void,
        progress: (_ read: Int64, _ total: Int64, _ records: Int64) -> Void
    ) throws(Fault) -> Summary {
        for input in inputs { try load(input) }
        var most = (keys: 0, bytes: 0)
        while let next = nextSlice() {
            let (input, count) = next
            pipeline.process(
                input.records.slice(from: input.position, count: count), source: input.source, task: task,
                outbox: &outbox)
            input.position += count
            try hand(output)
            if input.position == input.records.count {
                try load(input)
                let keys = task.keyCount
                if keys > most.keys { most = (keys, task.memoryBytes) }
                progress(
                    inputs.reduce(0) { $0 + $1.file.bytesRead }, inputs.reduce(0) { $0 + $1.file.bytesTotal },
                    pipeline.counters.records)
            }
        }
        let last = pipeline.greatestEventTime(task)
        pipeline.finish(task, outbox: &outbox)
        try hand(output)
        let counters = pipeline.counters
        return Summary(
            records: counters.records, alerts: counters.alerts, late: counters.late, dead: counters.deadTotal,
            results: counters.results, keysMost: most.keys, stateBytes: most.bytes, lastEventTime: last)
    }

    private mutating func hand(_ output: (borrowing Outbox) throws(Fault) -> Void) throws(Fault) {
        if outbox.isEmpty { return }
        try output(outbox)
        outbox.removeAll()
    }

    private func load(_ input: Input) throws(Fault) {
        guard let block = try input.file.next() else {
            input.isAtEnd = true
            return
        }
        if let header = block.header {
            let decoder = (decoders[input.source] as? TableDecoder)?.inner ?? decoders[input.source]
            (decoder as? CsvDecoder)?.setHeader(header)
        }
        input.records = block.records
        input.position = 0
        if inputs.count > 1 { input.times = pipeline.eventTimes(of: block.records, source: input.source) }
    }

    /// The input with the earliest next record, and how many of its records come before any other's.
    private func nextSlice() -> (Input, Int)? {
        let open = inputs.filter { !$0.isAtEnd }
        guard open.count > 1 || inputs.count > 1 else {
            return open.first.map { ($0, $0.records.count - $0.position) }
        }
        guard let first = open.min(by: { $0.times[$0.position] < $1.times[$1.position] }) else { return nil }
        var count = 1
        while first.position + count < first.records.count {
            let time = first.times[first.position + count]
            let isFirst = open.allSatisfy { other in
                if other === first { return true }
                let head = other.times[other.position]
                return time < head || (time == head && order(first) < order(other))
            }
            if !isFirst { break }
            count += 1
        }
        return (first, count)
    }

    private func order(_ input: Input) -> Int { inputs.firstIndex { $0 === input } ?? 0 }
}
