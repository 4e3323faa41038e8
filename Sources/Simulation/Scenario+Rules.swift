import Base

extension Scenario {
    /// The windows of `windows`, whose rules change while records come.
    @Sendable static func rules(_ random: inout SplitMix64) -> Scenario {
        var scenario = windows(&random)
        scenario.name = "rules"
        // Outputs of a commit that is made again would be of either rules.
        scenario.mayRepeat = false
        scenario.variants = (0..<(1 + pick(4, &random))).map { _ in variant(of: scenario.topology, &random) }
        return scenario
    }

    private static func variant(of topology: String, _ random: inout SplitMix64) -> String {
        var text = topology.replacing("when: n >= 5", with: "when: n >= \(2 + pick(6, &random))")
        if pick(3, &random) == 0 { text = text.replacing("clear: n < 3", with: "clear: n < 2") }
        if pick(3, &random) == 0 { text = text.replacing("pace.n > usual.n + 2", with: "pace.n > usual.n") }
        if pick(3, &random) == 0 { text = text.replacing("amount > 8000, risk", with: "amount > 8500, risk") }
        // A rule that goes, and perhaps comes back.
        if pick(2, &random) == 0, let start = text.firstRange(of: "  back:\n")?.lowerBound,
            let end = text.firstRange(of: "  more:\n")?.lowerBound
        {
            text.removeSubrange(start..<end)
        }
        if pick(3, &random) == 0 {
            text = text.replacing("  burst:\n", with: "  burst-\(pick(2, &random)):\n")
        }
        return text
    }
}
