import Records

/// A backtest as one HTML file that needs nothing else: tables, and the curve as a drawing with its table
/// beside it.
package enum BacktestPage {
    package static func html(_ report: BacktestReport, old: String, new: String) -> String {
        var page = """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
            <title>Backtest</title>
            <style>
            body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1b1b1b; background: #fff }
            table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .3rem .7rem; border-bottom: 1px solid #ccc; text-align: right }
            th:first-child, td:first-child { text-align: left } caption { text-align: left; font-weight: 600; padding: .3rem 0 }
            svg { width: 100%; height: auto; max-width: 50rem } .a { fill: #64748b } .b { fill: #b45309 }
            </style></head><body>
            <h1>Backtest</h1>
            <p>A: \(escaped(old))<br>B: \(escaped(new))</p>
            <p>\(report.records) records; alerts from \(CivilTime.string(report.from)) to \(CivilTime.string(report.to)); windows were warm
            to \(report.warmPercent) %.</p>

            """
        page += table(
            "Alerts by rule",
            [
                "rule", "A", "B", "both", "only A", "only B", "retimed", "customers A", "customers B",
                "A a day", "B a day",
            ],
            report.rules.map { rule in
                [
                    rule.name, rule.a.map(String.init) ?? "–", rule.b.map(String.init) ?? "–", "\(rule.both)",
                    "\(rule.onlyA)",
                    "\(rule.onlyB)", "\(rule.retimed)", "\(rule.customersA)", "\(rule.customersB)",
                    BacktestReport.short(Double(rule.a ?? 0) / report.days),
                    BacktestReport.short(Double(rule.b ?? 0) / report.days),
                ]
            })
        page += bars(report)
        if let parameter = report.parameter, !report.curve.isEmpty {
            page += curve(report, parameter)
            page += table(
                "Alerts over \(parameter)", [parameter, "alerts", "a day", "customers"],
                report.curve.map {
                    [
                        $0.value, "\($0.alerts)", BacktestReport.short(Double($0.alerts) / report.days),
                        "\($0.customers)",
                    ]
                })
        }
        for rule in report.rules {
            for (set, samples) in [("A", rule.samplesOnlyA), ("B", rule.samplesOnlyB)] where !samples.isEmpty
            {
                page += "<h2>Only \(set): \(escaped(rule.name))</h2>\n<ul>\n"
                for sample in samples { page += "<li>\(escaped(sample))</li>\n" }
                page += "</ul>\n"
            }
        }
        return page + "</body></html>\n"
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
    }

    private static func table(_ caption: String, _ heads: [String], _ rows: [[String]]) -> String {
        var text = "<table><caption>\(escaped(caption))</caption><thead><tr>"
        for head in heads { text += "<th scope=\"col\">\(escaped(head))</th>" }
        text += "</tr></thead><tbody>\n"
        for row in rows { text += "<tr>" + row.map { "<td>\(escaped($0))</td>" }.joined() + "</tr>\n" }
        return text + "</tbody></table>\n"
    }

    /// Alerts of A and B, a pair of bars for each rule; the numbers stand in the table.
    private static func bars(_ report: BacktestReport) -> String {
        let most = max(1, report.rules.map { max($0.a ?? 0, $0.b ?? 0) }.max() ?? 1)
        let height = report.rules.count * 44 + 10
        var text =
            "<svg viewBox=\"0 0 700 \(height)\" role=\"img\" aria-label=\"Alerts of A and B by rule\">\n"
        for (row, rule) in report.rules.enumerated() {
            let y = row * 44 + 10
            text += "<text x=\"0\" y=\"\(y + 18)\" font-size=\"13\">\(escaped(rule.name))</text>"
            for (offset, style, count) in [(0, "a", rule.a ?? 0), (15, "b", rule.b ?? 0)] {
                let width = count * 460 / most
                text +=
                    "<rect class=\"\(style)\" x=\"180\" y=\"\(y + offset)\" width=\"\(width)\" height=\"13\"/>"
                text +=
                    "<text x=\"\(186 + width)\" y=\"\(y + offset + 11)\" font-size=\"11\">\(count)</text>\n"
            }
        }
        return text + "</svg>\n"
    }

    private static func curve(_ report: BacktestReport, _ parameter: String) -> String {
        let most = max(1, report.curve.map(\.alerts).max() ?? 1)
        func x(_ index: Int) -> Int { 60 + index * 600 / max(1, report.curve.count - 1) }
        func y(_ alerts: Int) -> Int { 250 - alerts * 220 / most }
        let points = report.curve.enumerated().map { "\(x($0.offset)),\(y($0.element.alerts))" }.joined(
            separator: " ")
        var text = "<h2>Alerts a day over \(escaped(parameter))</h2>\n"
        text +=
            "<svg viewBox=\"0 0 700 290\" role=\"img\" aria-label=\"Alerts a day over \(escaped(parameter)); the table below has the numbers\">\n"
        text +=
            "<path d=\"M60 20V250H670\" fill=\"none\" stroke=\"#888\"/><polyline points=\"\(points)\" fill=\"none\" stroke=\"#b45309\" stroke-width=\"2\"/>\n"
        text +=
            "<text x=\"4\" y=\"34\" font-size=\"12\">\(BacktestReport.short(Double(most) / report.days))</text><text x=\"40\" y=\"254\" font-size=\"12\">0</text>\n"
        for (index, point) in report.curve.enumerated() {
            text +=
                "<circle class=\"b\" cx=\"\(x(index))\" cy=\"\(y(point.alerts))\" r=\"3\"><title>\(escaped(point.value)): \(point.alerts)</title></circle>"
            if index == 0 || index == report.curve.count - 1 {
                text +=
                    "<text x=\"\(x(index) - 20)\" y=\"272\" font-size=\"12\">\(escaped(point.value))</text>"
            }
        }
        return text + "\n</svg>\n"
    }
}
