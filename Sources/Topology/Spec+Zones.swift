import Records

extension TopologySpec {
    /// Every time zone that the topology names.
    package var zones: Set<String> {
        var zones: Set<String> = []
        for source in sources {
            for field in source.wire { if let zone = field.zone { zones.insert(zone) } }
            for field in source.derived { field.expression.collectZones(into: &zones) }
        }
        for step in steps {
            if let zone = step.window?.length.zone { zones.insert(zone) }
            step.condition?.collectZones(into: &zones)
            for field in step.derived + step.outputs { field.expression.collectZones(into: &zones) }
            for call in step.aggregates {
                call.argument?.collectZones(into: &zones)
                call.condition?.collectZones(into: &zones)
            }
            for expression in step.operation?.part.expressions ?? [] { expression.collectZones(into: &zones) }
        }
        for rule in rules {
            rule.when.collectZones(into: &zones)
            rule.clear?.collectZones(into: &zones)
            for case .value(let expression) in rule.message { expression.collectZones(into: &zones) }
        }
        return zones
    }
}

extension Expression {
    fileprivate func collectZones(into zones: inout Set<String>) {
        if case .call(let function, _) = node {
            switch function {
            case .hour(let zone), .minute(let zone), .weekday(let zone), .day(let zone), .month(let zone),
                .year(let zone), .date(let zone), .startOfDay(let zone), .second(let zone), .week(let zone),
                .quarter(let zone), .startOfWeek(let zone), .startOfMonth(let zone):
                zones.insert(zone)
            case .timestamp(_, let zone): if let zone { zones.insert(zone) }
            case .timeText(_, let zone): zones.insert(zone)
            default: break
            }
        }
        for child in children { child.collectZones(into: &zones) }
    }

    /// The operands.
    var children: [Expression] {
        switch node {
        case .literal, .column: []
        case .not(let a), .negate(let a), .isNull(let a), .inList(let a, _): [a]
        case .binary(_, let a, let b): [a, b]
        case .inRange(let a, let b, let c), .conditional(let a, let b, let c): [a, b, c]
        case .call(_, let arguments): arguments
        }
    }
}
