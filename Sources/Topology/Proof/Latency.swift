import Base
import Records

/// What each hop of a record costs at most while no machine is overloaded, milliseconds.
package struct LatencyModel: Sendable {
    /// The broker holds a fetch back this long (`fetch.wait.max.ms`).
    package var fetchWaitMilliseconds: Int64
    package var pollMilliseconds: Int64
    /// Decoding, windows and rules of one batch.
    package var processingMilliseconds: Int64
    /// Alerts become readable when the transaction commits.
    package var commitIntervalMilliseconds: Int64
    package var produceMilliseconds: Int64
    /// A record waits so long for another input of its task that was read to its end (`--max-task-idle`).
    package var taskIdleMilliseconds: Int64

    package init(
        fetchWaitMilliseconds: Int64 = 10,
        pollMilliseconds: Int64 = 10,
        processingMilliseconds: Int64 = 20,
        commitIntervalMilliseconds: Int64 = 100,
        produceMilliseconds: Int64 = 10,
        taskIdleMilliseconds: Int64 = Limits.taskIdleMilliseconds
    ) {
        self.fetchWaitMilliseconds = fetchWaitMilliseconds
        self.pollMilliseconds = pollMilliseconds
        self.processingMilliseconds = processingMilliseconds
        self.commitIntervalMilliseconds = commitIntervalMilliseconds
        self.produceMilliseconds = produceMilliseconds
        self.taskIdleMilliseconds = taskIdleMilliseconds
    }
}

/// From a record of a source to an alert of a rule: the sum of its terms bounds the time between them.
package struct LatencyPath: Hashable, Sendable {
    package struct Term: Hashable, Sendable {
        package var name: String
        package var milliseconds: Int64
        /// What makes it smaller.
        package var remedy: String
    }

    /// Names of the source, the steps and the rule.
    package var nodes: [String]
    /// Index of the rule in the topology.
    package var rule: Int
    package var terms: [Term]
    /// Paths from this source to this rule that it stands for, being the longest of them; `.max`: at least so
    /// many.
    package var count = 1

    package var total: Int64 { terms.reduce(0) { $0 + $1.milliseconds } }
    package var description: String {
        let text = nodes.joined(separator: " -> ")
        if count == 1 { return text }
        return text
            + ", the longest of \(count == .max ? "very many" : StateBound.grouped(Int64(count))) paths from \(nodes[0])"
    }
}

package enum LatencyProof {
    /// The paths from sources to alerts, by rule: every one of them, or of each source the longest where
    /// there are more than `Limits.latencyPathsListed`, since steps that meet again and again have too many.
    package static func paths(_ spec: TopologySpec, _ model: LatencyModel = LatencyModel()) -> [LatencyPath] {
        var routes = Routes(spec: spec, split: spec.repartitioned(), model: model)
        return spec.rules.indices.flatMap { rule in
            let waits = spec.rules[rule].at == .close
            let found = spec.rules[rule].on.flatMap { routes.to($0, waits: waits) }
            return Routes.shortened(found).map { path in
                var path = path
                path.rule = rule
                if path.nodes.last != spec.rules[rule].name { path.nodes.append(spec.rules[rule].name) }
                return path
            }
        }
    }

    /// An error at each rule with a path that takes longer than the topology's `latency`, for its longest
    /// one.
    package static func check(
        _ spec: TopologySpec,
        file: String,
        _ model: LatencyModel = LatencyModel()
    ) -> [Diagnostic] {
        let paths = paths(spec, model)
        return spec.rules.indices.compactMap { rule in
            let slowest = paths.filter { $0.rule == rule }.max { $0.total < $1.total }
            guard let slowest, slowest.total > spec.latency else { return nil }
            guard let largest = slowest.terms.max(by: { $0.milliseconds < $1.milliseconds }) else {
                return nil
            }
            return Diagnostic(
                file: file,
                at: spec.rules[rule].position,
                "rule \(spec.rules[rule].name): an alert may take \(ValueText.duration(slowest.total)) over "
                    + "\(slowest.description), longer than latency \(ValueText.duration(spec.latency)); "
                    + "the largest term "
                    + "is \(ValueText.duration(largest.milliseconds)) for \(largest.name): "
                    + "\(largest.remedy), "
                    + "or write latency: \(ValueText.duration(roundedUp(slowest.total)))"
            )
        }
    }

    /// Paths that end in steps, each found once.
    private struct Routes {
        let spec: TopologySpec
        let split: TopologySpec
        let model: LatencyModel
        private let groups: [Int: Int]
        private var known: [Key: [LatencyPath]] = [:]

        private struct Key: Hashable {
            var step: Int
            var waits: Bool
        }

        init(spec: TopologySpec, split: TopologySpec, model: LatencyModel) {
            self.spec = spec
            self.split = split
            self.model = model
            groups = split.alignedGroups
        }

        /// `waits`: event time must pass the record for something that comes after the step.
        mutating func to(_ step: Int, waits: Bool) -> [LatencyPath] {
            let key = Key(step: step, waits: waits)
            if let found = known[key] { return found }
            var nodes: [String] = []
            var terms: [LatencyPath.Term] = []
            var index = step
            while true {
                // The steps that an operator brings along have its name.
                if nodes.last != spec.steps[index].name { nodes.append(spec.steps[index].name) }
                if split.steps[index].input != spec.steps[index].input {
                    terms += repartition(model, waits: waits)
                }
                guard case .step(let before) = spec.steps[index].input else { break }
                index = before
            }
            guard case .source(let source) = spec.steps[index].input else { return [] }
            var before: [LatencyPath] = []
            if case .stream(let operation) = spec.sources[source].origin {
                let waits = waits || spec.steps[operation].operation?.part.order != .asTheyCome
                for input in spec.steps[operation].operation?.inputs ?? [operation] {
                    before += to(input, waits: waits)
                }
            } else {
                let mayWait = split.mayWait(source, groups)
                let own = LatencyProof.terms(spec.sources[source], waits: waits, mayWait: mayWait, model)
                before = [LatencyPath(nodes: [spec.sources[source].name], rule: -1, terms: own)]
            }
            let forward = Array(nodes.reversed())
            let paths = Self.shortened(before).map { path in
                var path = path
                path.terms += terms
                path.nodes += forward.dropFirst(path.nodes.last == forward.first ? 1 : 0)
                return path
            }
            known[key] = paths
            return paths
        }

        /// All paths, or, of too many, of each source the longest.
        static func shortened(_ paths: [LatencyPath]) -> [LatencyPath] {
            if paths.count <= Limits.latencyPathsListed, paths.allSatisfy({ $0.count == 1 }) { return paths }
            var longest: [LatencyPath] = []
            var places: [String: Int] = [:]
            for path in paths {
                guard let place = places[path.nodes[0]] else {
                    places[path.nodes[0]] = longest.count
                    longest.append(path)
                    continue
                }
                let (sum, overflow) = longest[place].count.addingReportingOverflow(path.count)
                if path.total > longest[place].total { longest[place] = path }
                longest[place].count = overflow ? .max : sum
            }
            return longest
        }
    }

    /// A topic more, which is read once its transaction has committed, and in the order of all who write to
    /// it. `waits`: event time is waited for behind it, which begins no later than the wait for the others.
    private static func repartition(_ model: LatencyModel, waits: Bool) -> [LatencyPath.Term] {
        let hop =
            model.commitIntervalMilliseconds + model.produceMilliseconds + model.fetchWaitMilliseconds
            + model.pollMilliseconds
            + model.processingMilliseconds
        let terms = [
            LatencyPath.Term(
                name: "repartition", milliseconds: hop,
                remedy: "read a topic that has the window's key, or commit more often")
        ]
        // The others say how far they are with their next commit.
        return waits ? terms : terms + [taskIdle(max(hop, model.taskIdleMilliseconds))]
    }

    private static func taskIdle(_ milliseconds: Int64) -> LatencyPath.Term {
        LatencyPath.Term(name: "task idle", milliseconds: milliseconds, remedy: "lower --max-task-idle")
    }

    private static func terms(
        _ source: SourceSpec, waits: Bool, mayWait: Bool, _ model: LatencyModel
    ) -> [LatencyPath.Term] {
        var terms: [LatencyPath.Term] = [
            .init(
                name: "fetch wait",
                milliseconds: model.fetchWaitMilliseconds,
                remedy: "lower fetch.wait.max.ms"
            ),
            .init(name: "poll", milliseconds: model.pollMilliseconds, remedy: "lower the poll time"),
            .init(
                name: "processing",
                milliseconds: model.processingMilliseconds,
                remedy: "use smaller batches"
            ),
        ]
        // Where event time is waited for, the wait for another input is over by then.
        let idle = model.taskIdleMilliseconds - (waits ? source.outOfOrder + source.idle : 0)
        if mayWait, idle > 0 { terms.append(taskIdle(idle)) }
        if waits {
            // The watermark passes the end of a window when a record that much later comes, or, where no
            // record comes any more, when the partition counts as idle.
            terms.append(
                .init(
                    name: "out of order",
                    milliseconds: source.outOfOrder,
                    remedy: "lower out_of_order of source \(source.name), or use at: record"
                )
            )
            terms.append(
                .init(
                    name: "idle",
                    milliseconds: source.idle,
                    remedy: "lower idle of source \(source.name), or use at: record"
                )
            )
        }
        terms.append(
            .init(
                name: "commit interval",
                milliseconds: model.commitIntervalMilliseconds,
                remedy: "commit more often"
            )
        )
        terms.append(
            .init(name: "produce", milliseconds: model.produceMilliseconds, remedy: "lower linger.ms")
        )
        return terms
    }

    /// To whole seconds, as people write such bounds.
    private static func roundedUp(_ milliseconds: Int64) -> Int64 { (milliseconds + 999) / 1000 * 1000 }
}
