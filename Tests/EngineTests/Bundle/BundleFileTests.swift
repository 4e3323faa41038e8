import Base
import Connectors
import Engine
import Foundation
import Records
import Security
import Testing

/// Goal: a bundle is read as it was written or refused in words, whatever became of the file. Method: random
/// bundles, cut and altered at random places; and lines of any nonsense under a hash that is right.
@Suite struct BundleFileTests {
    private static let seed =
        ProcessInfo.processInfo.environment["MILLRACE_SEED"].flatMap(UInt64.init)
        ?? UInt64.random(in: 0..<1_000_000)

    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
        "millrace-bundle-\(UUID().uuidString)"
    ).path

    init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    static let text = """
        topology: pace
        sources:
          orders:
            kafka: { topic: orders }
            key: shop
            time: { field: t, out_of_order: 1s, idle: 1s }
            schema: { shop: text, t: timestamp }
        steps:
          pace: { from: orders, key: shop, window: { size: 10s }, aggregate: { n: count() } }
        rules:
          many: { on: pace, when: n >= 3, clear: n < 1, risk: r, severity: low, message: "{n}" }
        sinks:
          alerts: { kafka: { topic: alerts } }
        """

    /// Of one task, whose shops have three records each.
    static func bundle() throws -> Engine.Bundle {
        let text = RuleSetText(file: "pace.yaml", text: Self.text, parameters: [:])
        let ruleset = try #require(text.read().spec?.ruleset)
        var bundle = Engine.Bundle(topology: "pace", group: "pace", partitions: 1)
        bundle.texts[ruleset] = text
        bundle.rulesets[0] = ruleset
        bundle.madeAt = 1_767_225_600_000
        var log = Engine.Bundle.Log(topic: "orders", partition: 0, earliest: 0, from: 0)
        for offset in Int64(0)..<30 {
            log.records.append(
                LoggedRecord(
                    offset: offset * 2, timestamp: 1_767_225_600_000 + offset,
                    key: Array("s\(offset % 10)".utf8),
                    value: Array("{\"shop\":\"s\(offset % 10)\",\"t\":\(1_767_225_600_000 + offset)}".utf8)))
        }
        bundle.logs = [log]
        return bundle
    }

    private func path(_ bytes: [UInt8]) throws -> String {
        let path = "\(folder)/\(UUID().uuidString)"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    private func written(_ bundle: Engine.Bundle) throws -> [UInt8] {
        let path = "\(folder)/\(UUID().uuidString)"
        let file = try FileWriter(path: path)
        var writer = BundleWriter(file)
        try writer.write(bundle)
        try file.close()
        return Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    /// The words with which a file is refused; nil: it is not.
    private func refusal(_ bytes: [UInt8]) throws -> String? {
        do throws(Fault) {
            _ = try BundleReader.read(path(of: bytes))
            return nil
        } catch {
            #expect(error.domain == .user, "\(error.detail)")
            return error.detail
        }
    }

    private func path(of bytes: [UInt8]) throws(Fault) -> String {
        do { return try path(bytes) } catch { throw Fault(.external, "\(error)") }
    }

    private func replayed(_ bundle: Engine.Bundle) throws -> [String] {
        var alerts: [String] = []
        try BundleReplay(bundle).alerts { value in alerts.append(String(decoding: value, as: UTF8.self)) }
        return alerts
    }

    @Test func whatIsWrittenIsRead() throws {
        var random = SplitMix64(seed: Self.seed)
        print("seed \(Self.seed)")
        for _ in 0..<40 {
            var bundle = try Self.bundle()
            bundle.subject = Engine.Bundle.Subject(
                id: "0123456789abcdef0123456789abcdef", task: 0, lateBefore: Int(random.next() % 9),
                published: ["raised", "cleared"].map { state in
                    "{\"alert_id\":\"0123456789abcdef0123456789abcdef\",\"state\":\"\(state)\",\"a\":\"\\\"\u{1F600}\\n\"}"
                })
            bundle.acknowledgements[0] = ["{\"epoch\":1,\"former\":0,\"first\":{\"orders\":7},\"x\":[1, 2]}"]
            func bytes() -> [UInt8]? {
                switch random.next() % 4 {
                case 0: nil
                case 1: []
                case 2: Array("\"\\\u{0}\u{7F}你好\n".utf8)
                default: (0..<random.next() % 50).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                }
            }
            bundle.logs[0].records = (0..<Int64(random.next() % 40)).map { offset in
                LoggedRecord(
                    offset: offset * 3,
                    timestamp: random.next() % 2 == 0 ? -1 : Int64(random.next() % 1_000_000),
                    key: bytes(), value: bytes())
            }
            let read = try BundleReader.read(try path(try written(bundle)))
            #expect(read.subject == bundle.subject && read.logs.map(\.records) == bundle.logs.map(\.records))
            #expect(read.acknowledgements == bundle.acknowledgements && read.texts == bundle.texts)
            #expect(read.rulesets == bundle.rulesets && read.madeAt == bundle.madeAt)
        }
    }

    @Test func whatWasCutOrAlteredIsRefused() throws {
        var random = SplitMix64(seed: Self.seed)
        print("seed \(Self.seed)")
        let whole = try written(try Self.bundle())
        #expect(try refusal(whole) == nil)
        for count in Set(
            [0, 1, 2, whole.count - 2] + (0..<60).map { _ in Int(random.next() % UInt64(whole.count - 1)) })
        {
            let words = try refusal(Array(whole[..<count]))
            #expect(
                words?.contains("cut short") == true || words?.contains("it is empty") == true
                    || words?.contains("it is none of the files") == true, "\(count): \(words ?? "nothing")")
        }
        for _ in 0..<200 {
            var altered = whole
            let place = Int(random.next() % UInt64(whole.count - 1))
            altered[place] = altered[place] ^ UInt8(1 << (random.next() % 8))
            #expect(try refusal(altered) != nil, "bit of byte \(place)")
        }
        #expect(try refusal(whole + Array("{}\n".utf8))?.contains("behind its end") == true)
        let lines = whole.split(separator: 0x0A, omittingEmptySubsequences: false)
        var swapped = lines
        swapped.swapAt(4, 5)
        #expect(try refusal(Array(swapped.joined(separator: [0x0A]))) != nil)
    }

    @Test func newerVersionsAndOtherFilesAreRefused() throws {
        let whole = String(decoding: try written(try Self.bundle()), as: UTF8.self)
        let newer = whole.replacing("\"version\":1,", with: "\"version\":2,", maxReplacements: 1)
        #expect(
            try refusal(Array(newer.utf8))?.contains("is version 2, and this build knows version 1") == true)
        for other in ["topology: x\n", "{\"order_id\":1}\n", "[]\n", "\u{0}\u{1}"] {
            #expect(try refusal(Array(other.utf8))?.contains("it is none of the files") == true)
        }
    }

    /// A file that says nothing of its alert must not pass for one that gives it.
    @Test func anAlertThatIsNoneIsRefused() throws {
        for published in [[], ["{}"], ["{\"alert_id\":\"0\",\"state\":\"raised\"}"], ["x"]] {
            var bundle = try Self.bundle()
            bundle.subject = Engine.Bundle.Subject(
                id: "0123456789abcdef0123456789abcdef", task: 0, lateBefore: 0, published: published)
            #expect(try refusal(try written(bundle)) != nil, "\(published)")
        }
        var bundle = try Self.bundle()
        let id = "0123456789abcdef0123456789abcdef"
        bundle.subject = Engine.Bundle.Subject(
            id: id, task: 1, lateBefore: 0, published: ["{\"alert_id\":\"\(id)\",\"state\":\"raised\"}"])
        #expect(try refusal(try written(bundle))?.contains("a task below 1") == true)
    }

    @Test func aTextThatWasExchangedIsRefused() throws {
        var bundle = try Self.bundle()
        let ruleset = try #require(bundle.rulesets[0])
        bundle.texts[ruleset]?.text = Self.text.replacing("n >= 3", with: "n >= 2")
        let altered = bundle
        let words = #expect(throws: Fault.self) { try BundleReplay(altered) }
        #expect(words?.detail.contains("it was altered") == true)
        bundle.topology = "other"
        bundle.texts[ruleset]?.text = Self.text
        let other = bundle
        let others = #expect(throws: Fault.self) { try BundleReplay(other) }
        #expect(others?.detail.contains("of topology 'pace', and not of 'other'") == true)
    }

    /// Whoever makes a file can make its hash.
    @Test func nonsenseUnderARightHashIsRefusedOrComputed() throws {
        var random = SplitMix64(seed: Self.seed)
        print("seed \(Self.seed)")
        let whole = String(decoding: try written(try Self.bundle()), as: UTF8.self)
        let lines = whole.split(separator: "\n").dropLast().map(String.init)
        let pieces = [
            "-1", "9223372036854775807", "1e400", "null", "\"x\"", "[]", "{}", "true", "99999999999999999999",
        ]
        for _ in 0..<300 {
            var mixed = lines
            for _ in 0...random.next() % 3 {
                let place = Int(random.next() % UInt64(mixed.count))
                switch random.next() % 4 {
                case 0: mixed.remove(at: place)
                case 1: mixed.insert(lines[Int(random.next() % UInt64(lines.count))], at: place)
                case 2:
                    mixed[place] = mixed[place].replacing(
                        /:(\d+|"[^"]*")/, with: ":\(pieces[Int(random.next() % UInt64(pieces.count))])",
                        maxReplacements: 1 + Int(random.next() % 3))
                default: mixed[place] = String(mixed[place].dropLast(Int(random.next() % 10)))
                }
                if mixed.isEmpty { break }
            }
            let digest = Digest()
            let body = mixed.map { $0 + "\n" }.joined()
            digest.add(Array(body.utf8))
            let file =
                body + "{\"line\":\"end\",\"lines\":\(mixed.count),\"sha256\":\"\(digest.hex())\"}\n"
            do throws(Fault) {
                let bundle = try BundleReader.read(path(of: Array(file.utf8)))
                try BundleReplay(bundle).alerts { _ in }
            } catch {
                #expect(error.domain != .defect && !error.detail.isEmpty, "\(error.detail)\n\(file)")
            }
        }
    }

    /// Goal: what is computed is what a replay of the file gives. Method: by hand.
    @Test func recordsGiveTheirAlerts() throws {
        let alerts = try replayed(try Self.bundle())
        let raised = alerts.filter { $0.contains("\"state\":\"raised\"") }
        #expect(raised.count == 10 && raised.allSatisfy { $0.contains("\"message\":\"3\"") })
        // With the third record of each: offsets 40 to 58.
        #expect(
            raised.first?.contains("\"cause\":{\"topic\":\"orders\",\"partition\":0,\"offset\":40}") == true)
    }

    @Test func differencesNameTheirFields() {
        let one =
            "{\"alert_id\":\"1\",\"detected_at\":\"a\",\"values\":{\"n\":3},\"completeness\":{\"late\":2}}"
        let other =
            "{\"alert_id\":\"1\",\"detected_at\":\"b\",\"values\":{\"n\":4},\"completeness\":{\"late\":0}}"
        #expect(AlertBytes.differences(one, one.replacing("\"a\"", with: "\"b\"")).isEmpty)
        #expect(
            AlertBytes.differences(one, other) == [
                "values.n: published 3, computed again 4", "completeness.late: published 2, computed again 0",
            ])
    }
}
