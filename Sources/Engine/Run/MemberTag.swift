import Connectors
import Operators
import Topology

/// What a member of a group says of what it runs, at the end of its client id, where `kafka-consumer-groups
/// --describe --members` shows it: `risk-0.l3f2a91c04d7e.r9b01d2aa6c5f`.
package struct MemberTag: Equatable, Sendable {
    /// Changes with all that gives state and repartition records their meaning. Members of one group must
    /// agree on it.
    package var layout: String
    /// Changes with all that decides about results. Members may differ while a change is rolled out.
    package var logic: String

    package init(layout: String, logic: String) {
        self.layout = layout
        self.logic = logic
    }

    init(_ pipeline: Pipeline, _ spec: TopologySpec) {
        layout = Self.short(pipeline.layout)
        logic = Self.short(spec.logic)
    }

    /// Of the build before, with the same topology.
    static func formerLayout(_ pipeline: Pipeline) -> String { short(pipeline.formerLayout) }

    private static func short(_ hash: String) -> String {
        String((hash.split(separator: ":").last ?? "").prefix(12))
    }

    /// At the end of a client id.
    package var text: String { ".l\(layout).r\(logic)" }

    /// The tag at the end of a client id; nil: it has none.
    package init?(clientId: String) {
        let parts = clientId.split(separator: ".").suffix(2)
        guard parts.count == 2, let layout = parts.first, let logic = parts.last, layout.first == "l",
            logic.first == "r",
            layout.dropFirst().allSatisfy(\.isHexDigit), logic.dropFirst().allSatisfy(\.isHexDigit),
            layout.count > 1, logic.count > 1
        else { return nil }
        self.init(layout: String(layout.dropFirst()), logic: String(logic.dropFirst()))
    }
}

/// What a group is made of, as a worker that belongs to it sees it.
package struct GroupView: Equatable, Sendable {
    /// Members that run another topology, or one whose state has another layout.
    package var strangers: [KafkaWatch.Member] = []
    /// Members that run another version with the same layout.
    package var others: [KafkaWatch.Member] = []
    /// Members that do not say what they run: older workers, or no workers at all.
    package var unknown: [KafkaWatch.Member] = []

    /// `instanceId`: of this worker, whose own members, and those that it left behind when it was killed, do
    /// not count, unless they had another layout: those have other names, and may be of somebody who lives.
    package init(_ members: [KafkaWatch.Member], tag: MemberTag, instanceId: String?) {
        for member in members {
            let theirs = MemberTag(clientId: member.clientId)
            let isOwn = instanceId.map { member.instanceId?.hasPrefix("\($0)-") == true } ?? false
            if isOwn, theirs == nil || theirs?.layout == tag.layout { continue }
            guard let theirs else {
                unknown.append(member)
                continue
            }
            if theirs.layout != tag.layout {
                strangers.append(member)
            } else if theirs.logic != tag.logic {
                others.append(member)
            }
        }
    }

    /// `'risk-0' at /10.0.0.7 (layout 3f2a…, logic 9b01…)`
    package static func name(_ member: KafkaWatch.Member) -> String {
        let id = member.instanceId ?? member.clientId
        guard let tag = MemberTag(clientId: member.clientId) else { return "'\(id)' at \(member.host)" }
        return "'\(id)' at \(member.host) (layout \(tag.layout), logic \(tag.logic))"
    }
}
