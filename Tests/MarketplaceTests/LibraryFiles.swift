import Connectors
import Foundation
import Glibc
import Marketplace
import Testing

/// A library month, as a reader of its files sees it.
final class LibraryFiles: Sendable {
    static let tables = ["registry", "negative", "shops", "accounts"]
    static let streams = [
        "orders", "taxes", "customs", "logistics", "violations", "policies", "debts", "loans", "transfers",
        "arrivals",
    ]

    /// The smallest month, made once: its files are read by many tests.
    static let small = Result { try LibraryFiles(smallOptions()) }

    static func smallOptions(seed: UInt64 = 1) -> LibraryOptions {
        var options = LibraryOptions()
        options.seed = seed
        options.merchants = 150
        options.ordersPerDay = 3000
        return options
    }

    let summary: LibraryMonth.Summary
    /// Each ends with a zero, for `strstr`.
    private let files: [String: Data]

    init(_ options: LibraryOptions) throws {
        let folder = NSTemporaryDirectory() + "/millrace-library-\(UInt32.random(in: 0...UInt32.max))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        summary = try LibraryMonth.write(options, to: folder)
        var files: [String: Data] = [:]
        for name in Self.streams + Self.tables + ["labels"] {
            files[name] = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name).jsonl")) + [0]
        }
        self.files = files
    }

    func bytes(_ name: String) throws -> Data { try #require(files[name]) }

    /// The records whose line contains `text`; all, if it is empty.
    func rows(_ name: String, containing text: String = "") throws -> [LibraryRow] {
        let data = try bytes(name)
        var rows: [LibraryRow] = []
        try data.withUnsafeBytes { bytes in
            var at = 0
            guard let start = bytes.bindMemory(to: CChar.self).baseAddress else { return }
            while start[at] != 0 {
                var lineStart = at
                if !text.isEmpty {
                    guard let hit = strstr(start + at, text) else { break }
                    lineStart = UnsafePointer(hit) - start
                    while lineStart > at, bytes[lineStart - 1] != 0x0A { lineStart -= 1 }
                }
                guard let end = strchr(start + lineStart, 0x0A) else { break }
                let lineEnd = UnsafePointer(end) - start
                let parsed = try JSONSerialization.jsonObject(with: Data(bytes[lineStart..<lineEnd]))
                rows.append(LibraryRow(values: parsed as? [String: Any] ?? [:]))
                at = lineEnd + 1
            }
        }
        return rows
    }

    func labels(_ rule: LibraryLabel.Rule, isNearMiss: Bool) -> [LibraryLabel] {
        summary.labels.filter { $0.rule == rule && $0.isNearMiss == isNearMiss }
    }
}

struct LibraryRow {
    var values: [String: Any]

    func text(_ name: String) -> String { values[name] as? String ?? "" }
    func number(_ name: String) -> Int { values[name] as? Int ?? Int.min }
    func cents(_ name: String) -> Int { Int(((values[name] as? Double ?? .nan) * 100).rounded()) }
    var time: Int64 { get throws { try milliseconds(text(values["since"] == nil ? "event_time" : "since")) } }
}

extension LibraryLabel {
    /// As the files write it.
    var keyText: String {
        switch key {
        case .merchant(let index): "M" + String(1_000_001 + index).dropFirst()
        case .loan(let number): "L" + String(1_000_000 + number).dropFirst()
        case .feed(let feed): feed.rawValue
        }
    }
}

/// Follows the money of loans through accounts, first in, first out, and adds up what the rules judge.
struct MoneyTrail {
    struct Sums {
        var disbursed = 0
        /// What came to rest anywhere; whatever the way, it is the loan.
        var held = 0
        /// From companies to persons and brokers.
        var diverted = 0
        var cash = 0
        /// Back to the borrower by way of others.
        var returned = 0
        /// The largest transfer to a person or broker who is not the borrower's, whole.
        var largestUnrelated = 0
    }

    private struct Lot {
        var loan: String?
        var amount: Int
        var hop: Int
    }

    private(set) var sums: [String: Sums] = [:]

    init(_ files: LibraryFiles) throws {
        var accounts: [String: LibraryRow] = [:]
        for account in try files.rows("accounts") { accounts[account.text("account")] = account }
        var borrowers: [String: String] = [:]
        var events: [(time: String, row: LibraryRow)] = []
        for loan in try files.rows("loans") {
            borrowers[loan.text("loan_id")] = loan.text("merchant_id")
            events.append((loan.text("event_time"), loan))
        }
        events += try files.rows("transfers").map { ($0.text("event_time"), $0) }
        // At one millisecond by number; a loan has no number and comes first.
        events.sort { ($0.time, $0.row.text("transfer_id")) < ($1.time, $1.row.text("transfer_id")) }

        var lots: [String: [Lot]] = [:]
        for (_, row) in events {
            let amount = row.cents("amount")
            let loan = row.text("loan_id")
            if !loan.isEmpty {
                lots[row.text("account"), default: []].append(Lot(loan: loan, amount: amount, hop: 0))
                sums[loan] = Sums(disbursed: amount)
                continue
            }
            let moved = Self.take(amount, from: &lots[row.text("from_account"), default: []])
            let source = accounts[row.text("from_account")]
            let target = accounts[row.text("to_account")]
            let kind = target?.text("kind")
            let isPrivate = kind == "personal" || kind == "broker"
            for lot in moved {
                guard let loan = lot.loan, var sum = sums[loan] else { continue }
                let isRelated = target?.text("related") == borrowers[loan]
                if isPrivate, source?.text("kind") == "operating" { sum.diverted += lot.amount }
                if isPrivate, !isRelated { sum.largestUnrelated = max(sum.largestUnrelated, amount) }
                if kind == "cash" { sum.cash += lot.amount }
                if isRelated, lot.hop >= 2 { sum.returned += lot.amount }
                sums[loan] = sum
            }
            lots[row.text("to_account"), default: []] += moved
        }
        for lot in lots.values.joined() {
            if let loan = lot.loan { sums[loan]?.held += lot.amount }
        }
    }

    /// The oldest lots of an account; what it does not have belongs to no loan.
    private static func take(_ amount: Int, from lots: inout [Lot]) -> [Lot] {
        var rest = amount
        var moved: [Lot] = []
        var used = 0
        while rest > 0, used < lots.count {
            let part = min(lots[used].amount, rest)
            moved.append(Lot(loan: lots[used].loan, amount: part, hop: lots[used].hop + 1))
            lots[used].amount -= part
            rest -= part
            if lots[used].amount == 0 { used += 1 }
        }
        lots.removeFirst(used)
        if rest > 0 { moved.append(Lot(loan: nil, amount: rest, hop: 1)) }
        return moved
    }
}
