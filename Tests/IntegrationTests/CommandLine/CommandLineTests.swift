import Base
import Foundation
import Records
import Testing

/// The program as a person starts it: what it refuses, what it leaves behind, and its exit codes.
@Suite struct CommandLineTests {
    private static let topology = """
        topology: x
        sources:
          s:
            kafka: { topic: s }
            time: { field: t, out_of_order: 0s, idle: 1s }
            schema: { t: timestamp, k: text, v: int }
        steps:
          w: { from: s, key: k, window: { size: 1h }, aggregate: { n: count() } }
        sinks:
          out: { kafka: { topic: o }, from: w }
        """
    private static let record = #"{"t":"2018-01-01T00:00:00Z","k":"a","v":1}"#

    private func program() throws -> Program {
        let program = try Program()
        try program.write("t.yaml", Self.topology)
        try program.write("in.jsonl", Self.record + "\n")
        return program
    }

    @Test func pipes() throws {
        let program = try program()
        let replay = "$MILLRACE replay t.yaml --output out --input"
        for line in [
            "cat in.jsonl | \(replay) s=/dev/stdin", "\(replay) s=<(gzip -c in.jsonl)",
            "\(replay) s=/dev/stdin < in.jsonl",
        ] {
            let result = try program.shell(line)
            #expect(result.code == 0 && result.errors.contains(" 1 records, "), "\(line): \(result)")
            #expect(program.read("out/out.jsonl")?.contains(#""n":1"#) == true)
        }
    }

    @Test func nothingOfAnEarlierRunStays() throws {
        let program = try program()
        try program.write("mixed.jsonl", "bad\n\(Self.record)\n")
        try program.write("none.jsonl", "")
        try program.write("other.yaml", Self.topology.replacing("out:", with: "elsewhere:"))
        func replay(_ topology: String, _ input: String) throws -> Int32 {
            try program("replay", topology, "--input", "s=\(input)", "--output", "out").code
        }
        #expect(try replay("t.yaml", "mixed.jsonl") == 0)
        try program.write("out/mine.jsonl", "kept")
        #expect(
            try program.list("out") == [".millrace-output", "dead-letter.jsonl", "mine.jsonl", "out.jsonl"])
        #expect(try replay("t.yaml", "none.jsonl") == 1)
        #expect(try program.list("out") == [".millrace-output", "mine.jsonl"])
        #expect(try replay("t.yaml", "in.jsonl") == 0 && replay("other.yaml", "in.jsonl") == 0)
        #expect(try program.list("out") == [".millrace-output", "elsewhere.jsonl", "mine.jsonl"])
    }

    /// An input is never written over, nor removed since an earlier run wrote it.
    @Test func inputsAreKept() throws {
        let program = try program()
        try program.write("out.jsonl", Self.record + "\n")
        let refused = try program("replay", "t.yaml", "--input", "s=out.jsonl", "--output", ".")
        #expect(refused.code == 2 && refused.errors.contains("out.jsonl is read by this run"), "\(refused)")
        #expect(program.read("out.jsonl") == Self.record + "\n")
        try program.write(".millrace-output", "in.jsonl\n../t.yaml\n")
        unlink("\(program.folder)/out.jsonl")
        #expect(try program("replay", "t.yaml", "--input", "s=in.jsonl", "--output", ".").code == 0)
        #expect(program.read("in.jsonl") == Self.record + "\n" && program.read("t.yaml") == Self.topology)
    }

    @Test func whatCouldNotBeReadIsTheLastLine() throws {
        let program = try program()
        try program.write("bad.jsonl", "nonsense\n" + String(repeating: "{}\n", count: 9))
        for output in ["", " --output out"] {
            let result = try program.shell("$MILLRACE replay t.yaml --input s=bad.jsonl\(output)")
            #expect(result.code == 1)
            let lines = result.errors.split(separator: "\n")
            #expect(
                lines.last?.contains(" error s: none of 10 records of bad.jsonl could be read; most often: ")
                    == true, "\(lines)")
            #expect(
                lines.contains {
                    $0.contains(" warning s: 9 records refused: ")
                        && $0.contains("(the first: record 2 of bad.jsonl)")
                })
        }
    }

    @Test func damagedFiles() throws {
        let program = try program()
        let result = try program.shell(
            "gzip -c in.jsonl > a.gz; (cat a.gz; printf x) > b.gz; $MILLRACE replay t.yaml --input s=b.gz")
        #expect(
            result.code == 1 && result.errors.hasPrefix("millrace replay: b.gz: damaged at byte "),
            "\(result)")
    }

    @Test func runRefusesFiles() throws {
        let program = try program()
        try program.write(
            "file.yaml", Self.topology.replacing("kafka: { topic: o }", with: "file: { path: o.jsonl }"))
        let result = try program("run", "file.yaml", "--bootstrap-server", "127.0.0.1:1", "--dry-run")
        #expect(
            result.code == 2
                && result.errors.hasPrefix("file.yaml:10:3: sink out writes the file o.jsonl, which only "),
            "\(result)")
        let lint = try program("lint", "file.yaml")
        #expect(lint.code == 0 && lint.output.contains("replay only: sink out "))
    }

    @Test func planAndVersion() throws {
        let program = try program()
        let both = try program("run", "t.yaml", "--bootstrap-server", "127.0.0.1:1", "--dry-run", "--execute")
        #expect(both.code == 2 && both.errors.contains("contradict"))
        let version = try program("--version")
        #expect(
            version.code == 0 && version.output.hasPrefix("millrace ")
                && version.output.contains("librdkafka "))
    }

    /// Goal: secrets come in by a file, mistakes in it are told with their place, and nothing of it is
    /// printed.
    @Test func kafkaConfig() throws {
        let program = try program()
        let run = "$MILLRACE run t.yaml --bootstrap-server 127.0.0.1:1 --kafka-config client.properties"
        try program.write(
            "client.properties", "# for the brokers\nsecurity.protocol=PLAINTEXT\nsasl.passwrd=SECRET\n")
        let unknown = try program.shell(run)
        #expect(
            unknown.code == 2
                && unknown.errors.contains("client.properties:3: sasl.passwrd: there is no such"),
            "\(unknown)")
        try program.write("client.properties", "security.protocol=SECRET\n")
        let wrong = try program.shell(run)
        #expect(
            wrong.code == 2
                && wrong.errors.contains("client.properties:1: security.protocol: its value is not valid"),
            "\(wrong)")
        #expect(try program.shell("rm client.properties; \(run)").code == 2)
        for result in [unknown, wrong] { #expect(!(result.output + result.errors).contains("SECRET")) }
        let seen = try program.shell(
            "$MILLRACE lint t.yaml --bootstrap-server 127.0.0.1:1 --kafka sasl.password=SECRET --kafka no.such=SECRET"
        )
        #expect(
            seen.errors.contains("use --kafka-config FILE")
                && !(seen.output + seen.errors).contains("SECRET"), "\(seen)")
    }

    /// Goal: whatever words it is called with, the program ends by itself, with a code of its own. Brokers
    /// are at an address where none is, and commands that go on by themselves are left out.
    @Test(arguments: [1, 2])
    func arguments(seed: UInt64) throws {
        let program = try program()
        var random = SplitMix64(seed: seed)
        let commands = [
            "replay", "lint", "explain", "test", "state", "--version", "help", "run", "nonsense", "", "-",
        ]
        let words = [
            "t.yaml", "in.jsonl", "--input", "s=in.jsonl", "s=", "=", "=in.jsonl", "--input=s=in.jsonl",
            "--output", "out", "--batch", "0",
            "1", "-1", "99999999999999999999", "--batch=7", "--set", "a=b", "--set=", "--set==", "--format",
            "json", "--format=", "--json",
            "--group", "--group=", "--dry-run", "--dry-run=x", "--execute", "-v", "-h", "--help", "--", "---",
            "-", "--=x", "--x=y", "list", "get",
            "dump", "compare", "--state", ".", "/dev/null", "/", "\u{1F600}", "a\nb", "\u{1}",
            "--sort-memory", "1", "--as-written",
            "--kafka-config", "--kafka", "a=b", "--metrics-port", "65536", "--lanes", "",
        ]
        for _ in 0..<120 {
            var line = [commands.randomElement(using: &random)!]
            for _ in 0..<Int.random(in: 0...7, using: &random) {
                line.append(words.randomElement(using: &random)!)
            }
            // A worker that finds no broker would look for one for a while.
            if line[0] == "run" { line += ["--dry-run", "--bootstrap-server", "127.0.0.1:1"] }
            let result = try program.run(WorkerProcess.program, line)
            #expect(result.hasExited && (0...2).contains(result.code), "\(line): \(result)")
            #expect(result.code == 0 || !(result.output + result.errors).isEmpty, "\(line)")
        }
    }
}
