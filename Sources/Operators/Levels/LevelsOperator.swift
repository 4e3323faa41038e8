import Base
import Dataflow
import Formats
import Records
import State
import Topology

/// Grades the response to keys: what `LevelsSpec` says, on the items that `LevelState` keeps.
final class LevelsOperator: StreamOperator {
    private typealias Result = LevelsSpec.Column

    private let spec: LevelsSpec
    private let limits: OperatorLimits
    private let item: Program
    private let active: Program
    private let weight: Program
    /// Of the rows that `prepare` was given last.
    private var columns: (item: Column, active: Column, weight: Column)?
    /// One row of the key's fields.
    private let key: [Column]
    private let keyArena = Arena(capacity: 256)
    private let itemsInput: Int

    init(_ spec: LevelsSpec, _ context: OperatorContext) {
        self.spec = spec
        limits = context.limits
        func program(_ expression: Expression) -> Program {
            Program(expression, capacity: context.capacity, zones: context.zones)
        }
        (item, active, weight) = (program(spec.item), program(spec.active), program(spec.weight))
        itemsInput = spec.control == nil ? 0 : 1
        let items = context.inputs[itemsInput]
        key = items.key.map { Column(items.schema.fields[$0].type, capacity: 1) }
    }

    func makeState(tracksChanges: Bool) -> LevelState {
        let levels = spec.levels.map {
            LevelRules.Level(at: $0.at, below: $0.below, hold: $0.hold, many: $0.many)
        }
        return LevelState(
            LevelRules(levels: levels, expire: spec.expire, group: spec.group, items: limits.items),
            tracksChanges: tracksChanges)
    }

    func prepare(_ input: OperatorInput) {
        guard input.index == itemsInput else { return }
        columns = (
            item.run(input.columns, arena: input.arena, rows: input.rows),
            active.run(input.columns, arena: input.arena, rows: input.rows),
            weight.run(input.columns, arena: input.arena, rows: input.rows)
        )
    }

    func take(_ input: OperatorInput, row: Int, _ state: LevelState, into out: RowBuffer) {
        if input.index == itemsInput {
            takeItem(input, row, state, into: out)
        } else if let control = spec.control {
            takeControl(control, input, row, state, into: out)
        }
    }

    func advance(to time: Int64, _ state: LevelState, into out: RowBuffer) {
        while !out.isFull, let (id, due, cause) = state.fire(before: time) {
            if !state.changes.isEmpty {
                out.setOrder(passing: due)
                let origin = RepartitionOrigin.time(of: out.partition)
                var row = Row(id: id, time: due, origin: origin, items: items(of: id, state))
                row.cause =
                    switch cause {
                    case .hold: "hold"
                    case .expiry: "expiry"
                    case .control: "control"
                    }
                writeChanges(row, state, into: out)
            }
            state.settle(id)
        }
    }

    // MARK: Records

    private func takeItem(
        _ input: OperatorInput, _ row: Int, _ state: LevelState, into out: RowBuffer
    ) {
        guard let columns, columns.item.valid[row] == 1 else { return }
        let text = TextReference(packed: columns.item.values[row])
        let name = UnsafeBufferPointer(
            start: UnsafePointer(input.arena.base + text.offset), count: text.count)
        let id = state.id(of: input.key(of: row))
        let isActive = columns.active.valid[row] == 1 && columns.active.values[row] != 0
        let weight = columns.weight.valid[row] == 1 ? columns.weight.values[row] : 0
        let time = input.times[row]
        switch state.take(name, isActive: isActive, weight: weight, time: time, of: id) {
        case .changed where !state.changes.isEmpty:
            var made = Row(id: id, time: time, origin: input.origin(of: row), items: items(of: id, state))
            made.cause = String(decoding: name, as: UTF8.self)
            writeChanges(made, state, into: out)
        case .tooMany:
            out.refuse(input, row, .tooManyItems, .items, "its key has \(limits.items) items")
        case .nameTooLong:
            out.refuse(input, row, .nameTooLong, .itemNameBytes, "the item's name has \(name.count) bytes")
        case .changed, .nothing: break
        }
        state.settle(id)
    }

    private func takeControl(
        _ control: LevelsSpec.Control, _ input: OperatorInput, _ row: Int, _ state: LevelState,
        into out: RowBuffer
    ) {
        let id = state.id(of: input.key(of: row))
        let time = input.times[row]
        let level = state.level(of: id)
        var made = Row(id: id, time: time, origin: input.origin(of: row), items: "")
        made.action = input.string(control.action, row)
        made.item = control.item.flatMap { input.string($0, row) }
        made.until = control.until.flatMap {
            input.columns[$0].valid[row] == 1 ? input.columns[$0].values[row] : nil
        }
        (made.reason, made.owner) = (input.string(control.reason, row), input.string(control.owner, row))
        let refusal = follow(made, control, input, row, state, out)
        made.items = items(of: id, state)
        made.cause = refusal.map { "refused: \($0)" } ?? made.action ?? ""
        write(made, "control", LevelChange(level: level, previous: level), state, into: out)
        if refusal == nil {
            made.cause = "control"
            (made.item, made.until) = (nil, nil)
            writeChanges(made, state, into: out)
        }
        state.settle(id)
    }

    /// Why a control is not followed; nil: it is.
    private func follow(
        _ made: Row, _ control: LevelsSpec.Control, _ input: OperatorInput, _ row: Int, _ state: LevelState,
        _ out: RowBuffer
    ) -> String? {
        guard let action = made.action, !action.isEmpty else { return "no action" }
        guard ["suppress", "snooze", "resume"].contains(action) else {
            return "no action '\(action.prefix(100))'; there are suppress, snooze and resume"
        }
        if made.reason?.isEmpty ?? true { return "no reason" }
        if made.owner?.isEmpty ?? true { return "no owner" }
        let item = control.item.flatMap { input.columns[$0].valid[row] == 1 ? input.text($0, row) : nil }
        let request: LevelControl
        switch action {
        case "suppress": request = .suppress(item: item, until: made.until)
        case "snooze":
            if item != nil { return "snooze is for all items; leave out 'item', or suppress it" }
            guard let until = made.until else { return "snooze needs 'until'" }
            request = .snooze(until: until)
        default: request = .resume(item: item)
        }
        do {
            try state.take(request, time: made.time, of: made.id)
            return nil
        } catch {
            if error == .tooMany { out.note(.items, input.key(of: row)) }
            if error == .nameTooLong { out.note(.itemNameBytes, input.key(of: row)) }
            return switch error {
            case .isOver: "'until' is not after the record"
            case .nothingToResume: "nothing to resume"
            case .tooMany: "\(limits.items) items are suppressed already"
            case .nameTooLong: "the item's name is longer than \(Limits.levelItemBytesMax) bytes"
            }
        }
    }

    // MARK: Rows

    private struct Row {
        var id: UInt32
        var time: Int64
        var origin: RepartitionOrigin
        var items: String
        var cause = ""
        var action: String?
        var item: String?
        var until: Int64?
        var reason: String?
        var owner: String?
    }

    private func writeChanges(_ row: Row, _ state: LevelState, into out: RowBuffer) {
        for change in state.changes {
            write(row, change.level > change.previous ? "up" : "down", change, state, into: out)
        }
    }

    private func write(
        _ row: Row, _ direction: String, _ change: LevelChange, _ state: LevelState, into out: RowBuffer
    ) {
        out.begin(time: row.time, origin: row.origin)
        keyArena.removeAll()
        KeyCoding.decode(state.key(of: row.id), into: key, row: 0, arena: keyArena)
        for (column, from) in key.enumerated() { out.copy(from, 0, keyArena, to: column) }
        func place(_ column: Result) -> Int { key.count + column.rawValue }
        out.set(place(.level), text: name(of: change.level))
        out.set(place(.previous), text: name(of: change.previous))
        out.set(place(.direction), text: direction)
        out.set(place(.score), state.score(of: row.id))
        out.set(place(.items), text: row.items)
        out.set(place(.repeats), state.repeats(of: row.id))
        if change.level != change.previous, change.level > 0,
            let measure = spec.levels[change.level - 1].measure
        {
            out.set(place(.measure), text: measure)
        }
        out.set(place(.cause), text: row.cause)
        if let item = row.item { out.set(place(.item), text: item) }
        if let until = row.until { out.set(place(.until), until) }
        if let reason = row.reason { out.set(place(.reason), text: reason) }
        if let owner = row.owner { out.set(place(.owner), text: owner) }
    }

    private func name(of level: Int) -> String { level == 0 ? LevelsSpec.none : spec.levels[level - 1].name }

    private func items(of id: UInt32, _ state: LevelState) -> String {
        let items = state.items(of: id).enumerated().sorted { a, b in
            (-Int128(a.element.weight), a.offset) < (-Int128(b.element.weight), b.offset)
        }
        var text = ""
        for (_, item) in items.prefix(Limits.levelItemsListed) {
            if !text.isEmpty { text += ", " }
            let weight = Decimal.string(item.weight, scale: spec.weight.type.scale)
            text += "\(String(decoding: item.name, as: UTF8.self)) \(weight)"
            if state.isSuppressed(item, of: id) { text += " (suppressed)" }
        }
        let more = items.count - Limits.levelItemsListed
        return more > 0 ? text + " and \(more) more" : text
    }
}

extension OperatorInput {
    /// nil where it is null.
    fileprivate func string(_ column: Int, _ row: Int) -> String? {
        columns[column].valid[row] == 1 ? String(decoding: text(column, row), as: UTF8.self) : nil
    }
}
