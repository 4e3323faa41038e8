import Base
import Foundation
import Models
import Testing

/// Goal: a file that is none of ours, damaged, or not the one that the card was written for is refused with a
/// sentence that says why; nothing is read as something else.
@Suite struct RefusalTests {
    private func refusal(_ bytes: [UInt8]) -> String {
        do {
            _ = try ModelFile.read(bytes)
            return "read"
        } catch { return error.detail }
    }

    @Test func otherFormatsAreNamedWithTheWayOut() {
        #expect(refusal([0x80, 0x04, 0x95]).contains("pickle"))
        #expect(refusal([0x89, 0x48, 0x44, 0x46, 0x0D]).contains("HDF5"))
        #expect(refusal(Array("PK\u{3}\u{4}archive/data.pkl".utf8)).contains("pickle"))
        #expect(refusal(Array("binf".utf8)).contains("before 1.6"))
        #expect(refusal([0x08, 0x0A, 0x12, 0x07] + Array("skl2onnx".utf8)).contains("ONNX"))
        #expect(refusal([]).contains("empty"))
        #expect(refusal(Array("hello".utf8)).contains("no model"))
    }

    private func edited(_ from: String, _ to: String, in file: String) throws -> [UInt8] {
        let text = String(decoding: try Fixture.bytes(file), as: UTF8.self)
        #expect(text.contains(from))
        return Array(text.replacingOccurrences(of: from, with: to).utf8)
    }

    @Test func whatIsNotReadIsNamed() throws {
        #expect(
            refusal(try edited("binary:logistic", "rank:ndcg", in: "logistic.json")).contains("rank:ndcg"))
        #expect(refusal(try edited("\"gbtree\"", "\"gblinear\"", in: "logistic.json")).contains("gblinear"))
        #expect(
            refusal(try edited("\"num_target\":\"1\"", "\"num_target\":\"2\"", in: "logistic.json")).contains(
                "num_target"))
        #expect(
            refusal(
                try edited("\"size_leaf_vector\":\"1\"", "\"size_leaf_vector\":\"3\"", in: "logistic.json")
            ).contains("multi_output_tree"))
        #expect(
            refusal(try edited("objective=binary sigmoid:1", "objective=lambdarank", in: "light.txt"))
                .contains("lambdarank"))
        #expect(refusal(try edited("is_linear=0", "is_linear=1", in: "light.txt")).contains("linear"))
        #expect(
            refusal(try edited("\"version\": 1", "\"version\": 9", in: "sk-mean.json")).contains("version"))
    }

    /// The score of XGBoost before 3.1 is written without brackets.
    @Test func aBaseScoreIsReadInBothWays() throws {
        let text = String(decoding: try Fixture.bytes("logistic.json"), as: UTF8.self)
        let bracketed = try #require(
            text.range(of: #""base_score":"\[[^"]*\]""#, options: .regularExpression))
        let plain = text[bracketed].replacingOccurrences(of: "[", with: "").replacingOccurrences(
            of: "]", with: "")
        let rows = try Fixture.rows("rows.csv")
        func margins(_ text: String) throws -> [[Double]] {
            let file = Array(text.utf8)
            let card = try ModelCard.draft(
                file: "m.json", file, rows: rows, name: "m", version: "1", iterations: nil, from: nil)
            return card.samples.map(\.margins)
        }
        #expect(try margins(text) == margins(text.replacingCharacters(in: bracketed, with: plain)))
    }

    @Test func aCardMustAgreeWithItsFile() throws {
        let rows = try Fixture.rows("rows.csv")
        let file = try Fixture.bytes("logistic.ubj")
        let card = try ModelCard.draft(
            file: "logistic.ubj", file, rows: rows, name: "m", version: "1", iterations: nil, from: nil)
        #expect(card.samples.count == 20)
        #expect(try ModelCard(Array(card.json.utf8)) == card)
        func refusal(_ change: (inout ModelCard) -> Void, _ bytes: [UInt8]? = nil) -> String {
            var changed = card
            change(&changed)
            do {
                _ = try LoadedModel(card: changed, file: bytes ?? file)
                return "read"
            } catch { return error.detail }
        }
        #expect(refusal { _ in } == "read")
        #expect(
            refusal { $0.samples[19].margins[0] = Double(Float($0.samples[19].margins[0]).nextUp) }.contains(
                "sample 20"))
        #expect(refusal({ _ in }, file + [0]).contains("sha256"))
        #expect(refusal { $0.features.swapAt(0, 1) }.contains("feature 1"))
        #expect(refusal { $0.features.removeLast() }.contains("features"))
        #expect(refusal { $0.iterations = 3 }.contains("sample"))
        #expect(refusal { $0.iterations = 300 }.contains("300 iterations"))
    }

    @Test func whatALibraryPredictedMustBeMet() throws {
        var rows = try Fixture.rows("rows.csv")
        rows.names.append("margin")
        let bits = try Fixture.numbers("logistic.bits")
        for row in rows.rows.indices {
            rows.rows[row].append("\(Float(bitPattern: try #require(UInt32(bits[row][0]))))")
        }
        let file = try Fixture.bytes("logistic.ubj")
        func draft() throws -> ModelCard {
            try ModelCard.draft(
                file: "m.ubj", file, rows: rows, name: "m", version: "1", iterations: nil, from: nil)
        }
        #expect(try draft().features.count == 5)
        rows.rows[3][5] = "0.25"
        #expect(throws: Fault.self) { try draft() }
    }

    /// Whatever stands in a file: a model or a fault, never the end of the process.
    @Test(arguments: [
        "logistic.ubj", "logistic.json", "kinds.ubj", "light.txt", "light-codes.txt", "sk-mean.json",
        "dart.ubj",
    ])
    func damagedFilesAreRefusedOrRead(_ name: String) throws {
        let file = try Fixture.bytes(name)
        var state: UInt64 = 3
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        for _ in 0..<150 {
            var bytes = file
            switch next(3) {
            case 0: bytes = Array(bytes.prefix(next(bytes.count)))
            case 1: for _ in 0...next(4) { bytes[next(bytes.count)] = UInt8(next(256)) }
            default:
                let start = next(bytes.count)
                bytes.removeSubrange(start..<min(bytes.count, start + next(40)))
            }
            if let (model, _) = try? ModelFile.read(bytes) {
                let rows = (0..<model.features.count).map { _ in Optional("1") }
                _ = try? model.values(rows)
            }
        }
    }
}
