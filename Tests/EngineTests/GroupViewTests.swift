import Connectors
import Engine
import Testing

/// Goal: a member is known by what it says, and only by that.
@Suite struct GroupViewTests {
    private let tag = MemberTag(layout: "0a1b2c3d4e5f", logic: "001122334455")

    private func member(_ clientId: String, _ instanceId: String? = nil) -> KafkaWatch.Member {
        KafkaWatch.Member(clientId: clientId, instanceId: instanceId, host: "/10.0.0.7")
    }

    @Test func tagsAreRead() {
        #expect(MemberTag(clientId: "risk-0\(tag.text)") == tag)
        #expect(MemberTag(clientId: "risk.v2.lane-0\(tag.text)") == tag)
        for none in ["", "risk-0", "risk.left.right", ".l.r", "a.l12", "l12.r34x", "console-consumer"] {
            #expect(MemberTag(clientId: none) == nil, "\(none)")
        }
    }

    @Test func membersAreToldApart() {
        let own = member("risk-0\(tag.text)", "worker-a-0-xyz")
        let sister = member("risk-1\(tag.text)", "worker-b-1-xyz")
        let changed = member("risk-0\(MemberTag(layout: tag.layout, logic: "ff").text)", "worker-c-0-xyz")
        let stranger = member("risk-0\(MemberTag(layout: "ee", logic: tag.logic).text)", "worker-d-0-xyz")
        let former = member("risk-0\(MemberTag(layout: tag.layout, logic: "dd").text)", "worker-a-1-xyz")
        let namesake = member("risk-0\(MemberTag(layout: "dd", logic: "dd").text)", "worker-a-1-old")
        let tool = member("console-consumer")
        let view = GroupView(
            [own, sister, changed, stranger, former, namesake, tool], tag: tag, instanceId: "worker-a")
        #expect(view.strangers == [stranger, namesake] && view.others == [changed] && view.unknown == [tool])
        // Without a name of its own nothing is its own.
        #expect(GroupView([former], tag: tag, instanceId: nil).others == [former])
        #expect(GroupView.name(stranger) == "'worker-d-0-xyz' at /10.0.0.7 (layout ee, logic 001122334455)")
        #expect(GroupView.name(tool) == "'console-consumer' at /10.0.0.7")
    }
}
