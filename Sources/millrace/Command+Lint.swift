import Base
import Engine
import Topology

extension Command {
    static let lint = Command(
        name: "lint",
        summary: "check topology files and prove their bounds",
        help: """
            usage: millrace lint FILE... [--set name=value]...

            Reports every mistake as file:line:column, proves the latency bound of each source-to-alert path
            term by term, and bounds the state of each step. Exit code 2 if any file has an error.

            example: millrace lint Topologies/*/topology.yaml
            """,
        options: ["--set": .values],
        run: { (arguments: Arguments) throws(Fault) -> Int32 in
            guard !arguments.files.isEmpty else { throw Fault(.user, "at least one file is expected") }
            var code = ExitCode.done
            for path in arguments.files {
                guard try topology(path, arguments) != nil else {
                    code = ExitCode.failed
                    continue
                }
                print("\(path): no errors")
            }
            return code
        }
    )
}
