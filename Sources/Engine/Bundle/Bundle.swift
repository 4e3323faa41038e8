import Base
import Topology

/// What a topology's alerts were computed from: rule sets, where tasks changed them, and records with their
/// places. One file of it is enough to compute the alerts again, without Kafka.
package struct Bundle: Sendable {
    package static let version = 1

    /// A partition's records, as far as they are in it.
    package struct Log: Sendable {
        package var topic: String
        package var partition: Int32
        /// The first offset that the topic still had.
        package var earliest: Int64
        /// The offset from which on they are here: all of them, or those that were taken.
        package var from: Int64
        package var records: [LoggedRecord] = []

        package init(topic: String, partition: Int32, earliest: Int64, from: Int64) {
            (self.topic, self.partition, self.earliest, self.from) = (topic, partition, earliest, from)
        }
    }

    /// The alert that it was made for.
    package struct Subject: Equatable, Sendable {
        package var id: String
        /// Whose task gave it.
        package var task: Int32
        /// Late records of the task before the first record that is here.
        package var lateBefore: Int
        /// What was published of it, in its order: raised, cleared.
        package var published: [String]

        package init(id: String, task: Int32, lateBefore: Int, published: [String]) {
            (self.id, self.task, self.lateBefore, self.published) = (id, task, lateBefore, published)
        }
    }

    package var topology: String
    package var group: String
    /// Of every source.
    package var partitions: Int
    /// The build that wrote it.
    package var program = ""
    /// When its records were read, milliseconds.
    package var madeAt: Int64 = 0
    package var subject: Subject?
    /// By name.
    package var texts: [String: RuleSetText] = [:]
    /// The rule set of each epoch.
    package var rulesets: [Int64: String] = [:]
    /// As they stand in their topics, by epoch.
    package var activations: [Int64: RuleSetActivation] = [:]
    /// By task, in their order, as they stand in their topic.
    package var acknowledgements: [Int32: [String]] = [:]
    package var logs: [Log] = []

    package init(topology: String, group: String, partitions: Int) {
        (self.topology, self.group, self.partitions) = (topology, group, partitions)
    }

    package func switches(of task: Int32) throws(Fault) -> [RuleSetSwitch] {
        var switches: [RuleSetSwitch] = []
        for json in acknowledgements[task] ?? [] { switches.append(try RuleSetSwitch(Array(json.utf8))) }
        return switches.sorted { $0.epoch < $1.epoch }
    }

    /// The rules of every epoch, as they run on so many partitions.
    package func board() throws(Fault) -> RuleSetBoard {
        var sets: [RuleSet] = []
        for (epoch, ruleset) in rulesets.sorted(by: { $0.key < $1.key }) {
            guard let text = texts[ruleset] else {
                throw Fault(.user, "the text of epoch \(epoch) of the rules, \(ruleset), is not there")
            }
            sets.append(RuleSet(epoch: epoch, spec: try read(text, ruleset, epoch)))
        }
        guard let first = sets.first else { throw Fault(.user, "there are no rules") }
        let board = RuleSetBoard(first)
        for set in sets.dropFirst() { board.activate(set) }
        return board
    }

    private func read(_ text: RuleSetText, _ ruleset: String, _ epoch: Int64) throws(Fault) -> TopologySpec {
        let (spec, diagnostics) = text.readElsewhere()
        guard var spec else {
            throw Fault(
                .user,
                "epoch \(epoch) of the rules cannot be read: \(diagnostics.first.map { "\($0)" } ?? "")")
        }
        guard spec.ruleset == ruleset else {
            throw Fault(.user, "the text that is called \(ruleset) is \(spec.ruleset): it was altered")
        }
        guard spec.name == topology else {
            throw Fault(
                .user, "\(ruleset) is a text of topology '\(spec.name)', and not of '\(topology)'")
        }
        for source in spec.sources {
            if let reason = source.replayRefusal {
                throw Fault(.user, "source '\(source.name)' \(reason), so its records cannot be had again")
            }
        }
        if partitions > 1 { spec = spec.repartitioned(prefix: group) }
        spec.epoch = epoch
        return spec
    }
}

extension RuleSetText {
    /// The spec on a machine that need not have the secrets it names.
    func readElsewhere() -> (spec: TopologySpec?, diagnostics: [Diagnostic]) {
        let system = Environment.system
        let environment = Environment(
            variable: { system.variable($0) ?? "?" }, fileText: { system.fileText($0) ?? "?" },
            zones: system.zones)
        return TopologyReader.read(text, file: file, parameters: parameters, environment: environment)
    }
}

extension SourceSpec {
    /// Why a source's records are nowhere to be read again; nil: they are in a topic.
    var replayRefusal: String? {
        switch origin {
        case .kafka, .repartition, .stream: nil
        case .file: "reads a file"
        case .generate: "generates"
        case .redis: "lies in Redis, which does not say what it was"
        }
    }
}
