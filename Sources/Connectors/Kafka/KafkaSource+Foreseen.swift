import Base
import Dataflow

extension KafkaSource {
    private static let membersMilliseconds = 2000

    /// By the group's members as they are: those of the share that it will have, and as many on each side,
    /// for it is never known who else joins. Empty where nobody works on them, or where it comes back to what
    /// it had.
    package func foreseen() -> Set<Int32> {
        guard let own = settings.instanceId, let watch = try? KafkaWatch(settings),
            let members = try? watch.members(deadlineMilliseconds: Self.membersMilliseconds)
        else { return [] }
        return RangeAssignor.foreseen(
            own, lanes: settings.laneInstanceIds, members.map(\.instanceId), partitions: partitionCount)
    }
}

/// The range assignor of librdkafka, which takes static members by their names.
enum RangeAssignor {
    /// Partitions that `own` may have once it is there, with a share's length on each side.
    static func foreseen(_ own: String, lanes: [String], _ members: [String?], partitions: Int) -> Set<Int32>
    {
        let known = Set(members.compactMap { $0 })
        let others = known.subtracting(lanes)
        guard !known.contains(own), !others.isEmpty, partitions > 0 else { return [] }
        let names = Array(known.union(lanes)).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        guard let place = names.firstIndex(of: own) else { return [] }
        let (share, rest) = partitions.quotientAndRemainder(dividingBy: names.count)
        let first = place * share + min(place, rest)
        let margin = max(1, share)
        let range = max(0, first - margin)..<min(partitions, first + share + (place < rest ? 1 : 0) + margin)
        return range.isEmpty ? [] : Set(range.map { Int32($0) })
    }
}
