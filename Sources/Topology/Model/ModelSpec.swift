import Base
import Models

/// A model that the topology names under `models:`, read and checked: its file is the one that its card was
/// written for, and gives what the card says for the card's sample rows.
package struct ModelSpec: Sendable {
    /// As the topology calls it.
    package var name: String
    package var model: LoadedModel
    /// Of the card, which says how margins become scores.
    package var cardSha256: String
    package var position: Position

    package init(name: String, model: LoadedModel, cardSha256: String, position: Position) {
        (self.name, self.model, self.cardSha256, self.position) = (name, model, cardSha256, position)
    }

    package var card: ModelCard { model.card }

    /// What two steps that score alike have alike.
    package var logic: String {
        "\(JsonText.quoted(card.name)) \(JsonText.quoted(card.version)) \(card.sha256) \(cardSha256)"
    }

    /// For people: `default-risk 3 (xgboost-ubj, 300 trees of depth 6)`.
    package var text: String {
        switch model.body {
        case .trees(let trees):
            "\(card.name) \(card.version) (\(card.format.rawValue), \(trees.treeCount) trees of depth \(trees.depth))"
        case .network(let network):
            "\(card.name) \(card.version) (\(card.format.rawValue), \(network.architecture.steps) steps of "
                + "\(network.architecture.channels) channels)"
        }
    }

    /// About so many rows a second take up a core.
    package var rowsPerSecond: Int64 {
        switch model.body {
        // Nanoseconds for each tree and level (`millrace bench score`).
        case .trees(let trees):
            max(1, 1_000_000_000 / Int64(max(1, 3 * trees.treeCount * max(1, trees.depth))))
        // Operations a nanosecond of the portable kernel.
        case .network(let network): max(1, 20_000_000_000 / Int64(max(1, network.operations)))
        }
    }
}
