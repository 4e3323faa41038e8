import Base
import Records
import Testing
import Topology

@testable import Operators

/// Compiled expressions against a plain interpreter, row by row.
@Suite struct ExpressionTests {
    static let rows = 64
    static let types: [ValueType] = [
        .int, .int, .decimal(scale: 2), .decimal(scale: 2), .decimal(scale: 5), .decimal(scale: 9), .bool,
        .bool, .text,
        .text, .timestamp, .timestamp, .duration, .duration,
    ]

    /// Random typed expressions over random columns, a third of them null, with numbers at the edge of 64
    /// bits.
    @Test(arguments: [UInt64(1), 2, 3, 4])
    func agreesWithAnInterpreter(seed: UInt64) {
        print("seed \(seed)")
        let random = Dice(seed: seed)
        var overflows = 0
        var values = 0
        for _ in 0..<1500 {
            let table = Table(Self.types, rows: Self.rows, random)
            let type = Self.types.pick(random) ?? .int
            let expression = RandomExpression.make(type, depth: Int(random.next() % 5), Self.types, random)
            let program = Program(expression, capacity: Self.rows, zones: ZoneTables([:]))
            // Twice: the registers hold what the run before left there.
            for _ in 0..<2 {
                let column = table.run(program)
                for row in table.selected {
                    let expected = Interpreter.value(expression, table.cells(row))
                    let found = table.cell(column, row, expression.type)
                    if expected == .overflow { overflows += 1 }
                    if expected != .null { values += 1 }
                    guard found == expected else {
                        Issue.record(
                            "\(expression.description) of \(table.cells(row)): \(found), not \(expected)")
                        return
                    }
                }
            }
        }
        #expect(overflows > 1000 && values > 50_000, "\(overflows) \(values)")
    }

    /// Conditions find the rows where a plain interpreter says true: one to four terms, many of them a column
    /// beside a literal.
    @Test(arguments: [UInt64(1), 2, 3, 4])
    func conditionsAgreeWithAnInterpreter(seed: UInt64) {
        print("seed \(seed)")
        let random = Dice(seed: seed)
        var hits = 0
        for _ in 0..<3000 {
            let table = Table(Self.types, rows: Self.rows, random)
            func term() -> Expression {
                RandomExpression.make(.bool, depth: 1 + Int(random.next() % 2), Self.types, random)
            }
            let expression = (0..<random.next() % 4).reduce(term()) { left, _ in
                Expression(.binary(.and, left, term()), .bool, at: Position(line: 1, column: 1))
            }
            let condition = Condition(expression, capacity: Self.rows, zones: ZoneTables([:]))
            // Twice: the buffer holds what the run before left there.
            for _ in 0..<2 {
                let found = table.run(condition)
                let expected = table.selected.filter {
                    Interpreter.value(expression, table.cells($0)) == .number(1)
                }
                hits += expected.count
                guard found == expected else {
                    Issue.record("\(expression.description): \(found), not \(expected)")
                    return
                }
            }
        }
        #expect(hits > 20_000, "\(hits)")
    }

    /// The corners of single operators on hostile operands.
    @Test func extremes() {
        func int(_ value: Int64) -> Expression { constant(.number(value, scale: 0), .int) }
        func money(_ value: Int64) -> Expression { constant(.number(value, scale: 2), .decimal(scale: 2)) }
        func binary(_ operation: BinaryOperator, _ a: Expression, _ b: Expression, _ type: ValueType) -> Cell
        {
            run(Expression(.binary(operation, a, b), type, at: Position(line: 1, column: 1)))
        }
        func call(_ function: Function, _ arguments: [Expression], _ type: ValueType) -> Cell {
            run(Expression(.call(function, arguments), type, at: Position(line: 1, column: 1)))
        }
        #expect(binary(.remainder, int(.min), int(-1), .int) == .number(0))
        #expect(binary(.remainder, int(5), int(0), .int) == .null)
        #expect(binary(.divide, int(.min), int(-1), .decimal(scale: 6)) == .overflow)
        #expect(binary(.divide, money(.min), int(-1), .decimal(scale: 2)) == .overflow)
        #expect(binary(.divide, money(100), int(0), .decimal(scale: 2)) == .null)
        #expect(binary(.divide, money(25), int(10), .decimal(scale: 2)) == .number(2))
        #expect(binary(.divide, money(35), int(10), .decimal(scale: 2)) == .number(4))
        #expect(binary(.divide, int(1), int(3), .decimal(scale: 6)) == .number(333_333))
        #expect(binary(.multiply, int(.min), int(-1), .int) == .overflow)
        // The whole number alone would not fit at two places; the sum does.
        #expect(
            binary(.add, int(92_233_720_368_547_759), money(-100), .decimal(scale: 2))
                == .number(9_223_372_036_854_775_800))
        #expect(call(.abs, [int(.min)], .int) == .overflow)
        #expect(call(.ceil, [int(.min)], .int) == .number(.min))
        #expect(call(.ceil, [money(.min)], .int) == .number(-92_233_720_368_547_758))
        #expect(call(.floor, [money(-1)], .int) == .number(-1))
        #expect(call(.ceil, [money(-199)], .int) == .number(-1))
        #expect(call(.least, [int(.max), money(1)], .decimal(scale: 2)) == .number(1))
        #expect(call(.greatest, [int(.max), money(1)], .decimal(scale: 2)) == .overflow)
        #expect(call(.round(places: 9), [int(.max)], .decimal(scale: 9)) == .overflow)
        #expect(call(.round(places: 0), [money(250)], .int) == .number(2))
        #expect(call(.round(places: 0), [money(-350)], .int) == .number(-4))
    }

    @Test(arguments: [
        (Function.lower, "ÀB ẞ", "àb ß"), (.upper, "aé1", "AÉ1"), (.trim, " \t a b\r\n", "a b"),
        (.trim, "  ", ""),
        (.lower, "", ""), (.trim, "\u{A0}a", "\u{A0}a"),
    ])
    func texts(function: Function, text: String, expected: String) {
        let expression = Expression(
            .call(function, [constant(.text(text), .text)]), .text, at: Position(line: 1, column: 1))
        #expect(run(expression) == .text(Array(expected.utf8)))
    }

    @Test(arguments: [
        ("naïve 🙂x", 0, 5, "naïve"), ("naïve 🙂x", 6, 1, "🙂"), ("abc", 1, 100, "bc"), ("abc", 3, 1, ""),
        ("abc", 9, 1, ""),
        ("abc", 1, 0, ""), ("abc", 1, -1, ""), ("abc", 1, Int64.max, "bc"), ("", 0, 1, ""),
    ])
    func substrings(text: String, start: Int64, count: Int64, expected: String) {
        let arguments = [
            constant(.text(text), .text), constant(.number(start, scale: 0), .int),
            constant(.number(count, scale: 0), .int),
        ]
        let expression = Expression(.call(.substring, arguments), .text, at: Position(line: 1, column: 1))
        #expect(run(expression) == .text(Array(expected.utf8)))
    }

    /// A text that grows beyond the bound is refused as an overflow.
    @Test func longTexts() {
        let half = constant(.text(String(repeating: "x", count: Limits.textBytesMax / 2)), .text)
        let one = constant(.text("y"), .text)
        #expect(
            run(Expression(.call(.concat, [half, half]), .text, at: Position(line: 1, column: 1)))
                != .overflow)
        #expect(
            run(Expression(.call(.concat, [half, half, one]), .text, at: Position(line: 1, column: 1)))
                == .overflow)
    }

    /// Parts of instants in zones, computed beforehand; before 1970, across changes of clocks.
    @Test(arguments: [
        ("2011-01-05T10:15:59Z", "UTC", [10, 15, 3, 5, 1, 2011], "2011-01-05", "2011-01-05T00:00:00Z"),
        (
            "2011-01-05T16:00:00Z", "Asia/Shanghai", [0, 0, 4, 6, 1, 2011], "2011-01-06",
            "2011-01-05T16:00:00Z"
        ),
        ("1969-12-31T23:59:59.999Z", "UTC", [23, 59, 3, 31, 12, 1969], "1969-12-31", "1969-12-31T00:00:00Z"),
        (
            "2024-02-29T12:00:00Z", "America/New_York", [7, 0, 4, 29, 2, 2024], "2024-02-29",
            "2024-02-29T05:00:00Z"
        ),
        (
            "2024-03-10T07:30:00Z", "America/New_York", [3, 30, 7, 10, 3, 2024], "2024-03-10",
            "2024-03-10T05:00:00Z"
        ),
        (
            "2024-11-03T06:30:00Z", "America/New_York", [1, 30, 7, 3, 11, 2024], "2024-11-03",
            "2024-11-03T04:00:00Z"
        ),
        (
            "2018-11-04T12:00:00Z", "America/Sao_Paulo", [10, 0, 7, 4, 11, 2018], "2018-11-04",
            "2018-11-04T03:00:00Z"
        ),
        (
            "2024-01-01T00:00:00Z", "Asia/Kathmandu", [5, 45, 1, 1, 1, 2024], "2024-01-01",
            "2023-12-31T18:15:00Z"
        ),
    ])
    func timeParts(instant: String, zone: String, parts: [Int64], date: String, start: String) throws {
        let time = constant(.timestamp(try milliseconds(instant)), .timestamp)
        let zones = ZoneTables([zone: try TimeZoneTable.read(zone)])
        func call(_ function: Function, _ type: ValueType) -> Cell {
            run(Expression(.call(function, [time]), type, at: Position(line: 1, column: 1)), zones)
        }
        let functions: [Function] = [
            .hour(zone: zone), .minute(zone: zone), .weekday(zone: zone), .day(zone: zone),
            .month(zone: zone), .year(zone: zone),
        ]
        #expect(functions.map { call($0, .int) } == parts.map { .number($0) })
        #expect(call(.date(zone: zone), .text) == .text(Array(date.utf8)))
        #expect(call(.startOfDay(zone: zone), .timestamp) == .number(try milliseconds(start)))
    }

    /// Weeks of ISO 8601, quarters, seconds, and where week and month begin.
    @Test(arguments: [
        ("2011-01-01T10:15:59Z", "UTC", [59, 52, 1], "2010-12-27T00:00:00Z", "2011-01-01T00:00:00Z"),
        ("2009-12-31T12:00:00Z", "UTC", [0, 53, 4], "2009-12-28T00:00:00Z", "2009-12-01T00:00:00Z"),
        ("2024-12-30T00:00:00Z", "UTC", [0, 1, 4], "2024-12-30T00:00:00Z", "2024-12-01T00:00:00Z"),
        (
            "2024-03-31T16:30:07Z", "Asia/Shanghai", [7, 14, 2], "2024-03-31T16:00:00Z",
            "2024-03-31T16:00:00Z"
        ),
        (
            "2024-03-12T07:30:00Z", "America/New_York", [0, 11, 1], "2024-03-11T04:00:00Z",
            "2024-03-01T05:00:00Z"
        ),
        ("1969-12-29T00:00:00.500Z", "UTC", [0, 1, 4], "1969-12-29T00:00:00Z", "1969-12-01T00:00:00Z"),
    ])
    func weeksAndMonths(instant: String, zone: String, parts: [Int64], week: String, month: String) throws {
        let time = constant(.timestamp(try milliseconds(instant)), .timestamp)
        let zones = ZoneTables([zone: try TimeZoneTable.read(zone)])
        func call(_ function: Function, _ type: ValueType) -> Cell {
            run(Expression(.call(function, [time]), type, at: Position(line: 1, column: 1)), zones)
        }
        #expect(
            [Function.second(zone: zone), .week(zone: zone), .quarter(zone: zone)].map { call($0, .int) }
                == parts.map { .number($0) })
        #expect(call(.startOfWeek(zone: zone), .timestamp) == .number(try milliseconds(week)))
        #expect(call(.startOfMonth(zone: zone), .timestamp) == .number(try milliseconds(month)))
    }

    /// Timestamps that no calendar knows are an overflow, not a crash.
    @Test(
        arguments: [Int64.min, .min + 1, -9_000_000_000_000_000, 9_000_000_000_000_000, .max - 1, .max],
        ["UTC", "Asia/Shanghai"])
    func impossibleTimes(time: Int64, zone: String) throws {
        let zones = ZoneTables([zone: try TimeZoneTable.read(zone)])
        let column = constant(.timestamp(time), .timestamp)
        let functions: [(Function, ValueType)] = [
            (.hour(zone: zone), .int), (.minute(zone: zone), .int), (.weekday(zone: zone), .int),
            (.day(zone: zone), .int),
            (.month(zone: zone), .int), (.year(zone: zone), .int), (.date(zone: zone), .text),
            (.startOfDay(zone: zone), .timestamp),
            (.second(zone: zone), .int), (.week(zone: zone), .int), (.quarter(zone: zone), .int),
            (.startOfWeek(zone: zone), .timestamp), (.startOfMonth(zone: zone), .timestamp),
        ]
        for (function, type) in functions {
            #expect(
                run(Expression(.call(function, [column]), type, at: Position(line: 1, column: 1)), zones)
                    == .overflow)
        }
        let text = run(Expression(.call(.text, [column]), .text, at: Position(line: 1, column: 1)), zones)
        #expect(text != .null && text != .overflow)
    }

    private func milliseconds(_ text: String) throws -> Int64 {
        try #require(CivilTime.parse(text)).milliseconds
    }

    private func constant(_ value: Value, _ type: ValueType) -> Expression {
        Expression(.literal(value), type, at: Position(line: 1, column: 1))
    }

    private func run(_ expression: Expression, _ zones: ZoneTables = ZoneTables([:])) -> Cell {
        let random = Dice(seed: 1)
        let table = Table([], rows: 1, random)
        let program = Program(expression, capacity: 1, zones: zones)
        return table.cell(table.run(program), 0, expression.type)
    }
}
