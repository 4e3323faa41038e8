import Records
import Topology

/// The fields that a sink's records have, with their types.
struct HBaseFields {
    /// Of each kind of record that the sink takes; nil: some are not known because of a mistake elsewhere.
    private let kinds: [(what: String, fields: [(name: String, type: ValueType?)]?)]

    init(_ scope: SinkScope) {
        switch scope.input {
        case .alerts:
            let texts = [
                "alert_id", "topology", "rule", "risk", "severity", "state", "customer", "condition",
                "measure", "message",
            ]
            let fields = texts.map { (name: $0, type: ValueType?.some(.text)) }
            kinds = [("an alert", fields + [("event_time", .timestamp), ("detected_at", .timestamp)])]
        case .steps(let drafts):
            kinds = drafts.map { draft in
                guard draft.hasWindow else {
                    return (
                        "step \(draft.name)", draft.isComplete ? draft.fields.map { ($0.name, $0.type) } : nil
                    )
                }
                let key = draft.keyColumns.map { (name: "key.\($0.name)", type: $0.type) }
                let bounds: [(name: String, type: ValueType?)] = [
                    ("window.start", .timestamp), ("window.end", .timestamp), ("step", .text),
                ]
                let outputs = draft.outputs.map { (name: "values.\($0.name)", type: $0.type) }
                return (
                    "step \(draft.name)",
                    draft.isOutputComplete && draft.key != nil ? key + bounds + outputs : nil
                )
            }
        }
    }

    /// Reports a field that records of some kind do not have, or, where it has to be one, that is no time.
    func check(_ name: String, _ text: ScalarText, _ context: ReadingContext, isTime: Bool = false) {
        for kind in kinds {
            guard let fields = kind.fields else { continue }
            guard let field = fields.first(where: { $0.name == name }) else {
                context.error(
                    text.position,
                    "\(kind.what) has no field '\(name)'\(NearestName.hint(name, among: fields.map(\.name)))")
                return
            }
            if isTime, let type = field.type, type != .timestamp {
                context.error(
                    text.position, "'\(name)' of \(kind.what) is no timestamp, so it can only be {\(name)}")
                return
            }
        }
    }
}
