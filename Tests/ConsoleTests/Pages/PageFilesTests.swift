import Foundation
import Testing

/// Goal: pages that keep the content security policy, fit a slow line, and speak both languages to the last
/// word. Method: the files.
@Suite struct PageFilesTests {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent(
            "Sources/Console/Pages"
        ).path

    static func names(_ ending: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(ending) }.sorted()
    }

    static func text(_ name: String) throws -> String {
        try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
    }

    private func texts(_ language: String) throws -> [String: String] {
        let object = try JSONSerialization.jsonObject(with: Data(try Self.text("\(language).json").utf8))
        return try #require(object as? [String: String])
    }

    private func matches(_ pattern: String, in text: String) throws -> [[String]] {
        let expression = try NSRegularExpression(pattern: pattern)
        return expression.matches(in: text, range: NSRange(text.startIndex..., in: text)).map { match in
            (0..<match.numberOfRanges).map {
                Range(match.range(at: $0), in: text).map { String(text[$0]) } ?? ""
            }
        }
    }

    @Test func languagesHaveEqualKeysAndNames() throws {
        let (english, chinese) = (try texts("en"), try texts("zh"))
        #expect(english.count > 300)
        #expect(
            Set(english.keys) == Set(chinese.keys),
            "\(Set(english.keys).symmetricDifference(chinese.keys).sorted())")
        for (key, text) in english {
            #expect(!text.isEmpty && chinese[key]?.isEmpty == false, "\(key)")
            let names = Set(try matches("\\{\\w+\\}", in: text).map { $0[0] })
            let others = Set(try matches("\\{\\w+\\}", in: chinese[key] ?? "").map { $0[0] })
            #expect(names == others, "\(key): \(names) \(others)")
        }
    }

    /// Keys that the pages write out; those that they put together end in a name that comes from the API.
    @Test func everyTextThatIsNamedIsThere() throws {
        let english = try texts("en")
        var used: Set<String> = []
        for name in try Self.names(".js") {
            // The first argument of t(…): a text, or one of two.
            for call in try matches(
                "(?<![\\w.])t\\(([^()`]*?(?:\\([^()]*\\)[^()`]*?)*)[,)]", in: Self.text(name))
            {
                for key in try matches("'([a-z]+\\.[a-zA-Z0-9_.-]+)'", in: call[1]) { used.insert(key[1]) }
            }
            for key in try matches("'((?:keys|view)\\.[a-z-]+)'", in: Self.text(name)) { used.insert(key[1]) }
        }
        #expect(used.count > 200)
        for key in used.sorted() { #expect(english[key] != nil || english["\(key).other"] != nil, "\(key)") }
        for list in [
            "severity", "status", "outcome", "state", "role", "change", "node", "class", "run", "job", "lint",
        ] {
            #expect(english.keys.contains { $0.hasPrefix("\(list).") }, "\(list)")
        }
        for role in ["viewer", "analyst", "author", "approver", "operator", "admin"] {
            #expect(english["role.\(role)"] != nil)
        }
    }

    @Test func dataIsNeverMarkup() throws {
        let forbidden = [
            "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function",
            "srcdoc", "DOMParser",
            "createContextualFragment", "setAttribute('style'", "cssText", "javascript:",
        ]
        for name in try Self.names(".js") {
            let text = try Self.text(name)
            for word in forbidden { #expect(!text.contains(word), "\(name): \(word)") }
            #expect(try matches("[{,(]\\s*style:(?! .percent)", in: text).isEmpty, "\(name): an inline style")
        }
    }

    @Test func nothingIsInlineAndNothingIsElsewhere() throws {
        let page = try Self.text("index.html")
        #expect(try matches("<script(?![^>]*\\bsrc=)", in: page).isEmpty)
        #expect(try matches("<style|\\sstyle=|\\son[a-z]+=", in: page).isEmpty)
        for name in try Self.names("") {
            let addresses = try matches("(?:https?:)?//[a-zA-Z0-9.-]+\\.[a-z]{2,}", in: Self.text(name)).map {
                $0[0]
            }
            #expect(addresses.allSatisfy { $0 == "http://www.w3.org" }, "\(name): \(addresses)")
        }
        #expect(try !Self.text("style.css").contains("@import"))
    }

    /// All that a browser asks for until the overview stands there, without what gzip would save.
    @Test func firstPageIsSmall() throws {
        var found: Set<String> = []
        var next = ["app.js", "screen-login.js", "screen-overview.js"]
        while let name = next.popLast() {
            guard found.insert(name).inserted else { continue }
            next += try matches("(?:from|import) '\\./([^']+)'", in: Self.text(name)).map { $0[1] }
        }
        #expect(!found.contains("editor.js"))
        let all = found.union(["index.html", "style.css", "icon.svg", "en.json", "zh.json"])
        let bytes = try all.reduce(0) { try $0 + Self.text($1).utf8.count }
        #expect(bytes <= 300_000, "\(bytes) bytes")
    }

    @Test func whatIsImportedIsThere() throws {
        let names = Set(try Self.names(""))
        for name in try Self.names(".js") {
            for path in try matches("(?:from |import |import\\()'\\./([^']+)'", in: Self.text(name)) {
                #expect(names.contains(path[1]), "\(name) imports \(path[1])")
            }
        }
        let app = try Self.text("app.js")
        for screen in try matches("\\['[^']+', '([a-z]+)', '[A-Za-z]+'", in: app) {
            #expect(names.contains("screen-\(screen[1]).js"), "\(screen[1])")
        }
    }

    /// Buttons are offered by operation: each that the pages name must be one of the API.
    @Test func operationsAreThoseOfTheApi() throws {
        let file = URL(fileURLWithPath: Self.folder).deletingLastPathComponent().appendingPathComponent(
            "openapi.json")
        guard let data = try? Data(contentsOf: file) else { return }
        let api = String(decoding: data, as: UTF8.self)
        var named: Set<String> = []
        for name in try Self.names(".js") {
            named.formUnion(try matches("\\bcan\\('([A-Za-z]+)'\\)", in: Self.text(name)).map { $0[1] })
        }
        named.formUnion(
            try matches("\\['[^']+', '[a-z]+', '([a-z]+[A-Z][A-Za-z]+)'", in: Self.text("app.js")).map {
                $0[1]
            })
        #expect(named.count > 20)
        for name in named.sorted() { #expect(api.contains("\"\(name)\""), "\(name)") }
    }
}
