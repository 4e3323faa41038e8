import Base
import Records
import State
import Testing

/// Goal: each definition of `FundFlowStore` by an example small enough to check by hand.
@Suite struct FundFlowTests {
    static let fifo = FundRules(method: .fifo, within: 1000)

    static func shares(_ send: FundSend) -> [String] {
        send.parts.map { "\(String(decoding: $0.loan, as: UTF8.self)) \($0.amount) \($0.fate)" }
    }

    @Test func firstInFirstOut() {
        let store = FundFlowStore(rules: Self.fifo)
        #expect(store.receive("A", clean: 30, time: 1) == .done)
        #expect(store.disburse("A", loan: "L1", amount: 100, time: 2) == .done)
        #expect(store.receive("A", clean: 20, time: 3) == .done)
        #expect(store.disburse("A", loan: "L2", amount: 50, time: 4) == .done)
        #expect(store.shown("A") == "clean 30, L1 100/0, clean 20, L2 50/0")
        let first = store.send(from: "A", to: "B", amount: 70, time: 5)
        #expect(Self.shares(first) == ["L1 40 carried"] && first.clean == 30 && first.unknown == 0)
        let second = store.send(from: "A", to: "B", amount: 90, time: 6)
        #expect(Self.shares(second) == ["L1 60 carried", "L2 10 carried"] && second.clean == 20)
        #expect(store.shown("A") == "L2 40/0")
        #expect(second.parts.last?.path.text(scale: 2) == "A -0.10@1970-01-01T00:00:00.006Z-> B")
    }

    @Test func proRata() {
        let store = FundFlowStore(rules: FundRules(method: .proRata, within: 1000))
        _ = store.disburse("A", loan: "L1", amount: 10, time: 1)
        _ = store.receive("A", clean: 10, time: 2)
        _ = store.disburse("A", loan: "L2", amount: 10, time: 3)
        // Shares of 10/3 each: clean floor(10/3) = 3, with L1 floor(20/3) = 6, with L2 10.
        let send = store.send(from: "A", to: "B", amount: 10, time: 4)
        #expect(send.clean == 3 && Self.shares(send) == ["L1 3 carried", "L2 4 carried"])
        #expect(store.shown("A") == "clean 7, L1 7/0, L2 6/0")
        let rest = store.send(from: "A", to: "B", amount: 25, time: 5)
        #expect(
            rest.clean == 12 && rest.unknown == 5 && Self.shares(rest) == ["L1 7 carried", "L2 6 carried"])
        #expect(store.shown("A") == "")
    }

    @Test(
        "Shares are those of exact fractions, rounded as running sums: to the last unit in all, and each by less than one"
    )
    func sharesAreRoundedAsRunningSums() {
        for seed in [UInt64(1), 2, 3] {
            var random = SplitMix64(seed: seed)
            for _ in 0..<300 {
                let store = FundFlowStore(rules: FundRules(method: .proRata, within: 1000, least: 1))
                let size = [7, 1000, 1 << 40][Int(random.next() % 3)]
                let clean = Int64(random.next() % UInt64(size))
                _ = store.receive("A", clean: clean, time: 1)
                let lots = (0..<Int(1 + random.next() % 9)).map { _ in 1 + Int64(random.next() % UInt64(size))
                }
                for (number, lot) in lots.enumerated() {
                    _ = store.disburse("A", loan: "L\(number)", amount: lot, time: 1)
                }
                let balance = lots.reduce(clean, +)
                let amount = 1 + Int64(random.next() % UInt64(balance))
                let send = store.send(from: "A", to: "B", amount: amount, time: 2)
                // Of the first ones together, the exact share without its fraction.
                var given = Int128(amount) * Int128(clean) / Int128(balance)
                #expect(send.clean == Int64(given))
                var (sum, parts) = (clean, send.parts[...])
                for (number, lot) in lots.enumerated() {
                    sum += lot
                    let total = Int128(amount) * Int128(sum) / Int128(balance)
                    let part = Int64(total - given)
                    given = total
                    if part > 0 {
                        #expect(
                            parts.popFirst().map { $0.loan == Array("L\(number)".utf8) && $0.amount == part }
                                == true)
                    }
                    // |part - amount x lot / balance| < 1
                    let error = Int128(part) * Int128(balance) - Int128(amount) * Int128(lot)
                    #expect(abs(error) < Int128(balance) && part <= lot)
                }
                #expect(parts.isEmpty && send.clean + send.parts.reduce(0) { $0 + $1.amount } == amount)
                #expect(store.verify() == nil)
            }
        }
    }

    /// The largest amounts do not overflow.
    @Test func largestAmounts() {
        for method in [FundMethod.fifo, .proRata] {
            let store = FundFlowStore(rules: FundRules(method: method, within: 1000))
            _ = store.receive("A", clean: .max, time: 1)
            _ = store.receive("A", clean: .max, time: 1)
            _ = store.disburse("A", loan: "L1", amount: .max - 1, time: 1)
            // Taint above 2^63-1 leaves.
            _ = store.disburse("A", loan: "L2", amount: 2, time: 1)
            #expect(store.ledger(of: "L2").left == 2 && store.verify() == nil)
            let send = store.send(from: "A", to: "B", amount: .max, time: 2)
            #expect(send.unknown == 0 && send.clean + send.parts.reduce(0) { $0 + $1.amount } == .max)
            #expect(store.verify() == nil)
        }
    }

    @Test func moreThanIsKnown() {
        let store = FundFlowStore(rules: Self.fifo)
        _ = store.disburse("A", loan: "L1", amount: 100, time: 1)
        let send = store.send(from: "A", to: "B", amount: 250, time: 2)
        #expect(Self.shares(send) == ["L1 100 carried"] && send.clean == 150 && send.unknown == 150)
        // Of an account that was never seen nothing is known, and it is not kept.
        let unknown = store.send(from: "C", to: "B", amount: 10, time: 2)
        #expect(unknown.unknown == 10 && unknown.clean == 10 && store.accountCount == 1)
        // With money that every account has at first, the oldest is that.
        let opened = FundFlowStore(rules: FundRules(method: .fifo, within: 1000, opening: 40))
        _ = opened.disburse("A", loan: "L1", amount: 100, time: 1)
        #expect(opened.send(from: "A", to: "B", amount: 50, time: 2).clean == 40)
    }

    @Test func refundsCarryTheTaintBack() {
        let store = FundFlowStore(rules: Self.fifo)
        _ = store.disburse("A", loan: "L1", amount: 100, time: 1)
        _ = store.move(from: "A", to: "B", amount: 100, time: 2)
        let back = store.move(from: "B", to: "A", amount: 60, time: 3)
        #expect(store.shown("A") == "L1 60/2" && store.shown("B") == "L1 40/1")
        #expect(
            back.parts.first?.path.text(scale: 0)
                == "A -100@1970-01-01T00:00:00.002Z-> B -60@1970-01-01T00:00:00.003Z-> A")
        #expect(store.ledger(of: "L1").held == 100 && store.ledger(of: "L1").sent == 160)
    }

    @Test func whatIsRefusedChangesNothing() {
        let store = FundFlowStore(rules: Self.fifo)
        _ = store.disburse("A", loan: "L1", amount: 100, time: 1)
        let log = FundFlowLog()
        let long = String(repeating: "x", count: Limits.fundNameBytesMax + 1)
        #expect(store.send(from: "A", to: "A", amount: 5, time: 2).status == .sameAccount)
        #expect(store.send(from: "A", to: "B", amount: 0, time: 2).status == .notPositive)
        #expect(store.send(from: "A", to: "B", amount: -5, time: 2).status == .notPositive)
        #expect(store.send(from: "A", to: "", amount: 5, time: 2).status == .malformed)
        #expect(store.send(from: "A", to: long, amount: 5, time: 2).status == .malformed)
        #expect(store.disburse("A", loan: "L1", amount: 0, time: 2) == .notPositive)
        #expect(store.disburse("A", loan: "", amount: 1, time: 2) == .malformed)
        #expect(store.receive("B", time: 2) == .notPositive)
        #expect(store.receive("B", clean: -1, time: 2) == .notPositive)
        var part = store.send(from: "A", to: "B", amount: 5, time: 2).parts[0]
        part.amount = 0
        #expect(store.receive("B", parts: [part], time: 2) == .malformed)
        #expect(store.shown("A") == "L1 95/0" && store.shown("B") == "" && log.entries.isEmpty)
    }

    @Test func whereTaintEnds() {
        let rules = FundRules(method: .fifo, within: 1000, hops: 2, least: 10)
        let store = FundFlowStore(rules: rules)
        _ = store.disburse("A", loan: "L1", amount: 110, time: 0)
        // What is below `least` is told as well, so that sums over the parts are all of it.
        let small = store.send(from: "A", to: "B", amount: 9, time: 1)
        #expect(small.left == 9 && small.clean == 9 && Self.shares(small) == ["L1 9 small"])
        let outside = store.send(from: "A", to: "casino", amount: 11, time: 1, toOutside: true)
        #expect(Self.shares(outside) == ["L1 11 outside"] && outside.clean == 11)
        #expect(store.receive("casino", parts: outside.parts, clean: outside.clean, time: 1) == .done)
        #expect(store.shown("casino") == "clean 11")
        // Cash may be paid to nobody, other money not.
        let cash = store.send(from: "A", to: "", amount: 10, time: 1, toOutside: true)
        #expect(cash.status == .done && Self.shares(cash) == ["L1 10 outside"])
        _ = store.move(from: "A", to: "B", amount: 50, time: 2)
        _ = store.move(from: "B", to: "C", amount: 40, time: 3)
        let third = store.move(from: "C", to: "D", amount: 40, time: 4)
        #expect(Self.shares(third) == ["L1 40 hops"] && store.shown("D") == "clean 40")
        #expect(store.ledger(of: "L1").left == 70)
        // 1000 ms after the disbursement it is followed, 1001 ms after it is not.
        let last = store.send(from: "B", to: "C", amount: 10, time: 1000)
        #expect(Self.shares(last) == ["L1 10 carried"])
        #expect(store.receive("C", parts: last.parts, clean: last.clean, time: 1001) == .done)
        #expect(store.send(from: "A", to: "B", amount: 30, time: 1001).parts.isEmpty)
        let ledger = store.ledger(of: "L1")
        #expect(ledger.expired == 40 && ledger.held == 0 && ledger.inFlight == 0 && store.taintedCount == 0)
        #expect(store.verify() == nil)
    }

    @Test func accountsAndLoansAreForgotten() {
        let store = FundFlowStore(rules: Self.fifo)
        var log = FundFlowLog()
        _ = store.receive("A", clean: 50, time: 0)
        _ = store.disburse("B", loan: "L1", amount: 70, time: 0)
        store.advance(to: 10)
        log.drain(store)
        #expect(log.entries.count == 3)
        store.advance(to: 1001)
        log.drain(store)
        // What is left says that the money of closed ledgers is accounted for.
        #expect(store.accountCount == 0 && log.entries.count == 1 && store.verify() == nil)
        #expect(store.total.disbursed == 70 && store.total.expired == 70)
        // Without a sweep the next operation finds the same.
        let other = FundFlowStore(rules: Self.fifo)
        _ = other.receive("A", clean: 50, time: 0)
        #expect(other.send(from: "A", to: "B", amount: 10, time: 1001).unknown == 10)
        store.removeAll()
        #expect(store.total == FundLedger() && store.accountCount == 0 && !store.hasChanges)
    }

    @Test func tooManyLotsAreMergedOrLeave() {
        let store = FundFlowStore(rules: FundRules(method: .fifo, within: 1000, lots: 3))
        // Parts of one loan that came by different ways.
        _ = store.disburse("A", loan: "L1", amount: 100, time: 1)
        for (time, account) in [(Int64(2), "B"), (3, "C")] {
            _ = store.move(from: "A", to: account, amount: 10, time: time)
            _ = store.move(from: account, to: "D", amount: 10, time: time + 5)
        }
        _ = store.disburse("D", loan: "L2", amount: 7, time: 20)
        #expect(store.shown("D") == "L1 10/2, L1 10/2, L2 7/0" && store.merged == 0)
        _ = store.disburse("D", loan: "L3", amount: 5, time: 21)
        #expect(store.shown("D") == "L1 20/2, L2 7/0, L3 5/0" && store.merged == 1)
        let path = store.holdings(of: "D").first?.path
        #expect(path?.text(scale: 0) == "A ... D" && path?.isShortened == true)
        // No two are of one loan: the oldest leaves, twice, since it is a lot still, of clean money.
        _ = store.disburse("D", loan: "L4", amount: 1, time: 22)
        #expect(store.shown("D") == "clean 27, L3 5/0, L4 1/0" && store.displaced == 2)
        #expect(
            store.ledger(of: "L1").left == 20 && store.ledger(of: "L2").left == 7 && store.verify() == nil)
        // Clean lots are merged as well, over what lies between them.
        _ = store.receive("D", clean: 2, time: 23)
        #expect(store.shown("D") == "clean 29, L3 5/0, L4 1/0" && store.verify() == nil)
    }

    /// What is merged ends no sooner than any part of it would have.
    @Test(arguments: [FundMethod.fifo, .proRata]) func mergedLotsEndWithTheLast(method: FundMethod) {
        let store = FundFlowStore(rules: FundRules(method: method, within: 1000, hops: 1, lots: 2))
        _ = store.disburse("A", loan: "L1", amount: 10, time: 1)
        _ = store.move(from: "A", to: "D", amount: 10, time: 2)
        _ = store.disburse("D", loan: "L2", amount: 5, time: 3)
        _ = store.disburse("D", loan: "L1", amount: 10, time: 50)
        #expect(store.shown("D") == "L1 20/0, L2 5/0" && store.holdings(of: "D").first?.disbursed == 50)
        #expect(store.holdings(of: "D").first?.path.text(scale: 0) == "... D")
        let send = store.send(from: "D", to: "E", amount: 25, time: 1050)
        #expect(
            Self.shares(send) == ["L1 20 carried"] && send.clean == 5 && store.ledger(of: "L2").expired == 5)
        #expect(store.verify() == nil)
    }

    @Test func longPathsKeepTheirEnds() {
        let store = FundFlowStore(rules: FundRules(method: .fifo, within: 1000, hops: Limits.fundHopsMax))
        let names = (0..<3).map { "\($0)" + String(repeating: "x", count: 200) }
        _ = store.disburse(names[0], loan: "L1", amount: 9, time: 0)
        for hop in 0..<Limits.fundHopsMax {
            _ = store.move(from: names[hop % 3], to: names[(hop + 1) % 3], amount: 9, time: Int64(hop))
        }
        let lot = store.holdings(of: names[Limits.fundHopsMax % 3]).first
        #expect(lot?.hop == Limits.fundHopsMax && lot?.path.isShortened == true)
        #expect(lot.map { $0.path.bytes.count <= Limits.fundPathBytesMax } == true)
        #expect(lot?.path.steps.first?.account == Array(names[0].utf8))
        #expect(lot?.path.steps.last?.time == Int64(Limits.fundHopsMax - 1))
    }

    /// Goal: bytes that are not a store's are refused, whatever they are. Method: every entry cut at every
    /// length, and other rules.
    @Test func damagedEntriesAreRefused() {
        let store = FundFlowStore(rules: Self.fifo)
        _ = store.receive("A", clean: 5, time: 1)
        _ = store.disburse("A", loan: "L1", amount: 100, time: 1)
        _ = store.move(from: "A", to: "B", amount: 50, time: 2)
        var log = FundFlowLog()
        log.drain(store)
        #expect(log.restored(Self.fifo).map(FundFlowLog.snapshot) == log.entries)
        #expect(log.restored(FundRules(method: .proRata, within: 1000)) == nil)
        for (key, value) in log.entries {
            for count in value.indices {
                var damaged = log
                damaged.entries[key] = Array(value.prefix(count))
                #expect(damaged.restored(Self.fifo) == nil)
            }
        }
        for key in [[], [7], [1], [2], [0, 1]] as [[UInt8]] {
            var damaged = log
            damaged.entries[key] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            #expect(damaged.restored(Self.fifo) == nil)
        }
    }
}
