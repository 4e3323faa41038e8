import Foundation
import Testing

/// Goal: a type can be read in one sitting. Method: the lines of its declaration and of all its extensions in
/// the same target are added up, nested types and comments among them.
@Suite struct TypeSizeTests {
    static let linesMax = 600

    private static let kinds: Set<Substring> = ["struct", "class", "enum", "actor", "protocol", "extension"]

    /// The outer type that a line begins to declare or to extend. Members are indented, so they begin none.
    static func outerType(declaredBy line: Substring) -> String? {
        guard let first = line.first, first.isLetter || first == "@" else { return nil }
        let words = line.split(separator: " ")
        guard let kind = words.firstIndex(where: kinds.contains), kind + 1 < words.count else { return nil }
        // `public final`, `@unchecked`, `private(set)`; whatever else stands before is no declaration of a
        // type.
        guard words[..<kind].allSatisfy({ $0.allSatisfy { $0.isLetter || "@()".contains($0) } }) else {
            return nil
        }
        let name = words[kind + 1].prefix { $0.isLetter || $0.isNumber || $0 == "_" }
        return name.isEmpty ? nil : String(name)
    }

    /// By type, its lines in a file: from the line that declares or extends it to the brace below that line's
    /// start.
    static func lines(of text: String) -> [String: Int] {
        var lines: [String: Int] = [:]
        var open: String?
        var isText = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let wasText = isText
            if line.components(separatedBy: "\"\"\"").count.isMultiple(of: 2) { isText.toggle() }
            if let name = open {
                lines[name, default: 0] += 1
                if !wasText, line.hasPrefix("}") { open = nil }
            } else if !wasText, let name = outerType(declaredBy: line) {
                lines[name, default: 0] += 1
                // On one line.
                let opened = line.count { $0 == "{" }
                if opened == 0 || opened != line.count(where: { $0 == "}" }) { open = name }
            }
        }
        return lines
    }

    static func lines(ofTarget target: String) throws -> [String: Int] {
        let folder = LayeringTests.root.appendingPathComponent("Sources/\(target)")
        let files = try #require(FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil))
        var sum: [String: Int] = [:]
        for case let file as URL in files where file.pathExtension == "swift" {
            sum.merge(lines(of: try String(contentsOf: file, encoding: .utf8)), uniquingKeysWith: +)
        }
        return sum
    }

    @Test func noTypeIsLongerThanOneReads() throws {
        var count = 0
        for target in try LayeringTests.allowed().keys {
            for (type, lines) in try Self.lines(ofTarget: target) {
                count += 1
                #expect(
                    lines <= Self.linesMax, "\(target).\(type) has \(lines) lines; split it by what it does")
            }
        }
        #expect(count > 500)
    }

    @Test func declarationsAndExtensionsAreAddedUp() {
        let text = """
            import Base

            /// class Comment
            @safe public final class Lane {
                struct Held {
                }
                let help = \"\"\"
            }
                    \"\"\"
            }

            extension Lane.Held: Sendable {}
            private enum Phase: Int { case one }
            @unchecked
            extension Lane where T: Hashable
            {
                func step() {}
            }
            func classify(_ a: Int) -> struct_t { a }
            let class1 = 1
            """
        #expect(Self.lines(of: text) == ["Lane": 7 + 1 + 4, "Phase": 1])
    }
}
