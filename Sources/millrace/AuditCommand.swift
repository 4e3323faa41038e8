import Base
import Connectors
import Engine

enum AuditCommand: Command {
    static let name = "audit"
    static let summary = "what was done to a topology's rules, and whether that record was tampered with"
    static let help = """
        usage: millrace audit list TOPOLOGY --bootstrap-server HOST:PORT [OPTIONS]
               millrace audit verify TOPOLOGY --bootstrap-server HOST:PORT [OPTIONS]
               millrace audit verify --file FILE [--head HASH]

        Proposals, approvals, activations and roll-backs are in topic TOPOLOGY-audit, each record with the hash of the one
        before. `verify` walks the chain and names the first record that was changed or is missing, with exit code 1; else it
        prints their number and the hash of the newest. Note that hash elsewhere: given as --head it also shows whether newest
        records were taken away.

          --file FILE          records as `audit list --json` prints them, one a line
          --head HASH          a hash that `verify` printed before; it must be that of some record
          --group NAME         the workers' consumer group instead of the topology's name
          --json               of `list`: the records as they stand; of `verify`: {"records", "head", "mistake"}
        \(KafkaArguments.help)

        example: millrace audit verify merchant-watch --bootstrap-server 127.0.0.1:9092
        """
    static let options: [String: Arguments.Kind] = [
        "--bootstrap-server": .value, "--file": .value, "--head": .value, "--group": .value, "--json": .flag,
    ].merging(KafkaArguments.options) { $1 }

    static func run(_ arguments: Arguments) throws(Fault) -> Int32 {
        let words = arguments.files
        let fromFile = arguments.value("--file") != nil
        guard let word = words.first, ["list", "verify"].contains(word), words.count == (fromFile ? 1 : 2)
        else {
            throw Fault(
                .user,
                "list or verify is expected, and the name of a topology, like `millrace audit verify merchant-watch`"
            )
        }
        if word == "list" {
            try records(arguments, words.last ?? "") { record, _, _ in
                arguments.has("--json") ? put(String(decoding: record, as: UTF8.self)) : put(line(record))
            }
            return ExitCode.done
        }
        var mistake: String?
        var isHeadFound =
            arguments.value("--head") == nil || arguments.value("--head") == AuditChain.beginning
        let chain = try records(arguments, words.last ?? "") { record, offset, found in
            if let found, mistake == nil {
                mistake = "\(found) (seen at \(fromFile ? "line" : "offset") \(offset))"
            }
            if Sha256.hex(record) == arguments.value("--head") { isHeadFound = true }
        }
        if mistake == nil, !isHeadFound {
            mistake = "no record has the hash of --head: it and what followed were taken away"
        }
        if arguments.has("--json") {
            put(
                "{\"records\":\(chain.count),\"head\":\"\(chain.head)\",\"mistake\":\(mistake.map { "\"\($0)\"" } ?? "null")}"
            )
        } else if mistake == nil {
            put("\(chain.count) records, none changed or missing; head \(chain.head)")
        }
        if let mistake { say("error: \(mistake)") }
        return mistake == nil ? ExitCode.done : ExitCode.failed
    }

    @discardableResult
    private static func records(
        _ arguments: Arguments, _ topology: String, _ body: ([UInt8], Int64, String?) -> Void
    ) throws(Fault) -> (count: Int64, head: String) {
        if let file = arguments.value("--file") {
            var chain = AuditChain()
            let lines = try FileText.read(file, bytesMax: 1 << 30).utf8.split(separator: UInt8(ascii: "\n"))
            for (index, line) in lines.enumerated() {
                let record = Array(line)
                body(record, Int64(index + 1), chain.take(record))
            }
            return (chain.count, chain.head)
        }
        var log = try AuditLog(DeployCommand.settings(arguments, topology: topology))
        try log.readToEnd(body)
        return (log.count, log.head)
    }

    private static func line(_ value: [UInt8]) -> String {
        guard let record = try? AuditRecord(value) else {
            return "?  \(String(decoding: value.prefix(200), as: UTF8.self))"
        }
        let details = record.details.filter { !$0.value.isEmpty }.map { "\($0.name) \($0.value)" }.joined(
            separator: ", ")
        return "\(record.number)  \(record.at)  \(record.by)  \(record.action)  \(details)"
    }
}
