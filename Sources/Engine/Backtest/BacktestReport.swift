import Records

/// What two sets of rules would have raised.
package struct BacktestReport: Sendable {
    package struct Rule: Sendable {
        package var name: String
        /// Alerts raised; nil: the set has no such rule.
        package var a: Int?
        package var b: Int?
        /// The same alert: of one key, at one event time.
        package var both = 0
        package var onlyA = 0
        package var onlyB = 0
        /// Of those that only one has: pairs of one customer within an hour.
        package var retimed = 0
        package var customersA = 0
        package var customersB = 0
        /// Alerts of each day that has some, ascending by count.
        package var daysA: [Int] = []
        package var daysB: [Int] = []
        /// Shares of alerted customers that were rightly alerted, and of those to be found that were; nil:
        /// not known.
        package var precision: (a: Double, b: Double)?
        package var recall: (a: Double, b: Double)?
        package var samplesOnlyA: [String] = []
        package var samplesOnlyB: [String] = []

        private static let samplesMax = 20
        private static let retimedMilliseconds: Int64 = 3_600_000

        init(_ name: String, a: BacktestAlerts?, b: BacktestAlerts?, labelled: Set<String>?) {
            self.name = name
            (self.a, self.b) = (a?.alerts.count, b?.alerts.count)
            let (first, second) = (a?.alerts ?? [], b?.alerts ?? [])
            let (idsA, idsB) = (Set(first.map(\.id)), Set(second.map(\.id)))
            both = idsA.intersection(idsB).count
            let lost = first.filter { !idsB.contains($0.id) }
            let gained = second.filter { !idsA.contains($0.id) }
            (onlyA, onlyB) = (lost.count, gained.count)
            retimed = Self.retimed(lost, gained)
            (customersA, customersB) = (a?.customers.count ?? 0, b?.customers.count ?? 0)
            (daysA, daysB) = (a?.days.values.sorted() ?? [], b?.days.values.sorted() ?? [])
            func sample(_ alert: BacktestAlerts.Alert) -> String {
                "\(CivilTime.string(alert.time)) \(alert.customer)\(alert.message.isEmpty ? "" : ": \(alert.message)")"
            }
            samplesOnlyA = lost.prefix(Self.samplesMax).map(sample)
            samplesOnlyB = gained.prefix(Self.samplesMax).map(sample)
            guard let labelled else { return }
            func share(_ part: Int, _ whole: Int) -> Double { whole == 0 ? 0 : Double(part) / Double(whole) }
            let (rightA, rightB) = (
                a?.customers.intersection(labelled).count ?? 0, b?.customers.intersection(labelled).count ?? 0
            )
            precision = (share(rightA, customersA), share(rightB, customersB))
            recall = (share(rightA, labelled.count), share(rightB, labelled.count))
        }

        /// Each alert has at most one partner, the first that fits.
        private static func retimed(_ lost: [BacktestAlerts.Alert], _ gained: [BacktestAlerts.Alert]) -> Int {
            var left = Dictionary(grouping: gained) { $0.customer }.mapValues { $0.map(\.time).sorted() }
            var pairs = 0
            for alert in lost.sorted(by: { $0.time < $1.time }) {
                guard
                    let place = left[alert.customer]?.firstIndex(where: {
                        abs($0 - alert.time) <= retimedMilliseconds
                    })
                else { continue }
                left[alert.customer]?.remove(at: place)
                pairs += 1
            }
            return pairs
        }
    }

    /// A value of the curve's parameter, and what the second set would have raised with it.
    package struct Point: Sendable {
        package var value: String
        package var alerts: Int
        package var customers: Int
    }

    package var records: Int64 = 0
    package var unread: Int64 = 0
    /// Event times that count, milliseconds.
    package var from: Int64 = 0
    package var to: Int64 = 0
    /// How far windows look back, and how much of that the records before `from` cover.
    package var neededMilliseconds: Int64 = 0
    package var warmMilliseconds: Int64 = 0
    package var rules: [Rule] = []
    package var parameter: String?
    package var curve: [Point] = []

    package var days: Double { max(1.0 / 24, Double(to - from) / 86_400_000) }
    package var warmPercent: Int {
        neededMilliseconds == 0
            ? 100 : Int(min(100, Double(warmMilliseconds) * 100 / Double(neededMilliseconds)))
    }

    // MARK: For programs

    package var json: String {
        var json = JsonWriter()
        json.beginObject()
        json.name("warm_up")
        json.beginObject()
        json.member("needed_ms", neededMilliseconds)
        json.member("covered_ms", min(warmMilliseconds, neededMilliseconds))
        json.member("percent", Int64(warmPercent))
        json.endObject()
        json.name("from")
        json.timestamp(from)
        json.name("to")
        json.timestamp(to)
        json.member("records", records)
        json.member("dead_letters", unread)
        json.name("rules")
        json.list(rules) { json, rule in rule.write(&json) }
        json.name("parameter")
        if let parameter { json.text(parameter) } else { json.null() }
        json.name("curve")
        json.list(curve) { json, point in
            json.beginObject()
            json.member("value", point.value)
            json.member("alerts", Int64(point.alerts))
            json.name("per_day")
            json.decimal(Double(point.alerts) / days)
            json.member("customers", Int64(point.customers))
            json.endObject()
        }
        json.endObject()
        return json.string
    }

    // MARK: For people

    package var lines: [String] {
        var lines = [
            "\(records) records\(unread > 0 ? ", \(unread) of them refused" : ""); alerts from \(CivilTime.string(from)) to "
                + "\(CivilTime.string(to)), \(Self.short(days)) days",
            "warm-up \(warmPercent) %: windows look back \(ValueText.duration(neededMilliseconds)), and records begin "
                + "\(ValueText.duration(warmMilliseconds)) before",
        ]
        let width = max(4, rules.map(\.name.count).max() ?? 0)
        func row(_ name: String, _ cells: [String]) -> String {
            name + String(repeating: " ", count: width - name.count)
                + cells.map { String(repeating: " ", count: max(1, 10 - $0.count)) + $0 }.joined()
        }
        lines.append(
            row(
                "rule", ["A", "B", "both", "only A", "only B", "retimed", "who A", "who B", "A/day", "B/day"])
        )
        for rule in rules {
            lines.append(
                row(
                    rule.name,
                    [
                        rule.a.map(String.init) ?? "-", rule.b.map(String.init) ?? "-", "\(rule.both)",
                        "\(rule.onlyA)", "\(rule.onlyB)",
                        "\(rule.retimed)", "\(rule.customersA)", "\(rule.customersB)",
                        Self.short(Double(rule.a ?? 0) / days),
                        Self.short(Double(rule.b ?? 0) / days),
                    ]))
            if let precision = rule.precision, let recall = rule.recall {
                lines.append(
                    "  precision \(Self.short(precision.a * 100)) % and \(Self.short(precision.b * 100)) %, recall "
                        + "\(Self.short(recall.a * 100)) % and \(Self.short(recall.b * 100)) %")
            }
        }
        for rule in rules {
            for (set, samples) in [("A", rule.samplesOnlyA), ("B", rule.samplesOnlyB)] where !samples.isEmpty
            {
                lines.append("only \(set), rule \(rule.name):")
                lines += samples.map { "  \($0)" }
            }
        }
        if let parameter, !curve.isEmpty {
            lines.append("alerts a day over \(parameter):")
            let most = max(1, curve.map(\.alerts).max() ?? 1)
            let wide = curve.map(\.value.count).max() ?? 0
            for point in curve {
                let bar = String(repeating: "#", count: point.alerts * 40 / most)
                lines.append(
                    "  \(String(repeating: " ", count: wide - point.value.count))\(point.value)  \(Self.short(Double(point.alerts) / days))  \(bar)"
                )
            }
        }
        return lines
    }

    static func short(_ value: Double) -> String {
        let tenths = (value * 10).rounded() / 10
        return tenths == tenths.rounded() ? "\(Int(tenths))" : "\(tenths)"
    }
}

extension BacktestReport.Rule {
    fileprivate func write(_ json: inout JsonWriter) {
        json.beginObject()
        json.member("rule", name)
        for (name, count) in [("a", a), ("b", b)] {
            json.name(name)
            if let count { json.number(Int128(count), scale: 0) } else { json.null() }
        }
        for (name, count) in [
            ("both", both), ("only_a", onlyA), ("only_b", onlyB), ("retimed", retimed),
            ("customers_a", customersA),
            ("customers_b", customersB),
        ] {
            json.member(name, Int64(count))
        }
        for (name, days) in [("days_a", daysA), ("days_b", daysB)] {
            json.name(name)
            json.beginObject()
            json.member("min", Int64(days.first ?? 0))
            json.member("median", Int64(days.isEmpty ? 0 : days[days.count / 2]))
            json.member("max", Int64(days.last ?? 0))
            json.endObject()
        }
        if let precision, let recall {
            for (name, value) in [
                ("precision_a", precision.a), ("precision_b", precision.b), ("recall_a", recall.a),
                ("recall_b", recall.b),
            ] {
                json.name(name)
                json.decimal(value)
            }
        }
        for (name, samples) in [("samples_only_a", samplesOnlyA), ("samples_only_b", samplesOnlyB)] {
            json.name(name)
            json.list(samples) { $0.text($1) }
        }
        json.endObject()
    }
}

extension JsonWriter {
    /// A share or a rate, to six places.
    fileprivate mutating func decimal(_ value: Double) {
        number(Int128((value * 1e6).rounded()), scale: 6)
    }
}
