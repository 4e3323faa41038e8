import Base
import Connectors
import Models
import Records
import Topology

/// Collects from topics what gave an alert: as few records as give it again, byte for byte.
///
/// It begins with what lies within the topology's reach before the alert, and goes twice as far back until
/// the alert comes out, or the topics' first records are reached.
package struct BundleCollector {
    private let topics: BundleTopics
    private let rules: Bundle
    private let spec: TopologySpec
    private let inputs: TaskTopics
    private let subject: Bundle.Subject
    private let times: Times

    private struct Times {
        /// Milliseconds.
        var event: Int64
        var detected: Int64
    }

    /// What a task gave of the alert.
    private struct Attempt {
        var bundle: Bundle
        var alerts: [String]
        var run: BundleReplay.Run
        var differences: [String]
        var isWhole: Bool
    }

    /// How far event time may lie apart from the times that records have in Kafka, at least.
    private static let slackMilliseconds: Int64 = 60_000

    /// `isCleared`: that it was cleared is to be computed again as well, where it was.
    package init(
        _ id: String, isCleared: Bool, _ kafka: KafkaSettings, own: RuleSetText, policy: ApprovalPolicy?
    ) throws(Fault) {
        guard id.utf8.count == 32, id.allSatisfy({ $0.isHexDigit && !$0.isUppercase }) else {
            throw Fault(.user, "'\(id)' is no alert_id: it has 32 hexadecimal digits")
        }
        let (ownSpec, diagnostics) = own.readElsewhere()
        guard let ownSpec else { throw Fault(.user, diagnostics.map { "\($0)" }.joined(separator: "\n")) }
        let known = try BundleTopics(kafka, topology: ownSpec.name, own: own, policy: policy)
        var published = try Self.find(id, known.rules(), own: ownSpec, kafka)
        let raised = published.first { BundleReplay.state($0) == "raised" }
        let cleared = published.first { BundleReplay.state($0) == "cleared" }
        guard let first = raised ?? cleared else {
            throw Fault(
                .user,
                "no alert \(id) of topology '\(ownSpec.name)' is in \(Self.list(Self.alertTopics(known.rules(), ownSpec)))"
            )
        }
        published = isCleared || raised == nil ? [raised, cleared].compactMap { $0 } : [first]
        let node = DocumentNode(try JsonDocument.read(Array(first.utf8)))
        let ruleset = try node["ruleset"].text
        topics =
            node.optional("epoch") == nil
            ? try BundleTopics(kafka, topology: ownSpec.name, own: own, policy: policy, first: ruleset)
            : known
        let epoch = try node.optional("epoch").map { (node) throws(Fault) in Int64(try node.integer) } ?? 0
        guard topics.rulesets[epoch] == ruleset else {
            throw Fault(
                .external,
                "the alert is of epoch \(epoch) and rules \(ruleset); by topic '\(RuleSetTopics.ruleSets(kafka.group))' that epoch "
                    + "has \(topics.rulesets[epoch] ?? "no rules"): is '\(kafka.group)' its group (--group)?")
        }
        rules = topics.rules()
        spec = try rules.board().set(epoch) ?? ownSpec
        inputs = TaskTopics(spec)
        func time(_ name: String) throws(Fault) -> Int64 {
            let time = try node[name]
            guard let time = CivilTime.parse(try time.text)?.milliseconds else {
                throw time.mistake("a time")
            }
            return time
        }
        let last = published.last ?? first
        let end = DocumentNode(try JsonDocument.read(Array(last.utf8)))
        guard let detected = CivilTime.parse(try end["detected_at"].text)?.milliseconds else {
            throw Fault(.user, "the alert does not say when it was detected")
        }
        times = Times(event: try time("event_time"), detected: detected)
        // The cause says the task, unless its row went to another one.
        var task: Int32 = -1
        if !inputs.hasRepartitions, let cause = node.optional("cause") {
            task = Int32(truncatingIfNeeded: try cause["partition"].integer)
        }
        subject = Bundle.Subject(id: id, task: task, lateBefore: 0, published: published)
    }

    private static func list(_ topics: [String]) -> String {
        (topics.count == 1 ? "topic " : "topics ") + topics.map { "'\($0)'" }.joined(separator: ", ")
    }

    /// Where any of the rules published alerts.
    private static func alertTopics(_ rules: Bundle, _ own: TopologySpec) -> [String] {
        let specs = rules.texts.values.compactMap { $0.readElsewhere().spec } + [own]
        let sinks = specs.flatMap(\.sinks).filter { if case .alerts = $0.input { true } else { false } }
        return Array(Set(sinks.compactMap(\.topic))).sorted()
    }

    private static func find(_ id: String, _ rules: Bundle, own: TopologySpec, _ kafka: KafkaSettings)
        throws(Fault) -> [String]
    {
        let mark = Array("{\"alert_id\":\"\(id)\",\"topology\":\(JsonText.quoted(own.name)),".utf8)
        var found: [String] = []
        for topic in alertTopics(rules, own) {
            let reader = try KafkaLogReader(kafka)
            guard let count = try reader.partitionCount(of: topic) else { continue }
            var ranges: [KafkaLogReader.Place: Range<Int64>] = [:]
            for partition in 0..<Int32(count) {
                let place = KafkaLogReader.Place(topic, partition)
                ranges[place] = try reader.range(of: place)
            }
            try reader.read(ranges) { _, record in
                if let value = record.value, value.starts(with: mark) {
                    found.append(String(decoding: value, as: UTF8.self))
                }
            }
        }
        return found
    }

    // MARK: Attempts

    /// The smallest bundle that was found to give the alert. Throws what differs, and why it may, if none
    /// does.
    package func collect(_ progress: (String) -> Void) throws(Fault) -> Bundle {
        var reach = max(Self.slackMilliseconds, spec.reach)
        var task = subject.task >= 0 ? subject.task : nil
        var best: Attempt?
        var goesOn = true
        while goesOn {
            goesOn = false
            for candidate in task.map({ [$0] }) ?? Array(0..<Int32(topics.partitions)) {
                progress("task \(candidate): records from \(CivilTime.string(max(0, start(reach)))) on")
                let attempt = try attempt(candidate, reach, toEnd: false)
                if attempt.differences.isEmpty { return trimmed(attempt) }
                if !attempt.alerts.isEmpty {
                    (best, task) = (attempt, candidate)
                } else if best == nil {
                    best = attempt
                }
                goesOn = goesOn || !attempt.isWhole
            }
            reach = min(.max / 8, reach * 2)
        }
        // Records whose times in Kafka are not those at which they came.
        for candidate in task.map({ [$0] }) ?? Array(0..<Int32(topics.partitions)) {
            let attempt = try attempt(candidate, reach, toEnd: true)
            if attempt.differences.isEmpty { return trimmed(attempt) }
            if !attempt.alerts.isEmpty { best = attempt }
        }
        throw refusal(best)
    }

    private func start(_ reach: Int64) -> Int64 { min(times.event, times.detected) - reach }

    private func attempt(_ task: Int32, _ reach: Int64, toEnd: Bool) throws(Fault) -> Attempt {
        let reader = try KafkaLogReader(topics.kafka)
        let ofAll = try inputs.placesOfAll(reader)
        let places = inputs.ofTasks.map { KafkaLogReader.Place($0, task) } + ofAll
        let starts = try reader.offsets(at: start(reach), of: places)
        let ends = try reader.offsets(at: times.detected + Self.slackMilliseconds, of: places)
        let tableEnds = try reader.offsets(at: times.detected + 1, of: places)
        var (ranges, earliest): ([KafkaLogReader.Place: Range<Int64>], [KafkaLogReader.Place: Int64]) = (
            [:], [:]
        )
        var isWhole = true
        for place in places {
            let range = try reader.range(of: place)
            earliest[place] = range.lowerBound
            let isTable = inputs.tables.contains(place.topic)
            var from = isTable || toEnd ? range.lowerBound : starts[place] ?? range.upperBound
            from = min(max(from, range.lowerBound), range.upperBound)
            if from > range.lowerBound { isWhole = false }
            let end = isTable ? tableEnds[place] : toEnd ? nil : ends[place]
            ranges[place] = from..<max(from, min(end ?? range.upperBound, range.upperBound))
        }
        var bundle = rules
        bundle.logs = try BundleTopics.load(ranges, earliest: earliest, topics.kafka)
        bundle.acknowledgements = bundle.acknowledgements.filter { $0.key == task }
        bundle.madeAt = times.detected
        var subject = subject
        subject.task = task
        bundle.subject = subject
        var (alerts, run) = try compute(bundle)
        // How many were late before the first record is not in the records.
        if let given = alerts.first.flatMap(AlertBytes.late),
            let wanted = subject.published.first.flatMap(AlertBytes.late), wanted > given
        {
            bundle.subject?.lateBefore = wanted - given
            (alerts, run) = try compute(bundle)
        }
        return Attempt(
            bundle: bundle, alerts: alerts, run: run,
            differences: Self.differences(subject.published, alerts), isWhole: isWhole)
    }

    private func compute(_ bundle: Bundle) throws(Fault) -> ([String], BundleReplay.Run) {
        guard let subject = bundle.subject else { throw Fault(.defect, "a bundle of no alert") }
        let start = try BundleReplay.start(bundle, subject.task)
        return try BundleReplay(bundle).subject(subject, start: start)
    }

    /// A line for each field that differs.
    package static func differences(_ published: [String], _ alerts: [String]) -> [String] {
        published.enumerated().flatMap { place, wanted in
            let state = BundleReplay.state(wanted)
            guard let given = alerts.first(where: { BundleReplay.state($0) == state }) else {
                return ["it was \(state), and is not when it is computed again"]
            }
            return AlertBytes.differences(wanted, given)
        }
    }

    /// What was taken, and no more.
    private func trimmed(_ attempt: Attempt) -> Bundle {
        var bundle = attempt.bundle
        for place in bundle.logs.indices {
            let taken = attempt.run.taken[bundle.logs[place].topic] ?? []
            bundle.logs[place].records.removeAll { !taken.contains($0.offset) }
        }
        bundle.rulesets = bundle.rulesets.filter { attempt.run.epochs.contains($0.key) }
        bundle.activations = bundle.activations.filter { attempt.run.epochs.contains($0.key) }
        bundle.texts = bundle.texts.filter { bundle.rulesets.values.contains($0.key) }
        for (task, values) in bundle.acknowledgements {
            bundle.acknowledgements[task] = values.filter { value in
                (try? RuleSetSwitch(Array(value.utf8))).map { $0.epoch <= attempt.run.epochs.upperBound }
                    ?? false
            }
        }
        return bundle
    }

    private func refusal(_ best: Attempt?) -> Fault {
        var lines = ["alert \(subject.id) does not come out again, so there is no bundle"]
        lines += best?.differences ?? []
        let cut = (best?.bundle.logs ?? []).filter { $0.earliest > 0 }
        for log in cut {
            lines.append(
                "topic '\(log.topic)', partition \(log.partition), has no records before offset \(log.earliest) any more (retention): "
                    + "what they had made is missing")
        }
        for topic in inputs.tables.sorted() {
            lines.append("table topic '\(topic)' is compacted: versions that were replaced since are gone")
        }
        if cut.isEmpty {
            lines.append(
                "nothing of the streams is gone: a wait for an input that had more to read may have run out (limit input_behind), or "
                    + "a partition that was quiet have gone on with the clock before it spoke again")
        }
        return Fault(.external, lines.joined(separator: "\n  "))
    }
}
