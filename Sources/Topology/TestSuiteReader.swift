import Base
import Records

/// Reads a `tests.yaml` strictly. Names of sources and fields are compared with the topology when the tests
/// run, since parameters may change it.
package enum TestSuiteReader {
    static let alertMembers = [
        "alert_id", "topology", "ruleset", "rule", "risk", "severity", "state", "revision", "key", "customer",
        "event_time", "detected_at", "window", "values", "condition", "measure", "message", "cause",
        "completeness", "epoch", "logic", "model", "score", "reasons",
    ]

    /// The suite is there exactly if no diagnostic is an error.
    package static func read(_ text: String, file: String) -> (
        suite: TestSuiteSpec?, diagnostics: [Diagnostic]
    ) {
        let yaml = YamlReader.read(text, file: file)
        guard let root = yaml.root else { return (nil, yaml.diagnostics) }
        let context = ReadingContext(file: file, catalogue: Catalogue(), environment: .system)
        for diagnostic in yaml.diagnostics { context.error(diagnostic.position, diagnostic.message) }
        let example = "tests: [{ name: ..., given: [...], expect: [...] }]"
        var cases: [TestCaseSpec] = []
        let start = Position(line: 1, column: 1)
        if let mapping = MappingReader(
            root,
            "the file",
            keys: ["tests"],
            at: start,
            context,
            example: example
        ),
            let node = mapping.required("tests", example: example)
        {
            let reader = CaseReader(context: context)
            for node in reader.list(node, "tests", example: example) {
                guard let test = reader.read(node) else { continue }
                if cases.contains(where: { $0.name == test.name }) {
                    context.error(test.position, "two tests are named '\(test.name)'")
                }
                cases.append(test)
            }
        }
        return (
            context.hasErrors ? nil : TestSuiteSpec(cases: cases, file: file), context.sortedDiagnostics()
        )
    }
}

private struct CaseReader {
    static let keys = ["name", "set", "given", "expect", "expect_records", "dead", "late"]
    static let givenExample = "- orders: { order_id: o1, event_time: 2026-01-01T00:00:00Z }"
    static let expectExample = "expect: [{ rule: volume-spike, state: raised }]"
    static let recordsExample = "expect_records: { response: [{ level: watch }] }"
    /// Repetitions of one record, so that a mistyped figure does not fill the machine.
    static let repeatMax = 10_000_000

    let context: ReadingContext

    func list(_ node: YamlNode, _ what: String, example: String) -> [YamlNode] {
        if case .sequence(let nodes) = node.content { return nodes }
        context.error(node.position, "\(what) needs a list, not \(node.kind); write \(example)")
        return []
    }

    func read(_ node: YamlNode) -> TestCaseSpec? {
        guard
            let mapping = MappingReader(
                node,
                "a test",
                keys: Self.keys,
                at: node.position,
                context,
                example: "- name: a spike is found"
            )
        else { return nil }
        let name = mapping.required("name", example: "name: a spike is found").flatMap { plain($0, "name") }
        let given = mapping.required("given", example: "given: [...]")
            .map { list($0, "given", example: Self.givenExample).compactMap { readGiven($0) } }
        // Who says what records must come need not list the alerts too.
        let expectNode =
            mapping.isGiven("expect_records")
            ? mapping["expect"] : mapping.required("expect", example: Self.expectExample)
        let expected = expectNode.map { node in
            list(node, "expect", example: Self.expectExample).compactMap { readExpected($0) }
        }
        let records = mapping["expect_records"].map { readRecords($0) } ?? []
        let dead = mapping["dead"].flatMap { context.integer($0, "dead", 0...Int.max, example: "dead: 0") }
        let late = mapping["late"].flatMap { context.integer($0, "late", 0...Int.max, example: "late: 0") }
        let parameters = readParameters(mapping)
        guard let name, let given, expected != nil || mapping.isGiven("expect_records") else { return nil }
        return TestCaseSpec(
            name: name,
            position: node.position,
            parameters: parameters,
            given: given,
            expected: expected,
            records: records,
            dead: dead,
            late: late
        )
    }

    /// A scalar as it is: parameters belong to the topology.
    private func plain(_ node: YamlNode, _ what: String) -> String? {
        if let scalar = node.scalar, !node.isNull { return scalar.text }
        context.error(node.position, "\(what) needs a value, not \(node.kind)")
        return nil
    }

    private func readParameters(_ mapping: MappingReader) -> [String: String] {
        guard let node = mapping["set"] else { return [:] }
        var parameters: [String: String] = [:]
        for entry in context.named(node, "set", example: "set: { spike: 5 }") {
            parameters[entry.key] = plain(entry.value, entry.key)
        }
        return parameters
    }

    private func readGiven(_ node: YamlNode) -> GivenSpec? {
        guard case .mapping(let entries) = node.content else {
            context.error(
                node.position,
                "given needs records or clock: TIME, not \(node.kind); write \(Self.givenExample)"
            )
            return nil
        }
        let options = ["repeat", "every"]
        let subjects = entries.filter { !options.contains($0.key) }
        guard subjects.count == 1, let subject = subjects.first else {
            let place = subjects.count > 1 ? subjects[1].keyPosition : node.position
            let found = subjects.isEmpty ? "none" : ReadingContext.list(subjects.map(\.key), "and")
            context.error(
                place,
                "one source or clock for each '-' of given, not \(found); write \(Self.givenExample)"
            )
            return nil
        }
        let mapping = MappingReader(
            node,
            "given",
            keys: options + [subject.key],
            at: node.position,
            context,
            example: Self.givenExample
        )
        guard let mapping else { return nil }
        if subject.key == "clock" { return readClock(subject, mapping) }
        let count =
            mapping["repeat"].map { context.integer($0, "repeat", 1...Self.repeatMax, example: "repeat: 10") }
            ?? 1
        let every = mapping["every"].map { context.duration($0, "every") } ?? 0
        if mapping["every"] != nil, mapping["repeat"] == nil {
            context.error(mapping.keyPosition("every"), "every needs 'repeat' beside it; write repeat: 10")
        }
        guard case .mapping(let members) = subject.value.content else {
            context.error(
                subject.value.isNull ? subject.keyPosition : subject.value.position,
                "a record of \(subject.key) needs a mapping, not \(subject.value.kind); write "
                    + "\(Self.givenExample)"
            )
            return nil
        }
        guard let count, let every else { return nil }
        return .record(
            source: subject.key,
            members: members.map { ($0.key, $0.value) },
            repeatCount: count,
            everyMilliseconds: every,
            subject.keyPosition
        )
    }

    private func readClock(_ subject: YamlEntry, _ mapping: MappingReader) -> GivenSpec? {
        for option in ["repeat", "every"] where mapping[option] != nil {
            context.error(mapping.keyPosition(option), "\(option) is for records, not for clock")
        }
        guard let text = plain(subject.value, "clock") else { return nil }
        guard let time = CivilTime.parse(text), time.hasZone else {
            context.error(
                subject.value.position,
                "clock needs a time with its offset, like 2026-01-02T00:00:00Z, not '\(text)'"
            )
            return nil
        }
        return .clock(time.milliseconds, subject.keyPosition)
    }

    private func readRecords(_ node: YamlNode) -> [ExpectedRecords] {
        context.named(node, "expect_records", example: Self.recordsExample).map { entry in
            let nodes = list(entry.value, entry.key, example: Self.recordsExample)
            let records = nodes.compactMap { node -> ExpectedMembers? in
                if let members = node.mapping, !members.isEmpty {
                    return ExpectedMembers(members: node, position: node.position)
                }
                context.error(
                    node.position,
                    "\(entry.key) needs members of records, not \(node.kind); write \(Self.recordsExample)")
                return nil
            }
            return ExpectedRecords(sink: entry.key, records: records, position: entry.keyPosition)
        }
    }

    private func readExpected(_ node: YamlNode) -> ExpectedMembers? {
        guard case .mapping(let entries) = node.content, !entries.isEmpty else {
            context.error(
                node.position,
                "expect needs members of alerts, not \(node.kind); write \(Self.expectExample)"
            )
            return nil
        }
        let known = TestSuiteReader.alertMembers
        for entry in entries where !known.contains(entry.key) {
            context.error(
                entry.keyPosition,
                "an alert has no '\(entry.key)'\(NearestName.hint(entry.key, among: known))"
            )
        }
        for entry in entries {
            let isMapping = ["key", "values", "window", "cause", "completeness", "model"].contains(entry.key)
            guard known.contains(entry.key), isMapping != (entry.value.mapping != nil) else { continue }
            let wanted = isMapping ? "a mapping, like \(entry.key): { merchant_id: M1 }" : "a value"
            context.error(entry.value.position, "\(entry.key) needs \(wanted)")
        }
        return ExpectedMembers(members: node, position: node.position)
    }
}
