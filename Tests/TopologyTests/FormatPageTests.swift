import Engine
import Foundation
import Testing

@testable import Topology

/// What the language's page says of formats is what they say of themselves.
@Suite struct FormatPageTests {
    static let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path + "/Topologies/README.md"

    @Test("The language's page has what `millrace docs formats` prints")
    func thePageHasTheFormats() throws {
        let text = try String(contentsOfFile: Self.page, encoding: .utf8)
        let begin = try #require(text.range(of: "<!-- millrace docs formats -->\n"))
        let end = try #require(text.range(of: "<!-- end of millrace docs formats -->", range: begin.upperBound..<text.endIndex))
        let isSame = text[begin.upperBound..<end.lowerBound] == Catalogue.standard.formatReference
        #expect(isSame, "put what `millrace docs formats` prints between the markers of Topologies/README.md")
    }

    /// Every option that a format reads is in its text, or is one of every format.
    @Test func optionsAreExplained() {
        for format in Catalogue.standard.formats {
            for option in format.options where option != FormatOption.encoding && option != FormatOption.null {
                #expect(format.reference.contains("`\(option)`"), "\(format.key) does not explain \(option)")
            }
        }
        #expect(Set(Catalogue.standard.formats.map { $0.key }).count == Catalogue.standard.formats.count)
    }
}
