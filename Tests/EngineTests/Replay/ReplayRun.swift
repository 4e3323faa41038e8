import Base
import Dataflow
import Engine
import Foundation
import Testing
import Topology

/// A replay of lines that the test has in memory, and all that came of it.
struct ReplayRun {
    /// By sink, and `late` and `dead-letter`: values in the order in which they were written, for refused
    /// records the value of each header too.
    private(set) var outputs: [String: [String]] = [:]
    let summary: Replay.Summary

    static func spec(_ text: String) throws -> TopologySpec {
        let (spec, diagnostics) = TopologyReader.read(text, file: "t.yaml")
        return try #require(spec, "\(diagnostics)\n\(text)")
    }

    init(_ spec: TopologySpec, _ inputs: [(source: String, lines: [String])], rowsMax: Int) throws {
        let folder = NSTemporaryDirectory() + "/millrace-replay-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var paths: [(source: String, paths: [String])] = []
        for (source, lines) in inputs {
            let path = "\(folder)/\(source)"
            try (lines.joined(separator: "\n") + "\n").write(toFile: path, atomically: true, encoding: .utf8)
            paths.append((source, [path]))
        }
        var replay = try Replay(spec, inputs: paths, rowsMax: rowsMax, keepsResults: true)
        let names = replay.sinkNames
        var outputs: [String: [String]] = [:]
        summary = try replay.run(
            output: { outbox throws(Fault) in
                for record in outbox.records {
                    var text = outbox.value(of: record).map { String(decoding: $0, as: UTF8.self) } ?? "null"
                    outbox.forEachHeader(of: record) { text += " | \(String(decoding: $1, as: UTF8.self))" }
                    switch record.destination {
                    case .sink(let sink):
                        let key = outbox.key(of: record).map { String(decoding: $0, as: UTF8.self) } ?? "null"
                        outputs[names[sink], default: []].append("\(key) \(text)")
                    case .late: outputs["late", default: []].append(text)
                    case .deadLetter: outputs["dead-letter", default: []].append(text)
                    case .changelog, .repartition, .acknowledgement: break
                    }
                }
            }, progress: { _, _, _ in })
        self.outputs = outputs
    }

    subscript(_ name: String) -> [String] { outputs[name] ?? [] }

    /// The values of a sink as objects.
    func objects(_ name: String) throws -> [[String: Any]] {
        try self[name].map { line in
            let start = try #require(line.firstIndex(of: "{"))
            return try #require(
                try JSONSerialization.jsonObject(with: Data(line[start...].utf8)) as? [String: Any])
        }
    }

    /// Bytes of keys that nobody can print, as numbers.
    private static func visible(_ text: String) -> String {
        text.unicodeScalars.map { $0.value < 32 ? "\\\($0.value)" : String($0) }.joined()
    }

    /// Where this and another run part first; nil: every byte is the same.
    func difference(to other: ReplayRun) -> String? {
        for name in Set(outputs.keys).union(other.outputs.keys).sorted() {
            let (own, others) = (self[name], other[name])
            if own == others { continue }
            let index =
                zip(own, others).enumerated().first { $0.element.0 != $0.element.1 }?.offset
                ?? min(own.count, others.count)
            return "\(name) has \(own.count) and \(others.count) records; at \(index):\n  "
                + "\(index < own.count ? Self.visible(own[index]) : "nothing")\n  "
                + "\(index < others.count ? Self.visible(others[index]) : "nothing")"
        }
        return nil
    }
}
