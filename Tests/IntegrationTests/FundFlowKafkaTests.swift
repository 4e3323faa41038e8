import Base
import Connectors
import Engine
import Foundation
import Records
import Testing
import Topology

/// Money over accounts in four partitions, on a real broker.
@Suite(.serialized, .enabled(if: KafkaCluster.isAvailable, KafkaCluster.missing)) struct FundFlowKafkaTests {
    static func topology(_ name: String) -> String {
        """
        topology: \(name)
        sources:
          loans:
            kafka: { topic: \(name)-loans }
            key: account
            time: { field: event_time, out_of_order: 2s, idle: 10m }
            schema: { loan_id: text, account: text, amount: decimal(2), event_time: timestamp }
          transfers:
            kafka: { topic: \(name)-transfers }
            key: from_account
            time: { field: event_time, out_of_order: 2s, idle: 10m }
            schema: { transfer_id: text, from_account: text, to_account: text, amount: decimal(2), event_time: timestamp }
        steps:
          flow:
            from: transfers
            fund_flow:
              source: from_account
              target: to_account
              amount: amount
              disbursements: { from: loans, loan: loan_id, account: account, amount: amount }
              within: 30d
              settle: 1m
          per_loan:
            from: flow
            key: loan
            window: { size: 5m }
            aggregate: { moved: sum(tainted), n: count() }
        rules:
          large: { on: flow, when: tainted > 300.00, risk: r, severity: high, message: "{loan}: {path}" }
          fast: { on: per_loan, when: moved > 2000.00, at: close, risk: r, severity: low, message: "{loan} {moved}" }
        sinks:
          alerts: { kafka: { topic: \(name)-alerts } }
        """
    }

    static let start: Int64 = 1_767_225_600_000

    private static func loan(_ id: String, _ account: Int, _ cents: Int64, _ time: Int64) -> String {
        "{\"loan_id\":\"\(id)\",\"account\":\"A\(account)\",\"amount\":\"\(Decimal.string(cents, scale: 2))\",\"event_time\":\(time)}"
    }

    private static func transfer(_ id: Int, _ from: Int, _ to: Int, _ cents: Int64, _ time: Int64) -> String {
        "{\"transfer_id\":\"T\(id)\",\"from_account\":\"A\(from)\",\"to_account\":\"A\(to)\","
            + "\"amount\":\"\(Decimal.string(cents, scale: 2))\",\"event_time\":\(time)}"
    }

    /// Goal: the alerts on flows and on what is computed from them are those of a replay in one task,
    /// whichever tasks the accounts are in, and however often a worker begins again.
    @Test func flowsOverPartitionsAgreeWithTheReplay() throws {
        let cluster = try KafkaCluster.shared()
        let name = "flow-\(UInt32.random(in: 0...UInt32.max))"
        let seed =
            ProcessInfo.processInfo.environment["MILLRACE_SEED"].flatMap { UInt64($0) }
            ?? UInt64.random(in: 1...1_000_000)
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let settings = cluster.settings(group: name)
        try KafkaAdmin(settings).create(
            ["loans", "transfers", "alerts"].map { KafkaTopicPlan(name: "\(name)-\($0)", partitions: 4) })
        let spec = try #require(TopologyReader.read(Self.topology(name), file: "flow.yaml").spec)
        var loans: [(account: Int, json: String)] = []
        var transfers: [(from: Int, json: String)] = []
        var time = Self.start
        for index in 0..<12 {
            time += Int64(random.next() % 9000)
            let account = Int(random.next() % 30)
            loans.append(
                (account, Self.loan("L\(index)", account, 100_000 + Int64(random.next() % 400_000), time)))
        }
        time = Self.start
        for index in 0..<1500 {
            time += Int64(random.next() % 1000)
            let from = Int(random.next() % 30)
            let behind = Int64(random.next() % 1500)
            transfers.append(
                (
                    from,
                    Self.transfer(
                        index, from, Int(random.next() % 30), Int64(random.next() % 60_000), time - behind)
                ))
        }
        // Of no amount: they only say that time has gone on, in every account's partition, since event time
        // goes on here a hundred times as fast as the clock, by which quiet partitions go.
        for account in 0..<30 {
            loans.append((account, Self.loan("Z\(account)", account, 0, time + 1_200_000)))
            transfers.append((account, Self.transfer(9000 + account, account, 99, 0, time + 1_200_000)))
        }

        let expected = try Self.replay(spec, loans.map(\.json), transfers.map(\.json))
        #expect(expected.count > 50)
        let feeder = try KafkaFeeder(settings)
        let loanTopic = try feeder.topic("\(name)-loans")
        let transferTopic = try feeder.topic("\(name)-transfers")
        for loan in loans { try feeder.send(to: loanTopic, key: "A\(loan.account)", value: loan.json) }
        try feeder.flush()
        var live: [String] = []
        let reader = try KafkaReader(settings, topic: "\(name)-alerts")
        for round in 0..<2 {
            var options = Worker.Options(kafka: settings)
            options.lanes = 2
            let worker = Worker(spec, options)
            let failure = LockedFault()
            let thread = Thread { do { try worker.run() } catch { failure.set("\(error)") } }
            thread.start()
            #expect(WorkerTests.wait(seconds: 120) { worker.isReady || failure.text != nil })
            for transfer in transfers[transfers.count * round / 2..<transfers.count * (round + 1) / 2] {
                try feeder.send(to: transferTopic, key: "A\(transfer.from)", value: transfer.json)
            }
            try feeder.flush()
            let wanted = round == 0 ? expected.count / 4 : expected.count
            let isThere = WorkerTests.wait(seconds: 120) {
                _ = try? reader.poll(timeoutMilliseconds: 20) { Self.take($0.valueText, &live) }
                return live.count >= wanted || failure.text != nil
            }
            #expect(isThere, "\(live.count) of \(wanted)")
            worker.stop()
            #expect(WorkerTests.wait(seconds: 120) { thread.isFinished })
            #expect(failure.text == nil, "\(failure.text ?? "")")
        }
        let (missing, strange) = (Set(expected).subtracting(live), Set(live).subtracting(expected))
        #expect(live.count == Set(live).count, "something came twice")
        #expect(missing.isEmpty, "\(missing.count) missing, one of them \(missing.first ?? "")")
        #expect(strange.isEmpty, "\(strange.count) strange, one of them \(strange.first ?? "")")
    }

    private static func take(_ text: String?, _ alerts: inout [String]) {
        if let text { alerts.append(RepartitionTests.essence(text)) }
    }

    private static func replay(_ spec: TopologySpec, _ loans: [String], _ transfers: [String]) throws
        -> [String]
    {
        let base = NSTemporaryDirectory() + "/millrace-flow-\(getpid())"
        defer { for name in ["loans", "transfers"] { unlink("\(base)-\(name).jsonl") } }
        try (loans.joined(separator: "\n") + "\n").write(
            toFile: base + "-loans.jsonl", atomically: true, encoding: .utf8)
        try (transfers.joined(separator: "\n") + "\n").write(
            toFile: base + "-transfers.jsonl", atomically: true, encoding: .utf8)
        var result: [String] = []
        var replay = try Replay(
            spec, inputs: [("loans", [base + "-loans.jsonl"]), ("transfers", [base + "-transfers.jsonl"])],
            keepsResults: true)
        _ = try replay.run(
            output: { outbox throws(Fault) in
                for record in outbox.records {
                    if case .sink = record.destination, let value = outbox.value(of: record) {
                        take(String(decoding: value, as: UTF8.self), &result)
                    }
                }
            }, progress: { _, _, _ in })
        return result
    }
}
