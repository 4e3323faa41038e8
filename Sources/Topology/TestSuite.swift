/// A `tests.yaml`: given records and moves of the clock, and the alerts that must come of them.
package struct TestSuiteSpec: Sendable {
    package var cases: [TestCaseSpec]
    package init(cases: [TestCaseSpec]) { self.cases = cases }
}

package struct TestCaseSpec: Sendable {
    package var name: String
    package var position: Position
    package var parameters: [String: String]
    package var given: [GivenSpec]
    /// All alerts, in order.
    package var expected: [ExpectedAlert]
    /// Exact counts of dead letters and late records; nil: not compared.
    package var dead: Int?
    package var late: Int?

    package init(
        name: String,
        position: Position,
        parameters: [String: String],
        given: [GivenSpec],
        expected: [ExpectedAlert],
        dead: Int?,
        late: Int?
    ) {
        self.name = name
        self.position = position
        self.parameters = parameters
        self.given = given
        self.expected = expected
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

package struct ExpectedAlert: Sendable {
    /// A mapping; only the members named in it are compared.
    package var members: YamlNode
    package var position: Position

    package init(members: YamlNode, position: Position) {
        self.members = members
        self.position = position
    }
}
