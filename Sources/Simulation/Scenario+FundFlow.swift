import Base

extension Scenario {
    /// Money of loans, followed over accounts that lie in different partitions.
    @Sendable static func fundFlow(_ random: inout SplitMix64) -> Scenario {
        let partitions = Int32(1 + pick(3, &random))
        var feed: [Fed] = []
        var time = start
        for number in 0..<(40 + pick(100, &random)) {
            time += Int64(1 + pick(4000, &random))
            let account = "a\(pick(6, &random))"
            let place = partition(of: account, partitions)
            if pick(6, &random) == 0 {
                feed.append(
                    Fed(
                        source: "loans", partition: place, key: account,
                        value:
                            "{\"loan\":\"l\(number)\",\"account\":\"\(account)\",\"amount\":\(50 + pick(200, &random)),\"t\":\(time)}",
                        time: time))
            } else {
                let target = pick(8, &random) == 0 ? "null" : "\"a\(pick(6, &random))\""
                feed.append(
                    Fed(
                        source: "moves", partition: place, key: account,
                        value: """
                            {"id":\(number),"a":"\(account)","b":\(target),"amount":\(1 + pick(90, &random)),"cash":\(pick(9, &random) == 0),"t":\(time)}
                            """, time: time))
            }
        }
        for (source, end) in [("loans", time + 700_000), ("moves", time + 700_001)] {
            feed += flush(source, partitions, at: end) { key in
                source == "loans"
                    ? "{\"loan\":\"\(key)\",\"account\":\"\(key)\",\"amount\":1,\"t\":\(end)}"
                    : "{\"id\":-1,\"a\":\"\(key)\",\"b\":\"x\",\"amount\":1,\"cash\":false,\"t\":\(end)}"
            }
        }
        return Scenario(
            name: "fundFlow",
            topology: """
                topology: simulated-flow
                sources:
                  loans:
                    kafka: { topic: loans }
                    key: account
                    time: { field: t, out_of_order: 2s, idle: 1h }
                    schema: { loan: text, account: text, amount: int, t: timestamp }
                  moves:
                    kafka: { topic: moves }
                    key: a
                    time: { field: t, out_of_order: 2s, idle: 1h }
                    schema: { id: int, a: text, b: "text?", amount: int, cash: bool, t: timestamp }
                steps:
                  flow:
                    from: moves
                    fund_flow:
                      source: a
                      target: b
                      amount: amount
                      outside: cash
                      disbursements: { from: loans, loan: loan, account: account, amount: amount }
                      method: \(pick(2, &random) == 0 ? "fifo" : "pro_rata")
                      within: 2m
                      hops: 3
                      least: 3
                      settle: 1s
                rules:
                  much: { on: flow, when: tainted > 40, risk: r, severity: low, message: "{id} {tainted} {left}" }
                sinks:
                  alerts: { kafka: { topic: alerts } }
                  flows: { kafka: { topic: flows }, from: [flow] }
                """,
            partitions: partitions, feed: feed, isSeparate: false, mayRepeat: false)
    }
}
