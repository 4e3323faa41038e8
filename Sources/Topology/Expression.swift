import Records

/// A typed expression: what the type checker made of a text, and what the operators compile to loops.
/// Every operand already has the type that its operator needs; the checker has inserted nothing silently
/// but the common scale of two numbers, which the kernels take from the operands' types.
package struct Expression: Hashable, Sendable {
    package var node: Node
    package var type: ValueType
    package var position: Position

    package init(_ node: Node, _ type: ValueType, at position: Position) {
        self.node = node
        self.type = type
        self.position = position
    }

    package indirect enum Node: Hashable, Sendable {
        case literal(Value)
        /// A column of the scope that the expression was checked in, by index.
        case column(Int)
        case not(Expression)
        case negate(Expression)
        case binary(BinaryOperator, Expression, Expression)
        /// `x in [a, b]`; the members are literals of x's type.
        case inList(Expression, [Value])
        /// `x in a..b`, both ends included.
        case inRange(Expression, Expression, Expression)
        case isNull(Expression)
        /// `if c then a else b`
        case conditional(Expression, Expression, Expression)
        case call(Function, [Expression])
    }
}

package enum BinaryOperator: String, Hashable, Sendable, CaseIterable {
    case or, and
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case remainder = "%"
}

/// Functions of one row. Null in gives null out, but for `coalesce`.
package enum Function: Hashable, Sendable {
    /// Numbers and durations.
    case abs
    /// Least and greatest of the arguments, which have one type.
    case least, greatest
    /// `round(x, places)`: half to even; the result has `places` as its scale.
    case round(places: Int)
    case floor, ceil
    /// The first argument that is not null.
    case coalesce
    /// Text. `length` counts Unicode scalars; `substring(t, start, count)` too, from 0.
    case length, lower, upper, trim, startsWith, endsWith, contains, substring, concat
    /// `replace(t, "a", "b")`: each place, from the left.
    case replace
    /// `split(t, ",", 0)`: the part at that place, from 0; null where there are fewer.
    case split
    /// `position(t, "a")`: in scalars from 0; null where it is not there.
    case position
    /// Whether the pattern is in the text; its group or itself, null where it is not.
    case matches(TextPattern)
    case extract(TextPattern)
    /// Rounded to so many places; null where there is no result.
    case squareRoot(places: Int)
    case naturalLogarithm(places: Int)
    case decimalLogarithm(places: Int)
    case exponential(places: Int)
    case power(places: Int)
    /// Metres between two places in degrees: latitude, longitude, latitude, longitude.
    case distance
    /// A number, bool or timestamp as text, as it stands in messages and JSON.
    case text
    /// Text to number at this scale; null where the text is no such number.
    case number(scale: Int)
    /// Text to timestamp by patterns (ISO 8601 where there are none), in a zone where the text has none; null
    /// where it is no such time.
    case timestamp(patterns: [TimePattern], zone: String?)
    /// A timestamp as the clocks of a zone show it.
    case timeText(TimePattern, zone: String)
    /// Parts of a timestamp in a zone (an IANA name): hour 0-23, minute 0-59, weekday 1 (Monday)-7,
    /// day 1-31, month 1-12, year; `date` as text, `2011-01-05`; `startOfDay` as timestamp.
    case hour(zone: String)
    case minute(zone: String)
    case weekday(zone: String)
    case day(zone: String)
    case month(zone: String)
    case year(zone: String)
    case date(zone: String)
    case startOfDay(zone: String)
    /// Second 0-59, week of ISO 8601 (1-53), quarter 1-4; the first instants of the week (Monday) and of the
    /// month.
    case second(zone: String)
    case week(zone: String)
    case quarter(zone: String)
    case startOfWeek(zone: String)
    case startOfMonth(zone: String)
    /// A duration in whole units, rounded down, and back.
    case milliseconds, seconds, minutes, hours
}

/// One aggregate function over the records of a window, with the expressions that feed it. Both are
/// checked in the scope of the step's input records.
package struct AggregateCall: Hashable, Sendable {
    package var function: AggregateFunction
    /// nil for `count()`.
    package var argument: Expression?
    /// Only records for which this is true take part.
    package var condition: Expression?
    package var type: ValueType
    package var position: Position

    package init(
        _ function: AggregateFunction,
        argument: Expression?,
        condition: Expression?,
        type: ValueType,
        at position: Position
    ) {
        self.function = function
        self.argument = argument
        self.condition = condition
        self.type = type
        self.position = position
    }
}

/// Records whose condition is not true take no part. Of none that takes part `count`, `distinct` and `sum`
/// are 0, the others null; of nothing but nulls `sum` is null as well.
///
/// Types: `count` and `distinct` are int; `sum`, `min`, `max`, `first`, `last` have the argument's type;
/// `avg` has a decimal argument's scale, decimal(6) for an int; `stddev` (of the population) has the
/// argument's scale + 2, decimal(6) for an int; `quantile` has the argument's type.
package enum AggregateFunction: Hashable, Sendable {
    case count, sum, avg, min, max, first, last, stddev
    /// Exact while at most `exact` different values are in a key's panes, then HyperLogLog, standard error
    /// 1.6 %.
    case distinct(exact: Int)
    /// DDSketch; `perMille` 500 is the median. At most 0.8 % from the value at its rank.
    case quantile(perMille: Int)
    /// Calendar days of the window that lie behind the key's first record in it, at least 1; for windows
    /// of days only. `daily_amount: sum(amount) / days()`.
    case days
    /// Start and end of the window, timestamps.
    case windowStart, windowEnd
}
