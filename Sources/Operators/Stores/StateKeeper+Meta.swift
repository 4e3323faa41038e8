import Base
import Dataflow
import Records
import State

/// What a task remembers as a whole: positions, event times, what of its windows is closed.
extension StateKeeper {
    func meta(_ task: TaskState) -> [UInt8] {
        let bytes = Arena(capacity: 256)
        bytes.appendWord(task.incarnation)
        bytes.appendVarint(UInt64(task.lateCount))
        bytes.appendVarint(UInt64(spec.sources.count))
        for source in spec.sources.indices {
            bytes.appendWord(identities.sources[source])
            bytes.appendZigzag(task.positions[source])
            bytes.appendZigzag(task.times[source])
            bytes.appendZigzag(task.watermarks[source])
            bytes.appendVarint(UInt64(task.upstream[source].count))
            for partition in task.upstream[source] {
                bytes.appendZigzag(partition.watermark)
                bytes.appendByte(partition.isIdle ? 1 : 0)
            }
            for offset in task.written[source] { bytes.appendZigzag(offset) }
            bytes.appendByte(task.marks[source] == nil ? 0 : 1)
            if let mark = task.marks[source] {
                bytes.appendZigzag(mark.offset)
                bytes.appendZigzag(mark.timestamp)
                bytes.appendWord(mark.hash)
            }
        }
        let windows = task.windows.compactMap { $0 }
        bytes.appendVarint(UInt64(windows.count))
        for windows in windows {
            bytes.appendWord(windows.id)
            bytes.appendZigzag(windows.store.closing.closed)
            bytes.appendZigzag(windows.store.closing.sweepDue)
        }
        // Where rules are never changed while they run, nothing is said of it.
        if task.epoch != 0 { bytes.appendVarint(UInt64(task.epoch)) }
        return Array(UnsafeBufferPointer(start: bytes.base, count: bytes.count))
    }

    private func restoreCrowd(_ source: Int, _ task: TaskState) {
        guard task.watermarks[source] != .min else { return }
        let appended = task.marks[source].map(\.timestamp) ?? 0
        task.crowds[source].restore(
            reached: task.watermarks[source] + spec.sources[source].outOfOrder,
            appended: appended > 0 ? appended : nil)
    }

    /// Takes what `meta` once said. False: it is nothing of the kind.
    func restoreMeta(_ kept: UnsafeBufferPointer<UInt8>, _ task: TaskState) -> Bool {
        former.meta(kept, task).withUnsafeBufferPointer { bytes in
            var reader = BinaryReader(bytes)
            restoreMeta(&reader, task)
            return reader.isValid
        }
    }

    private func restoreMeta(_ reader: inout BinaryReader, _ task: TaskState) {
        let incarnation = reader.word64()
        if task.isDoubtful, reader.isValid {
            task.isDoubtful = false
            task.isContradicted = incarnation != task.incarnation
            if task.isContradicted { return }
        }
        task.incarnation = incarnation
        task.lateCount = reader.count(below: Int.max)
        for _ in 0..<reader.count(below: Limits.nodesMax + 1) {
            let source = identities.source(reader.word32())
            let (position, time, watermark) = (reader.zigzag(), reader.zigzag(), reader.zigzag())
            let upstream = (0..<reader.count(below: reader.left + 1)).map { _ in
                let (watermark, isIdle) = (reader.zigzag(), reader.byte() != 0)
                // One that was quiet then may have had records since, and says so again if not: its time goes
                // on with the clock. One that is empty has said it once and for all.
                return UpstreamTime(watermark: watermark, isIdle: isIdle && watermark == .min)
            }
            let written = upstream.map { _ in reader.zigzag() }
            var mark: LogMark?
            if reader.byte() == 1 {
                mark = LogMark(offset: reader.zigzag(), timestamp: reader.zigzag(), hash: reader.word64())
            }
            guard let source else { continue }
            task.positions[source] = position
            task.marks[source] = mark
            if written.count == task.written[source].count { task.written[source] = written }
            task.times[source] = time
            task.watermarks[source] = watermark
            restoreCrowd(source, task)
            if upstream.count == task.upstream[source].count { task.upstream[source] = upstream }
        }
        for _ in 0..<reader.count(below: Limits.nodesMax + 1) {
            let id = reader.word32()
            let closing = (closed: reader.zigzag(), sweepDue: reader.zigzag())
            task.windows.first { $0?.id == id }??.store.closing = closing
        }
        task.epoch = reader.isAtEnd ? 0 : Int64(reader.count(below: Int.max))
        task.lastMeta = meta(task)
    }
}
