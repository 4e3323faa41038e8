import Base
import Connectors
import Models
import Records
import Security

/// Reads what `BundleWriter` wrote. What was cut short, altered, or is of a newer build is refused in words.
package struct BundleReader {
    private let file: FileLines
    private let digest = Digest()
    private var bundle = Bundle(topology: "", group: "", partitions: 1)
    private var lines: Int64 = 0
    private var bytes = 0
    /// Of the log that is being read.
    private var recordsLeft: Int64 = 0

    package static func read(_ path: String) throws(Fault) -> Bundle {
        var reader = BundleReader(file: try FileLines(path, bytesMax: Limits.bundleLineBytesMax))
        return try reader.read()
    }

    private init(file: FileLines) { self.file = file }

    private mutating func read() throws(Fault) -> Bundle {
        guard let first = try file.line() else { throw Fault(.user, "\(file.path): it is empty") }
        do throws(Fault) { try readHead(first) } catch { throw mistake(error.detail) }
        while true {
            guard let line = try file.line(), line.isWhole else {
                throw mistake("it ends before its last line: it was cut short")
            }
            let node: DocumentNode
            do throws(Fault) {
                node = DocumentNode(try JsonDocument.read(line.bytes))
                if try node.optional("line")?.text == "end" {
                    try readEnd(node)
                    break
                }
                add(line.bytes)
                try take(node, line.bytes.count)
            } catch {
                throw mistake(error.detail)
            }
        }
        if try file.line() != nil { throw mistake("something stands behind its end") }
        return bundle
    }

    private func mistake(_ text: String) -> Fault { Fault(.user, "\(file.path):\(file.number): \(text)") }

    private mutating func add(_ line: [UInt8]) {
        digest.add(line)
        digest.add([0x0A])
        lines += 1
    }

    private mutating func readHead(_ line: (bytes: [UInt8], isWhole: Bool)) throws(Fault) {
        guard line.bytes.first == UInt8(ascii: "{"), let value = try? JsonDocument.read(line.bytes),
            try DocumentNode(value).optional("line")?.text == "millrace-bundle"
        else {
            throw Fault(
                .user,
                "it is none of the files that `millrace bundle` and `millrace rules export` write")
        }
        guard line.isWhole else { throw Fault(.user, "it ends before its last line: it was cut short") }
        let node = DocumentNode(value)
        let version = try node["version"].integer
        guard version == Bundle.version else {
            throw Fault(
                .user,
                "its format is version \(version), and this build knows version \(Bundle.version): take a newer build"
            )
        }
        bundle.program = try node["program"].text
        let made = try node["made"]
        guard let time = CivilTime.parse(try made.text)?.milliseconds else { throw made.mistake("a time") }
        bundle.madeAt = time
        bundle.topology = try node["topology"].text
        bundle.group = try node["group"].text
        bundle.partitions = try number(node["partitions"], in: 1...100_000)
        if let alert = node.optional("alert") {
            bundle.subject = Bundle.Subject(
                id: try alert["alert_id"].text, task: Int32(try number(alert["task"], in: 0...99_999)),
                lateBefore: try number(alert["late_before"], in: 0...Int(Int32.max)),
                published: try alert["published"].texts)
        }
        try checkSubject()
        add(line.bytes)
    }

    /// What is computed is compared with what was published, so there must be something.
    private func checkSubject() throws(Fault) {
        guard let subject = bundle.subject else { return }
        var states: Set<String> = []
        for alert in subject.published {
            let node = DocumentNode(try JsonDocument.read(Array(alert.utf8)))
            guard try node["alert_id"].text == subject.id, states.insert(try node["state"].text).inserted
            else {
                throw Fault(.user, "alert.published: each state of alert \(subject.id) once was expected")
            }
        }
        guard !states.isEmpty, states.isSubset(of: ["raised", "cleared"]) else {
            throw Fault(.user, "alert.published: an alert that was raised or cleared was expected")
        }
        guard Int(subject.task) < bundle.partitions else {
            throw Fault(.user, "alert.task: a task below \(bundle.partitions) was expected")
        }
    }

    private func number(_ node: DocumentNode, in range: ClosedRange<Int>) throws(Fault) -> Int {
        let number = try node.integer
        guard range.contains(number) else {
            throw node.mistake("a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    private mutating func readEnd(_ node: DocumentNode) throws(Fault) {
        guard recordsLeft == 0 else {
            throw Fault(.user, "\(recordsLeft) records of the last log are missing")
        }
        guard Int64(try node["lines"].integer) == lines, try node["sha256"].text == digest.hex() else {
            throw Fault(.user, "the hash at its end is of other lines than it has: it was altered")
        }
    }

    // MARK: Lines

    private mutating func take(_ node: DocumentNode, _ count: Int) throws(Fault) {
        let kind = try node.optional("line")?.text
        guard recordsLeft == 0 || kind == nil else {
            throw Fault(.user, "\(recordsLeft) records of the log before are missing")
        }
        switch kind {
        case nil: try takeRecord(node, count)
        case "text": bundle.texts[try node["ruleset"].text] = try RuleSetText(node["value"])
        case "epoch":
            let epoch = Int64(try number(node["epoch"], in: 0...Int(Int32.max)))
            bundle.rulesets[epoch] = try node["ruleset"].text
            if let activation = node.optional("activation") {
                bundle.activations[epoch] = try RuleSetActivation(activation)
            }
        case "acknowledgement":
            let value = try node["value"].text
            _ = try RuleSetSwitch(Array(value.utf8))
            let task = Int32(try number(node["task"], in: 0...bundle.partitions - 1))
            bundle.acknowledgements[task, default: []].append(value)
        case "log":
            bundle.logs.append(
                Bundle.Log(
                    topic: try node["topic"].text,
                    partition: Int32(try number(node["partition"], in: 0...99_999)),
                    earliest: Int64(try number(node["earliest"], in: 0...Int.max)),
                    from: Int64(try number(node["from"], in: 0...Int.max))))
            recordsLeft = Int64(try number(node["records"], in: 0...Int.max))
        case let other?: throw Fault(.user, "a line of kind '\(other.prefix(100))' is not known")
        }
    }

    private mutating func takeRecord(_ node: DocumentNode, _ count: Int) throws(Fault) {
        guard recordsLeft > 0, let place = bundle.logs.indices.last else {
            throw Fault(.user, "a record that belongs to no log")
        }
        recordsLeft -= 1
        let offset = Int64(try number(node["offset"], in: 0...Int.max))
        guard offset > bundle.logs[place].records.last?.offset ?? -1 else {
            throw Fault(.user, "offset \(offset) is not behind the one before")
        }
        let record = LoggedRecord(
            offset: offset,
            timestamp: try node.optional("timestamp").map { (node) throws(Fault) in Int64(try node.integer) }
                ?? -1,
            key: try Self.bytes(node, "key"), value: try Self.bytes(node, "value"))
        bytes += record.byteCount
        guard bytes <= Limits.bundleBytesMax else {
            throw Fault(.user, "it has more than \(Limits.bundleBytesMax) bytes of records")
        }
        bundle.logs[place].records.append(record)
    }

    private static func bytes(_ node: DocumentNode, _ name: String) throws(Fault) -> [UInt8]? {
        if let text = node.optional(name) { return Array(try text.text.utf8) }
        guard let text = node.optional("\(name)_base64") else { return nil }
        guard let bytes = Base64Text.decode(try text.text) else { throw text.mistake("base64") }
        return bytes
    }
}
