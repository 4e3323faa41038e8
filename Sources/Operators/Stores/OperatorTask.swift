import Base
import Dataflow
import Records
import State
import Topology

/// What one task keeps for an operator, and the operator at work on it. Which operator it is, is known in
/// `TaskOf` alone, which is called for many rows at a time.
class OperatorTask: TaskStore {
    let id: UInt32
    let partition: Int32
    private let step: String
    private let name: String
    /// Rows that wait until event time has passed them.
    let buffer: OrderedBuffer
    let state: any OperatorState

    init(_ state: any OperatorState, _ plan: OperatorPlan, id: UInt32, partition: Int32, tracksChanges: Bool)
    {
        (self.id, self.partition, self.state) = (id, partition, state)
        (step, name) = (plan.step.spec.name, plan.spec.part.name)
        buffer = OrderedBuffer(tracksChanges: tracksChanges)
    }

    /// Takes the rows that event time has passed, with what is due in between, and what is due before
    /// `watermark` after them. `drain`: takes rows that were made through the steps that read them.
    func release(_ plan: OperatorPlan, before watermark: Int64, rowsMax: Int, drain: () -> Void) {
        unreachable("the operator is not known")
    }

    /// Takes the rows in `plan.taken`, which a source has now, as they come.
    func pass(_ plan: OperatorPlan, of source: Int) { unreachable("the operator is not known") }

    func lose(_ input: OperatorInput, _ key: UnsafeBufferPointer<UInt8>, at time: Int64, now: Int64) {
        unreachable("the operator is not known")
    }

    var proof: StateProof? { unreachable("the operator is not known") }

    // MARK: Changes

    var kind: StoreKind { .operation }
    var memoryBytes: Int { state.memoryBytes + buffer.memoryBytes }

    func drainChanges(into outbox: inout Outbox) {
        let bytes = outbox.bytes
        state.drainChanges(into: bytes) { outbox.addState(id, $0, $1, partition: partition) }
        buffer.drainChanges(into: bytes) { sequence, value in
            let start = bytes.count
            bytes.appendByte(ChangeKind.buffered)
            bytes.appendWord(id)
            bytes.appendVarint(sequence)
            outbox.add(.changelog, partition: partition, key: start..<bytes.count, value: value)
        }
    }

    func restore(_ change: UInt8, _ key: inout BinaryReader, _ value: UnsafeBufferPointer<UInt8>?) -> Bool {
        change == ChangeKind.buffered
            ? buffer.restore(key.varint(), value) : state.restore(key: key.bytes(key.left), value: value)
    }

    func finishRestore() {
        state.finishRestore()
        buffer.finishRestore()
    }

    // MARK: Snapshots

    func write(to snapshot: SnapshotWriter) {
        let (bytes, scratch) = (snapshot.bytes, Arena(capacity: 1 << 12))
        state.forEach(into: scratch) { key, value in
            bytes.appendByte(ChangeKind.operatorState)
            bytes.appendBlob(scratch.bytes(key))
            bytes.appendBlob(scratch.bytes(value))
            scratch.removeAll()
        }
        buffer.forEach(into: scratch) { sequence, value in
            guard let value else { return }
            bytes.appendByte(ChangeKind.buffered)
            bytes.appendVarint(sequence)
            bytes.appendBlob(scratch.bytes(value))
            scratch.removeAll()
        }
        bytes.appendByte(ChangeKind.meta)
    }

    func read(_ reader: inout BinaryReader, _ snapshot: SnapshotReader) -> Bool {
        while true {
            let isGood: Bool
            switch reader.byte() {
            case ChangeKind.meta: return reader.isValid
            case ChangeKind.operatorState:
                let key = reader.blob()
                isGood = state.restore(key: key, value: reader.blob())
            case ChangeKind.buffered:
                let sequence = reader.varint()
                isGood = buffer.restore(sequence, reader.blob())
            default: isGood = false
            }
            guard isGood, reader.isValid else { return false }
        }
    }

    // MARK: For people

    var summary: StoreSummary? {
        StoreSummary(
            store: step, keys: state.keyCount, bytes: memoryBytes, panes: 0, waiting: buffer.count,
            proof: proof,
            closedUntil: nil)
    }

    /// What an operator remembers is bytes of its own; two states can be told apart by their hash.
    func describe(_ task: TaskState, _ bench: Workbench, _ body: (StateEntry) -> Void) {
        let bytes = Arena(capacity: 1 << 12)
        state.forEach(into: bytes) { key, value in
            let text = Self.printable(bytes.bytes(key))
            bench.json.removeAll()
            bench.json.text(text)
            let keyJson = bench.json.string
            bench.json.removeAll()
            bench.json.beginObject()
            bench.json.member("step", step)
            bench.json.member("operator", name)
            bench.json.member("key", text)
            bench.json.member("bytes", Int64(value.count))
            bench.json.member("hash", hexadecimal(hashBytes(bytes.base + value.lowerBound, value.count)))
            bench.json.endObject()
            body(StateEntry(store: step, key: keyJson, text: text, json: bench.json.string))
            bytes.removeAll()
        }
    }

    /// Text as it is, other bytes as \\xNN.
    private static func printable(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
        bytes.reduce(into: "") { text, byte in
            if byte >= 0x20, byte < 0x7F {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
    }
}

final class TaskOf<Operator: StreamOperator>: OperatorTask {
    private let operation: Operator
    private let own: Operator.State

    init(_ operation: Operator, _ plan: OperatorPlan, id: UInt32, partition: Int32, tracksChanges: Bool) {
        self.operation = operation
        own = operation.makeState(tracksChanges: tracksChanges)
        super.init(own, plan, id: id, partition: partition, tracksChanges: tracksChanges)
    }

    override func release(_ plan: OperatorPlan, before watermark: Int64, rowsMax: Int, drain: () -> Void) {
        let out = plan.rows
        out.partition = partition
        while let first = buffer.first, first < watermark {
            for input in plan.inputs { input.removeAll() }
            plan.taken.removeAll(keepingCapacity: true)
            var bytes = 0
            while plan.taken.count < rowsMax, bytes < Limits.releasedBytesMax,
                let entry = buffer.removeFirst(before: watermark)
            {
                bytes += Int(entry.count)
                plan.taken.append((Int(entry.input), plan.inputs[Int(entry.input)].add(entry, of: buffer)))
            }
            if plan.taken.isEmpty { break }
            for input in plan.inputs where input.rows.count > 0 {
                input.decode()
                operation.prepare(input)
            }
            for (number, row) in plan.taken {
                let input = plan.inputs[number]
                let time = input.times[row]
                advance(to: time, out, drain)
                out.setRoot(reaching: time + 1)
                operation.take(input, row: row, own, into: out)
                if out.isFull { drain() }
            }
        }
        advance(to: watermark, out, drain)
    }

    /// Does what is due before `time`; its rows go on whenever a batch of them is full.
    private func advance(to time: Int64, _ out: RowBuffer, _ drain: () -> Void) {
        while true {
            operation.advance(to: time, own, into: out)
            guard out.isFull else { return }
            drain()
        }
    }

    override func pass(_ plan: OperatorPlan, of source: Int) {
        let out = plan.rows
        out.partition = partition
        for input in plan.inputsOfSource[source] where input.rows.count > 0 { operation.prepare(input) }
        for ((number, row), root) in zip(plan.taken, plan.roots) {
            (out.root, out.watermark) = (root.row, root.watermark)
            operation.take(plan.inputs[number], row: row, own, into: out)
        }
        out.watermark = nil
    }

    override func lose(_ input: OperatorInput, _ key: UnsafeBufferPointer<UInt8>, at time: Int64, now: Int64)
    {
        operation.lose(input, key, at: time, now: now, own)
    }

    override var proof: StateProof? { operation.proof(own) }
}
