import Base

/// A consumer group with static members and eager rebalances: whoever comes or goes makes everybody give up
/// its partitions and join again.
final class SimulatedGroup: CustomStringConvertible {
    enum Event: Equatable {
        case revoked
        case assigned([SimulatedBroker.Place])
        /// Not a member any more: partitions are lost.
        case fenced
    }

    private struct Member {
        var instance: String
        var topics: [String]
        var lastSeen: Int64
        var assigned: [SimulatedBroker.Place] = []
        var hasJoined = true
        /// To be told of its partitions.
        var isNew = false
        var mustRevoke = false
    }

    static let sessionMilliseconds: Int64 = 6000
    private unowned let broker: SimulatedBroker
    private var members: [Int: Member] = [:]
    private var memberCount = 0
    private(set) var generation = 0
    /// nil: stable.
    private var preparingSince: Int64?

    init(_ broker: SimulatedBroker) { self.broker = broker }

    var description: String {
        let all = members.sorted { $0.key < $1.key }.map { id, member in
            "\(member.instance) (\(id)) \(member.assigned.map { "\($0.topic)/\($0.partition)" })"
                + "\(member.hasJoined ? "" : ", has not joined")\(member.isNew ? ", not told" : "")"
        }
        return
            "generation \(generation)\(preparingSince == nil ? "" : ", rebalancing"): \(all.joined(separator: "; "))"
    }

    private var now: Int64 { broker.clock.nowMilliseconds }

    /// A member that comes back under its name has its partitions back at once.
    func join(instance: String, topics: [String]) -> Int {
        memberCount += 1
        let id = memberCount
        if let (old, member) = members.first(where: { $0.value.instance == instance }) {
            members[old] = nil
            var member = member
            member.lastSeen = now
            member.hasJoined = true
            member.mustRevoke = false
            member.isNew = preparingSince == nil
            if preparingSince != nil { member.assigned = [] }
            members[id] = member
            return id
        }
        members[id] = Member(instance: instance, topics: topics, lastSeen: now)
        prepare()
        return id
    }

    func leave(_ id: Int) {
        if members.removeValue(forKey: id) != nil { prepare() }
    }

    func isMember(_ id: Int, generation: Int) -> Bool { members[id] != nil && generation == self.generation }

    /// What a poll of the member brings.
    func poll(_ id: Int) -> Event? {
        guard var member = members[id] else { return .fenced }
        member.lastSeen = now
        defer { members[id] = member }
        if preparingSince != nil {
            if member.mustRevoke {
                member.mustRevoke = false
                return .revoked
            }
            // What was revoked was committed within that poll.
            member.hasJoined = true
            member.assigned = []
            return nil
        }
        if member.isNew {
            member.isNew = false
            return .assigned(member.assigned)
        }
        return nil
    }

    private func prepare() {
        if preparingSince == nil { preparingSince = now }
        for id in members.keys {
            guard let member = members[id], member.hasJoined, !(member.assigned.isEmpty && !member.isNew)
            else { continue }
            members[id]?.hasJoined = false
            // Who was not told of its partitions has nothing to give up.
            members[id]?.mustRevoke = !member.isNew
            members[id]?.isNew = false
        }
    }

    func settle() {
        for (id, member) in members where now - member.lastSeen > Self.sessionMilliseconds {
            members[id] = nil
            prepare()
        }
        guard preparingSince != nil, members.values.allSatisfy(\.hasJoined) else { return }
        complete()
    }

    private func complete() {
        preparingSince = nil
        generation += 1
        let ids = members.keys.sorted()
        guard let topics = ids.first.flatMap({ members[$0]?.topics }) else { return }
        let shift = Int(broker.random.next() % UInt64(max(1, ids.count)))
        for id in ids {
            members[id]?.assigned = []
            members[id]?.isNew = true
        }
        for topic in topics {
            for partition in 0..<broker.partitionCount(of: topic) {
                // The same partition of every topic goes to the same member.
                let id = ids[(Int(partition) + shift) % ids.count]
                members[id]?.assigned.append(SimulatedBroker.Place(topic: topic, partition: partition))
            }
        }
    }
}
