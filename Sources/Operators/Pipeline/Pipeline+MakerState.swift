import Base
import Dataflow
import Records
import State
import Topology

/// What operators remember, as records of the changelog and as part of a snapshot.
extension Pipeline {
    func collectMakers(_ task: TaskState, _ outbox: inout Outbox) {
        for step in steps {
            guard let maker = task.makers[step.index], let identity = identities.steps[step.index] else { continue }
            let bytes = outbox.bytes
            maker.state.drainChanges(into: bytes) { key, value in
                let start = bytes.count
                bytes.appendByte(ChangeKind.operatorState)
                bytes.appendWord(identity.id)
                bytes.reserve(key.count)
                _ = bytes.append(bytes.base + key.lowerBound, key.count)
                outbox.add(.changelog, partition: task.partition, key: start..<bytes.count, value: value)
            }
            maker.buffer.drainChanges(into: bytes) { sequence, value in
                let start = bytes.count
                bytes.appendByte(ChangeKind.buffered)
                bytes.appendWord(identity.id)
                bytes.appendVarint(sequence)
                outbox.add(.changelog, partition: task.partition, key: start..<bytes.count, value: value)
            }
        }
    }

    /// Takes a record of the changelog whose kind has been read from its key.
    func restoreMaker(
        _ kind: UInt8, _ keyReader: inout BinaryReader, _ value: UnsafeBufferPointer<UInt8>?, _ task: TaskState
    ) {
        let identity = keyReader.word32()
        if keyReader.isValid, kind == ChangeKind.operatorState, let source = identities.table(identity) {
            let key = keyReader.bytes(keyReader.left)
            if task.tables[source]?.restore(key: key, value: value) == false { keyReader.fail() }
            return
        }
        guard keyReader.isValid, let step = identities.step(identity), let maker = task.makers[step] else { return }
        let isGood: Bool
        if kind == ChangeKind.buffered {
            isGood = maker.buffer.restore(keyReader.varint(), value)
        } else {
            isGood = maker.state.restore(key: keyReader.bytes(keyReader.left), value: value)
        }
        if !isGood { keyReader.fail() }
    }

    func finishRestoreOfMakers(_ task: TaskState) {
        for maker in task.makers {
            maker?.state.finishRestore()
            maker?.buffer.finishRestore()
        }
        for table in task.tables { table?.finishRestore() }
        task.settled = task.watermarks
    }

    // MARK: Snapshots

    func writeMakers(_ task: TaskState, to bytes: Arena) {
        let scratch = Arena(capacity: 1 << 12)
        for case let maker? in task.makers {
            maker.state.forEach(into: scratch) { key, value in
                bytes.appendByte(ChangeKind.operatorState)
                bytes.appendBlob(UnsafeBufferPointer(start: scratch.base + key.lowerBound, count: key.count))
                bytes.appendBlob(UnsafeBufferPointer(start: scratch.base + value.lowerBound, count: value.count))
                scratch.removeAll()
            }
            maker.buffer.forEach(into: scratch) { sequence, value in
                guard let value else { return }
                bytes.appendByte(ChangeKind.buffered)
                bytes.appendVarint(sequence)
                bytes.appendBlob(UnsafeBufferPointer(start: scratch.base + value.lowerBound, count: value.count))
                scratch.removeAll()
            }
            bytes.appendByte(ChangeKind.meta)
        }
    }

    /// False if that is not what `writeMakers` wrote.
    func readMakers(_ reader: inout BinaryReader, _ task: TaskState) -> Bool {
        for case let maker? in task.makers {
            var kind = reader.byte()
            while kind != ChangeKind.meta {
                let isGood: Bool
                switch kind {
                case ChangeKind.operatorState:
                    let key = reader.blob()
                    isGood = maker.state.restore(key: key, value: reader.blob())
                case ChangeKind.buffered:
                    let sequence = reader.varint()
                    isGood = maker.buffer.restore(sequence, reader.blob())
                default: isGood = false
                }
                guard isGood, reader.isValid else { return false }
                kind = reader.byte()
            }
        }
        return reader.isValid
    }
}
