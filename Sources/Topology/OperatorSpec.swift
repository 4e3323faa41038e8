import Records

/// An operator that takes the rows of one or more steps and makes rows of its own.
package struct OperatorSpec: Sendable {
    package enum Kind: Sendable {
        /// The rows of all inputs, as they come.
        case union(UnionSpec)
    }

    /// Steps whose rows it takes; each has the key that the operator works by, or none if it needs none.
    package var inputs: [Int]
    package var kind: Kind
    /// The rows that it makes.
    package var schema: Schema
    /// Index in `schema` of their event time, a timestamp.
    package var timeField: Int

    package init(inputs: [Int], kind: Kind, schema: Schema, timeField: Int) {
        self.inputs = inputs
        self.kind = kind
        self.schema = schema
        self.timeField = timeField
    }
}

extension OperatorSpec {
    /// False for operators that remember nothing between batches.
    package var hasState: Bool {
        switch kind {
        case .union: false
        }
    }

    /// True if a row waits until event time has passed it: it may have to go before others that come later.
    package var waitsForEventTime: Bool {
        switch kind {
        case .union: false
        }
    }

    /// All that gives its state a meaning, for a person to compare.
    package func definition(_ spec: TopologySpec) -> String {
        switch kind {
        case .union: "union"
        }
    }
}

/// `from: [a, b]`
package struct UnionSpec: Sendable {
    /// For each input, the columns of its schema that become those of the union, in their order.
    package var columns: [[Int]]

    package init(columns: [[Int]]) { self.columns = columns }
}

extension TopologySpec {
    /// The stream that a step makes, as an index of `sources`; nil: nobody reads it.
    package func stream(of step: Int) -> Int? {
        sources.firstIndex { source in
            if case .stream(step) = source.origin { true } else { false }
        }
    }

    /// Steps whose rows an operator takes.
    package var operatorInputs: Set<Int> { Set(steps.flatMap { $0.maker?.inputs ?? [] }) }
}
