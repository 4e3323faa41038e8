import Base
import Foundation
import Models
import Testing

/// Goal: margins equal those of the library that trained the model, in every bit. Method: models, rows and
/// bits that `fixtures.py` made with the libraries themselves; nothing is trained here.
@Suite struct ExactnessTests {
    @Test(arguments: [
        ("logistic.ubj", "rows.csv"), ("logistic.json", "rows.csv"), ("dart.ubj", "rows.csv"),
        ("forest.ubj", "rows.csv"),
        ("logitraw.ubj", "rows.csv"), ("squared.ubj", "rows.csv"), ("poisson.ubj", "rows.csv"),
        ("classes.ubj", "rows.csv"),
        ("kinds.ubj", "kinds.csv"), ("light.txt", "rows.csv"), ("light-zero.txt", "rows.csv"),
        ("light-whole.txt", "rows.csv"),
        ("light-classes.txt", "rows.csv"), ("light-codes.txt", "codes.csv"), ("light-forest.txt", "rows.csv"),
        ("sk-forest.json", "rows.csv"), ("sk-classes.json", "rows.csv"), ("sk-mean.json", "rows.csv"),
    ])
    func everyMarginHasTheTrainersBits(_ file: String, _ data: String) throws {
        let rows = try Fixture.rows(data)
        let name = String(file.prefix { $0 != "." })
        try expectBits(of: try Fixture.model(file, rows: rows), rows, try Fixture.numbers("\(name).bits"))
    }

    @Test func theFirstRoundsAreTheTrainersFirstRounds() throws {
        let rows = try Fixture.rows("rows.csv")
        let model = try Fixture.model("logistic.ubj", rows: rows, iterations: 7)
        try expectBits(of: model, rows, try Fixture.numbers("logistic-first-7.bits"))
    }

    private func expectBits(of model: LoadedModel, _ rows: FeatureRows, _ wanted: [[String]]) throws {
        #expect(wanted.count == rows.rows.count)
        var different = 0
        try RowScoring(model).score(rows) { row, margins, _ in
            for (margin, bits) in zip(margins, wanted[row]) {
                let found = model.isSingle ? UInt64(Float(margin).bitPattern) : margin.bitPattern
                if "\(found)" != bits { different += 1 }
            }
            if margins.count != wanted[row].count { different += 1 }
        }
        #expect(different == 0)
    }

    /// A block is sixteen rows; what stands beside a row must not change it.
    @Test(arguments: ["logistic.ubj", "light.txt", "sk-forest.json"])
    func aRowAloneIsTheRowAmongOthers(_ file: String) throws {
        let rows = try Fixture.rows("rows.csv")
        let model = try Fixture.model(file, rows: rows)
        let scoring = ModelScoring(model)
        var all: [[Double]] = []
        try RowScoring(model).score(rows) { _, margins, _ in all.append(margins) }
        for (row, texts) in rows.rows.enumerated().prefix(40) {
            #expect(try scoring.margins(texts) == all[row])
        }
    }

    @Test func contributionsAreTheTrainersAndAddUp() throws {
        let rows = try Fixture.rows("rows.csv")
        let model = try Fixture.model("logistic.ubj", rows: rows)
        guard case .trees(let trees) = model.body, case .single(let ensemble) = trees.kind else {
            throw Fault(.defect, "no trees")
        }
        let shap = TreeShap(ensemble)
        let scoring = ModelScoring(model)
        for (row, wanted) in try Fixture.numbers("logistic.contributions").enumerated() {
            let (features, bias) = shap.contributions(try trees.values(rows.rows[row]))
            let stated = try wanted.map { try #require(Double($0)) }
            for (found, stated) in zip(features + [bias], stated) { #expect(abs(found - stated) < 1e-5) }
            #expect(abs(features.reduce(bias, +) - (try scoring.margins(rows.rows[row])[0])) < 1e-5)
        }
    }

    @Test func aNetworkIsWithinAMillionthOfItsTrainer() throws {
        let file = try Fixture.bytes("lstm.safetensors")
        var card = try ModelCard(Fixture.lstmCard)
        let rows = try Fixture.rows("sequences.csv")
        card = try ModelCard.draft(
            file: "lstm.safetensors", file, rows: rows, name: "course", version: "1", iterations: nil,
            from: card)
        #expect(try ModelCard(Array(card.json.utf8)) == card)
        let model = try LoadedModel(card: card, file: file)
        let wanted = try Fixture.numbers("lstm.margins")
        var greatest = 0.0
        try RowScoring(model).score(rows) { row, margins, _ in
            greatest = max(greatest, abs(margins[0] - (Double(wanted[row][0]) ?? .nan)))
        }
        #expect(greatest <= 1e-6)
    }

    @Test func theExponentialIsTheCLibrarysToTheLastBits() {
        var state: UInt64 = 1
        for _ in 0..<20_000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let x = (Double(state >> 11) / 9_007_199_254_740_992 - 0.5) * 1400
            let (found, wanted) = (exponential(x), exp(x))
            #expect(found == wanted || abs(found - wanted) <= wanted * 5e-16 || wanted < 1e-300, "\(x)")
        }
        #expect(
            exponential(0) == 1 && exponential(-800) == 0 && exponential(800) == .infinity
                && exponential(.nan).isNaN)
    }
}
