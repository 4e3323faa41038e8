import Engine
import Topology

/// Topologies that several suites read.
enum Samples {
    /// The example that the project was designed with.
    static let merchantRisk = """
        topology: merchant-risk           # application id = consumer group = prefix of every internal topic
        guarantee: exactly-once           # or at-least-once
        latency: 3s                       # lint proves each source-to-alert path against it

        sources:
          orders:
            kafka: { topic: orders }      # or file: for replay, generate: for load
            format: json
            time: { field: event_time, out_of_order: 2s, idle: 5s }
            schema:
              order_id: text
              merchant_id: text
              buyer_id: text
              kind: text                  # paid | refunded | shipped | signed
              amount: decimal(2)
              event_time: timestamp       # ISO 8601 or epoch milliseconds

        steps:
          paid: { from: orders, where: kind == "paid" }

          turnover:                       # 5 minutes sliding by 10 s: the seed's window
            from: paid
            key: merchant_id
            window: { size: 5m, slide: 10s }
            aggregate: { orders: count(), amount: sum(amount), largest: max(amount), buyers: distinct(buyer_id) }

          baseline:                       # the 30 days before today, per day
            from: paid
            key: merchant_id
            window: { size: 30d, slide: 1d, zone: Asia/Shanghai, until: yesterday }
            aggregate: { daily_amount: sum(amount) / days() }

          today:
            from: paid
            key: merchant_id
            window: { size: 1d, zone: Asia/Shanghai }
            aggregate: { amount: sum(amount), night: count(hour(event_time) in 0..5) / count() }

        rules:
          volume-spike:
            on: { today, baseline }
            when: today.amount > 5 * baseline.daily_amount and baseline.daily_amount > 100.00
            clear: today.amount < 3 * baseline.daily_amount
            risk: fabricated-volume
            severity: high
            measure: freeze part of the limit and ask for more guarantee
            message: "{merchant_id} sold {today.amount} today, {baseline.daily_amount} is usual"

        sinks:
          alerts: { kafka: { topic: risk-alerts } }
          merchants:                      # hot metrics
            redis: { key: "merchant:{merchant_id}", ttl: 2d }
            from: [turnover, today]

        """

    /// Zones without the system's files.
    static let environment = Environment(
        variable: { ["TOPIC": "orders", "SECRET": "hunter2 or 1"][$0] },
        fileText: { ["/secret": "hunter2\n"][$0] },
        zones: ZoneNames(
            isZone: { ["UTC", "Asia/Shanghai", "Europe/London", "Europe/Berlin"].contains($0) },
            names: { ["Asia/Shanghai", "Europe/Berlin", "Europe/London", "UTC"] }
        )
    )

    static func read(_ text: String, parameters: [String: String] = [:]) -> (
        spec: TopologySpec?, diagnostics: [String]
    ) {
        let result = TopologyReader.read(text, file: "t", parameters: parameters, environment: environment)
        return (result.spec, result.diagnostics.map(\.description))
    }
}

/// A topology without mistakes, in which each test makes one.
let mistakeBase = #"""
    topology: risk
    latency: 3s
    parameters: { spike: 5 }
    sources:
      orders:
        kafka: { topic: orders }
        time: { field: at, out_of_order: 2s, idle: 500ms }
        schema:
          id: text
          merchant: text
          kind: text?
          amount: decimal(2)
          fee: decimal(4)
          count: int
          at: timestamp
          net: { from: amount - fee }
    steps:
      paid:
        from: orders
        where: kind == "paid"
        fields: { share: fee / amount }
        key: merchant
      sums:
        from: paid
        key: merchant
        window: { size: 5m, slide: 10s }
        aggregate:
          total: sum(amount)
          people: distinct(id)
      days:
        from: paid
        key: [merchant]
        window: { size: 30d, slide: 1d, zone: Asia/Shanghai, until: yesterday }
        aggregate: { total: sum(amount) / days() }
    rules:
      spike:
        on: { sums, days }
        when: sums.total > ${spike} * days.total
        clear: sums.total < days.total
        risk: volume
        severity: high
        message: "{merchant} sold {sums.total}"
      big:
        on: paid
        when: amount > 1000.00
        risk: volume
        severity: low
    sinks:
      alerts: { kafka: { topic: alerts } }
      metrics:
        redis: { key: "m:{merchant}", ttl: 2d }
        from: [sums, days]

    """#

/// A suite of tests without mistakes.
let suiteBase = #"""
    tests:
      - name: a spike is found
        set: { spike: 5 }
        given:
          - orders: { order_id: "o{n}", merchant_id: M1, kind: paid, amount: 10.00, event_time: 2026-01-01T00:00:00Z }
            repeat: 10
            every: 1m
          - clock: 2026-01-02T00:00:00Z
        expect:
          - { rule: volume-spike, state: raised, key: { merchant_id: M1 }, values: { today.amount: "100.00" } }
        dead: 0
        late: 2
      - name: nothing
        given: []
        expect: []
    """#
