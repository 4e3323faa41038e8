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
            switch source.origin {
            case .kafka(let topic, _) where !source.isBroadcast: json.member(topic, offset)
            case .repartition(let topic): json.member(topic, offset)
            case .kafka, .file, .generate, .redis, .stream: break
            }
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
