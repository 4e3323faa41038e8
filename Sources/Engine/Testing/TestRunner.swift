import Base
import Dataflow
import Formats
import Operators
import Records
import Topology

/// Runs a topology's `tests.yaml` in virtual time: the operators of `run`, event time instead of a clock.
package struct TestRunner {
    package struct Outcome: Sendable {
        package var name: String
        package var position: Position
        /// What differs from what was expected, a line each; empty: passed.
        package var differences: [String]
        /// Limits that were hit, a line each.
        package var limits: [String] = []
    }

    private let file: String
    private let text: String

    /// `file`, `text`: the topology.
    package init(file: String, text: String) {
        self.file = file
        self.text = text
    }

    /// Runs every case. A case whose parameters make the topology wrong fails with its diagnostics.
    package func run(_ suite: TestSuiteSpec) throws(Fault) -> [Outcome] {
        var outcomes: [Outcome] = []
        for test in suite.cases {
            let (spec, diagnostics) = TopologyReader.read(text, file: file, parameters: test.parameters)
            guard let spec else {
                outcomes.append(
                    Outcome(
                        name: test.name, position: test.position, differences: diagnostics.map(\.description))
                )
                continue
            }
            var run = try CaseRun(spec)
            let differences = run.run(test, in: suite.file)
            outcomes.append(
                Outcome(
                    name: test.name, position: test.position, differences: differences,
                    limits: run.pipeline.counters.limits.lines(now: nil)))
        }
        return outcomes
    }
}

/// One case under way.
private struct CaseRun {
    let spec: TopologySpec
    let pipeline: Pipeline
    let task: TaskState
    var outbox = Outbox()
    let storage = RawRecordStorage(capacity: 1, findHeader: GivenParts.findHeader)
    /// What each sink of `spec` was given; the first one has the alerts.
    var outputs: [[TestOutput]]
    var dead = 0
    var late = 0
    var offset: Int64 = 0

    init(_ spec: TopologySpec) throws(Fault) {
        var spec = spec
        // One sink for all alerts, so that every alert is taken once; and those that take records.
        let records = spec.sinks.filter { sink in
            if case .steps = sink.input { sink.metrics == nil } else { false }
        }
        spec.sinks = [
            SinkSpec(
                name: "", target: CapturedRecords(), input: .alerts(rules: Array(spec.rules.indices)),
                position: Position(line: 1, column: 1))
        ]
        for sink in records {
            spec.sinks.append(
                SinkSpec(
                    name: sink.name, target: CapturedRecords(), input: sink.input, position: sink.position))
        }
        // Records are made in UTF-8 here.
        for index in spec.sources.indices {
            spec.sources[index].isConverted = true
            if case .published(let part) = spec.sources[index].format {
                spec.sources[index].format = .published(part.decodable.given)
            }
        }
        self.spec = spec
        outputs = spec.sinks.map { _ in [] }
        pipeline = try Planner(spec).pipeline(Pipeline.Options(rowsMax: 16, clock: nil)).pipeline
        task = pipeline.makeTask(partition: 0)
    }

    mutating func run(_ test: TestCaseSpec, in file: String) -> [String] {
        var problems: [String] = []
        func report(_ position: Position, _ message: String) {
            problems.append("\(Diagnostic(file: file, at: position, message))")
        }
        for given in test.given {
            switch given {
            case .clock(let time, _):
                for source in spec.sources.indices where !spec.sources[source].origin.isStream {
                    pipeline.advance(source: source, to: time, task: task, outbox: &outbox)
                }
            case .record(let source, let members, let count, let every, let position):
                guard let index = spec.sources.firstIndex(where: { $0.name == source && !$0.origin.isStream })
                else {
                    report(position, "the topology has no source '\(source)'")
                    continue
                }
                if every != 0,
                    let mistake = GivenTime.mistake(members, spec.sources[index], count, every, position)
                {
                    report(mistake.position, mistake.message)
                    continue
                }
                for number in 0..<max(1, count) {
                    let moved = Int64(number) * every
                    let (record, parts) = render(
                        members, spec.sources[index], number: number, moved: moved)
                    if let mistake = parts.mistake {
                        report(position, mistake)
                        break
                    }
                    give(record, parts, to: index)
                }
            }
            collect()
        }
        return problems + compare(test)
    }

    private mutating func give(_ record: String, _ parts: GivenParts, to source: Int) {
        // Readable bytes behind the record, as every source has them.
        let bytes = Array(record.utf8) + [UInt8](repeating: 0, count: 64)
        bytes.withUnsafeBufferPointer { buffer in
            storage.values[0] = buffer.baseAddress
            storage.valueCounts[0] = Int32(buffer.count - 64)
            parts.fill(storage, offset: offset) { raw in
                pipeline.process(raw, source: source, task: task, outbox: &outbox)
            }
        }
        offset += 1
    }

    private mutating func collect() {
        for record in outbox.records {
            switch record.destination {
            case .deadLetter: dead += 1
            case .late: late += 1
            case .changelog, .repartition, .acknowledgement: break
            case .sink(let sink):
                guard let value = outbox.value(of: record) else { continue }
                outputs[sink].append(TestOutput(String(decoding: value, as: UTF8.self)))
            }
        }
        outbox.removeAll()
    }

    // MARK: Records

    private func render(
        _ members: [(path: String, value: YamlNode)],
        _ source: SourceSpec,
        number: Int,
        moved: Int64
    ) -> (record: String, parts: GivenParts) {
        let time =
            source.timeField >= 0 && source.timeField < source.wire.count
            ? source.wire[source.timeField] : nil
        var parts = GivenParts()
        let values = members.compactMap { member -> GivenValue? in
            let json = member.value.json(replacing: number)
            let isMoved = moved != 0 && member.path == time?.name
            let value = GivenValue(
                path: member.path,
                json: isMoved ? CaseRun.moved(json, by: moved, time?.reading ?? FieldReading()) : json)
            return parts.take(value, of: source) ? nil : value
        }
        return (source.publishedFormat.record(values, of: RecordShape(of: source)), parts)
    }

    /// A timestamp's JSON, later by so much; anything else as it is.
    private static func moved(_ json: String, by milliseconds: Int64, _ reading: FieldReading) -> String {
        let isText = json.hasPrefix("\"")
        let text = isText ? String(json.dropFirst().dropLast()) : json
        for pattern in reading.patterns where pattern.text != "iso" {
            guard let parsed = TimeProgram([pattern]).parse(text) else { continue }
            let moved = pattern.string(parsed.milliseconds + milliseconds, offset: 0)
            return isText ? "\"\(moved)\"" : moved
        }
        if let number = EpochTime.moved(json, by: milliseconds, unit: reading.unit) { return number }
        guard let parsed = CivilTime.parse(text) else { return json }
        let moved = CivilTime.string(parsed.milliseconds + milliseconds)
        return "\"\(parsed.hasZone ? moved : String(moved.dropLast()))\""
    }

    // MARK: Comparison

    private func compare(_ test: TestCaseSpec) -> [String] {
        var differences =
            test.expected.map { RecordComparison(spec, sink: 0).compare($0, outputs[0], "") } ?? []
        for expected in test.records {
            guard let sink = spec.sinks.firstIndex(where: { $0.name == expected.sink }) else {
                let names = spec.sinks.dropFirst().map(\.name)
                let others = names.isEmpty ? "" : "; there are \(names.joined(separator: ", "))"
                differences.append(
                    "line \(expected.position.line): the topology has no sink '\(expected.sink)' that takes the "
                        + "records of steps\(others)")
                continue
            }
            differences += RecordComparison(spec, sink: sink).compare(
                expected.records, outputs[sink], "\(expected.sink): ")
        }
        if let expected = test.dead, expected != dead {
            differences.append("dead letters: expected \(expected), found \(dead)")
        }
        if let expected = test.late, expected != late {
            differences.append("late records: expected \(expected), found \(late)")
        }
        return differences
    }
}
