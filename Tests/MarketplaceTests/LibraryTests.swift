import Base
import Connectors
import Foundation
import Glibc
import Marketplace
import Records
import Testing

@Suite struct LibraryTests {
    private func month() throws -> LibraryFiles { try LibraryFiles.small.get() }

    @Test func theSameOptionsGiveTheSameBytes() throws {
        // Goal: nothing but the options decides; another seed gives other files.
        let first = try month()
        let second = try LibraryFiles(LibraryFiles.smallOptions())
        let other = try LibraryFiles(LibraryFiles.smallOptions(seed: 2))
        for name in LibraryFiles.streams + LibraryFiles.tables + ["labels"] {
            let bytes = try first.bytes(name)
            let (same, different) = try (second.bytes(name) == bytes, other.bytes(name) == bytes)
            #expect(same, "\(name)")
            // The list of industries is not drawn.
            #expect(different == (name == "negative"), "\(name)")
        }
    }

    @Test func theBytesAreTheSameOnEveryMachine() throws {
        // Goal: no binary floating point, no order of a hash table and no library on the way. Method: a hash
        // of earlier bytes, fixed.
        let files = try month()
        var hash: UInt64 = 0
        for name in LibraryFiles.streams + LibraryFiles.tables + ["labels"] {
            hash = try files.bytes(name).withUnsafeBytes { bytes in
                guard let start = bytes.bindMemory(to: UInt8.self).baseAddress else { return 0 }
                return hashWord(foldBytes(start, bytes.count), seed: hash)
            }
        }
        #expect(hash == 14_461_165_215_451_150_943)
    }

    @Test func everyRuleHasPlantedCasesAndNearMisses() throws {
        let files = try month()
        for rule in LibraryLabel.Rule.allCases {
            let planted = files.labels(rule, isNearMiss: false)
            let nearMisses = files.labels(rule, isNearMiss: true)
            #expect(planted.count >= 3 && nearMisses.count >= 2, "\(rule.rawValue)")
            let keys = Set(planted.map(\.keyText))
            #expect(keys.isDisjoint(with: nearMisses.map(\.keyText)) || rule.topology == "data-sources")
        }
        // A merchant has one case; policies touch whom they touch.
        let own = files.summary.labels.filter {
            $0.rule != .policyChange && $0.rule.topology != "data-sources"
        }
        #expect(Set(own.map(\.keyText)).count == own.count)
        #expect(own.allSatisfy { $0.from < $0.to })

        let written = try files.rows("labels")
        #expect(written.count == files.summary.labels.count)
        let texts = Set(
            files.summary.labels.map {
                "\($0.rule.topology) \($0.rule.rawValue) \($0.keyText) \($0.isNearMiss)"
            }
        )
        for row in written {
            #expect(row.values.count == 6)
            let isNearMiss = row.text("kind") == "near-miss"
            #expect(
                texts.contains("\(row.text("topology")) \(row.text("rule")) \(row.text("key")) \(isNearMiss)")
            )
            #expect(row.text("from") < row.text("to"))
        }
    }

    @Test func filesAreInTheOrderOfArrival() throws {
        // Goal: tables by time; streams too, but for some records that are up to a second late.
        let files = try month()
        var late = 0
        for name in LibraryFiles.streams + LibraryFiles.tables {
            let isTable = LibraryFiles.tables.contains(name)
            let member = isTable ? "\"since\":\"" : "\"event_time\":\""
            // With the zero that ends a text in C: Data.range(of:) takes minutes in a debug build.
            let data = try files.bytes(name) + [0]
            try data.withUnsafeBytes { bytes in
                guard let start = bytes.bindMemory(to: CChar.self).baseAddress else { return }
                var newest = [UInt8](repeating: 0, count: 24)
                var at = 0
                while let hit = strstr(start + at, member) {
                    let time = hit + member.utf8.count
                    at = UnsafePointer(time) - start
                    if memcmp(newest, time, 24) <= 0 {
                        memcpy(&newest, time, 24)
                    } else {
                        late += 1
                        let text = String(decoding: bytes[at..<at + 24], as: UTF8.self)
                        let behind =
                            try milliseconds(String(decoding: newest, as: UTF8.self)) - milliseconds(text)
                        #expect(!isTable && behind <= 1000, "\(name) \(text)")
                    }
                }
                #expect(at > 0, "\(name)")
            }
        }
        #expect(late > 500)
    }

    @Test func ordersHaveEveryField() throws {
        let files = try month()
        let rows = try files.rows("orders", containing: "\"merchant_id\":\"M000007\"")
        #expect(rows.count > 400)
        for row in rows {
            #expect(row.values.count == (row.text("kind") == "shipped" ? 12 : 11))
            let time = try row.time
            #expect(row.cents("amount") > 0 && row.number("buyer_created") < time)
            #expect([0, row.cents("amount")].contains(row.cents("financed")))
        }
        for kind in ["paid", "shipped", "signed", "refunded"] {
            #expect(rows.contains { $0.text("kind") == kind })
        }
    }

    @Test func wrongOptionsAreRefused() {
        for change: (inout LibraryOptions) -> Void in [
            { $0.merchants = 149 }, { $0.merchants = 20_001 }, { $0.days = 34 }, { $0.days = 367 },
            { $0.ordersPerDay = 3999 }, { $0.ordersPerDay = 1_000_000 },
        ] {
            var options = LibraryOptions()
            change(&options)
            #expect(throws: Fault.self) {
                try LibraryMonth.write(options, to: NSTemporaryDirectory() + "/none")
            }
        }
    }
}
