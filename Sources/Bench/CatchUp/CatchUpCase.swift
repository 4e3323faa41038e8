import Base
import Connectors
import Dataflow
import Engine
import Glibc
import Records
import Topology

/// A topology of the library under topic names of its own, with its inputs and what a replay makes of them.
struct CatchUpCase: Sendable {
    struct Input: Sendable {
        var source: Int
        var topic: String
        var lines: CatchUpLines
        /// Members that make the record's key; none: it has no key.
        var key: [String]
        var time: String
    }

    let name: String
    let path: String
    let spec: TopologySpec
    private(set) var inputs: [Input] = []
    /// By topic: what a replay publishes up to the last event time of the input, as `essence` of each record.
    private(set) var expected: [String: [String]] = [:]
    private(set) var records: Int64 = 0
    private(set) var lastEventTime = Int64.min
    private(set) var replaySeconds = 0.0
    /// Raised and cleared, as they are published.
    private(set) var alerts: [String] = []

    /// `folder`: the month's files, named after topics; `scratch`: where the topology with its own topics is
    /// written.
    init(_ name: String, topologies: String, folder: String, scratch: String, prefix: String) throws(Fault) {
        self.name = name
        path = "\(scratch)/\(name).yaml"
        let text = Self.renamed(try TopologyFile.text("\(topologies)/\(name)/topology.yaml"), prefix: prefix)
        let writer = try FileWriter(path: path)
        try writer.write(text)
        try writer.flush()
        let (spec, diagnostics) = TopologyReader.read(text, file: path)
        guard let spec else { throw Fault(.defect, diagnostics.map(\.description).joined(separator: "\n")) }
        self.spec = spec
        var paths: [(source: String, paths: [String])] = []
        for (index, source) in spec.sources.enumerated() {
            guard case .kafka(let topic, _) = source.origin else { continue }
            let path = "\(folder)/\(topic.dropFirst(prefix.count)).jsonl"
            paths.append((source.name, [path]))
            var key = spec.partitionKey(of: index) ?? []
            if let table = source.table { key = table.key.map { source.schema.fields[$0].name } }
            let time = source.timeField >= 0 ? source.wire[source.timeField].path.joined(separator: ".") : ""
            // A topic that two sources read is keyed as the one that is no table wants it.
            if let place = inputs.firstIndex(where: { $0.topic == topic }) {
                if source.table == nil { inputs[place].key = key }
                continue
            }
            inputs.append(
                Input(source: index, topic: topic, lines: try CatchUpLines(path), key: key, time: time))
        }
        try replay(paths)
    }

    private mutating func replay(_ paths: [(source: String, paths: [String])]) throws(Fault) {
        let begin = monotonicNanoseconds()
        var replay = try Replay(spec, inputs: paths, keepsResults: true)
        let topics = spec.sinks.map { $0.topic ?? "" }
        let takesAlerts = spec.sinks.indices.map { replay.takesAlerts($0) }
        var all: [(topic: String, text: String)] = []
        var alerts: [String] = []
        let summary = try replay.run(
            output: { outbox throws(Fault) in
                for record in outbox.records {
                    guard case .sink(let sink) = record.destination, let value = outbox.value(of: record)
                    else { continue }
                    let text = String(decoding: value, as: UTF8.self)
                    all.append((topics[sink], text))
                    if takesAlerts[sink] { alerts.append(text) }
                }
            }, progress: { _, _, _ in })
        replaySeconds = Double(monotonicNanoseconds() - begin) / 1e9
        records = summary.records
        lastEventTime = summary.lastEventTime
        for topic in topics { expected[topic] = [] }
        for (topic, text) in all where isWithin(text) {
            expected[topic, default: []].append(Self.essence(text))
        }
        self.alerts = alerts.filter(isWithin)
    }

    /// An input that ends looks like a silence; what comes of it is not compared.
    func isWithin(_ text: String) -> Bool {
        (Self.time(of: text) ?? .min) <= lastEventTime
    }

    /// Event time of an alert or a result; of a window, its end.
    static func time(of text: String) -> Int64? {
        var text = text
        return text.withUTF8 { bytes in
            func time(at start: Int) -> Int64? {
                CivilTime.parse(String(decoding: bytes[start...].prefix { $0 != 0x22 }, as: UTF8.self))?
                    .milliseconds
            }
            // What a sequence finds is of the time at which it is found, and a level of the time at which it
            // changes.
            for name in ["sequence_time", "changed_at", "event_time"] {
                if let place = bytes.end(of: "\"\(name)\":\"") { return time(at: place) }
            }
            guard let window = bytes.end(of: "\"window\":{"),
                let end = UnsafeBufferPointer(rebasing: bytes[window...]).end(of: "\"end\":\"")
            else { return nil }
            return time(at: window + end)
        }
    }

    /// A record without what may differ between a replay and a run: when it was found, the record that caused
    /// it, and how complete the input was.
    static func essence(_ text: String) -> String {
        var bytes = Array(text.utf8)
        func cut(from name: String, through end: UInt8?) {
            let key = Array(name.utf8)
            guard let start = bytes.indices.first(where: { bytes[$0...].starts(with: key) }) else { return }
            guard let end else { return bytes.removeSubrange(start...) }
            let stop = bytes[(start + key.count)...].firstIndex(of: end) ?? bytes.count - 1
            bytes.removeSubrange(start...stop)
        }
        cut(from: ",\"detected_at\":\"", through: 0x22)
        // Rows of other steps may have a cause of their own.
        cut(from: ",\"cause\":{", through: nil)
        cut(from: ",\"cause\":null,\"completeness\":", through: nil)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Every topic named with a prefix.
    private static func renamed(_ text: String, prefix: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line -> String in
            guard
                let place = line.utf8.indices.first(where: { line.utf8[$0...].starts(with: "topic: ".utf8) }),
                line[..<place].contains("kafka:")
            else { return String(line) }
            let at = line.utf8.index(place, offsetBy: 7)
            let isQuoted = line.utf8[at] == 0x22
            let start = isQuoted ? line.utf8.index(after: at) : at
            let end =
                line.utf8[start...].firstIndex {
                    isQuoted ? $0 == 0x22 : $0 == 0x20 || $0 == 0x2C || $0 == 0x7D
                } ?? line.endIndex
            let rest = isQuoted ? line.utf8.index(after: end) : end
            return "\(line[..<at])\"\(prefix)\(line[start..<end])\"\(line[rest...])"
        }.joined(separator: "\n")
    }
}
