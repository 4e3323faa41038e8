import Base
import Dataflow
import Records
import State
import Topology

/// What others see of a pipeline between batches: its inputs, what it has counted, how far its tasks are.
extension Pipeline {
    // MARK: Counters

    package var counters: PipelineCounters {
        get { meters.counters }
        set { meters.counters = newValue }
    }

    /// For a profile.
    package var stages: StageClock? {
        get { meters.clock }
        set { meters.clock = newValue }
    }

    /// Of tables that lie elsewhere: keys that were asked for, and how many of them got no answer.
    package var lookupCounts: [(source: String, asked: Int64, unanswered: Int64)] { tables.lookupCounts }

    /// Bytes of what is remembered of a table that lies elsewhere.
    func lookupBytes(source: Int) -> Int? { tables.lookupBytes(source: source) }

    /// Rows of a step's join that found a partner, since the process started.
    package func foundCount(step: Int) -> Int64 { topology.steps[step].join?.foundCount ?? 0 }

    // MARK: Records in event-time order

    /// The sources that a task's records come from; none where there is only one, and no order to keep.
    package var alignedInputs: [AlignedInput] {
        topology.spec.alignedGroups.sorted { $0.key < $1.key }.map { source, group in
            let plan = topology.sources[source]
            let kind: AlignedInput.Kind =
                if plan.spec.isBroadcast {
                    .broadcast
                } else if plan.table != nil {
                    .table
                } else if plan.carried != nil {
                    .repartition(writers: topology.options.partitions)
                } else {
                    .stream
                }
            // What a table says as of a time is seen at that time.
            let rank = plan.table != nil ? source : source + topology.sources.count
            return AlignedInput(source: source, kind: kind, group: group, rank: rank, idle: plan.spec.idle)
        }
    }

    /// Gets what it takes to decode records of a source.
    package func prepare(_ raw: RawRecords, source: Int) throws(Fault) {
        try topology.sources[source].decoder.prepare(raw)
    }

    /// Event times of records, and what those who wrote them to a repartition topic say of themselves.
    package func look(at raw: RawRecords, source: Int, task: TaskState) -> InputRows {
        reading.look(at: raw, topology.sources[source], task)
    }

    /// The event times of records, to merge several inputs by; a record without one has that of the record
    /// before it.
    package func eventTimes(of raw: RawRecords, source: Int) -> [Int64] {
        reading.eventTimes(of: raw, topology.sources[source])
    }

    /// Who writes to the task's repartition topics, by source. One that was quiet says so again soon, unless
    /// it is empty.
    package func writers(_ task: TaskState) -> [Int: [InputWriter]] {
        var writers: [Int: [InputWriter]] = [:]
        for source in topology.sources.indices where !task.written[source].isEmpty {
            writers[source] = zip(task.written[source], task.upstream[source]).map { next, time in
                InputWriter(next: next, reach: time.watermark, state: time.isIdle ? .idle : .busy)
            }
        }
        return writers
    }

    // MARK: Progress

    /// How far each step of a task is, and what waits before it for event time; steps that an operator brings
    /// along have its name.
    package func progress(_ task: TaskState) -> [LaneStatus.Step] {
        TaskProgress(topology: topology).progress(task)
    }

    /// Names of the steps that take a source's rows.
    package func firstSteps(of source: Int) -> Set<String> {
        TaskProgress(topology: topology).firstSteps(of: source)
    }

    /// By source: its rows that wait in operators' buffers until event time has passed them, and the event
    /// time up to which all of its rows have gone on.
    package func waiting(_ task: TaskState) -> [Int: (rows: Int64, reached: Int64)] {
        TaskProgress(topology: topology).waiting(task)
    }

    /// `writer`: of a repartition topic; nil: the slowest.
    package func name(ofInput source: Int, writer: Int32?, _ task: TaskState) -> String {
        TaskProgress(topology: topology).name(ofInput: source, writer: writer, task)
    }

    /// Of all records that were read; `.min`: none.
    package func greatestEventTime(_ task: TaskState) -> Int64 {
        topology.sources.indices.reduce(.min) {
            topology.sources[$1].stream == nil ? max($0, task.times[$1]) : $0
        }
    }
}
