import Foundation
import Testing

/// Goal: comments are as wide as the code. Method: `swift format` breaks code and checks it, but leaves the
/// lines of comments as they are, so those are measured here. Texts in literals may be longer.
@Suite struct CommentWidthTests {
    static let widest = 110

    /// The numbers, from 1, of the lines that are comments and too wide.
    static func tooWide(in text: String) -> [Int] {
        var isText = false
        var numbers: [Int] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let isComment = line.drop { $0 == " " }.hasPrefix("//")
            if !isText, isComment, line.count > widest { numbers.append(index + 1) }
            let delimiters = line.components(separatedBy: "\"\"\"").count - 1
            if !isComment, !delimiters.isMultiple(of: 2) { isText.toggle() }
        }
        return numbers
    }

    @Test func noCommentIsWiderThanTheCode() throws {
        for folder in ["Sources", "Tests"] {
            let root = LayeringTests.root.appendingPathComponent(folder)
            let files = try #require(
                FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil))
            for case let file as URL in files where file.pathExtension == "swift" {
                let numbers = Self.tooWide(in: try String(contentsOf: file, encoding: .utf8))
                #expect(numbers.isEmpty, "\(file.path): comments beyond column \(Self.widest)")
            }
        }
    }

    @Test func textsInLiteralsAreNoComments() {
        let wide = "// " + String(repeating: "x", count: Self.widest)
        #expect(Self.tooWide(in: "\(wide)\nlet a = 1") == [1])
        #expect(Self.tooWide(in: "let a = \"\"\"\n\(wide)\n\"\"\"\n\(wide)") == [4])
    }
}
