import Base
import Dataflow
import Formats
import Records
import Topology

/// What a lane needs to take the records of a task's sources in event-time order.
extension Pipeline {
    /// The sources that a task's records come from; none where there is only one, and no order to keep.
    package var alignedInputs: [AlignedInput] {
        spec.alignedGroups.sorted { $0.key < $1.key }.map { source, group in
            let plan = sources[source]
            let kind: AlignedInput.Kind =
                if plan.spec.isBroadcast {
                    .broadcast
                } else if plan.table != nil {
                    .table
                } else if plan.carried != nil {
                    .repartition(writers: options.partitions)
                } else {
                    .stream
                }
            // What a table says as of a time is seen at that time.
            let rank = plan.table != nil ? source : source + sources.count
            return AlignedInput(source: source, kind: kind, group: group, rank: rank, idle: plan.spec.idle)
        }
    }

    /// Event times of records, and what those who wrote them to a repartition topic say of themselves.
    package func look(at raw: RawRecords, source: Int, task: TaskState) -> InputRows {
        let plan = sources[source]
        let now = options.clock?.nowMilliseconds
        var rows = InputRows(times: eventTimes(of: raw, source: source))
        var newest: Int64 = -1
        // What a repartition topic brings was appended where it comes from.
        for row in 0..<raw.count { newest = max(newest, plan.carried?.origins[row].appended ?? raw.timestamps[row]) }
        if let now, newest >= 0 { rows.age = now - newest }
        guard let carried = plan.carried else { return rows }
        // Rows of a stream come in order; those of a source may be out of it.
        let repartition = repartitions.first { $0.spec.source == source }
        let lead = repartition.map { sources[$0.spec.origin].stream == nil ? plan.spec.outOfOrder : 0 } ?? 0
        for row in 0..<raw.count {
            let status = plan.batch.status[row]
            let isMark = status == RowStatus.mark.rawValue
            var word = InputRows.Word(writer: 0, isMark: isMark, reach: .min, state: .busy)
            if isMark || status == RowStatus.good.rawValue {
                let origin = carried.origins[row]
                word.writer = origin.writer
                if origin.watermark != .min { word.reach = origin.watermark + lead }
                word.state = carried.idle[row] != 0 ? .idle : carried.atEnd[row] != 0 ? .atEnd : .busy
                word.asks = carried.asks[row] != 0
            }
            if isMark { rows.times[row] = word.reach }
            if word.asks, word.writer != task.partition, let index = repartition?.index { task.isAsked[index] = true }
            rows.words.append(word)
        }
        return rows
    }

    /// Who writes to the task's repartition topics, by source. One that was quiet says so again soon, unless it is empty.
    package func writers(_ task: TaskState) -> [Int: [InputWriter]] {
        var writers: [Int: [InputWriter]] = [:]
        for source in sources.indices where !task.written[source].isEmpty {
            writers[source] = zip(task.written[source], task.upstream[source]).map { next, time in
                InputWriter(next: next, reach: time.watermark, state: time.isIdle ? .idle : .busy)
            }
        }
        return writers
    }
}
