import Base
import Foundation
import Records
import State
import Testing

/// Goal: no unit of taint is lost or made. Method: a million random transfers between accounts that are
/// spread over tasks, with parts on their way, under bounds tight enough that lots are merged and displaced;
/// on the way every loan's ledgers are added up and compared with what was disbursed and with what is on its
/// way.
@Suite struct FundFlowConservationTests {
    static let transfers = 1_000_000
    static let tasks = 4
    static let accounts = 3000
    static let loans = 40

    struct Waiting {
        var target: Int
        var sent: FundSend
    }

    @Test(arguments: [FundMethod.fifo, .proRata])
    func aMillionTransfersConserveTheTaint(method: FundMethod) throws {
        let seed = FundFlowOracleTests.seed ?? 11
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let rules = FundRules(method: method, within: 100_000, hops: 6, least: 200, lots: 8)
        let stores = (0..<Self.tasks).map { _ in FundFlowStore(rules: rules) }
        let names = (0..<Self.accounts).map { Array("account-\($0)".utf8) }
        let loans = (0..<Self.loans).map { Array("loan-\($0)".utf8) }
        var disbursed = [Int128](repeating: 0, count: Self.loans)
        var waiting: [Waiting] = []
        let bytes = Arena(capacity: 1 << 16)
        var time: Int64 = 0
        var tainted = 0
        let start = ContinuousClock.now

        for transfer in 1...Self.transfers {
            time += 1
            let source = Int(random.next() % UInt64(Self.accounts))
            let target = Int(random.next() % UInt64(Self.accounts))
            let amount = Int64(random.next() % 10_000)
            names[source].withUnsafeBufferPointer { source in
                names[target].withUnsafeBufferPointer { target in
                    let sent = stores[Self.task(source)].send(
                        from: source, to: target, amount: amount, time: time, toOutside: transfer % 500 == 0)
                    tainted += sent.parts.isEmpty ? 0 : 1
                    if sent.status == .done { waiting.append(Waiting(target: 0, sent: sent)) }
                }
            }
            if waiting.last?.target == 0 { waiting[waiting.count - 1].target = target }
            if waiting.count > 50 {
                let index = Int(random.next() % 50)
                Self.deliver(waiting[index], names, stores, time)
                waiting[index] = waiting[waiting.count - 1]
                waiting.removeLast()
            }
            if transfer % 50 == 0 {
                let loan = Int(random.next() % UInt64(Self.loans))
                disbursed[loan] += Int128(amount)
                loans[loan].withUnsafeBufferPointer { loan in
                    names[source].withUnsafeBufferPointer {
                        _ = stores[Self.task($0)].disburse($0, loan: loan, amount: amount, time: time)
                    }
                }
            }
            if transfer % 5000 == 0 {
                for store in stores {
                    store.advance(to: time)
                    store.drainChanges(into: bytes) { _, _ in }
                    bytes.removeAll()
                }
            }
            if transfer % 100_000 == 0 { try Self.prove(stores, waiting, loans, disbursed) }
        }
        for next in waiting { Self.deliver(next, names, stores, time) }
        try Self.prove(stores, [], loans, disbursed)
        let (merged, displaced) = stores.reduce((0, 0)) { ($0.0 + $1.merged, $0.1 + $1.displaced) }
        var total = FundLedger()
        for store in stores { total += store.total }
        print(
            "\(tainted) of \(Self.transfers) transfers were tainted, \(merged) lots merged, \(displaced) displaced, "
                + "in \(ContinuousClock.now - start); \(total)")
        #expect(tainted > Self.transfers / 20 && merged > 100 && displaced > 100)
        #expect(total.left > 0 && total.expired > 0 && total.held > 0)
    }

    static func task(_ name: UnsafeBufferPointer<UInt8>) -> Int {
        name.baseAddress.map { Int(hashBytes($0, name.count) % UInt64(tasks)) } ?? 0
    }

    static func deliver(_ next: Waiting, _ names: [[UInt8]], _ stores: [FundFlowStore], _ time: Int64) {
        names[next.target].withUnsafeBufferPointer { name in
            let status = stores[task(name)].receive(
                name, parts: next.sent.parts, clean: next.sent.clean, time: time)
            if status != .done { Issue.record("\(status)") }
        }
    }

    static func prove(
        _ stores: [FundFlowStore], _ waiting: [Waiting], _ loans: [[UInt8]], _ disbursed: [Int128]
    ) throws {
        for store in stores { try #require(store.verify() == nil) }
        var inFlight: [[UInt8]: Int128] = [:]
        for part in waiting.flatMap(\.sent.parts) where part.fate == .carried {
            inFlight[part.loan, default: 0] += Int128(part.amount)
        }
        for (loan, expected) in zip(loans, disbursed) {
            var ledger = FundLedger()
            for store in stores { ledger += loan.withUnsafeBufferPointer { store.ledger(of: $0) } }
            try #require(ledger.disbursed == expected)
            try #require(ledger.inFlight == inFlight[loan] ?? 0)
            try #require(ledger.held >= 0 && ledger.left >= 0 && ledger.expired >= 0)
        }
    }
}
