import Base
import Dataflow
import Operators
import Records
import Topology

/// That a task goes on with other rules, and from where: in the transaction that makes it so.
struct RuleSetAcknowledgement {
    let key: String
    let json: String
    private let task: Int32

    init(_ activation: Activation, task: Int32, _ spec: TopologySpec, worker: String) {
        self.task = task
        key = "\(activation.epoch)/\(task)"
        var json = JsonWriter()
        json.beginObject()
        json.member("epoch", activation.epoch)
        json.member("former", activation.former)
        json.member("task", Int64(task))
        json.member("ruleset", spec.ruleset)
        json.member("logic", spec.logic)
        json.name("first")
        json.beginObject()
        for (source, offset) in zip(spec.sources, activation.first) {
            if let topic = source.topicOfTask { json.member(topic, offset) }
        }
        json.endObject()
        if activation.written.contains(where: { !$0.isEmpty }) {
            json.name("writers")
            json.beginObject()
            for (source, offsets) in zip(spec.sources, activation.written) where !offsets.isEmpty {
                guard let topic = source.topicOfTask else { continue }
                json.name(topic)
                json.list(offsets) { $0.number(Int128($1), scale: 0) }
            }
            json.endObject()
        }
        json.name("watermarks")
        json.beginObject()
        for (source, watermark) in zip(spec.sources, activation.watermarks) where source.table == nil {
            guard let topic = source.topicOfTask, watermark != .min else { continue }
            json.name(topic)
            json.timestamp(watermark)
        }
        json.endObject()
        json.name("watermark")
        if let watermark = activation.watermark { json.timestamp(watermark) } else { json.null() }
        json.member("raised", Int64(activation.raised))
        json.member("cleared", Int64(activation.cleared))
        json.member("worker", worker)
        json.endObject()
        self.json = json.string
    }

    func add(to outbox: inout Outbox) {
        let start = outbox.bytes.count
        for byte in key.utf8 { outbox.bytes.appendByte(byte) }
        let value = outbox.bytes.count
        for byte in json.utf8 { outbox.bytes.appendByte(byte) }
        outbox.add(.acknowledgement, partition: task, key: start..<value, value: value..<outbox.bytes.count)
    }
}

extension SourceSpec {
    /// The topic of which each task reads a partition; nil: it has no topic, or every lane reads all of it.
    var topicOfTask: String? {
        switch origin {
        case .kafka(let topic, _) where !isBroadcast: topic
        case .repartition(let topic): topic
        case .kafka, .file, .generate, .redis, .stream: nil
        }
    }

    /// The topic that every lane reads all of.
    var topicOfAll: String? {
        if case .kafka(let topic, _) = origin, isBroadcast { topic } else { nil }
    }
}
