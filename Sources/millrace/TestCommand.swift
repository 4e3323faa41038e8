import Base
import Connectors
import Engine
import Topology

enum TestCommand: Command {
    static let name = "test"
    static let summary = "run the tests.yaml of topologies in virtual time"
    static let help = """
        usage: millrace test [FILE...]

        Runs the tests.yaml beside each topology file: given records and moves of the clock, and what must come of
        them: 'expect' lists all alerts, 'expect_records' all records of the sinks that it names. A case may give
        either or both. Without files, those of ./topology.yaml or ./Topologies/*/topology.yaml. Prints what differs.

        example: millrace test Topologies/marketplace/topology.yaml
        """
    static let options: [String: Arguments.Kind] = [:]

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        var files = arguments.files
        if files.isEmpty { files = Files.topologies() }
        guard !files.isEmpty else { throw Fault(.user, "no topology.yaml here; name the file") }
        var (passed, failed) = (0, 0)
        for path in files {
            guard let outcomes = try test(path) else {
                failed += 1
                continue
            }
            for outcome in outcomes {
                let mark = outcome.differences.isEmpty ? "ok    " : "FAILED"
                put("\(mark) \(path): \(outcome.name)")
                for line in outcome.differences { put("       \(line)") }
                for line in outcome.limits { say("\(path): \(outcome.name): \(line)") }
                if outcome.differences.isEmpty { passed += 1 } else { failed += 1 }
            }
        }
        put("\(passed) passed, \(failed) failed")
        return failed == 0 && passed > 0 ? ExitCode.done : ExitCode.failed
    }

    /// Nil after the diagnostics of a topology or test file were printed.
    private static func test(_ path: String) throws(Fault) -> [TestRunner.Outcome]? {
        guard
            try TopologyFile.read(
                path, parameters: [:], report: { if $0.severity == .error { say("\($0)") } }) != nil
        else {
            return nil
        }
        let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
            separator: "/")
        let testPath = (folder.isEmpty ? "" : folder + "/") + "tests.yaml"
        let (suite, diagnostics) = TestSuiteReader.read(try FileText.read(testPath), file: testPath)
        for diagnostic in diagnostics { say("\(diagnostic)") }
        guard let suite, !diagnostics.contains(where: { $0.severity == .error }) else { return nil }
        return try TestRunner(file: path, text: try TopologyFile.text(path)).run(suite)
    }
}
