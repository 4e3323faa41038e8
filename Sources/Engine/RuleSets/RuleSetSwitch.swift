import Base
import Models
import Records

/// That a task went on with other rules, and from where, as its acknowledgement says.
package struct RuleSetSwitch: Sendable {
    package var epoch: Int64
    package var former: Int64
    /// By topic, the offset of the first record that is judged by them.
    package var first: [String: Int64] = [:]
    /// By repartition topic, the same for each task that writes to it; -1: none of its records was before.
    /// Acknowledgements of earlier builds do not have it.
    package var writers: [String: [Int64]] = [:]
    /// By topic, how far event time had come, milliseconds; missing: nowhere yet.
    package var watermarks: [String: Int64] = [:]

    /// Reads an acknowledgement's value.
    package init(_ json: [UInt8]) throws(Fault) {
        try self.init(DocumentNode(try JsonDocument.read(json)))
    }

    init(_ node: DocumentNode) throws(Fault) {
        epoch = Int64(try node["epoch"].integer)
        former = Int64(try node["former"].integer)
        for (topic, offset) in try node["first"].members { first[topic] = Int64(try offset.integer) }
        for (topic, offsets) in try node.optional("writers")?.members ?? [] {
            writers[topic] = try offsets.integers.map(Int64.init)
        }
        for (topic, time) in try node.optional("watermarks")?.members ?? [] {
            guard let time = CivilTime.parse(try time.text)?.milliseconds else {
                throw time.mistake("a time")
            }
            watermarks[topic] = time
        }
    }

    /// True if no record of a topic from this offset on was judged by the rules before.
    func isBefore(_ topic: String, _ offset: Int64) -> Bool {
        (first[topic] ?? 0) <= offset && (writers[topic] ?? []).allSatisfy { $0 <= offset }
    }
}
