import Base
import Engine

enum ReplayCommand: Command {
    static let name = "replay"
    static let summary = "run a topology over files, in event time"
    static let help = """
        usage: millrace replay FILE --input NAME=PATH... [--output DIR] [--set name=value]...
               millrace replay --bundle FILE [TOPOLOGY]
               millrace replay --activations FILE|- [TOPOLOGY]

        Runs the same operators as `run` over files in their sources' formats, plain, gzip or xz: a file, a
        folder read in name order, or several; pipes too (/dev/stdin, <(zcat x.gz)). Each input is put into
        the order of its event times first. The same input gives the same bytes, on any day. Alerts go to standard output, or with
        --output every sink to DIR/<sink>.jsonl, and refused records to DIR/dead-letter.jsonl and DIR/late.jsonl;
        what an earlier replay wrote to DIR is removed. Exit code 1 if nothing of a file, or less than one record in
        a hundred, could be read.

          --input NAME=PATH   the records of source NAME; several paths may follow
          --output DIR        write files there
          --as-written        take records in the order of the files, but for those of tables; some may come late
          --as-known          the same for tables too: as it became known, so that a table's late corrections and late
                              records take no part; the files have records in the order in which they came
          --features STEP     the rows that the step makes, as serving would see them: a CSV to DIR/STEP.csv (beside
                              STEP.json with names, types and hashes), or to standard output
          --at LABELS.csv     of these, for each row of a CSV with the step's key and `as_of`, the last that was known
                              then
          --sort-memory MIB   memory in which inputs are sorted, default 256; what is longer and not in order goes
                              to a temporary file (TMPDIR says where)
          --batch ROWS        rows of a batch, 1 to 2048; the result does not depend on it
          --set name=value    a parameter of the topology

        With --bundle it computes the alert of a file that `millrace bundle` wrote once more, and prints it: exit code 0 if it
        is the one that was published, but for `detected_at`, or 1, with both. With --activations it computes all alerts of a file
        that `millrace rules export --records` wrote, task by task: each record is judged by the rules that its task went by, as the
        acknowledgements say; what differs from what was published is `detected_at`, `cause` and `completeness` at most. Both files have
        the records with their partitions and offsets, which plain files do not, and the rules; a TOPOLOGY that is named
        beside them (the file of one) must be theirs.

        example: millrace replay Topologies/merchant-watch/topology.yaml \\
                   --input invoices=Topologies/merchant-watch/sample --output /tmp/out
        """
    static let options: [String: Arguments.Kind] = [
        "--input": .values, "--output": .value, "--as-written": .flag, "--as-known": .flag,
        "--features": .value, "--at": .value, "--sort-memory": .value, "--batch": .value,
        "--set": .values, "--bundle": .value, "--activations": .value,
    ]

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        if arguments.has("--bundle") || arguments.has("--activations") {
            return try BundledReplay.run(arguments)
        }
        let path = try arguments.file()
        guard let spec = try arguments.topology(path) else { return ExitCode.usage }
        let inputs = try inputs(arguments)
        let rows = try arguments.integer("--batch", in: 1...Limits.rowsPerBatchMax) ?? Limits.rowsPerBatchMax
        let memory = try arguments.integer("--sort-memory", in: 1...1 << 20).map { $0 << 20 }
        for order in ["--as-written", "--as-known"] where memory != nil && arguments.has(order) {
            throw Fault(.user, "\(order) sorts nothing, so --sort-memory does not go with it")
        }
        if arguments.has("--as-written"), arguments.has("--as-known") {
            throw Fault(.user, "--as-known says more than --as-written; give one of them")
        }
        let order: Replay.Order =
            arguments.has("--as-known")
            ? .asKnown
            : arguments.has("--as-written")
                ? .asWritten : .byTime(bufferBytes: memory ?? Limits.replayBufferBytes)
        let folder = arguments.value("--output")
        if arguments.has("--at"), arguments.value("--features") == nil {
            throw Fault(.user, "--at needs --features STEP, whose rows it looks for")
        }
        let features = try arguments.value("--features").map { name throws(Fault) in
            try FeatureExport(spec, step: name, labels: arguments.value("--at"), folder: folder)
        }
        var replay = try Replay(
            spec, inputs: inputs, rowsMax: rows, keepsResults: folder != nil, order: order,
            features: features?.step)
        let names = features == nil ? replay.sinkNames : Array(replay.sinkNames.dropLast())
        let output = try ReplayOutput(
            folder: folder, names: names, takesAlerts: names.indices.map { replay.takesAlerts($0) },
            inputs: replay.inputPaths + [path], features: features)
        let progress = Progress()
        let summary = try replay.run(
            output: { outbox throws(Fault) in try output.write(outbox) },
            ordering: { source, read, total, records in
                progress.show(read, of: total, records: records, "\(source): putting into order, ")
            },
            progress: { done, total, records in progress.show(done, of: total, records: records) }
        )
        try output.close()
        progress.finish()
        for line in try features?.close() ?? [] { Log.info(line) }
        for line in summary.limits { Log.warning(line) }
        return report(summary)
    }

    private static func report(_ summary: Replay.Summary) -> Int32 {
        for line in summary.noteLines { Log.info(line) }
        for line in summary.refusalLines { Log.warning(line) }
        Log.info(
            "\(summary.records) records, \(summary.alerts) alerts, \(summary.results) results, "
                + "\(summary.late) late, \(summary.dead) dead letters"
                + (summary.overflows > 0
                    ? ", \(summary.overflows) results and conditions that do not fit in 64 bits" : ""))
        for line in summary.unreadable { Log.error(line) }
        return summary.unreadable.isEmpty ? ExitCode.done : ExitCode.failed
    }

    /// `--input NAME=PATH PATH…`, any number of times.
    static func inputs(_ arguments: Arguments) throws(Fault) -> [(source: String, paths: [String])] {
        var inputs: [(source: String, paths: [String])] = []
        for word in arguments.all("--input") {
            if let equals = word.firstIndex(of: "=") {
                let name = String(word[..<equals])
                let path = String(word[word.index(after: equals)...])
                if let index = inputs.firstIndex(where: { $0.source == name }) {
                    inputs[index].paths.append(path)
                } else {
                    inputs.append((name, [path]))
                }
            } else if inputs.isEmpty {
                throw Fault(.user, "--input takes NAME=PATH, not '\(word)'")
            } else {
                inputs[inputs.count - 1].paths.append(word)
            }
        }
        return inputs
    }
}
