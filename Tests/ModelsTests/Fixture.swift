import Base
import Foundation
import Models

/// Files that `fixtures.py` made: models, rows, and what the trainers' own libraries predict.
enum Fixture {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
        "Fixtures")

    static func bytes(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: folder.appendingPathComponent(name)))
    }
    static func rows(_ name: String) throws -> FeatureRows { try FeatureRows(try bytes(name)) }

    static func numbers(_ name: String) throws -> [[String]] {
        try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8).split(separator: "\n")
            .map { $0.split(separator: ",").map(String.init) }
    }

    /// A card for a file, without samples.
    static func model(_ name: String, rows: FeatureRows, iterations: Int? = nil) throws -> LoadedModel {
        let file = try bytes(name)
        let card = try ModelCard.draft(
            file: name, file, rows: rows.first(5), name: name, version: "1", iterations: iterations, from: nil
        )
        return try LoadedModel(card: card, file: file)
    }

    static let lstmCard = Array(
        """
        {"name": "course", "version": "1", "format": "lstm-safetensors", "file": "lstm.safetensors", "sha256": "",
         "features": [{"name": "amount"}, {"name": "orders"}, {"name": "refunds"}],
         "network": {"steps": 10, "channels": [{"name": "amount", "mean": 100, "sd": 40}, {"name": "orders", "mean": 5, "sd": 2},
           {"name": "refunds", "mean": 0.2, "sd": 0.1}], "layers": [{"name": "first", "units": 24}, {"name": "second", "units": 12}],
           "head": {"name": "head", "units": 1, "kind": "sigmoid"}},
         "samples": [{"features": [], "margins": [0]}]}
        """.utf8)
}
