import Base
import Connectors
import Dataflow
import Foundation
import Testing
import Topology

@testable import Engine

/// A source of one dialect through a whole replay: its rows as JSON, and what dead letters say.
struct DialectRun: Equatable {
    var rows: [String] = []
    var refusals: [String] = []
    /// What ended the run, or what `lint` says.
    var fault: String?

    init(rows: [String] = [], refusals: [String] = [], fault: String? = nil) {
        (self.rows, self.refusals, self.fault) = (rows, refusals, fault)
    }

    /// `table`: a second source with an input of its own. `source`: the lines below the source's name but for
    /// its topic. `steps`: the file's `steps`, of which `w` goes out.
    init(
        source: String, steps: String = "w: { from: s }", input: [UInt8], rowsMax: Int = 2048,
        table: (name: String, source: String, input: [UInt8])? = nil
    ) {
        let indented = source.split(separator: "\n").map { "    \($0)\n" }.joined()
        let text = """
            topology: t
            zone: Asia/Shanghai
            sources:
              s:
                kafka: { topic: s }
            \(indented)\(Self.text(table))steps:
              \(steps.replacing("\n", with: "\n  "))
            sinks:
              out: { kafka: { topic: o }, from: w }
            """
        let (spec, diagnostics) = TopologyReader.read(text, file: "t.yaml")
        guard let spec else {
            fault = diagnostics.map(\.description).joined(separator: "\n")
            return
        }
        let path = NSTemporaryDirectory() + "/millrace-dialect-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        do {
            try Data(input).write(to: URL(fileURLWithPath: path))
            var inputs = [("s", [path])]
            if let table {
                try Data(table.input).write(to: URL(fileURLWithPath: path + "-table"))
                inputs.append((table.name, [path + "-table"]))
            }
            defer { try? FileManager.default.removeItem(atPath: path + "-table") }
            try run(spec, inputs, rowsMax)
        } catch let error as Fault {
            fault = error.detail.replacing(path, with: "FILE")
        } catch {
            fault = "\(error)"
        }
    }

    init(source: String, steps: String = "w: { from: s }", _ input: String, rowsMax: Int = 2048) {
        self.init(source: source, steps: steps, input: Array(input.utf8), rowsMax: rowsMax)
    }

    private mutating func run(_ spec: TopologySpec, _ inputs: [(String, [String])], _ rowsMax: Int) throws {
        var replay = try Replay(spec, inputs: inputs, rowsMax: rowsMax, keepsResults: true)
        var (rows, refusals): ([String], [String]) = ([], [])
        _ = try replay.run(
            output: { outbox throws(Fault) in
                for record in outbox.records {
                    if record.destination == .deadLetter {
                        outbox.forEachHeader(of: record) {
                            guard String(decoding: $0, as: UTF8.self) == "__streams.errors.message" else {
                                return
                            }
                            refusals.append(String(validating: $1, as: UTF8.self) ?? "no text")
                        }
                    } else {
                        rows.append(
                            outbox.value(of: record).map { String(decoding: $0, as: UTF8.self) } ?? "null")
                    }
                }
            }, progress: { _, _, _ in })
        (self.rows, self.refusals) = (rows, refusals)
    }

    private static func text(_ table: (name: String, source: String, input: [UInt8])?) -> String {
        guard let table else { return "" }
        let lines = table.source.split(separator: "\n").map { "    \($0)\n" }.joined()
        return "  \(table.name):\n    kafka: { topic: \(table.name) }\n\(lines)"
    }

    /// The same for batches of one record and of many.
    static func both(source: String, steps: String = "w: { from: s }", _ input: String) -> DialectRun {
        let run = DialectRun(source: source, steps: steps, input)
        #expect(DialectRun(source: source, steps: steps, input, rowsMax: 1) == run)
        return run
    }
}
