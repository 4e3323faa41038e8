import Foundation
import Testing

/// Goal: the arrows drawn in Package.swift are the arrows in the code. Method: read every `import` under
/// Sources and compare it with the table of targets; SwiftPM alone lets a target import what a dependency
/// depends on.
@Suite struct LayeringTests {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    static let platform: Set<String> = ["Glibc", "Synchronization"]

    /// `library("Name", uses: [...], c: [...])` and the executable, as Package.swift has them.
    static func allowed() throws -> [String: Set<String>] {
        let manifest = try String(contentsOf: root.appendingPathComponent("Package.swift"), encoding: .utf8)
        var table: [String: Set<String>] = [:]
        for part in manifest.components(separatedBy: "library(").dropFirst() {
            let call = part.components(separatedBy: "library(")[0].components(separatedBy: "        // ")[0]
            let names = call.components(separatedBy: "\"").enumerated().filter { $0.offset % 2 == 1 }.map(
                \.element)
            // `.library(` is a product.
            guard let name = names.first,
                FileManager.default.fileExists(atPath: root.path + "/Sources/\(name)"),
                name.allSatisfy(\.isLetter), name.first?.isUppercase == true
            else { continue }
            let end = call.range(of: ".executableTarget")?.lowerBound ?? call.endIndex
            let uses = call[..<end].components(separatedBy: "\"").enumerated().filter { $0.offset % 2 == 1 }
                .map(\.element)
            table[name] = Set(uses.dropFirst())
        }
        table["millrace"] = [
            "Base", "Records", "Topology", "Models", "Connectors", "Http", "Security", "Outlets", "Engine",
            "Console",
            "Marketplace", "Simulation", "Demo", "Bench",
        ]
        return table
    }

    static func imports(of target: String) throws -> [(file: String, module: String)] {
        let folder = root.appendingPathComponent("Sources/\(target)")
        let files = try #require(FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil))
        var found: [(file: String, module: String)] = []
        for case let file as URL in files where file.pathExtension == "swift" {
            for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
            where line.hasPrefix("import ") {
                found.append((file.lastPathComponent, String(line.dropFirst(7))))
            }
        }
        return found
    }

    @Test func everyImportIsAnArrowOfTheManifest() throws {
        let allowed = try Self.allowed()
        #expect(allowed.count >= 14)
        for (target, uses) in allowed {
            let imports = try Self.imports(of: target)
            #expect(!imports.isEmpty || target == "Base", "\(target) has no files")
            for (file, module) in imports {
                #expect(uses.union(Self.platform).contains(module), "\(target)/\(file) imports \(module)")
            }
        }
    }

    @Test func eachCModuleHasOneImporter() throws {
        var importers: [String: Set<String>] = [:]
        for target in try Self.allowed().keys {
            for (_, module) in try Self.imports(of: target)
            where module.hasPrefix("C") && module != "Connectors" {
                importers[module, default: []].insert(target)
            }
        }
        for (module, targets) in importers { #expect(targets.count == 1, "\(module): \(targets)") }
        #expect(importers.count >= 7)
    }
}
