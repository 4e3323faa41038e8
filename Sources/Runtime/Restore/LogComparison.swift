import Base
import Dataflow

/// A position counts for the log that it was taken from. Topics are deleted and made anew, and sources are
/// pointed at other topics; there the same number is another record, and going on would leave records out or
/// count them twice.
struct LogComparison {
    let graph: any LaneGraph
    let source: any LaneSource
    /// Names of sources that may be another log, and then begin anew.
    let anew: Set<String>

    /// Throws if a partition is not the log that its task's state was made from; returns those that begin
    /// anew because the operator said so (`anew`). `committed`: the group's positions, which an operator may
    /// have moved on.
    func compare(
        _ assigned: [SourcePartition],
        _ committed: [SourcePartition: Int64]
    ) throws(Fault) -> Set<SourcePartition> {
        var reasons: [SourcePartition: String] = [:]
        var marks: [SourcePartition: LogMark] = [:]
        var positions: [SourcePartition: Int64] = [:]
        for partition in assigned {
            guard let position = graph.positions(task: partition.partition)?[partition.source], position >= 0
            else { continue }
            if let former = graph.formerTopic(of: partition) {
                reasons[partition] = "its state was made from topic '\(former)', up to offset \(position)"
            } else if position > 0 {
                positions[partition] = max(position, committed[partition] ?? 0)
                marks[partition] = graph.mark(of: partition)
            }
        }
        var places = positions.mapValues { $0 - 1 }
        for (partition, mark) in marks { places[partition] = mark.offset }
        for (partition, sight) in try source.look(at: places) {
            let position = positions[partition] ?? 0
            switch LogVerdict.judge(marks[partition], position: position, sight) {
            case .same: break
            case .unknown:
                Log.debug(
                    "\(graph.name(of: partition)): nothing that was read before offset \(position) is there to be compared"
                )
            case .cut(let lost, let first):
                guard !anew.contains(graph.sourceName(of: partition)) else {
                    reasons[partition] =
                        "\(lost) records from offset \(position) on were deleted before they were read"
                    continue
                }
                throw cut(partition, position, lost, first)
            case .other(let reason):
                reasons[partition] = "\(reason); its state was made from what stood before offset \(position)"
            }
        }
        for (partition, reason) in reasons.sorted(by: {
            ($0.key.source, $0.key.partition) < ($1.key.source, $1.key.partition)
        }) {
            let source = graph.sourceName(of: partition)
            guard anew.contains(source) else {
                throw Fault(
                    .user,
                    "\(graph.name(of: partition)) is another log than before: \(reason). To read it where the source's `start` says, with "
                        + "windows and alerts as they are: --new-topic \(source). To begin with empty windows: another --group"
                )
            }
            Log.warning(
                "\(graph.name(of: partition)) begins where the source's `start` says (--new-topic): \(reason)"
            )
            graph.forgetLog(of: partition)
        }
        return Set(reasons.keys)
    }

    private func cut(_ partition: SourcePartition, _ position: Int64, _ lost: Int64, _ first: Int64) -> Fault
    {
        Fault(
            .user,
            "\(graph.name(of: partition)): \(lost) records were deleted before they were read: the position is \(position), and the first "
                + "offset that is left is \(first). To go on without them: stop every worker, and ten seconds later "
                + "kafka-consumer-groups --reset-offsets to \(first) or later, or --new-topic \(graph.sourceName(of: partition))"
        )
    }

    /// Marks to begin with: those of the state, or of what stands before a partition that begins in the
    /// middle.
    func marks(_ started: [SourcePartition: Int64]) throws(Fault) -> [SourcePartition: LogMark] {
        var marks: [SourcePartition: LogMark] = [:]
        var places: [SourcePartition: Int64] = [:]
        for (partition, next) in started {
            if let mark = graph.mark(of: partition) {
                marks[partition] = mark
            } else if next > 0 {
                places[partition] = next - 1
            }
        }
        guard !places.isEmpty else { return marks }
        for (partition, sight) in try source.look(at: places) {
            if let record = sight.record, record.offset < started[partition] ?? 0 {
                marks[partition] = record
            }
        }
        return marks
    }
}
