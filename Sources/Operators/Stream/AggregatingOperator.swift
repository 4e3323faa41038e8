import Topology

/// An operator whose results are those of aggregates, whose arguments and conditions are computed of its
/// input's rows.
protocol AggregatingOperator: RunnableOperator {
    /// As those of a step with a window; their scope is the input's schema.
    var aggregates: [AggregateCall] { get }
    var outputs: [DerivedField] { get }
}

extension AggregatingOperator {
    package var expressions: [Expression] {
        aggregates.flatMap { [$0.argument, $0.condition].compactMap { $0 } } + outputs.map(\.expression)
    }

    package var computed: [(input: Int, name: String, expression: Expression)] {
        aggregates.enumerated().flatMap { call, aggregate in
            [aggregate.argument, aggregate.condition].compactMap { $0 }
                .map { (0, DerivedField.names(of: outputs, reading: call), $0) }
        }
    }
}
