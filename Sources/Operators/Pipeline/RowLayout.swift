import Dataflow
import Formats
import Records
import Topology

/// What a row that goes out consists of: its members, and the types of the columns that they take.
struct RowLayout {
    var members: [RowMember]
    var types: [ValueType]

    /// A record of a step.
    init(_ fields: [Field]) {
        members = RowMember.columns(fields)
        types = fields.map(\.type)
    }

    /// A closed window of a step: its key, its bounds, its values.
    init(topology: String, window step: StepSpec, _ outputs: [Field]) {
        let key = step.key.map { step.schema.fields[$0] }
        members = [
            .constant("topology", topology), .constant("step", step.name),
            .group("key", RowMember.columns(key)),
            .group("window", [.column("start"), .column("end")]),
            .group("values", RowMember.columns(outputs)),
        ]
        types = key.map(\.type) + [.timestamp, .timestamp] + outputs.map(\.type)
    }

    /// JSON, for whatever takes them.
    var encoder: any RowEncoder { JsonRowEncoder(members) }
}

extension TopologySpec {
    /// Schema of what a sink gets of a step, where it is written as Avro.
    package func rowSchema(ofStep step: Int) -> AvroRowSchema {
        let step = steps[step]
        let outputs = step.outputs.map { Field(name: $0.name, type: $0.expression.type) }
        let layout =
            step.window == nil
            ? RowLayout(step.schema.fields) : RowLayout(topology: name, window: step, outputs)
        return AvroRowSchema(name: step.name, of: name, layout.members, layout.types)
    }

    /// What writes the rows of a step for a sink; nil: JSON. `schema`: its id, nil: none was registered.
    func rowEncoder(ofSink sink: Int, step: Int, schema: Int32?) -> (any RowEncoder)? {
        guard case .avro = sinks[sink].target.rowFormat else { return nil }
        return AvroRowEncoder(rowSchema(ofStep: step), id: schema)
    }
}
