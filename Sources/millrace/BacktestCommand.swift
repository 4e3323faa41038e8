import Base
import Connectors
import Engine
import Records
import Topology

enum BacktestCommand: Command {
    static let name = "backtest"
    static let summary = "what two sets of rules would have raised over the same records"
    static let help = """
        usage: millrace backtest OLD NEW --input NAME=PATH... [OPTIONS]

        Runs the rules of two topology files (A and B) over the same records in one pass: alerts that both would have raised,
        those of only one, and those of one customer that came at another time within an hour. The files may differ in rules and
        in the parameters of rules, not in steps. An alert is the same where rule, key and event time are.

          --input NAME=PATH       the records of source NAME, as of `millrace replay`
          --from TIME --to TIME   event times whose alerts count, like 2026-01-05 or 2026-01-05T10:00:00Z; records before
                                  warm the windows up
          --curve NAME=FROM..TO   alerts a day of B over 20 values of a parameter; NAME=FROM..TO/40 for 40
          --labels FILE           customers that are to be found, one a line: precision and recall
          --set name=value        a parameter of both files; --set-old and --set-new: of one
          --json                  for programs
          --page FILE             one HTML file with tables and plots

        example: millrace backtest Topologies/merchant-watch/topology.yaml changed.yaml \\
                   --input invoices=Topologies/merchant-watch/sample
        """
    static let options: [String: Arguments.Kind] = [
        "--input": .values, "--from": .value, "--to": .value, "--curve": .value, "--labels": .value,
        "--set": .values,
        "--set-old": .values, "--set-new": .values, "--json": .flag, "--page": .value,
    ]

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        guard arguments.files.count == 2 else {
            throw Fault(.user, "two topology files are expected: the old one and the new one")
        }
        let old = try text(arguments.files[0], arguments, "--set-old")
        let new = try text(arguments.files[1], arguments, "--set-new")
        guard let old, let new else { return ExitCode.usage }
        var options = Backtest.Options()
        options.from = try time("--from", arguments)
        options.to = try time("--to", arguments)
        if let from = options.from, let to = options.to, from >= to {
            throw Fault(.user, "--from is not before --to")
        }
        options.curve = try arguments.value("--curve").map { (text) throws(Fault) in try BacktestCurve(text) }
        if let file = arguments.value("--labels") {
            options.labelled = Set(
                try FileText.read(file).split(whereSeparator: \.isNewline).map(String.init))
        }
        let backtest = try Backtest(old, new, inputs: try ReplayCommand.inputs(arguments), options)
        let progress = Progress()
        let report = try backtest.run { done, total, records in
            progress.show(done, of: total, records: records)
        }
        progress.finish()
        if let page = arguments.value("--page") {
            let writer = try FileWriter(path: page)
            let bytes = Array(BacktestPage.html(report, old: old.file, new: new.file).utf8)
            try bytes.withUnsafeBufferPointer { (bytes) throws(Fault) in try writer.write(bytes) }
            try writer.close()
        }
        if arguments.has("--json") { put(report.json) } else { for line in report.lines { put(line) } }
        if report.warmPercent < 100 {
            say("warning: windows were warm to \(report.warmPercent) % only: give records from before --from")
        }
        return ExitCode.done
    }

    /// nil after its mistakes were printed.
    private static func text(_ path: String, _ arguments: Arguments, _ own: String) throws(Fault)
        -> RuleSetText?
    {
        let parameters = try arguments.parameters().merging(arguments.parameters(own)) { $1 }
        let text = RuleSetText(file: path, text: try TopologyFile.text(path), parameters: parameters)
        let (spec, diagnostics) = text.read()
        for diagnostic in diagnostics { say("\(diagnostic)") }
        return spec == nil ? nil : text
    }

    private static func time(_ name: String, _ arguments: Arguments) throws(Fault) -> Int64? {
        guard let text = arguments.value(name) else { return nil }
        for candidate in [text, "\(text)T00:00:00Z", "\(text)Z"] {
            if let parsed = CivilTime.parse(candidate), parsed.hasZone { return parsed.milliseconds }
        }
        throw Fault(
            .user,
            "\(name) takes a day or a time with its zone, like 2026-01-05 or 2026-01-05T10:00:00+08:00, not '\(text)'"
        )
    }
}
