import Topology

extension TopologySpec {
    /// The longest window before an alert, milliseconds.
    var longestWindow: Int64 {
        steps.reduce(0) { longest, step in
            switch step.window?.length {
            case .milliseconds(let size, _)?: max(longest, size)
            case .days(let size, let slide, _)?: max(longest, Int64(size + slide) * 86_400_000)
            case .weeks(let size, let slide, _)?: max(longest, Int64(size + slide) * 7 * 86_400_000)
            case .months(let size, let slide, _)?: max(longest, Int64(size + slide) * 31 * 86_400_000)
            case nil: longest
            }
        }
    }

    /// How far the records lie back that usually make an alert, milliseconds: windows, and the operators
    /// that say how long rows wait for one another. Not of what has no such bound (levels, money that is
    /// followed).
    var reach: Int64 {
        let operators = steps.reduce(Int64(0)) { sum, step in
            let (next, overflow) = sum.addingReportingOverflow(step.operation?.part.reach ?? 0)
            return overflow ? .max / 8 : next
        }
        let outOfOrder = sources.map(\.outOfOrder).max() ?? 0
        return min(.max / 8, longestWindow) + min(.max / 8, operators) + 2 * min(.max / 16, outOfOrder)
    }
}
