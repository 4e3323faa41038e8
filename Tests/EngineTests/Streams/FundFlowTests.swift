import Base
import Foundation
import Records
import Testing
import Topology

/// Goal: money is followed in event-time order, over accounts in any task, whatever order records come in.
/// Method: random loans and transfers against a plain computation over the sorted list, one unit of money at
/// a time in a queue, with one and with eight partitions, and with crashes.
@Suite struct FundFlowTests {
    static func topology(method: String) -> String {
        """
        topology: t
        latency: 1d
        sources:
          loans:
            kafka: { topic: loans }
            key: account
            time: { field: time, out_of_order: 5s }
            schema: { loan: text, account: text, amount: int, time: { type: timestamp, unit: ms } }
          transfers:
            kafka: { topic: transfers }
            key: source
            time: { field: time, out_of_order: 5s }
            schema: { id: text, source: text, target: text, amount: int, cash: bool, time: { type: timestamp, unit: ms } }
        steps:
          paid: { from: loans, fields: { loan_id: loan } }
          flow:
            from: transfers
            fund_flow:
              source: source
              target: target
              amount: amount
              outside: cash
              disbursements: { from: paid, loan: loan_id, account: account, amount: amount }
              method: \(method)
              within: 10m
              hops: 3
              least: 2
              settle: 10s
        sinks:
          flows: { kafka: { topic: flows }, from: [flow] }
        """
    }

    struct Loan {
        var name: String
        var account: String
        var amount: Int
        var time: Int64
    }

    struct Transfer {
        var id: Int
        var source: String
        var target: String
        var amount: Int
        var cash: Bool
        var time: Int64
    }

    /// Event times are all different but for some pairs, so that order among equals is the keys' alone.
    static func events(_ random: inout SplitMix64, count: Int) -> (loans: [Loan], transfers: [Transfer]) {
        var time: Int64 = 1_000_000_000
        var loans: [Loan] = []
        var transfers: [Transfer] = []
        func account() -> String { "A\(random.next() % 12)" }
        for index in 0..<count {
            time += 1 + Int64(random.next() % 3000)
            if random.next() % 20 == 0 {
                loans.append(
                    Loan(
                        name: "L\(loans.count)", account: account(), amount: 50 + Int(random.next() % 200),
                        time: time))
            } else {
                transfers.append(
                    Transfer(
                        id: index, source: account(), target: account(), amount: Int(random.next() % 90),
                        cash: random.next() % 15 == 0, time: time))
            }
        }
        return (loans, transfers)
    }

    /// One unit of money on an account.
    struct Unit: Equatable {
        var loan: String?
        var disbursed: Int64 = 0
        var path: [String] = []
    }

    /// First in, first out, unit by unit.
    static func oracle(_ loans: [Loan], _ transfers: [Transfer]) -> [String] {
        enum Event {
            case loan(Loan)
            case transfer(Transfer)
            case arrival(String, [Unit], Int64)
            var time: Int64 {
                switch self {
                case .loan(let loan): loan.time
                case .transfer(let transfer): transfer.time
                case .arrival(_, _, let time): time
                }
            }
            var rank: Int {
                switch self {
                case .loan: 0
                case .arrival: 1
                case .transfer: 2
                }
            }
        }
        var events = loans.map { Event.loan($0) } + transfers.map { Event.transfer($0) }
        var accounts: [String: [Unit]] = [:]
        var lines: [String] = []
        func order(_ a: Event, _ b: Event) -> Bool { (a.time, a.rank) < (b.time, b.rank) }
        while let index = events.indices.min(by: { order(events[$0], events[$1]) }) {
            let event = events.remove(at: index)
            func clean(_ units: [Unit]) -> [Unit] {
                units.map { $0.loan != nil && event.time > $0.disbursed + 600_000 ? Unit() : $0 }
            }
            switch event {
            case .loan(let loan):
                let unit = Unit(loan: loan.name, disbursed: loan.time, path: [loan.account])
                accounts[loan.account, default: []] += Array(repeating: unit, count: loan.amount)
            case .arrival(let account, let units, _): accounts[account, default: []] += units
            case .transfer(let transfer):
                guard transfer.amount > 0, transfer.source != transfer.target else { continue }
                let all = clean(accounts[transfer.source] ?? [])
                let taken = Array(all.prefix(transfer.amount))
                accounts[transfer.source] = Array(all.dropFirst(transfer.amount))
                var arriving: [Unit] = []
                var cleanCount = transfer.amount - taken.count
                var start = 0
                while start < taken.count {
                    var end = start
                    while end < taken.count, taken[end] == taken[start] { end += 1 }
                    let unit = taken[start]
                    let count = end - start
                    start = end
                    guard let loan = unit.loan else {
                        cleanCount += count
                        continue
                    }
                    let hop = unit.path.count
                    // What is too little is not followed.
                    let isFollowed = !transfer.cash && hop <= 3 && count >= 2
                    let step = " -\(count)@\(CivilTime.string(transfer.time))-> \(transfer.target)"
                    lines.append(
                        "\(transfer.id) \(loan) \(count) \(hop) \(!isFollowed) \((unit.path + [step]).joined())"
                    )
                    if isFollowed {
                        arriving += Array(
                            repeating: Unit(loan: loan, disbursed: unit.disbursed, path: unit.path + [step]),
                            count: count)
                    } else {
                        cleanCount += count
                    }
                }
                arriving += Array(repeating: Unit(), count: cleanCount)
                events.append(.arrival(transfer.target, arriving, transfer.time + 10_000))
            }
        }
        return lines.sorted()
    }

    static func lines(_ cluster: TaskCluster) throws -> [String] {
        try cluster.sorted("flows").map { text in
            let object = try #require(
                try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            func member(_ name: String) -> String { object[name].map { "\($0)" } ?? "" }
            let left = object["left"] as? Bool ?? false
            return
                "\(member("id")) \(member("loan")) \(member("tainted")) \(member("hop")) \(left) \(member("path"))"
        }.sorted()
    }

    static func cluster(
        _ method: String, _ loans: [Loan], _ transfers: [Transfer], partitions: Int, rowsMax: Int,
        _ random: inout SplitMix64, crashesPerMille: UInt64 = 0
    ) throws -> TaskCluster {
        let cluster = try TaskCluster(topology(method: method), partitions: partitions, rowsMax: rowsMax)
        // Out of order by less than the bound.
        func shuffled<T>(_ events: [T], _ time: (T) -> Int64) -> [T] {
            events.map { ($0, time($0) + Int64(random.next() % 4900)) }.sorted { $0.1 < $1.1 }.map(\.0)
        }
        for loan in shuffled(loans, \.time) {
            try cluster.append(
                "loans", key: loan.account,
                "{\"loan\":\"\(loan.name)\",\"account\":\"\(loan.account)\",\"amount\":\(loan.amount),\"time\":\(loan.time)}"
            )
        }
        for transfer in shuffled(transfers, \.time) {
            try cluster.append(
                "transfers", key: transfer.source,
                "{\"id\":\"\(transfer.id)\",\"source\":\"\(transfer.source)\",\"target\":\"\(transfer.target)\","
                    + "\"amount\":\(transfer.amount),\"cash\":\(transfer.cash),\"time\":\(transfer.time)}")
        }
        let last = (loans.map(\.time) + transfers.map(\.time)).max() ?? 0
        try cluster.run(&random, crashesPerMille: crashesPerMille, until: last + 60_000)
        return cluster
    }

    static let seeds: [UInt64] =
        ProcessInfo.processInfo.environment["MILLRACE_SEED"].flatMap { UInt64($0) }.map { [$0] } ?? [1, 2, 3]

    @Test(arguments: [(1, 1), (1, 64), (3, 7), (8, 64)])
    func moneyIsFollowedInEventTimeOverAllTasks(partitions: Int, rowsMax: Int) throws {
        for seed in Self.seeds {
            print("seed \(seed), \(partitions) partitions, batches of \(rowsMax)")
            var random = SplitMix64(seed: seed)
            let (loans, transfers) = Self.events(&random, count: 400)
            let expected = Self.oracle(loans, transfers)
            let cluster = try Self.cluster(
                "fifo", loans, transfers, partitions: partitions, rowsMax: rowsMax, &random)
            #expect(cluster.lateCount == 0 && cluster.deadCount == 0)
            let found = try Self.lines(cluster)
            #expect(expected.count > 100)
            let difference = zip(expected, found).first { $0 != $1 }
            #expect(
                found == expected,
                "seed \(seed): \(found.count) of \(expected.count), first \(String(describing: difference))")
        }
    }

    @Test(arguments: ["fifo", "pro_rata"]) func tasksThatDieGoOnWhereTheyWere(method: String) throws {
        for seed in Self.seeds {
            print("seed \(seed), \(method)")
            var random = SplitMix64(seed: seed)
            let (loans, transfers) = Self.events(&random, count: 300)
            var other = SplitMix64(seed: seed + 100)
            let whole = try Self.cluster(method, loans, transfers, partitions: 1, rowsMax: 64, &random)
            let broken = try Self.cluster(
                method, loans, transfers, partitions: 4, rowsMax: 16, &other, crashesPerMille: 200)
            #expect(broken.crashes > 3)
            #expect(try Self.lines(whole) == Self.lines(broken))
        }
    }
}
