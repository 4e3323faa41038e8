import Foundation
import Testing

@testable import Console

/// Goal: the binary has every file of the console, and no other. Method: its list against the folder.
@Suite struct EmbeddedPagesTests {
    @Test func theListIsTheFolder() throws {
        let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
            .appendingPathComponent("Sources/Console")
        let files =
            (try? FileManager.default.contentsOfDirectory(
                atPath: sources.appendingPathComponent("Pages").path)) ?? []
        #expect(Set(Pages.names) == Set(files.filter { !$0.hasPrefix(".") }).union(["openapi.json"]))
        for name in Pages.names {
            let place = name == "openapi.json" ? name : "Pages/\(name)"
            let bytes = try Data(contentsOf: sources.appendingPathComponent(place))
            let embedded = try #require(Pages(folder: nil).bytes(name))
            #expect(embedded == Array(bytes), "\(name)")
        }
    }
}
