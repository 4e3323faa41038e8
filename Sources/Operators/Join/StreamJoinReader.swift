import Base
import Records
import Topology

/// `join: { stream: … }`
struct StreamJoinReader {
    let step: OperatorReader
    private var context: ReadingContext { step.context }

    private static let example = "join: { stream: customs, on: order_id, within: 3d }"

    /// The pairs of the step's input and the stream, under the step's other parts.
    func read(_ node: YamlNode) {
        let before = context.diagnostics.count
        let left = step.graph.input(step.inputs[0], of: step.entry.key)
        guard step.inputs.count == 2,
            let reader = MappingReader(
                node,
                "join",
                keys: ["stream", "on", "kind", "within", "before", "after", "as", "limit"],
                at: step.mapping.keyPosition("join"),
                context,
                example: Self.example
            )
        else { return step.addMistake() }
        let right = step.graph.input(step.inputs[1], of: step.entry.key)
        let kind = reader["kind"].map { context.choice($0, "kind", ["inner", "left", "full"]) } ?? "inner"
        let interval = readInterval(reader)
        let alias = step.readAlias(reader)
        let limits = step.readLimits(reader, [.memory, .rowsPerKey])
        let on = reader.required("on", example: Self.example).flatMap { readOn($0, left, right) }
        guard context.diagnostics.count == before, let kind, let interval, let on, let limits,
            left.isComplete, right.isComplete
        else {
            return step.addMistake()
        }
        let prefix = alias ?? step.inputs[1].text
        let isFull = kind == "full"
        var fields = left.fields
        if isFull {
            for column in fields.indices where !on.contains(where: { $0.left == column }) {
                fields[column].isOptional = true
            }
        }
        fields += right.fields.map { Field(name: "\(prefix).\($0.name)", type: $0.type, isOptional: true) }
        if kind != "inner" { fields.append(Field(name: "\(prefix).found", type: .bool)) }
        if isFull { fields.append(Field(name: "\(step.inputs[0].text).found", type: .bool)) }
        // A join of a join has the time of the whole.
        if let older = fields.firstIndex(where: { $0.name == "joined_at" }) {
            fields[older].name = "joined_before"
        }
        fields.append(Field(name: "joined_at", type: .timestamp))
        var seen: Set<String> = []
        if let twice = fields.first(where: { !seen.insert($0.name).inserted }) {
            context.error(
                step.mapping.keyPosition("join"),
                "the result would have two fields '\(twice.name)'; give the stream another name with as: other"
            )
            return step.addMistake()
        }
        guard fields.count <= Limits.columnsMax else {
            context.error(step.mapping.keyPosition("join"), "more than \(Limits.columnsMax) fields")
            return step.addMistake()
        }
        guard let leftIntake = step.addIntake(left, step.entry.key + "/left", key: on.map(\.left)),
            let rightIntake = step.addIntake(right, step.entry.key + "/right", key: on.map(\.right))
        else { return step.addMistake() }
        let spec = StreamJoinSpec(
            before: interval.before,
            after: interval.after,
            isLeft: kind != "inner",
            isFull: isFull,
            leftCount: left.fields.count,
            rightCount: right.fields.count,
            leftKey: isFull ? on.map(\.left) : [],
            rightKey: isFull ? on.map(\.right) : []
        )
        let operation = OperatorSpec(
            inputs: [leftIntake, rightIntake],
            part: spec,
            schema: Schema(fields),
            timeField: fields.count - 1,
            limits: limits
        )
        let made = step.graph.addStream(
            of: leftIntake,
            step.entry.key + "/",
            operation,
            step.entry.keyPosition
        )
        var draft = step.graph.reader.read(step.mapping, step.entry, from: made)
        if step.mapping["key"] == nil, !draft.hasWindow {
            // What the pairs have in common is their key.
            draft.key = on.map { left.fields[$0.left].name }
            draft.keyColumns = on.map { left.columns[$0.left] }
            draft.spec?.key = on.map(\.left)
        }
        if draft.session != nil { return step.addGap(draft) }
        step.add(draft)
    }

    private func readInterval(_ reader: MappingReader) -> (before: Int64, after: Int64)? {
        let within = reader["within"].map { context.duration($0, "within") }
        let before = reader["before"].map { context.duration($0, "before") }
        let after = reader["after"].map { context.duration($0, "after") }
        if reader["within"] != nil, reader["before"] != nil || reader["after"] != nil {
            context.error(
                reader.keyPosition("within"),
                "within: 3d is before: 3d, after: 3d; write either the one or the others"
            )
            return nil
        }
        guard within != nil || before != nil || after != nil else {
            if !reader.isGiven("within"), !reader.isGiven("before"), !reader.isGiven("after") {
                context.error(
                    reader.position,
                    "join needs 'within', or 'before' and 'after': how far apart in event time partners may be; write "
                        + Self.example
                )
            }
            return nil
        }
        if let within { return within.map { ($0, $0) } }
        guard let earlier = before ?? 0, let later = after ?? 0 else { return nil }
        return (earlier, later)
    }

    /// Pairs of columns that must be equal: names that both inputs have, or left names with right names.
    private func readOn(_ node: YamlNode, _ left: StepReader.Input, _ right: StepReader.Input) -> [(
        left: Int, right: Int
    )]? {
        var names: [(left: ScalarText, right: ScalarText)] = []
        if case .mapping(let entries) = node.content {
            for entry in entries {
                guard let name = context.scalar(entry.value, entry.key, example: "on: { order_id: ref }")
                else { return nil }
                names.append((ScalarText(text: entry.key, position: entry.keyPosition, columns: []), name))
            }
        } else {
            guard let list = context.names(node, "on", example: "on: order_id, or on: { order_id: ref }")
            else { return nil }
            names = list.map { ($0, $0) }
        }
        var result: [(left: Int, right: Int)] = []
        for name in names {
            guard let first = place(name.left, left), let second = place(name.right, right) else {
                return nil
            }
            guard left.fields[first].type == right.fields[second].type else {
                context.error(
                    name.right.position,
                    "'\(name.left.shown)' of \(left.name) is \(left.fields[first].type), and '\(name.right.shown)' of "
                        + "\(right.name) is \(right.fields[second].type)"
                )
                return nil
            }
            result.append((first, second))
        }
        if result.isEmpty { context.error(node.position, "on is empty; write on: order_id") }
        return result.isEmpty ? nil : result
    }

    private func place(_ name: ScalarText, _ input: StepReader.Input) -> Int? {
        if let place = input.fields.firstIndex(where: { $0.name == name.text }) { return place }
        if input.isComplete {
            context.error(
                name.position,
                "no field of \(input.name) '\(name.shown)'\(NearestName.hint(name.text, among: input.fields.map(\.name)))"
            )
        }
        return nil
    }
}
