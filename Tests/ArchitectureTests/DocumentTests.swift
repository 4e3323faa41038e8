import Foundation
import Testing

/// Goal: the pages say what the program has. Method: what can be listed (targets, metrics, alarms, links) is
/// read from the sources and looked for in the pages, and the other way round.
@Suite struct DocumentTests {
    static let pages = [
        "README.md", "Sources/README.md", "Tests/README.md", "Topologies/README.md", "deploy/README.md",
    ]

    static func text(_ path: String) throws -> String {
        try String(contentsOf: LayeringTests.root.appendingPathComponent(path), encoding: .utf8)
    }

    /// All Swift files of a folder of Sources, one after the other.
    static func sources(under folder: String) throws -> String {
        let folder = LayeringTests.root.appendingPathComponent("Sources/\(folder)")
        let files = try #require(FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil))
        return try files.compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }
            .map { try String(contentsOf: $0, encoding: .utf8) }.joined()
    }

    /// What the first column of the table below `heading` names in backquotes.
    static func firstColumn(of page: String, under heading: String) throws -> Set<String> {
        let section = try text(page).components(separatedBy: "\n## \(heading)\n").dropFirst().first?
            .components(separatedBy: "\n## ").first
        let rows = try #require(section, "\(page) has no heading \(heading)").split(separator: "\n")
            .filter { $0.hasPrefix("| `") }
        return Set(
            rows.flatMap { row in
                let cell = row.dropFirst(2).components(separatedBy: " |")[0]
                return cell.components(separatedBy: "`").enumerated().filter { $0.offset % 2 == 1 }.map(
                    \.element)
            })
    }

    @Test func theFirstPageIsShort() throws {
        #expect(try Self.text("README.md").utf8.count <= 10 * 1024)
    }

    @Test func everyTargetIsInTheTableOfTheArchitecture() throws {
        let named = try Self.firstColumn(of: "Sources/README.md", under: "The way of a record")
        for target in try LayeringTests.allowed().keys {
            #expect(named.contains(target), "\(target) is missing")
        }
        for target in named where target != "CModules/*" {
            let folder = LayeringTests.root.appendingPathComponent("Sources/\(target)").path
            #expect(FileManager.default.fileExists(atPath: folder), "\(target) is no target")
        }
    }

    @Test func everyMetricIsExplained() throws {
        // Sinks and outlets tell some of themselves.
        let sources = try ["Engine/Metrics", "Connectors", "Outlets"].map { try Self.sources(under: $0) }
            .joined()
        let strings = sources.components(separatedBy: "\"").map {
            String($0.prefix { $0.isLetter || $0 == "_" })
        }
        let metrics = Set(strings.filter { $0.hasPrefix("millrace_") })
        #expect(metrics.count > 20)
        #expect(try Self.firstColumn(of: "deploy/README.md", under: "Metrics") == metrics)
    }

    @Test func everyAlarmIsExplained() throws {
        let rules = try Self.text("deploy/dashboards/alerts.yaml").components(separatedBy: "- alert: ")
            .dropFirst()
        let alarms = Set(rules.map { String($0.prefix { $0.isLetter }) })
        #expect(try Self.firstColumn(of: "deploy/README.md", under: "Alarms") == alarms)
    }

    @Test func linksBetweenPagesLeadSomewhere() throws {
        for page in Self.pages {
            let folder = LayeringTests.root.appendingPathComponent(page).deletingLastPathComponent()
            for part in try Self.text(page).components(separatedBy: "](").dropFirst() {
                let link = part.prefix { $0 != ")" }.split(separator: "#", omittingEmptySubsequences: false)
                guard !link[0].contains(":") else { continue }
                let target =
                    link[0].isEmpty
                    ? LayeringTests.root.appendingPathComponent(page)
                    : folder.appendingPathComponent(String(link[0]))
                #expect(FileManager.default.fileExists(atPath: target.path), "\(page) links to \(link[0])")
                guard link.count == 2, target.pathExtension == "md" else { continue }
                let headings = try String(contentsOf: target, encoding: .utf8).split(separator: "\n")
                    .filter { $0.hasPrefix("#") }
                    .map { $0.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces).lowercased() }
                    .map { $0.filter { $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" } }
                    .map { $0.replacingOccurrences(of: " ", with: "-") }
                #expect(headings.contains(String(link[1])), "\(page) links to \(link[0])#\(link[1])")
            }
        }
    }
}
