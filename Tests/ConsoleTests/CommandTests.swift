import Foundation
import Testing

@testable import Console

/// Goal: what the pages can do can be done by a command, and what cannot yet is named. Method: `x-command` of
/// each end point against the commands that there are.
@Suite struct CommandTests {
    @Test func eachHasACommandOrIsNamed() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let folder = root.appendingPathComponent("Sources/millrace")
        var commands: Set<String> = ["--version"]
        for file in try FileManager.default.contentsOfDirectory(atPath: folder.path)
        where file.hasSuffix("Command.swift") {
            let text = try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
            if let name = text.components(separatedBy: "static let name = \"").dropFirst().first?.prefix(
                while: { $0 != "\"" })
            {
                commands.insert(String(name))
            }
        }
        let document = try #require(
            try JSONSerialization.jsonObject(with: Data(Pages(folder: nil).openapi)) as? [String: Any])
        let paths = try #require(document["paths"] as? [String: [String: [String: Any]]])
        var without: Set<String> = []
        for operation in paths.values.flatMap(\.values) {
            let id = try #require(operation["operationId"] as? String)
            guard let command = operation["x-command"] as? String else {
                without.insert(id)
                continue
            }
            if command.isEmpty { continue }
            let words = command.split(separator: " ").map(String.init)
            #expect(
                words.count > 1 && words[0] == "millrace" && commands.contains(words[1]), "\(id): \(command)")
        }
        #expect(
            without == [
                "activateChange", "approveChange", "createChange", "discardChange", "editChange",
                "getAlertDeliveries", "getChange",
                "getOverview", "listChanges", "listLetters", "listNotifications", "resendLetters",
                "returnChange", "submitChange",
            ])
    }
}
