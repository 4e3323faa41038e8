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

    package init(
        fetchWaitMilliseconds: Int64 = 10,
        pollMilliseconds: Int64 = 10,
        processingMilliseconds: Int64 = 20,
        commitIntervalMilliseconds: Int64 = 100,
        produceMilliseconds: Int64 = 10
    ) {
        self.fetchWaitMilliseconds = fetchWaitMilliseconds
        self.pollMilliseconds = pollMilliseconds
        self.processingMilliseconds = processingMilliseconds
        self.commitIntervalMilliseconds = commitIntervalMilliseconds
        self.produceMilliseconds = produceMilliseconds
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

    package var total: Int64 { terms.reduce(0) { $0 + $1.milliseconds } }
    package var description: String { nodes.joined(separator: " -> ") }
}

package enum LatencyProof {
    /// Every path from a source to an alert, by rule.
    package static func paths(_ spec: TopologySpec, _ model: LatencyModel = LatencyModel()) -> [LatencyPath] {
        let split = spec.repartitioned()
        return spec.rules.indices.flatMap { rule in
            spec.rules[rule].on.map { step in
                var path = path(to: rule, over: step, spec, model)
                if split.steps[step].input != spec.steps[step].input { path.terms.append(repartition(model)) }
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

    private static func path(to rule: Int, over step: Int, _ spec: TopologySpec, _ model: LatencyModel)
        -> LatencyPath
    {
        var nodes = [spec.rules[rule].name]
        var index = step
        while true {
            nodes.append(spec.steps[index].name)
            switch spec.steps[index].input {
            case .step(let before): index = before
            case .source(let source):
                nodes.append(spec.sources[source].name)
                let terms = terms(spec.sources[source], spec.rules[rule], model)
                return LatencyPath(nodes: nodes.reversed(), rule: rule, terms: terms)
            }
        }
    }

    /// A topic more, which is read once its transaction has committed.
    private static func repartition(_ model: LatencyModel) -> LatencyPath.Term {
        LatencyPath.Term(
            name: "repartition",
            milliseconds: model.commitIntervalMilliseconds + model.produceMilliseconds
                + model.fetchWaitMilliseconds + model.pollMilliseconds + model.processingMilliseconds,
            remedy: "read a topic that has the window's key, or commit more often"
        )
    }

    private static func terms(_ source: SourceSpec, _ rule: RuleSpec, _ model: LatencyModel) -> [LatencyPath
        .Term]
    {
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
        if rule.at == .close {
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
