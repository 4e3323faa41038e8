import Records

/// A result that is not, or not always, exact, and how far it may be from what it stands for.
package struct Estimate: Hashable, Sendable {
    /// Index of the step in the topology.
    package var step: Int
    /// The name of the result.
    package var result: String
    /// Different values up to which it is exact; nil: it never need be.
    package var exact: Int?
    /// `standard error 1.6 %`
    package var error: String

    package var description: String {
        guard let exact else { return "\(result): the quantile is an estimate, \(error)" }
        return
            "\(result): distinct is exact up to \(StateBound.grouped(Int64(exact))) different values in the panes of a key, "
            + "and an estimate beyond, \(error)"
    }

    /// Every result of every step that has one, in their order.
    package static func all(_ spec: TopologySpec) -> [Estimate] {
        spec.steps.indices.flatMap { step -> [Estimate] in
            let own = spec.steps[step].operation?.part.results
            let calls = own?.aggregates ?? spec.steps[step].aggregates
            return (own?.outputs ?? spec.steps[step].outputs).flatMap { output -> [Estimate] in
                var columns: Set<Int> = []
                output.expression.collectColumns(into: &columns)
                return columns.sorted().compactMap { column in
                    switch calls[column].function {
                    case .distinct(let exact):
                        Estimate(step: step, result: output.name, exact: exact, error: "standard error 1.6 %")
                    case .quantile:
                        Estimate(
                            step: step, result: output.name, exact: nil,
                            error: "at most 0.8 % from the value at its rank")
                    default: nil
                    }
                }
            }
        }
    }
}
