import Base
import Formats
import Records
import State
import Topology

/// What `SessionSpec` says. The records of an open session are kept, and go through a window of one pane when it
/// closes, so that every aggregate is what it is in other windows.
final class SessionOperator: OrderedOperator {
    private let spec: SessionSpec
    private let window: WindowPlan
    private let store: WindowStore
    private let scratch: WindowScratch
    private let capacity: Int
    private let batch: Batch
    private let decoder: RepartitionDecoder
    private let storage: RawRecordStorage
    private let ids: UnsafeMutablePointer<UInt32>
    private let times: UnsafeMutablePointer<Int64>
    private let instants: UnsafeMutablePointer<Int64>
    private let updates: UnsafeMutablePointer<UInt8>
    private let late: UnsafeMutablePointer<UInt8>
    private let rows: SelectionBuffer
    private let keys: [Column]
    private let arena = Arena(capacity: 1 << 10)
    /// Every session has a pane of its own: the next one.
    private var pane: Int64 = 0
    private static let paneMilliseconds: Int64 = 1000

    init(_ spec: SessionSpec, _ step: StepPlan, capacity: Int, zones: ZoneTables) {
        self.spec = spec
        self.capacity = capacity
        var whole = step.spec
        let length = WindowSpec.Length.milliseconds(size: Self.paneMilliseconds, slide: Self.paneMilliseconds)
        whole.window = WindowSpec(length: length, excludesCurrent: false, position: step.spec.position)
        whole.aggregates = spec.aggregates
        whole.outputs = spec.outputs
        window = WindowPlan(
            whole, outOfOrder: 0, keepsClosed: false, keepsRunning: true, tracksChanges: false, capacity: capacity,
            zones: zones)
        store = window.makeStore()
        scratch = WindowScratch(capacity: capacity)
        batch = Batch(schema: step.spec.schema, capacity: capacity)
        decoder = RepartitionDecoder(step.spec.schema.fields, partitions: Int(Int32.max), capacity: capacity)
        storage = RawRecordStorage(capacity: capacity)
        ids = .allocate(capacity: capacity)
        ids.initialize(repeating: 0, count: capacity)
        times = .allocate(capacity: capacity)
        times.initialize(repeating: 0, count: capacity)
        instants = .allocate(capacity: capacity)
        instants.initialize(repeating: 0, count: capacity)
        updates = .allocate(capacity: capacity)
        updates.initialize(repeating: 1, count: capacity)
        late = .allocate(capacity: capacity)
        late.initialize(repeating: 0, count: capacity)
        rows = SelectionBuffer(capacity: capacity)
        for row in 0..<capacity { rows.rows[row] = Int32(row) }
        keys = spec.key.map { Column(step.spec.schema.fields[$0].type, capacity: 1) }
    }

    deinit {
        ids.deallocate()
        times.deallocate()
        instants.deallocate()
        updates.deallocate()
        late.deallocate()
    }

    func makeState(tracksChanges: Bool) -> any OperatorState { SessionState(gap: spec.gap, tracksChanges: tracksChanges) }

    func take(_ input: OrderedInput, row: Int, _ state: any OperatorState, into maker: RowMaker, _ task: TaskState) {
        guard let state = state as? SessionState else { return }
        let (key, time) = (input.key(of: row), input.times[row])
        if let (id, session) = state.session(key),
            time - session.start >= spec.max || session.count == Limits.sessionRowsMax
        {
            write(id, session, end: session.last, at: time, state, into: maker, task)
        }
        state.add(key, input.bytes(of: row), at: time)
    }

    func advance(to time: Int64, _ state: any OperatorState, into maker: RowMaker, _ task: TaskState) {
        guard let state = state as? SessionState else { return }
        while let (id, due) = state.nextOver(before: time) {
            maker.setOrder(passing: due)
            let session = state.session(state.key(of: id))?.session ?? SessionState.Session()
            write(id, session, end: due, at: due, state, into: maker, task)
        }
    }

    private func write(
        _ id: UInt32, _ session: SessionState.Session, end: Int64, at time: Int64, _ state: SessionState,
        into maker: RowMaker, _ task: TaskState
    ) {
        arena.removeAll()
        KeyCoding.decode(state.key(of: id), into: keys, row: 0, arena: arena)
        pane += 1
        var count = 0
        state.close(id) { bytes, instant in
            storage.values[count] = bytes.baseAddress
            storage.valueCounts[count] = Int32(bytes.count)
            instants[count] = instant
            count += 1
            if count == capacity {
                aggregate(count)
                count = 0
            }
        }
        if count > 0 { aggregate(count) }
        window.gather(
            store, ids: ids, count: 1, .running, at: pane * Self.paneMilliseconds, rows: Selection(rows.rows, count: 1),
            arena: batch.arena)
        maker.begin(
            time: time,
            origin: RepartitionOrigin(partition: task.partition, offset: -1, appended: -1, watermark: .min), task)
        for (column, key) in keys.enumerated() { maker.copy(key, 0, arena, to: column) }
        for (column, output) in window.outputColumns.enumerated() {
            maker.copy(output, 0, batch.arena, to: keys.count + column)
        }
        maker.set(keys.count + window.outputColumns.count, session.start)
        maker.set(keys.count + window.outputColumns.count + 1, end + 1)
    }

    /// Adds the rows in `storage` to the pane.
    private func aggregate(_ count: Int) {
        decoder.decode(RawRecords(at: storage, from: 0, count: count), into: batch)
        for row in 0..<count { times[row] = pane * Self.paneMilliseconds }
        let rows = Selection(rows.rows, count: count)
        store.prepare(
            rows, ids: ids, times: times, watermarks: times, updates: updates, late: late, scratch: scratch)
        if !window.storeIndices.contains(0) {
            store.apply(
                0, rows, times: instants, argument: nil, condition: nil, output: nil, arena: batch.arena, scratch: scratch)
        }
        for (call, index) in window.storeIndices.enumerated() {
            store.apply(
                index, rows, times: instants,
                argument: window.arguments[call]?.run(batch.columns, arena: batch.arena, rows: rows),
                condition: window.conditions[call]?.run(batch.columns, arena: batch.arena, rows: rows), output: nil,
                arena: batch.arena, scratch: scratch)
        }
    }
}
