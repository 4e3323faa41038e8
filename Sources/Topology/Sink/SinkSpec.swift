package struct SinkSpec: Sendable {
    package var name: String
    package var target: any SinkTarget
    package var input: Input
    package var position: Position

    package enum Input: Sendable {
        /// Alerts of these rules (indices).
        case alerts(rules: [Int])
        /// Results of these steps (indices): window steps at each close, record steps as records.
        case steps([Int])
    }

    package init(name: String, target: any SinkTarget, input: Input, position: Position) {
        self.name = name
        self.target = target
        self.input = input
        self.position = position
    }

    /// The Kafka topic that the lanes publish its records to; nil: they do not.
    package var topic: String? { if case .topic(let topic) = target.delivery { topic } else { nil } }

    /// The metrics that it takes instead of records; nil: it takes records.
    package var metrics: HotMetrics? {
        if case .metrics(let metrics) = target.delivery { metrics } else { nil }
    }
}
