import Base
import Dataflow
import Records

/// A lane whose tasks have several inputs, which are taken in event-time order: records are polled partition
/// by partition, held, and processed in runs.
extension Lane {
    var isAligned: Bool { !graph.inputs.isEmpty }

    /// How long to wait for records while some wait for others.
    private static let heldPollMilliseconds = 2
    /// After so long other things have their turn.
    private static let turnMilliseconds: Int64 = 20

    var pollMilliseconds: Int {
        if hasTaken { return 0 }
        let isHolding = aligned.values.contains { $0.held > 0 }
        return isHolding ? min(Self.heldPollMilliseconds, options.pollMilliseconds) : options.pollMilliseconds
    }

    /// Inputs of tasks that were just taken over.
    func alignInputs() {
        aligned = [:]
        guard isAligned else { return }
        for task in Set(partitions.keys.map(\.partition)) {
            aligned[task] = TaskInputs(
                graph.inputs, writers: graph.writers(task: task), options: options.alignment, now: now())
        }
    }

    /// Polls what there is room for and takes what comes next, for a while.
    func takeInputs() {
        let begin = now()
        fillInputs()
        hasTaken = false
        var isMoving = true
        while isMoving, now() - begin < Self.turnMilliseconds, cycle.uncommitted < options.commitRecordsMax {
            isMoving = false
            for (task, inputs) in aligned {
                guard let run = inputs.next(now: now()) else { continue }
                process(SourcePartition(source: run.source, partition: task), run.raw)
                isMoving = true
                hasTaken = true
            }
        }
    }

    private func fillInputs() {
        let now = self.now()
        for partition in partitions.keys where !loading.isWaiting(partition) {
            guard let inputs = aligned[partition.partition] else { continue }
            let room = inputs.room(for: partition.source)
            guard room > 0, let records = source.take(from: partition, atMost: room) else { continue }
            phase.enter(.processing)
            do throws(Fault) {
                try graph.prepare(records.raw, source: partition.source)
            } catch {
                fault = fault ?? error
                return
            }
            partitions[partition]?.isCaughtUp = false
            partitions[partition]?.lastRecordAt = now
            inputs.add(
                records, graph.look(at: records.raw, of: partition), source: partition.source, now: now)
        }
    }

    func noteUnaligned() {
        for inputs in aligned.values where !inputs.unaligned.isEmpty {
            for (wait, count) in inputs.drainUnaligned() {
                graph.noteUnaligned(wait.limit, source: wait.source, count: count)
            }
        }
    }

    /// Offset of the next record to read after a restart.
    func nextOffset(_ partition: SourcePartition, _ position: Position) -> Int64 {
        aligned[partition.partition]?.position(of: partition.source) ?? position.next
    }

    /// By repartition topic, the next offset of each writer.
    func written(task: Int32) -> [Int: [Int64]] {
        guard let inputs = aligned[task] else { return [:] }
        var written: [Int: [Int64]] = [:]
        for input in graph.inputs {
            if let offsets = inputs.written(input.source) { written[input.source] = offsets }
        }
        return written
    }

    /// True if nothing that was polled of a partition is left to take.
    func isDrained(_ partition: SourcePartition) -> Bool {
        aligned[partition.partition].map { $0.held(of: partition.source) == 0 } ?? true
    }
}
