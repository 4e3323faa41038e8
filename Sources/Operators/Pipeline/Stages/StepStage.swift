import Base
import Dataflow
import Records
import State
import Topology

/// A row that one step cannot take. Other steps that do not read from it keep the row.
struct Refusal {
    var row: Int32
    var step: Int16
    var status: RowStatus
    /// The field that has no fit value; nil: the whole row.
    var field: String?
}

/// The second stage: the rows of a stretch that each step has, by its conditions, with its derived fields and
/// its key.
final class StepStage {
    private let topology: CompiledTopology
    private let tables: TableStage
    private let meters: StageMeters
    private let union: RowUnion

    init(_ topology: CompiledTopology, _ meters: StageMeters, _ tables: TableStage) {
        (self.topology, self.meters, self.tables) = (topology, meters, tables)
        union = RowUnion(capacity: topology.options.rowsMax)
    }

    /// Fills the steps' selections.
    func select(_ flow: SourceFlow, _ plan: SourcePlan, _ task: TaskState) {
        for step in flow.steps { select(step, plan, task) }
        for operation in flow.operators { refuse(operation, plan) }
    }

    private func select(_ step: StepPlan, _ plan: SourcePlan, _ task: TaskState) {
        var input: Selection
        switch step.spec.input {
        case .source: input = plan.rows.selection
        case .step(let index): input = topology.steps[index].selection.selection
        }
        // Most steps have none of the few rows of a stretch.
        step.selection.count = 0
        if input.count == 0 { return }
        meters.counters.stepRows[step.index].taken += Int64(input.count)
        if let join = step.join { input = tables.lookUp(join, step, input, plan, task) }
        let batch = plan.batch
        let rows = step.selection.rows
        var count = 0
        if let condition = step.condition {
            let column = condition.run(step.columns, arena: batch.arena, rows: input)
            let (values, valid) = (column.values, column.valid)
            var states: UInt8 = 0
            for index in 0..<input.count {
                let row = input[index]
                states |= valid[row]
                rows[count] = Int32(truncatingIfNeeded: row)
                count += valid[row] == 1 && values[row] != 0 ? 1 : 0
            }
            if states & 2 != 0 { refuseConditions(column, input, step, plan) }
        } else {
            rows.update(from: input.rows, count: input.count)
            count = input.count
        }
        step.selection.count = count
        if count == 0 { return }
        for (program, field) in step.derived {
            let column = program.run(step.columns, arena: batch.arena, rows: step.selection.selection)
            step.refuse(column, isOptional: field.isOptional, field: field.name, plan)
        }
        refuseNullKeys(step, plan)
        if step.stream == nil { meters.counters.stepRows[step.index].given += Int64(step.selection.count) }
    }

    /// Encodes and looks up the keys of every step; its rows have one.
    func findKeys(_ flow: SourceFlow, _ plan: SourcePlan, _ task: TaskState) {
        let arena = plan.batch.arena
        for (key, own, windows) in flow.keys {
            // The union of the steps' rows: rows of several steps are looked up once.
            let rows = rows(of: own, plan)
            if rows.count == 0 { continue }
            key.encode(rows, arena: arena)
            guard !windows.isEmpty else { continue }
            task.groups[key.group].keys.intern(
                key.encoded.values, in: arena, rows: self.rows(of: windows, plan), ids: key.ids)
        }
    }

    private func rows(of steps: [StepPlan], _ plan: SourcePlan) -> Selection {
        steps.count == 1 ? steps[0].selection.selection : union.of(steps, among: plan.rows.selection)
    }

    // MARK: Refusing

    /// Notes those of `rows` whose condition overflowed; they are not in the step's selection.
    private func refuseConditions(_ column: Column, _ rows: Selection, _ step: StepPlan, _ plan: SourcePlan) {
        for index in rows.indices where column.valid[rows[index]] == 2 {
            plan.refusals.append(
                Refusal(row: Int32(rows[index]), step: Int16(step.index), status: .outOfRange, field: "where")
            )
        }
    }

    /// Rows for which an operator would compute a number that does not fit are refused before it takes them
    /// in: later they are bytes that no dead letter could be made of.
    private func refuse(_ operation: OperatorPlan, _ plan: SourcePlan) {
        for (step, field, program) in operation.bounded
        where step.source == plan.index && step.selection.count > 0 {
            let column = program.run(step.columns, arena: plan.batch.arena, rows: step.selection.selection)
            step.refuse(column, isOptional: true, field: field, plan)
        }
    }

    /// Rows whose key has a null leave the step's selection.
    private func refuseNullKeys(_ step: StepPlan, _ plan: SourcePlan) {
        for field in step.spec.key where step.spec.schema.fields[field].isOptional {
            let (valid, rows) = (step.columns[field].valid, step.selection.selection)
            var isGood: UInt8 = 1
            for index in rows.indices { isGood &= valid[rows[index]] }
            if isGood == 1 { continue }
            let name = step.spec.schema.fields[field].name
            step.keep { row in
                if valid[row] == 1 { return true }
                plan.refusals.append(
                    Refusal(row: Int32(row), step: Int16(step.index), status: .nullKey, field: name))
                return false
            }
        }
    }
}

extension StepPlan {
    /// Rows whose value overflowed, or is missing though it must not be, leave the selection.
    func refuse(_ column: Column, isOptional: Bool, field: String, _ plan: SourcePlan) {
        // A null is 0 and an overflow 2.
        let mask: UInt8 = isOptional ? 2 : 3
        let isFit: UInt8 = isOptional ? 0 : 1
        let (valid, rows) = (column.valid, selection.selection)
        var isBad: UInt8 = 0
        for index in rows.indices { isBad |= (valid[rows[index]] & mask) ^ isFit }
        guard isBad != 0 else { return }
        keep { row in
            if (valid[row] & mask) ^ isFit == 0 { return true }
            let status = valid[row] == 0 ? .missingField : RowStatus.overflow(of: column)
            plan.refusals.append(Refusal(row: Int32(row), step: Int16(index), status: status, field: field))
            return false
        }
    }

    /// Leaves the rows in the selection for which `isKept` holds.
    func keep(_ isKept: (Int) -> Bool) {
        let rows = selection.rows
        var count = 0
        for index in 0..<selection.count where isKept(Int(rows[index])) {
            rows[count] = rows[index]
            count += 1
        }
        selection.count = count
    }
}
