import Dataflow
import Topology

/// How far a task is, for a person.
struct TaskProgress {
    let topology: CompiledTopology

    /// How far each step of a task is, and what waits before it for event time; steps that an operator brings
    /// along have its name.
    func progress(_ task: TaskState) -> [LaneStatus.Step] {
        var result: [LaneStatus.Step] = []
        var places: [String: Int] = [:]
        for step in topology.steps where topology.sources[step.source].table == nil {
            var entry = LaneStatus.Step(name: step.authorName, partition: task.partition)
            var time = task.watermarks[step.source]
            if let operation = topology.flows[step.source].operators.first(where: { $0.step === step }) {
                time = task.watermarks[operation.stream]
                entry.waiting = Int64(task.operators[step.index]?.buffer.count ?? 0)
                if entry.waiting > 0 { entry.awaited = awaited(operation, task) }
            }
            entry.eventTime = time == .min ? nil : time
            entry.keys = task.stores[step.index]?.heldIds.count ?? task.operators[step.index]?.state.keyCount
            if let place = places[entry.name] {
                result[place].add(entry)
            } else {
                places[entry.name] = result.count
                result.append(entry)
            }
        }
        return result
    }

    /// Names of the steps that take a source's rows.
    func firstSteps(of source: Int) -> Set<String> {
        Set(topology.steps.filter { $0.source == source }.map { $0.authorName })
    }

    /// By source: its rows that wait in operators' buffers until event time has passed them, and the event
    /// time up to which all of its rows have gone on.
    func waiting(_ task: TaskState) -> [Int: (rows: Int64, reached: Int64)] {
        var waiting: [Int: (rows: Int64, reached: Int64)] = [:]
        for (source, flow) in topology.flows.enumerated() {
            for operation in flow.operators {
                guard let buffer = task.operators[operation.step.index]?.buffer else { continue }
                for input in operation.inputs
                where input.step.source == source && buffer.count(of: input.index) > 0 {
                    let before = waiting[source] ?? (0, .max)
                    waiting[source] = (
                        before.rows + Int64(buffer.count(of: input.index)),
                        min(before.reached, task.watermarks[operation.stream])
                    )
                }
            }
        }
        return waiting
    }

    /// The input that an operator's rows wait for, in a person's words.
    private func awaited(_ operation: OperatorPlan, _ task: TaskState) -> String? {
        let slowest = operation.intakes.min { task.settled[$0.source] < task.settled[$1.source] }
        return slowest.flatMap { name(ofInput: $0.source, writer: nil, task) }
    }

    /// `writer`: of a repartition topic; nil: the slowest.
    func name(ofInput source: Int, writer: Int32?, _ task: TaskState) -> String {
        let name = "'\(topology.sources[source].spec.name)'"
        let upstream = task.upstream[source]
        if upstream.isEmpty { return name }
        let slowest = upstream.indices.filter { !upstream[$0].isIdle }.min {
            upstream[$0].watermark < upstream[$1].watermark
        }
        return (writer.map(Int.init) ?? slowest).map { "partition \($0) before \(name)" } ?? name
    }
}
