import Base
import Dataflow
import Topology

/// `stdout: {}`, written by `StdoutSink`.
package struct StdoutSinkPart: RunnableSink, SinkPart {
    package static let key = "stdout"
    package static let example = "stdout: {}"
    package static let reference = """
        `stdout: {}`: JSON lines on standard output, for development and pipes (`millrace run … | jq`); it has
        no keys. A commit's lines are written together once it has succeeded, so what failed and is done again
        shows once. They are written **at most once**: where the process dies between a commit and its lines,
        or the answer to a commit is lost, those lines are missing, and no others. What must not be lost goes
        to `kafka`. A reader that has left ends the worker with exit code 1; one that does not read holds it
        up.
        """

    package static func read(_ node: YamlNode, _ scope: SinkScope) -> Self? {
        scope.mapping(node, of: Self.self, keys: []).map { _ in Self() }
    }

    package var delivery: SinkDelivery { .committedRecords }
    package var shown: String { "standard output" }
    package var logic: String { "{stdout}" }

    package func open(_ context: SinkContext) throws(Fault) -> RunningSink? {
        .records(StdoutSink(FileWriter.standardOutput()))
    }
}
