import Base
import Dataflow
import Records
import State
import Topology

/// What operators remember, as records of the changelog and as part of a snapshot.
extension Pipeline {
    func collectOperators(_ task: TaskState, _ outbox: inout Outbox) {
        for step in steps {
            guard let operation = task.operators[step.index], let identity = identities.steps[step.index] else { continue }
            let bytes = outbox.bytes
            operation.state.drainChanges(into: bytes) { key, value in
                let start = bytes.count
                bytes.appendByte(ChangeKind.operatorState)
                bytes.appendWord(identity.id)
                bytes.reserve(key.count)
                _ = bytes.append(bytes.base + key.lowerBound, key.count)
                outbox.add(.changelog, partition: task.partition, key: start..<bytes.count, value: value)
            }
            operation.buffer.drainChanges(into: bytes) { sequence, value in
                let start = bytes.count
                bytes.appendByte(ChangeKind.buffered)
                bytes.appendWord(identity.id)
                bytes.appendVarint(sequence)
                outbox.add(.changelog, partition: task.partition, key: start..<bytes.count, value: value)
            }
        }
    }

    /// Takes a record of the changelog whose kind has been read from its key.
    func restoreOperator(
        _ kind: UInt8, _ keyReader: inout BinaryReader, _ value: UnsafeBufferPointer<UInt8>?, _ task: TaskState
    ) {
        let identity = keyReader.word32()
        if keyReader.isValid, kind == ChangeKind.operatorState, let source = identities.table(identity) {
            let key = keyReader.bytes(keyReader.left)
            if task.tables[source]?.restore(key: key, value: value) == false { keyReader.fail() }
            return
        }
        guard keyReader.isValid, let step = identities.step(identity), let operation = task.operators[step] else { return }
        let isGood: Bool
        if kind == ChangeKind.buffered {
            isGood = operation.buffer.restore(keyReader.varint(), value)
        } else {
            isGood = operation.state.restore(key: keyReader.bytes(keyReader.left), value: value)
        }
        if !isGood { keyReader.fail() }
    }

    func finishRestoreOfOperators(_ task: TaskState) {
        for operation in task.operators {
            operation?.state.finishRestore()
            operation?.buffer.finishRestore()
        }
        for table in task.tables { table?.finishRestore() }
        task.settled = task.watermarks
    }

    // MARK: Snapshots

    /// Operators that remember something, in the order of their steps.
    private func kept(_ task: TaskState) -> [OperatorTask] {
        steps.indices.compactMap { identities.steps[$0] == nil ? nil : task.operators[$0] }
    }

    func writeOperators(_ task: TaskState, to bytes: Arena) {
        let scratch = Arena(capacity: 1 << 12)
        for operation in kept(task) {
            operation.state.forEach(into: scratch) { key, value in
                bytes.appendByte(ChangeKind.operatorState)
                bytes.appendBlob(UnsafeBufferPointer(start: scratch.base + key.lowerBound, count: key.count))
                bytes.appendBlob(UnsafeBufferPointer(start: scratch.base + value.lowerBound, count: value.count))
                scratch.removeAll()
            }
            operation.buffer.forEach(into: scratch) { sequence, value in
                guard let value else { return }
                bytes.appendByte(ChangeKind.buffered)
                bytes.appendVarint(sequence)
                bytes.appendBlob(UnsafeBufferPointer(start: scratch.base + value.lowerBound, count: value.count))
                scratch.removeAll()
            }
            bytes.appendByte(ChangeKind.meta)
        }
    }

    /// False if that is not what `writeOperators` wrote.
    func readOperators(_ reader: inout BinaryReader, _ task: TaskState) -> Bool {
        for operation in kept(task) {
            var kind = reader.byte()
            while kind != ChangeKind.meta {
                let isGood: Bool
                switch kind {
                case ChangeKind.operatorState:
                    let key = reader.blob()
                    isGood = operation.state.restore(key: key, value: reader.blob())
                case ChangeKind.buffered:
                    let sequence = reader.varint()
                    isGood = operation.buffer.restore(sequence, reader.blob())
                default: isGood = false
                }
                guard isGood, reader.isValid else { return false }
                kind = reader.byte()
            }
        }
        return reader.isValid
    }
}
