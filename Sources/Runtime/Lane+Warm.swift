import Base
import Dataflow

extension Lane {
    /// How often the changelogs are read on to their ends before the group is joined: each time there is less.
    private static let passesMax = 3
    private static let changesFew = 1_000

    /// Restores what the lane is likely to get before it joins its group, while others still work on it: of what it gets
    /// then only the last changes have to be read, during which nobody does. What it does not get is dropped.
    func warmUp(until shouldStop: () -> Bool) throws(Fault) {
        guard let storage else { return }
        let tasks = source.foreseen()
        guard !tasks.isEmpty else { return }
        phase.enter(.restoring)
        let begin = now()
        var changes = 0
        var lastRead: [Int32: Int64] = [:]
        do throws(Fault) {
            for task in tasks { graph.open(SourcePartition(source: 0, partition: task)) }
            for task in tasks.sorted() { held[task] = loadSnapshot(task, storage) }
            var from: [Int32: Int64?] = [:]
            for task in tasks {
                from[task] = .some(lastKnown(of: task))
            }
            for _ in 0..<Self.passesMax {
                let before = changes
                let ends = try storage.changelog.read(from) { task, offset, key, value throws(Fault) in
                    changes += 1
                    lastRead[task] = offset
                    if try self.graph.restore(task: task, key: key, value: value) { self.held[task]?.changelogEnd = offset + 1 }
                }
                for (task, end) in ends { from[task] = end.offset }
                if shouldStop() || changes - before < Self.changesFew { break }
            }
        } catch {
            if error == .stopped { throw error }
            // What is wrong is told when it is needed.
            Log.debug("warm-up: \(error.detail)")
            for task in tasks { forget(task) }
        }
        for task in tasks { held[task]?.isWarm = true }
        for task in tasks {
            // What was read of a commit whose end was not there yet would be read twice.
            guard let end = held[task]?.changelogEnd, lastRead[task] == end - 1, graph.isContinued(task: task) else {
                forget(task)
                continue
            }
        }
        Log.info("warmed \(held.count) tasks up in \(now() - begin) ms before joining; \(changes) changes read")
    }

    func forget(_ task: Int32) {
        graph.drop(task: task)
        held[task] = nil
    }
}
