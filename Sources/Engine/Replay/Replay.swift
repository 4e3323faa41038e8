import Base
import Connectors
import Dataflow
import Formats
import Operators
import Records
import Topology

/// Runs a topology over files, bounded, in event time: the very operators that `run` runs. The same input
/// gives the same bytes, whatever the batch size, the memory and the day: there is no clock, so no event time
/// is too far in the future.
///
/// Inputs are merged by event time. Where times are equal, tables come first, and each input in the order in
/// which the topology names it.
package struct Replay {
    package struct Summary: Sendable {
        package var records: Int64 = 0
        package var alerts: Int64 = 0
        package var late: Int64 = 0
        package var dead: Int64 = 0
        package var results: Int64 = 0
        /// Results and conditions that are null since a number in them does not fit in 64 bits.
        package var overflows: Int64 = 0
        /// The greatest number of keys with state that was seen, and the bytes of all state then.
        package var keysMost = 0
        package var stateBytes = 0
        /// Limits that were hit, a line each.
        package var limits: [String] = []
        /// The greatest event time that was read; what comes of later times comes of the end of the input.
        package var lastEventTime = Int64.min
        /// That of the first record that was read.
        package var firstEventTime = Int64.min
        package var inputs: [InputSummary] = []
        /// Most frequent first.
        package var refusals: [Refusal] = []

        package init() {}
    }

    /// What order the records of an input are taken in. Tables are always sorted.
    package enum Order: Sendable {
        /// As the files have them, so that a record may come late.
        case asWritten
        /// The same, tables too: as all of it became known, where the files have it in the order in which it
        /// came. A version of a table with an old event time is not known before the versions that stand
        /// before it.
        case asKnown
        /// By event time; those of one time as they are written. `bufferBytes`: what all inputs together may
        /// keep in memory for that; the rest goes to a temporary file.
        case byTime(bufferBytes: Int)
    }

    private let spec: TopologySpec
    private let pipeline: Pipeline
    private let decoders: [any RecordDecoder]
    private let order: Order
    private var inputs: [Input] = []
    private let task: TaskState
    private var outbox = Outbox()

    /// One input and the block of it that is being consumed.
    private final class Input {
        let source: Int
        let name: String
        let isTable: Bool
        let file: OrderedInput
        var records = RawRecords()
        var position = 0
        /// Event times of the block's records; only where several inputs are merged.
        var times: [Int64] = []
        var isAtEnd = false
        /// Records that could not be read, by file.
        var unread: [Int64] = []

        init(source: Int, _ spec: SourceSpec, _ file: OrderedInput) {
            self.source = source
            name = spec.name
            isTable = spec.table != nil
            self.file = file
        }

        /// The record with this number could not be read.
        func countUnread(_ number: Int64) {
            let place = file.fileIndex(of: number)
            while unread.count <= place { unread.append(0) }
            unread[place] += 1
        }
    }

    /// - Parameters:
    ///   - inputs: source name to paths.
    ///   - rowsMax: rows of a batch; the result does not depend on it.
    ///   - features: a step whose rows are taken by a sink of their own, the last one.
    ///   - keepsResults: sinks that take the results of steps are served (by whoever reads the output).
    package init(
        _ spec: TopologySpec,
        inputs: [(source: String, paths: [String])],
        rowsMax: Int = Limits.rowsPerBatchMax,
        keepsResults: Bool,
        order: Order = .asWritten,
        features: Int? = nil
    ) throws(Fault) {
        var spec = spec
        // Files stand in for every sink.
        spec.sinks = spec.sinks.compactMap { sink in
            var sink = sink
            if case .steps = sink.input, !keepsResults { return nil }
            sink.target = CapturedRecords()
            return sink
        }
        if let features {
            spec.sinks.append(
                SinkSpec(
                    name: spec.steps[features].name, target: CapturedRecords(), input: .steps([features]),
                    position: spec.steps[features].position))
        }
        // Files are made UTF-8 as they are read, before they are cut into records.
        for index in spec.sources.indices {
            spec.sources[index].isConverted = true
            if case .published(let part) = spec.sources[index].format {
                spec.sources[index].format = .published(part.decodable.ofFiles)
            }
        }
        self.spec = spec
        self.order = order
        let planner = try Planner(spec)
        (pipeline, decoders) = try planner.pipeline(Pipeline.Options(rowsMax: rowsMax, clock: nil))
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
            guard let index = spec.sources.firstIndex(where: { $0.name == name && !$0.origin.isStream })
            else {
                let names = spec.sources.filter { !$0.origin.isStream }.map(\.name).joined(separator: ", ")
                throw Fault(.user, "--input \(name)=…: the topology has no source '\(name)'; it has \(names)")
            }
            let source = spec.sources[index]
            let layout = source.publishedFormat.fileLayout(of: RecordShape(of: source))
            let file = try OrderedInput(
                EventTimes(spec, source: index, rowsMax: rowsMax), headers: HeaderCheck(source),
                needsTimes: inputs.count > 1, rowsMax: rowsMax
            ) { () throws(Fault) in
                try FileSource(paths: paths, layout: layout, encoding: source.encoding, rowsMax: rowsMax)
            }
            self.inputs.append(Input(source: index, source, file))
        }
        self.inputs.sort { ($0.isTable ? 0 : 1, $0.source) < ($1.isTable ? 0 : 1, $1.source) }
    }

    /// The sinks' names, by the index in `Destination.sink`.
    package var sinkNames: [String] { spec.sinks.map(\.name) }

    /// The files that it reads.
    package var inputPaths: [String] { inputs.flatMap(\.file.paths) }

    /// True for sinks that take alerts.
    package func takesAlerts(_ sink: Int) -> Bool {
        if case .alerts = spec.sinks[sink].input { true } else { false }
    }

    /// Runs to the end. `output` gets the records in order; `ordering` is told how far an input was read to
    /// be put into order, in bytes and records, `progress` how far the run is, in the unit of the total (0:
    /// not known).
    package mutating func run(
        output: @escaping (borrowing Outbox) throws(Fault) -> Void,
        ordering: (_ source: String, _ read: Int64, _ total: Int64, _ records: Int64) -> Void = {
            _, _, _, _ in
        },
        progress: (_ done: Int64, _ total: Int64, _ records: Int64) -> Void
    ) throws(Fault) -> Summary {
        for input in inputs {
            if let bytes = bufferBytes(input) {
                try input.file.sort(bytesMax: bytes) { ordering(input.name, $0, $1, $2) }
            }
        }
        for input in inputs { try load(input) }
        let inputs = self.inputs
        var tally = RefusalTally()
        func take(_ outbox: borrowing Outbox) throws(Fault) {
            for record in outbox.records where record.destination == .deadLetter {
                let (place, number) = tally.add(record, of: outbox)
                let step = tally.refusals[place].step
                if let input = inputs.first(where: { $0.name == step }) { input.countUnread(number) }
            }
            try output(outbox)
        }
        // Of a batch that makes very many outputs.
        var spillFault: Fault?
        pipeline.spill = { outbox in
            do throws(Fault) { if spillFault == nil { try take(outbox) } } catch { spillFault = error }
            outbox.removeAll()
        }
        defer { pipeline.spill = nil }
        var most = (keys: 0, bytes: 0)
        var first = Int64.min
        while let next = nextSlice() {
            // The first record by itself, so that its time is known.
            let (input, count) = (next.0, first == .min ? 1 : next.1)
            pipeline.process(
                input.records.slice(from: input.position, count: count), source: input.source, task: task,
                outbox: &outbox)
            input.position += count
            if first == .min { first = pipeline.greatestEventTime(task) }
            if let spillFault { throw spillFault }
            try hand(take)
            if input.position == input.records.count {
                try load(input)
                let keys = task.keyCount
                if keys > most.keys { most = (keys, task.memoryBytes) }
                tell(progress)
            }
        }
        let last = pipeline.greatestEventTime(task)
        pipeline.finish(task, outbox: &outbox)
        if let spillFault { throw spillFault }
        try hand(take)
        let counters = pipeline.counters
        var summary = Summary()
        summary.records = counters.records
        summary.alerts = counters.alerts
        summary.late = counters.late
        summary.dead = counters.deadTotal
        summary.results = counters.results
        summary.overflows = counters.overflowTotal
        (summary.keysMost, summary.stateBytes) = most
        summary.limits = pipeline.counters.limits.lines(now: nil)
        summary.lastEventTime = last
        summary.firstEventTime = first
        summary.inputs = inputs.map { InputSummary($0.name, $0.file, unread: $0.unread) }
        summary.refusals = tally.refusals.sorted { $0.count > $1.count }
        return summary
    }

    /// Memory in which the input is sorted; nil: it is not.
    private func bufferBytes(_ input: Input) -> Int? {
        switch order {
        case .byTime(let bytes): max(1, bytes / inputs.count)
        case .asKnown: nil
        case .asWritten: input.isTable ? Limits.replayBufferBytes / inputs.count : nil
        }
    }

    private func tell(_ progress: (Int64, Int64, Int64) -> Void) {
        let totals = inputs.map(\.file.recordsTotal)
        if totals.allSatisfy({ $0 >= 0 }) {
            return progress(pipeline.counters.records, totals.reduce(0, +), pipeline.counters.records)
        }
        let bytes = inputs.map(\.file.bytes)
        progress(
            bytes.reduce(0) { $0 + $1.read }, bytes.reduce(0) { $0 + $1.total }, pipeline.counters.records)
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
        if let header = block.header { decoders[input.source].setHeader(header.names) }
        input.records = block.records
        input.position = 0
        input.times = block.times
    }

    /// The input with the earliest next record, and how many of its records come before any other's.
    private func nextSlice() -> (Input, Int)? {
        guard inputs.count > 1 else {
            return inputs.first { !$0.isAtEnd }.map { ($0, $0.records.count - $0.position) }
        }
        // Of equal times the first one is found.
        let open = inputs.filter { !$0.isAtEnd }
        guard
            let place = open.indices.min(by: {
                open[$0].times[open[$0].position] < open[$1].times[open[$1].position]
            })
        else { return nil }
        let first = open[place]
        var bound = Int64.max
        var isOpenBound = true
        for (other, input) in open.enumerated() where other != place {
            let head = input.times[input.position]
            if head < bound || head == bound && other < place { (bound, isOpenBound) = (head, other < place) }
        }
        var count = 1
        while first.position + count < first.records.count {
            let time = first.times[first.position + count]
            guard time < bound || time == bound && !isOpenBound else { break }
            count += 1
        }
        return (first, count)
    }
}
