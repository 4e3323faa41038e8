import Base
import Topology

enum ExplainCommand: Command {
    static let name = "explain"
    static let summary = "show what a topology compiles to"
    static let help = """
        usage: millrace explain FILE [--format text|dot|mermaid|json] [--set name=value]...

        Shows stages, keys, windows, state, topics and the terms of each path's latency.

        example: millrace explain Topologies/marketplace/topology.yaml --format mermaid
        """
    static let options: [String: Arguments.Kind] = ["--format": .value, "--set": .values]

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        guard let spec = try arguments.topology(try arguments.file()) else { return ExitCode.usage }
        let name = arguments.value("--format") ?? "text"
        guard let format = Explain.Format(rawValue: name) else {
            throw Fault(.user, "--format is text, dot, mermaid or json, not '\(name)'")
        }
        put(Explain.render(spec, format: format))
        return ExitCode.done
    }
}
