import Base
import Operators
import Records
import Topology

/// What it takes to go from one topology to another: for each thing in either that is not the same in both,
/// and as a whole.
package struct ChangePlan: Sendable {
    package struct Element: Equatable, Sendable {
        /// `rule spike`, `step turnover`.
        package var element: String
        package var changeClass: ChangeClass
        package var reason: String
        /// State was kept under its name as something else: no worker goes on with that.
        package var contradictsState = false
    }

    /// How workers get from one to the other.
    package enum Way: String, Sendable, Comparable {
        case hot
        /// Without a stop, but what is new begins empty.
        case empty
        /// Every worker begins anew, with its state.
        case restart
        /// Not under this group, or not under these names.
        case none

        package static func < (a: Way, b: Way) -> Bool { a.weight < b.weight }

        private var weight: Int {
            switch self {
            case .hot: 0
            case .empty: 1
            case .restart: 2
            case .none: 3
            }
        }
    }

    package var way: Way {
        if elements.contains(where: { $0.contradictsState || $0.changeClass == .newGroup }) { return .none }
        switch changeClass {
        case .hot, .mixed: return .hot
        case .warmStart: return .empty
        case .restart, .newGroup: return .restart
        }
    }

    /// The heaviest first.
    package private(set) var elements: [Element] = []

    /// The heaviest of all; where nothing differs, hot.
    package var changeClass: ChangeClass { elements.map(\.changeClass).max() ?? .hot }

    /// Compares two topologies as they run, with the repartition topics of a group.
    package init(from old: TopologySpec, to new: TopologySpec, group: String? = nil) throws(Fault) {
        let before = try Side(old, group)
        let after = try Side(new, group)
        compareTopologies(before, after)
        compareSources(before, after)
        compareSteps(before, after)
        compareRepartitions(before, after)
        compareRules(before, after)
        compareSinks(before, after)
        elements.sort { a, b in
            a.changeClass != b.changeClass ? a.changeClass > b.changeClass : a.element < b.element
        }
    }

    /// A topology with what it remembers.
    private struct Side {
        let spec: TopologySpec
        let running: TopologySpec
        let pipeline: Pipeline
        let kept: [String: (definition: String, intake: String)]

        init(_ spec: TopologySpec, _ group: String?) throws(Fault) {
            self.spec = spec
            running = spec.repartitioned(prefix: group)
            pipeline = try Planner(running).pipeline(Pipeline.Options(clock: nil, partitions: 2)).pipeline
            kept = RuleSwitch(pipeline).kept
        }

        /// What comes from outside.
        var sources: [SourceSpec] {
            spec.sources.filter { if case .stream = $0.origin { false } else { true } }
        }

        func step(_ name: String) -> Int? { spec.steps.firstIndex { $0.name == name } }
    }

    private mutating func add(
        _ element: String, _ changeClass: ChangeClass, _ reason: String, contradictsState: Bool = false
    ) {
        elements.append(
            Element(
                element: element, changeClass: changeClass, reason: reason, contradictsState: contradictsState
            ))
    }

    // MARK: The topology as a whole

    private mutating func compareTopologies(_ before: Side, _ after: Side) {
        let (old, new) = (before.spec, after.spec)
        if old.name != new.name {
            add(
                "topology", .newGroup,
                "it is '\(old.name)' and would be '\(new.name)': a name is that of its group and topics")
        }
        if old.guarantee != new.guarantee {
            add(
                "guarantee", .restart,
                "\(old.guarantee.rawValue) becomes \(new.guarantee.rawValue): producers are opened for one of them"
            )
        }
        if old.kafka != new.kafka {
            add("kafka", .restart, "clients take their settings when they are opened")
        }
        if old.latency != new.latency {
            add(
                "latency", .hot,
                "\(ValueText.duration(old.latency)) becomes \(ValueText.duration(new.latency)): `lint` proves it"
            )
        }
        if old.keys != new.keys { add("keys", .hot, "what the bounds of `lint` are computed for") }
    }

    // MARK: Sources

    private mutating func compareSources(_ before: Side, _ after: Side) {
        for source in before.sources where !after.sources.contains(where: { $0.name == source.name }) {
            add(
                "source \(source.name)", .restart,
                "it is read no more: a worker subscribes to its topics when it starts")
        }
        for source in after.sources {
            let element = "\(source.table == nil ? "source" : "table") \(source.name)"
            guard let old = before.sources.first(where: { $0.name == source.name }) else {
                add(element, .restart, "it is new: a worker subscribes to its topics when it starts")
                continue
            }
            if let what = Self.difference(old, source) {
                add(
                    element, .restart, "its \(what) changes, by which its records are read and put into order"
                )
            } else if let shared = Self.sharedDifference(old, source) {
                add(element, .restart, shared)
            }
        }
        // By their places a lane knows its inputs.
        let places = before.running.sources.enumerated().filter { $0.element.topic != nil }.map {
            "\($0.offset) \($0.element.name)"
        }
        let now = after.running.sources.enumerated().filter { $0.element.topic != nil }.map {
            "\($0.offset) \($0.element.name)"
        }
        if places != now, !elements.contains(where: { $0.changeClass >= .restart }) {
            add(
                "sources", .restart,
                "streams or repartition topics begin or end, and lanes know their inputs by their places")
        }
        if before.pipeline.alignedInputs != after.pipeline.alignedInputs {
            add(
                "sources", .restart,
                "the inputs that are taken in event-time order change, and so how they are read")
        }
    }

    /// What gives a source's records another meaning or order; nil: nothing does.
    private static func difference(_ old: SourceSpec, _ new: SourceSpec) -> String? {
        func origin(_ source: SourceSpec) -> String { "\(source.origin)" }
        func time(_ source: SourceSpec) -> String {
            guard source.schema.fields.indices.contains(source.timeField) else { return "" }
            return source.schema.fields[source.timeField].name
        }
        if origin(old) != origin(new) { return "topic or start" }
        if old.format.name != new.format.name || "\(old.format)" != "\(new.format)" { return "format" }
        if old.encoding.map({ "\($0)" }) != new.encoding.map({ "\($0)" }) { return "encoding" }
        if old.key != new.key { return "key" }
        if time(old) != time(new) { return "time field" }
        if (old.outOfOrder, old.idle, old.ahead) != (new.outOfOrder, new.idle, new.ahead) {
            return "time (out_of_order, idle or ahead)"
        }
        if old.skipsTombstones != new.skipsTombstones { return "handling of tombstones" }
        if (old.table == nil) != (new.table == nil) || old.table?.versions != new.table?.versions
            || old.table?.isBroadcast != new.table?.isBroadcast
        {
            return "table"
        }
        for field in old.declared {
            guard let other = new.declared.first(where: { $0.field.name == field.field.name }) else {
                continue
            }
            if other != field { return "field \(field.field.name)" }
        }
        return nil
    }

    /// A table that every lane has all of is not read again.
    private static func sharedDifference(_ old: SourceSpec, _ new: SourceSpec) -> String? {
        guard let table = new.table, table.isBroadcast, old.schema.fields != new.schema.fields else {
            return nil
        }
        return "other fields of it are used, and every lane has read it already"
    }

    private mutating func compareRepartitions(_ before: Side, _ after: Side) {
        func topics(_ side: Side) -> [String: String] {
            var topics: [String: String] = [:]
            for repartition in side.running.repartitions {
                let fields = side.running.sources[repartition.source].schema.fields.map {
                    "\($0.name): \($0.type)"
                }
                topics[repartition.topic] = fields.joined(separator: ", ")
            }
            return topics
        }
        let (old, new) = (topics(before), topics(after))
        for (topic, fields) in new.sorted(by: { $0.key < $1.key }) {
            guard let former = old[topic] else {
                add(
                    "topic \(topic)", .restart,
                    "records must go through it to another partition, and a worker subscribes when it starts")
                continue
            }
            if former != fields {
                add(
                    "topic \(topic)", .restart,
                    "its records have (\(former)) and would have (\(fields)): readers and writers must agree")
            }
        }
        for topic in old.keys.sorted() where new[topic] == nil {
            add("topic \(topic)", .restart, "no record goes through it any more")
        }
    }

    // MARK: Steps

    private mutating func compareSteps(_ before: Side, _ after: Side) {
        for (name, kept) in after.kept.sorted(by: { $0.key < $1.key }) {
            let element = after.step(name) == nil ? "table \(name)" : "step \(name)"
            guard let old = before.kept[name] else {
                if after.step(name) != nil {
                    add(element, .warmStart, "it is new, and knows nothing of what was before it")
                }
                continue
            }
            if old.definition != kept.definition {
                let definitions = "it holds \(old.definition) and would hold \(kept.definition)"
                if after.step(name) == nil {
                    add(
                        element, .newGroup, "\(definitions): what was kept as one cannot be read as the other"
                    )
                } else {
                    add(
                        element, .warmStart, "\(definitions): give it another name, under which it begins",
                        contradictsState: true)
                }
            } else if old.intake != kept.intake {
                add(
                    element, .mixed, "it takes in \(kept.intake); what it holds was taken in as \(old.intake)"
                )
            }
        }
        for name in before.kept.keys.sorted() where after.kept[name] == nil {
            if before.step(name) != nil { add("step \(name)", .hot, "it goes, with what it holds") }
        }
        func others(_ side: Side) -> [String: String] {
            var texts: [String: String] = [:]
            for (index, step) in side.spec.steps.enumerated() where side.kept[step.name] == nil {
                texts[step.name, default: ""] += side.spec.logic(ofStep: index)
            }
            return texts
        }
        let (old, new) = (others(before), others(after))
        for (name, text) in new.sorted(by: { $0.key < $1.key })
        where old[name] != text && before.kept[name] == nil {
            add(
                "step \(name)", .hot,
                old[name] == nil ? "it is new, and remembers nothing" : "it remembers nothing")
        }
        for name in old.keys.sorted() where new[name] == nil && after.kept[name] == nil {
            add("step \(name)", .hot, "it goes; it remembers nothing")
        }
    }

    // MARK: Rules and sinks

    private mutating func compareRules(_ before: Side, _ after: Side) {
        let old = Dictionary(before.spec.rules.map { ($0.name, $0) }) { a, _ in a }
        let new = Dictionary(after.spec.rules.map { ($0.name, $0) }) { a, _ in a }
        for (name, rule) in new.sorted(by: { $0.key < $1.key }) {
            guard let former = old[name] else {
                add("rule \(name)", .hot, "it is new: every key with a live window is judged once")
                continue
            }
            let (was, now) = (before.spec.logic(of: former), after.spec.logic(of: rule))
            guard was != now else { continue }
            let (key, own) = (Self.key(former, before.spec), Self.key(rule, after.spec))
            if key != own {
                add("rule \(name)", .hot, "its key (\(key)) becomes (\(own)): raised alerts are cleared")
            } else if former.on.map({ before.spec.steps[$0].name })
                != rule.on.map({ after.spec.steps[$0].name })
            {
                add(
                    "rule \(name)", .hot,
                    "it looks at other steps: raised alerts of other windows are cleared")
            } else {
                add(
                    "rule \(name)", .hot,
                    "every key with a live window is judged once; raised alerts follow its clear")
            }
        }
        let gone = old.keys.filter { new[$0] == nil }.sorted()
        for name in gone {
            let twin = new.values.first { candidate in
                old[candidate.name] == nil && old[name].map { $0.condition == candidate.condition } == true
            }
            let hint = twin.map { " (it is not known that it is now '\($0.name)')" } ?? ""
            add("rule \(name)", .hot, "it goes: its raised alerts are cleared\(hint)")
        }
    }

    private static func key(_ rule: RuleSpec, _ spec: TopologySpec) -> String {
        guard let first = rule.on.first else { return "" }
        return spec.steps[first].key.map { spec.steps[first].schema.fields[$0].name }.joined(separator: ", ")
    }

    private mutating func compareSinks(_ before: Side, _ after: Side) {
        func inputs(_ sink: SinkSpec, _ spec: TopologySpec) -> [String] {
            switch sink.input {
            case .alerts(let rules) where rules.count == spec.rules.count: ["every rule"]
            case .alerts(let rules): rules.map { spec.rules[$0].name }.sorted()
            case .steps(let steps): steps.map { spec.steps[$0].name }.sorted()
            }
        }
        for sink in after.spec.sinks {
            let element = "sink \(sink.name)"
            guard let old = before.spec.sinks.first(where: { $0.name == sink.name }) else {
                if !sink.target.isOpenedByWorker {
                    add(element, .hot, "it is new")
                } else {
                    add(element, .restart, "it is new, and is opened when a worker starts")
                }
                continue
            }
            if old.target.logic != sink.target.logic {
                let isTopic = !old.target.isOpenedByWorker && !sink.target.isOpenedByWorker
                add(
                    element, isTopic ? .hot : .restart,
                    isTopic
                        ? "its topic changes"
                        : "what it writes to changes, and is opened when a worker starts")
            } else if inputs(old, before.spec) != inputs(sink, after.spec) {
                add(element, .hot, "what it takes changes")
            }
        }
        for sink in before.spec.sinks where !after.spec.sinks.contains(where: { $0.name == sink.name }) {
            let isTopic = !sink.target.isOpenedByWorker
            add(
                "sink \(sink.name)", isTopic ? .hot : .restart,
                isTopic ? "it goes" : "it goes, and is closed when a worker ends")
        }
    }
}

extension SourceSpec {
    /// The topic that lanes read it from; nil: it is none.
    fileprivate var topic: String? {
        switch origin {
        case .kafka(let topic, _): isBroadcast ? nil : topic
        case .repartition(let topic): topic
        case .file, .generate, .redis, .stream: nil
        }
    }
}
