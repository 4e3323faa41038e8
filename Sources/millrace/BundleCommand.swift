import Base
import Connectors
import Engine
import Glibc

enum BundleCommand: Command {
    static let name = "bundle"
    static let summary = "all that gave one alert, in a file that gives it again"
    static let help = """
        usage: millrace bundle ALERT_ID --topology FILE --bootstrap-server HOST:PORT --out PATH [OPTIONS]

        Collects from the topics what an alert was computed from: the alert as it was published, the records of its task with
        their offsets, tables' rows as of then, the rules with their activations, and where the task changed them. It begins with
        what lies within the topology's windows before the alert, and goes twice as far back until the alert comes out of
        it again, byte for byte but for `detected_at`. Only then is the file there; otherwise it says which field differs
        and what is missing (exit code 1). `millrace replay --bundle PATH` computes the alert on any machine, without Kafka.

        The file holds customers' records: it is made readable by its owner alone (mode 0600).

          --topology FILE      the file that the workers were started with; what was deployed since is known
          --out PATH           the file, or a folder, in which it is ALERT_ID.bundle.jsonl
          --cleared            what cleared the alert too
          --set name=value     a parameter of the file, as the workers have it
          --policy FILE        the workers' policy, by which it is known which changes count
          --group NAME         the workers' consumer group instead of the topology's name
        \(KafkaArguments.help)

        example: millrace bundle 3f2a9c0d51e84b7796d01c2be85a4f10 --topology Topologies/merchant-watch/topology.yaml \\
                   --bootstrap-server 127.0.0.1:9092 --out /tmp
        """
    static let options: [String: Arguments.Kind] = [
        "--topology": .value, "--bootstrap-server": .value, "--out": .value, "--cleared": .flag,
        "--set": .values, "--policy": .value, "--group": .value,
    ].merging(KafkaArguments.options) { $1 }

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        guard arguments.files.count == 1 else {
            throw Fault(.user, "one alert_id is expected, as alerts have it")
        }
        let id = arguments.files[0]
        guard let file = arguments.value("--topology") else { throw Fault(.user, "--topology is missing") }
        guard let out = arguments.value("--out") else {
            throw Fault(.user, "--out is missing: the file that is to be made, or its folder")
        }
        let own = RuleSetText(
            file: file, text: try TopologyFile.text(file), parameters: try arguments.parameters())
        guard let spec = try arguments.topology(file) else { return ExitCode.usage }
        let path = try self.path(out, id)
        let collector = try BundleCollector(
            id, isCleared: arguments.has("--cleared"),
            DeployCommand.settings(arguments, topology: spec.name, spec.kafka), own: own,
            policy: RulesCommand.policy(arguments))
        var bundle = try collector.collect { Log.info($0) }
        bundle.program = Version.number
        // What is not whole does not get the name.
        let draft = "\(path).part"
        defer { unlink(draft) }
        try write(bundle, to: draft)
        let written = try BundleReader.read(draft)
        let alerts = try BundleReplay(written).subject()
        let differences = BundleCollector.differences(written.subject?.published ?? [], alerts)
        guard differences.isEmpty else {
            throw Fault(.defect, "the file gives another alert: \(differences.joined(separator: "; "))")
        }
        guard rename(draft, path) == 0 else {
            throw Fault(.external, "\(path): \(String(cString: strerror(errno)))")
        }
        let records = written.logs.reduce(0) { $0 + $1.records.count }
        put("\(path): \(records) records of task \(written.subject?.task ?? 0) give the alert again")
        return ExitCode.done
    }

    private static func path(_ out: String, _ id: String) throws(Fault) -> String {
        var status = stat()
        let isFolder = stat(out, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
        if !isFolder, out.hasSuffix("/") { throw Fault(.user, "\(out): there is no such folder") }
        return isFolder ? "\(out)/\(id).bundle.jsonl" : out
    }

    private static func write(_ bundle: Bundle, to path: String) throws(Fault) {
        unlink(path)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Fault(.user, "\(path): \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        let file = FileWriter(descriptor: descriptor, named: path)
        var writer = BundleWriter(file)
        try writer.write(bundle)
        try file.close()
        guard fsync(descriptor) == 0 else {
            throw Fault(.external, "\(path): \(String(cString: strerror(errno)))")
        }
    }
}
