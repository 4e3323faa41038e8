import Base
import Records
import State
import Topology

/// Window steps as an operator sees them with a row of its input: the windows of a key that are current at a
/// time, as far as their records have come. Rows that change such windows go through one by one, so that none
/// of them is seen early.
final class WindowViews {
    /// The results of each window in turn, of one row.
    let columns: [Column]
    /// Holds their texts; emptied by whoever looks.
    let arena = Arena(capacity: 1 << 10)
    private let views: [View]
    private let group: Int
    private let row = SelectionBuffer(capacity: 1)
    private var task: TaskState?
    /// The source of the rows that look.
    private var source = 0

    private struct View {
        var step: StepPlan
        var storeIndices: [Int]
        var aggregates: [Column]
        var outputs: [Program]
    }

    init(_ steps: [StepPlan], zones: ZoneTables) {
        var columns: [Column] = []
        views = steps.map { step in
            guard let window = step.window else {
                unreachable("step \(step.spec.name) has no window to look at")
            }
            let aggregates = step.spec.aggregates.map { Column($0.type, capacity: 1) }
            let outputs = step.spec.outputs.map { Program($0.expression, capacity: 1, zones: zones) }
            columns += outputs.map { $0.resultColumn(aggregates) }
            return View(
                step: step, storeIndices: window.storeIndices, aggregates: aggregates, outputs: outputs)
        }
        self.columns = columns
        group = steps[0].key?.group ?? 0
        row.rows[0] = 0
        row.count = 1
    }

    /// Rows of a source of this task are about to look.
    func use(_ task: TaskState, source: Int) { (self.task, self.source) = (task, source) }

    /// Fills `columns` with what the windows of a key are as of `time`.
    func look(_ key: UnsafeBufferPointer<UInt8>, at time: Int64) {
        guard let task else { unreachable("windows are looked at that belong to no task") }
        // A key that nobody has seen has empty windows, as one has that is known elsewhere.
        let id = task.groups[group].keys.find(key) ?? UInt32.max
        for view in views {
            guard let store = task.stores[view.step.index] else { continue }
            var anchor = store.view.currentAnchor(at: time)
            let (first, newest) = store.view.openAnchors(of: id)
            // One of another source is as far on as that source, and no further than its records let it be
            // read.
            if view.step.source != source, store.view.newest(of: id) != .min {
                anchor = min(anchor, max(newest, first == .min ? newest : first + store.lead))
            }
            anchor = max(anchor, first)
            withUnsafePointer(to: anchor) { anchor in
                store.view.gather(
                    id, anchors: UnsafeBufferPointer(start: anchor, count: 1), view.storeIndices,
                    into: view.aggregates, arena: arena)
            }
            for program in view.outputs where !program.isColumn {
                _ = program.run(view.aggregates, arena: arena, rows: row.selection)
            }
        }
    }
}

extension OperatorSpec {
    /// True if it looks at windows of records that its own rows come of, or come with: it must see none of
    /// them early. `reached`: sources whose rows come of those of one.
    func looks(_ reached: Set<Int>, _ steps: [StepPlan]) -> Bool {
        views.contains { reached.contains(steps[$0].source) }
            && inputs.contains { reached.contains(steps[$0].source) }
    }
}

extension SourcePlan {
    /// True if a row is behind event time; it then is a late record.
    func isLate(_ row: Int) -> Bool {
        let isLate = batch.times[row] < watermarks[row]
        if isLate { late[row] = 1 }
        return isLate
    }
}
