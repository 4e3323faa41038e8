/// What of a step or rule names columns of its scope. Whoever asks which of them are read, or moves them to
/// other places, goes through here, so that a field that holds an expression or a column is named once.
protocol ColumnUse {
    /// Calls `columns` with every list of columns, and `expression` with every expression over them.
    mutating func visitColumns(_ columns: (inout [Int]) -> Void, _ expression: (inout Expression) -> Void)
}

extension ColumnUse {
    var columnsRead: Set<Int> {
        var read: Set<Int> = []
        var copy = self
        copy.visitColumns({ read.formUnion($0) }, { $0.collectColumns(into: &read) })
        return read
    }

    /// `map`: for each column, its new place.
    mutating func moveColumns(_ map: [Int]) {
        visitColumns({ $0 = $0.map { map[$0] } }, { $0 = $0.remapped(map) })
    }
}

extension StepSpec: ColumnUse {
    mutating func visitColumns(_ columns: (inout [Int]) -> Void, _ expression: (inout Expression) -> Void) {
        if var join {
            columns(&join.on)
            self.join = join
        }
        visit(&condition, expression)
        for index in derived.indices { expression(&derived[index].expression) }
        columns(&key)
        for index in aggregates.indices {
            visit(&aggregates[index].argument, expression)
            visit(&aggregates[index].condition, expression)
        }
    }

    /// What is left of the step where its rows come to it as another has made them, with the schema that they
    /// have.
    var behindItsRows: StepSpec {
        var step = self
        (step.join, step.condition, step.derived) = (nil, nil, [])
        return step
    }
}

extension RuleSpec: ColumnUse {
    mutating func visitColumns(_ columns: (inout [Int]) -> Void, _ expression: (inout Expression) -> Void) {
        expression(&when)
        visit(&clear, expression)
        columns(&mentioned)
        message = message.map { part in
            guard case .value(var value) = part else { return part }
            expression(&value)
            return .value(value)
        }
    }
}

private func visit(_ optional: inout Expression?, _ body: (inout Expression) -> Void) {
    guard var expression = optional else { return }
    body(&expression)
    optional = expression
}
