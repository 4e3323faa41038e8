import Base
import Dataflow
import Records
import Topology

/// Two sets of rules over the same records, in one pass: what each would have raised. The windows are
/// computed once; a rule of either costs what one more rule costs. A parameter can be given many values in
/// the same pass.
package struct Backtest {
    package struct Options: Sendable {
        /// Event times whose alerts count, milliseconds; nil: all of them. What is before warms windows up.
        package var from: Int64?
        package var to: Int64?
        package var curve: BacktestCurve?
        /// Customers that were what the rules look for, where that is known.
        package var labelled: Set<String>?

        package init() {}
    }

    private let options: Options
    private let spec: TopologySpec
    private let ruleNames: (a: [String], b: [String])
    private let inputs: [(source: String, paths: [String])]
    private static let second = "b: "

    /// Throws where the two do not have their steps in common, or what is named in the curve.
    package init(
        _ old: RuleSetText, _ new: RuleSetText, inputs: [(source: String, paths: [String])],
        _ options: Options
    ) throws(Fault) {
        self.options = options
        self.inputs = inputs
        let (a, b) = (try Self.read(old), try Self.read(new))
        ruleNames = (a.rules.map(\.name), b.rules.map(\.name))
        try Self.checkAlike(a, b, "the two files")
        var variants = [
            TopologyReader.Variant(prefix: Self.second, text: new.text, parameters: new.parameters)
        ]
        for (number, value) in (options.curve?.values ?? []).enumerated() {
            var parameters = new.parameters
            parameters[options.curve?.parameter ?? ""] = value
            let text = RuleSetText(file: new.file, text: new.text, parameters: parameters)
            if number == 0 {
                try Self.checkAlike(
                    a, Self.read(text), "--curve: other values of \(options.curve?.parameter ?? "")")
            }
            variants.append(
                TopologyReader.Variant(prefix: Self.prefix(number), text: new.text, parameters: parameters))
        }
        let (spec, diagnostics) = TopologyReader.read(
            old.text, file: old.file, parameters: old.parameters, variants: variants)
        guard var spec else { throw Fault(.user, diagnostics.map { "\($0)" }.joined(separator: "\n")) }
        // One sink takes what every rule of every set says.
        spec.sinks = [
            SinkSpec(
                name: "alerts", target: CapturedRecords(), input: .alerts(rules: Array(spec.rules.indices)),
                position: Position(line: 1, column: 1))
        ]
        self.spec = spec
    }

    private static func prefix(_ curve: Int) -> String { "curve \(curve): " }

    private static func read(_ text: RuleSetText) throws(Fault) -> TopologySpec {
        let (spec, diagnostics) = text.read()
        guard let spec else { throw Fault(.user, diagnostics.map { "\($0)" }.joined(separator: "\n")) }
        return spec
    }

    private static func checkAlike(_ a: TopologySpec, _ b: TopologySpec, _ what: String) throws(Fault) {
        let others = try ChangePlan(from: a, to: b).elements.filter { element in
            !element.element.hasPrefix("rule ") && !element.element.hasPrefix("sink ")
                && element.changeClass >= .mixed
        }
        guard let first = others.first else { return }
        throw Fault(
            .user,
            "\(what) differ in more than rules (\(first.element): \(first.reason)): a backtest compares rules over the same steps. "
                + "Compare two replays instead")
    }

    package func run(progress: (_ done: Int64, _ total: Int64, _ records: Int64) -> Void) throws(Fault)
        -> BacktestReport
    {
        var replay = try Replay(
            spec, inputs: inputs, keepsResults: false, order: .byTime(bufferBytes: Limits.replayBufferBytes))
        let lower = options.from ?? .min
        let box = TallyBox(BacktestTally(period: lower..<max(lower, options.to ?? .max)))
        let summary = try replay.run(
            output: { outbox throws(Fault) in try box.tally.take(outbox) }, progress: progress)
        var report = BacktestReport()
        report.records = summary.records
        report.from = options.from ?? summary.firstEventTime
        report.to = options.to ?? summary.lastEventTime
        report.neededMilliseconds = spec.longestWindow
        report.warmMilliseconds = max(0, report.from - summary.firstEventTime)
        report.unread = summary.dead
        let byRule = box.tally.byRule
        var names: [String] = []
        for name in ruleNames.a + ruleNames.b where !names.contains(name) { names.append(name) }
        for name in names {
            report.rules.append(
                BacktestReport.Rule(
                    name, a: ruleNames.a.contains(name) ? byRule[name] ?? BacktestAlerts() : nil,
                    b: ruleNames.b.contains(name) ? byRule[Self.second + name] ?? BacktestAlerts() : nil,
                    labelled: options.labelled))
        }
        for (number, value) in (options.curve?.values ?? []).enumerated() {
            let all = ruleNames.b.compactMap { byRule[Self.prefix(number) + $0] }
            report.curve.append(
                BacktestReport.Point(
                    value: value, alerts: all.reduce(0) { $0 + $1.alerts.count },
                    customers: all.reduce(into: Set()) { $0.formUnion($1.customers) }.count))
        }
        report.parameter = options.curve?.parameter
        return report
    }

    private final class TallyBox {
        var tally: BacktestTally
        init(_ tally: BacktestTally) { self.tally = tally }
    }
}
