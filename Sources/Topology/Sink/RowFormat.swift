/// How rows are written that a sink takes.
package enum RowFormat: Hashable, Sendable {
    case json
    /// By a schema that is made of the rows. With a registry it is registered, and its id stands before each.
    case avro(RegistrySpec?)

    static let example = "format: { type: avro, registry: { url: \"https://registry:8081\" } }"

    /// `format: avro`, or `{ type: avro, registry: … }`; nil after a mistake.
    package static func read(_ node: YamlNode, _ position: Position, _ scope: SinkScope) -> RowFormat? {
        let context = scope.context
        guard case .mapping = node.content else {
            return context.choice(node, "format", ["json", "avro"]).flatMap {
                $0 == "json" ? .json : checked(.avro(nil), position, scope)
            }
        }
        guard
            let options = MappingReader(
                node, "format", keys: ["type", "registry"], at: position, context, example: example),
            let type = options.required("type", example: example),
            let name = context.choice(type, "type", ["json", "avro"])
        else { return nil }
        guard name == "avro" else {
            if options.isGiven("registry") {
                context.error(options.keyPosition("registry"), "JSON has no schema to be registered")
            }
            return .json
        }
        guard options.isGiven("registry") else { return checked(.avro(nil), position, scope) }
        return RegistryOptions.registry(options, context).flatMap { checked(.avro($0), position, scope) }
    }

    private static func checked(_ format: RowFormat, _ position: Position, _ scope: SinkScope) -> RowFormat? {
        switch scope.input {
        case .alerts:
            scope.context.error(position, "alerts are JSON; Avro is for the rows of a step (from: …)")
            return nil
        case .steps(let steps):
            guard steps.count > 1 else { return format }
            scope.context.error(
                position,
                "a topic of Avro has one schema, and \(scope.what) takes the rows of \(steps.count) steps; give each a "
                    + "sink and a topic of its own")
            return nil
        }
    }
}
