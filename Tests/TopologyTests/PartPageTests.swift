import Engine
import Foundation
import Testing

@testable import Topology

/// What the language's page says of formats, operators and sinks is what they say of themselves.
@Suite struct PartPageTests {
    static let page =
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path + "/Topologies/README.md"

    @Test(
        "The language's page has what `millrace docs` prints",
        arguments: [
            ("formats", Catalogue.standard.formatReference),
            ("operators", Catalogue.standard.operatorReference),
            ("sinks", Catalogue.standard.sinkReference),
        ]) func thePageHasTheParts(name: String, reference: String) throws
    {
        let text = try String(contentsOfFile: Self.page, encoding: .utf8)
        let begin = try #require(text.range(of: "<!-- millrace docs \(name) -->\n"))
        let end = try #require(
            text.range(of: "<!-- end of millrace docs \(name) -->", range: begin.upperBound..<text.endIndex))
        let isSame = text[begin.upperBound..<end.lowerBound] == reference
        #expect(isSame, "put what `millrace docs \(name)` prints between the markers of Topologies/README.md")
    }

    /// Goal: the key under which an operator stands is in its text.
    @Test func operatorsAreExplained() {
        for part in Catalogue.standard.operators {
            if let key = part.place.key { #expect(part.reference.contains("`\(key): "), "\(key)") }
        }
    }

    /// Every option that a format reads is in its text, or is one of every format.
    @Test func optionsAreExplained() {
        for format in Catalogue.standard.formats {
            for option in format.options where !FormatOption.all.contains(option) {
                #expect(format.reference.contains("`\(option)`"), "\(format.key) does not explain \(option)")
            }
        }
        #expect(Set(Catalogue.standard.formats.map { $0.key }).count == Catalogue.standard.formats.count)
    }
}
