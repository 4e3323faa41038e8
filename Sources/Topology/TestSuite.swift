/// A `tests.yaml`: given records and moves of the clock, and the alerts and records that must come of them.
package struct TestSuiteSpec: Sendable {
    package var cases: [TestCaseSpec]
    /// What mistakes call it.
    package var file: String

    package init(cases: [TestCaseSpec], file: String) {
        self.cases = cases
        self.file = file
    }
}

package struct TestCaseSpec: Sendable {
    package var name: String
    package var position: Position
    package var parameters: [String: String]
    package var given: [GivenSpec]
    /// All alerts, in order; nil: not compared.
    package var expected: [ExpectedMembers]?
    /// For each sink named, all its records, in order. Other sinks are not compared.
    package var records: [ExpectedRecords]
    /// Exact counts of dead letters and late records; nil: not compared.
    package var dead: Int?
    package var late: Int?

    package init(
        name: String,
        position: Position,
        parameters: [String: String],
        given: [GivenSpec],
        expected: [ExpectedMembers]?,
        records: [ExpectedRecords],
        dead: Int?,
        late: Int?
    ) {
        self.name = name
        self.position = position
        self.parameters = parameters
        self.given = given
        self.expected = expected
        self.records = records
        self.dead = dead
        self.late = late
    }
}

package enum GivenSpec: Sendable {
    /// A record of a source. Paths are wire names with dots, as in the file. It is given `repeatCount` times;
    /// `{n}` in its values counts from 0, and its time moves by `everyMilliseconds` each time.
    case record(
        source: String,
        members: [(path: String, value: YamlNode)],
        repeatCount: Int,
        everyMilliseconds: Int64,
        Position
    )
    /// All event time moves to here: milliseconds since 1970, UTC.
    case clock(Int64, Position)
}

/// An alert or a record of a sink.
package struct ExpectedMembers: Sendable {
    /// A mapping; only the members named in it are compared.
    package var members: YamlNode
    package var position: Position

    package init(members: YamlNode, position: Position) {
        self.members = members
        self.position = position
    }
}

/// What a sink must be given, under its name.
package struct ExpectedRecords: Sendable {
    package var sink: String
    package var records: [ExpectedMembers]
    package var position: Position

    package init(sink: String, records: [ExpectedMembers], position: Position) {
        self.sink = sink
        self.records = records
        self.position = position
    }
}
