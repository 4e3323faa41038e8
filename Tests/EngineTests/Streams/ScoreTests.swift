import Base
import Engine
import Foundation
import Models
import Records
import Testing
import Topology

/// Goal: a step's scores are the model's, of each row, whatever is null, unknown or how rows were cut into
/// batches; and what does not fit a model's card is told at its place. Method: random records against the
/// model itself, a row at a time from texts.
@Suite struct ScoreTests {
    static let models = "\(#filePath)".replacing("Streams/ScoreTests.swift", with: "Models")

    static func topology(_ score: String, model: String = "\(models)/amounts", more: String = "") -> String {
        """
        topology: t
        latency: 1d
        models:
          m: \(model)
          course: \(models)/course
        sources:
          in:
            kafka: { topic: in }
            key: shop
            time: { field: time, out_of_order: 5s }
            schema: { id: int, shop: text, kind: text?, amount: decimal(2)?, wait: duration, time: { type: timestamp, unit: ms } }
        steps:
          risk: { from: in, key: shop, score: \(score) }
          last: { from: in, key: shop, fields: { orders: id % 7 }, sequence_of: { fields: [orders, amount], steps: 4, least: 2 } }
          course: { from: last, key: shop, score: { model: course } }
        \(more)
        sinks:
          risk: { kafka: { topic: risk }, from: [risk] }
          course: { kafka: { topic: course }, from: [course] }
        """
    }

    static func loaded(_ name: String) throws -> LoadedModel {
        let folder = "\(models)/\(name)"
        let card = try ModelCard(try FileText.bytes(of: "\(folder)/card.json", bytesMax: 1 << 20))
        return try LoadedModel(
            card: card, file: try FileText.bytes(of: "\(folder)/\(card.file)", bytesMax: 1 << 20))
    }

    struct Event {
        var id: Int
        var shop: Int
        var kind: String?
        /// Hundredths.
        var amount: Int64?

        var amountText: String? { amount.map { Decimal.string(Int128($0), scale: 2) } }
    }

    static func events(_ random: inout SplitMix64) -> [Event] {
        (0..<300).map { id in
            Event(
                id: id, shop: Int(random.next() % 5),
                kind: [nil, "x", "y", "z", "unknown", ""][Int(random.next() % 6)],
                amount: random.next() % 6 == 0 ? nil : Int64(random.next() % 2500) - 100)
        }
    }

    static func run(
        _ text: String, _ events: [Event], rowsMax: Int, crashes: UInt64, _ random: inout SplitMix64
    ) throws -> TaskCluster {
        let cluster = try TaskCluster(text, partitions: 1, rowsMax: rowsMax)
        for event in events {
            let kind = event.kind.map { "\"\($0)\"" } ?? "null"
            try cluster.append(
                "in", key: "S\(event.shop)",
                "{\"id\":\(event.id),\"shop\":\"S\(event.shop)\",\"kind\":\(kind),\"amount\":\(event.amountText ?? "null"),"
                    + "\"wait\":1,\"time\":\(1_000_000_000 + event.id * 1000)}")
        }
        try cluster.run(&random, crashesPerMille: crashes, until: 2_000_000_000)
        #expect(cluster.lateCount == 0 && cluster.deadCount == 0)
        return cluster
    }

    static func rows(_ cluster: TaskCluster, _ sink: String) throws -> [[String: Any]] {
        try cluster.outputs.filter { $0.sink == sink }
            .map { try #require(JSONSerialization.jsonObject(with: Data($0.text.utf8)) as? [String: Any]) }
            .sorted { ($0["id"] as? Int ?? 0) < ($1["id"] as? Int ?? 0) }
    }

    static func rounded(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }

    @Test func scoresAreTheModels() throws {
        let model = try Self.loaded("amounts")
        let scoring = ModelScoring(model)
        for seed in UInt64(1)...3 {
            print("seed \(seed)")
            var random = SplitMix64(seed: seed)
            let events = Self.events(&random)
            var first: [String] = []
            for (rowsMax, crashes) in [(2048, UInt64(0)), (1, 0), (7, 100)] {
                let cluster = try Self.run(
                    Self.topology("{ model: m }"), events, rowsMax: rowsMax, crashes: crashes, &random)
                let texts = cluster.outputs.filter { $0.sink == "risk" }.map(\.text).sorted()
                if first.isEmpty { first = texts }
                #expect(texts == first, "seed \(seed), batches of \(rowsMax)")
                let rows = try Self.rows(cluster, "risk")
                #expect(rows.count == events.count)
                for (event, row) in zip(events, rows) {
                    let margin = try scoring.margins([event.amountText, event.kind])[0]
                    #expect(row["margin"] as? String == Self.rounded(margin, 9), "seed \(seed), \(event)")
                    #expect(
                        row["score"] as? String == Self.rounded(model.scores([margin])[0], 6),
                        "seed \(seed), \(event)")
                    #expect(row["model"] as? String == "amounts" && row["model_version"] as? String == "2")
                    #expect(row["model_sha256"] as? String == model.card.sha256)
                }
            }
        }
    }

    /// The forecast of three steps against the fourth, for keys with a history of two rows or more.
    @Test func aNetworksScoreIsTheDistanceFromItsForecast() throws {
        let model = try Self.loaded("course")
        let scoring = ModelScoring(model)
        let channels = try #require(model.card.network?.channels)
        for seed in UInt64(4)...5 {
            print("seed \(seed)")
            var random = SplitMix64(seed: seed)
            let events = Self.events(&random)
            let cluster = try Self.run(
                Self.topology("{ model: m }"), events, rowsMax: 16, crashes: 80, &random)
            for (at, row) in try Self.rows(cluster, "course").enumerated() {
                let history = Array(events[...at].filter { $0.shop == events[at].shop }.suffix(4))
                var texts = history.flatMap { ["\($0.id % 7)", $0.amountText] }
                texts = Array(repeating: nil, count: 8 - texts.count) + texts
                let sequence =
                    "["
                    + stride(from: 0, to: 8, by: 2).map {
                        "[\(texts[$0] ?? "null"),\(texts[$0 + 1] ?? "null")]"
                    }.joined(separator: ",") + "]"
                #expect(row["sequence_rows"] as? Int == history.count)
                guard history.count >= 2 else {
                    #expect(
                        row["sequence"] is NSNull && row["score"] is NSNull, "seed \(seed), \(at): \(row)")
                    continue
                }
                #expect(row["sequence"] as? String == sequence, "seed \(seed), \(at)")
                let forecast = try scoring.margins(Array(texts[..<6]))
                var squares: [Double] = []
                for (place, channel) in channels.enumerated() {
                    guard let value = texts[6 + place].flatMap(Double.init) else { continue }
                    let residual = (value - channel.mean) / channel.deviation - forecast[place]
                    squares.append(residual * residual)
                }
                let score = (squares.reduce(0, +) / Double(squares.count)).squareRoot()
                #expect(row["score"] as? String == Self.rounded(score, 6), "seed \(seed), \(at)")
            }
        }
    }

    @Test(arguments: [
        ("{ model: n }", "no model 'n'", 13),
        ("{ model: m, reasons: 21 }", "reasons", 13),
        ("{ model: m, features: { amuont: id } }", "no feature 'amuont'; did you mean 'amount'?", 13),
        ("{ model: m, features: { amount: idd } }", "no field of in 'idd'; did you mean 'id'?", 13),
        (
            "{ model: m, features: { amount: shop } }",
            "'shop' is text, and 'amount' of the model amounts is a number", 13
        ),
        ("{ model: m, features: { amount: wait } }", "'wait' is duration", 13),
        (
            "{ model: m, features: { kind: id } }",
            "'id' is int, and 'kind' of the model amounts is one of the texts x, y, z", 13
        ),
        (
            "{ model: m, features: { amount: { field: amount, unit: CNY } } }", "no unit that the card names",
            13
        ),
        (
            "{ model: course }", "takes sequences; write sequence_of: { fields: [orders, amount], steps: 4 }",
            13
        ),
        ("{ reasons: 1 }", "needs 'model'", 13),
    ]) func mistakes(score: String, message: String, line: Int) {
        let (spec, diagnostics) = TopologyReader.read(Self.topology(score), file: "t.yaml")
        let errors = diagnostics.filter { $0.severity == .error }
        #expect(spec == nil && errors.count == 1 && errors[0].message.contains(message), "\(diagnostics)")
        #expect(errors.first?.position.line == line, "\(diagnostics)")
    }

    @Test(arguments: [
        (
            "steps: 4, least: 2", "steps: 5",
            "takes 4 steps, the last of which is compared with the forecast, and the sequence has 5"
        ),
        ("[orders, amount]", "[amount, orders]", "takes orders, amount, and the sequence has amount, orders"),
        ("steps: 4, least: 2", "steps: 4, least: 5", "least"),
        ("fields: [orders, amount]", "fields: [orders, kind]", "'kind' is text"),
        ("steps: 4, least: 2", "steps: 2000", "more than 3000"),
    ]) func sequenceMistakes(from: String, to: String, message: String) {
        let (spec, diagnostics) = TopologyReader.read(
            Self.topology("{ model: m }").replacing(from, with: to), file: "t.yaml")
        let errors = diagnostics.filter { $0.severity == .error }
        #expect(spec == nil && errors.count == 1 && errors[0].message.contains(message), "\(diagnostics)")
    }

    /// A step whose columns are other ones than the model's is told all that it lacks.
    @Test func missingColumnsAreTold() {
        let text = Self.topology("{ model: m }").replacing("kind: text?, amount", with: "sort: text?, amuont")
            .replacing("fields: [orders, amount]", with: "fields: [orders, amuont]")
        let errors = TopologyReader.read(text, file: "t.yaml").diagnostics.filter { $0.severity == .error }
        #expect(
            errors.contains {
                $0.message.contains(
                    "takes 'amount', 'kind', which in does not have; is 'amount' the field 'amuont'?")
            }, "\(errors)")
    }

    // MARK: Files

    /// A folder for one test with a copy of the model, changed by `change`.
    static func folder(_ change: (URL) throws -> Void) throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "millrace-score-\(UUID().uuidString)")
        try FileManager.default.copyItem(at: URL(fileURLWithPath: "\(models)/amounts"), to: folder)
        try change(folder)
        return folder
    }

    static func errors(_ model: String) -> [Diagnostic] {
        TopologyReader.read(topology("{ model: m }", model: model), file: "t.yaml").diagnostics.filter {
            $0.severity == .error
        }
    }

    @Test(arguments: [
        ("changed", "sha256 is"), ("empty", "sha256 is"), ("gone", "No such file"),
        ("no card", "card.json: No such file"),
        ("empty card", "a value was expected"), ("other samples", "sample 1: the margin is"),
        ("other card", "sha256 is"),
        ("outside", "a name beside the card was expected"),
    ]) func aModelThatIsNotItsCardsIsRefused(change: String, message: String) throws {
        let folder = try Self.folder { folder in
            let (card, model) = (
                folder.appendingPathComponent("card.json"), folder.appendingPathComponent("model.ubj")
            )
            switch change {
            case "changed":
                var bytes = try Data(contentsOf: model)
                bytes[bytes.count / 2] ^= 1
                try bytes.write(to: model)
            case "empty": try Data().write(to: model)
            case "gone": try FileManager.default.removeItem(at: model)
            case "no card": try FileManager.default.removeItem(at: card)
            case "empty card": try Data().write(to: card)
            case "other samples":
                let text = try String(contentsOf: card, encoding: .utf8)
                try text.replacing("[-2.9855134]", with: "[-2.9855132]").write(
                    to: card, atomically: true, encoding: .utf8)
            case "outside":
                let text = try String(contentsOf: card, encoding: .utf8)
                try text.replacing("\"model.ubj\"", with: "\"../model.ubj\"").write(
                    to: card, atomically: true, encoding: .utf8)
            default:
                let text = try String(contentsOfFile: "\(Self.models)/course/card.json", encoding: .utf8)
                try text.replacing("model.safetensors", with: "model.ubj").write(
                    to: card, atomically: true, encoding: .utf8)
            }
        }
        defer { try? FileManager.default.removeItem(at: folder) }
        let errors = Self.errors(folder.path)
        #expect(errors.count == 1 && errors[0].message.contains(message), "\(errors)")
        #expect(errors.first?.position == Position(line: 4, column: 6), "\(errors)")
    }

    @Test func versionsAndAliases() throws {
        let folder = try Self.folder { folder in
            let version = folder.appendingPathComponent("versions/2")
            try FileManager.default.createDirectory(at: version, withIntermediateDirectories: true)
            for name in ["card.json", "model.ubj"] {
                try FileManager.default.moveItem(
                    at: folder.appendingPathComponent(name), to: version.appendingPathComponent(name))
            }
            try Data(#"{"champion": "2", "bad": "../2"}"#.utf8).write(
                to: folder.appendingPathComponent("aliases.json"))
        }
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.path
        #expect(Self.errors("{ folder: \(path), alias: champion }") == [])
        #expect(Self.errors("{ folder: \(path), version: 2 }") == [])
        for (model, message) in [
            ("{ folder: \(path), alias: chanpion }", "no alias 'chanpion'; did you mean 'champion'?"),
            ("{ folder: \(path), alias: bad }", "'../2' is no version"),
            ("{ folder: \(path), version: 3 }", "No such file"),
            ("{ folder: \(path), version: ../2 }", "is no version"),
            ("{ folder: \(path), version: 2, alias: champion }", "of which one"),
            (path, "No such file"), ("{ version: 2 }", "needs 'folder'"),
        ] {
            let errors = Self.errors(model)
            #expect(errors.count == 1 && errors[0].message.contains(message), "\(model): \(errors)")
        }
    }

    /// Another model, or another card, is another topology.
    @Test func theModelIsPartOfTheLogic() throws {
        let folder = try Self.folder { folder in
            let card = folder.appendingPathComponent("card.json")
            let text = try String(contentsOf: card, encoding: .utf8)
            try text.replacing(
                "\"samples\"",
                with: "\"calibration\": {\"kind\": \"platt\", \"a\": -1, \"b\": 0.5},\n  \"samples\""
            )
            .write(to: card, atomically: true, encoding: .utf8)
        }
        defer { try? FileManager.default.removeItem(at: folder) }
        let (own, other) = (Self.topology("{ model: m }"), Self.topology("{ model: m }", model: folder.path))
        let logics = [own, other, own + "# a comment\n"].map {
            TopologyReader.read($0, file: "t.yaml").spec?.logic
        }
        #expect(logics[0] != nil && logics[0] == logics[2] && logics[0] != logics[1])
    }
}
