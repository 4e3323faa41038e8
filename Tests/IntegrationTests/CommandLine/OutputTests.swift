import Foundation
import Testing

/// Goal: what cannot be written ends with one line and exit code 1, never with a trap or a success. Method:
/// the program with its streams closed, on a full device, and on a pipe whose reader has left.
@Suite struct OutputTests {
    private static let topology = """
        topology: t
        sources:
          e: { kafka: { topic: e }, time: { field: ts }, schema: { k: text, ts: timestamp } }
        steps:
          w: { from: e, key: k, window: { size: 10s }, aggregate: { n: count() } }
        rules:
          r: { on: w, when: n >= 0, risk: x, severity: low, message: m }
        sinks:
          al: { kafka: { topic: al } }
        """

    private func program() throws -> Program {
        let program = try Program()
        try program.write("t.yaml", Self.topology)
        try program.write("in.jsonl", "{\"k\":\"a\",\"ts\":\"2024-01-01T00:00:00Z\"}\n")
        return program
    }

    static let commands = [
        "replay t.yaml --input e=in.jsonl", "lint t.yaml", "explain t.yaml", "--help", "lint --help",
        "--version",
        "generate --events 1000", "run t.yaml --bootstrap-server 127.0.0.1:1 --dry-run",
    ]

    @Test(arguments: commands)
    func standardOutput(_ command: String) throws {
        let program = try program()
        let whole = try program.shell("$MILLRACE \(command)")
        #expect(whole.code == 0 && !whole.output.isEmpty)
        for (place, reason) in [(">&-", "Bad file descriptor"), ("> /dev/full", "No space left on device")] {
            let result = try program.shell("$MILLRACE \(command) \(place)")
            #expect(result.hasExited && result.code == 1, "\(place): \(result)")
            #expect(result.errors.hasSuffix("standard output: \(reason)\n"), "\(place): \(result)")
            #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
        }
        // The reader has left before the first byte comes.
        let reader = "exec 3> >(exec 0<&-; touch left); while [ ! -e left ]; do sleep 0.01; done"
        let result = try program.shell("\(reader); $MILLRACE \(command) >&3")
        #expect(result.hasExited && result.code == 1)
        #expect(result.errors.hasSuffix("standard output: Broken pipe\n"), "\(result.errors)")
    }

    /// A worker does not care; whoever asked for words wants them all.
    @Test func standardError() throws {
        let program = try program()
        let lint = "$MILLRACE lint unused.yaml"
        try program.write(
            "unused.yaml",
            Self.topology + "\n  more: { kafka: { topic: more }, from: w }\nparameters: { x: 1 }\n")
        #expect(try program.shell(lint).code == 0)
        #expect(try program.shell("\(lint) 2> /dev/full").code == 1)
        #expect(try program.shell("\(lint) 2>&-").code == 1)
        #expect(try program.shell("$MILLRACE replay t.yaml --input e=in.jsonl 2> /dev/full").code == 1)
        // All streams closed, and files opened in their place.
        let result = try program.shell(
            "$MILLRACE replay t.yaml --input e=in.jsonl --output out 0<&- 1>&- 2>&-; echo $?")
        #expect(result.output == "1\n")
        #expect(program.read("out/al.jsonl")?.split(separator: "\n").count == 1)
    }

    @Test func files() throws {
        let program = try program()
        let labels = try program("generate", "--events", "10", "--labels", "/dev/full")
        #expect(
            labels.code == 1
                && labels.errors.hasSuffix("millrace generate: /dev/full: No space left on device\n"))
        let limited = try program.shell("ulimit -f 4; $MILLRACE generate --events 1000 > big.jsonl")
        #expect(
            limited.hasExited && limited.code == 1
                && limited.errors.hasSuffix("standard output: File too large\n"), "\(limited)")
    }
}
