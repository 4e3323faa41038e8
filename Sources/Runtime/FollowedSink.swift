import Base
import Dataflow

/// A lane's sink with others behind it: what is theirs is held until the commit that it belongs to has
/// succeeded.
///
/// A lane that goes back to its last commit drops what was held, and makes it again. What a process that dies
/// between a commit and the end of the writes behind it had still to write is written by nobody.
package final class FollowedSink: LaneSink {
    private let base: any LaneSink
    private let followers: [any RecordsSink]
    /// By sink: its place in `followers`.
    private var places: [Int: Int]
    /// By follower.
    private var held: [Outbox]
    private let heldBytesMax: Int

    /// - Parameters:
    ///   - followers: by sink. They are closed by whoever opened them.
    ///   - heldBytesMax: a commit is due when more is held.
    package init(
        _ base: any LaneSink, followers: [Int: any RecordsSink], heldBytesMax: Int = Limits.heldOutputBytesMax
    ) {
        self.base = base
        let sorted = followers.sorted { $0.key < $1.key }
        self.followers = sorted.map(\.value)
        places = Dictionary(uniqueKeysWithValues: sorted.enumerated().map { ($0.element.key, $0.offset) })
        held = sorted.map { _ in Outbox() }
        self.heldBytesMax = heldBytesMax
    }

    package func send(_ outbox: borrowing Outbox) throws(Fault) {
        try base.send(outbox)
        for record in outbox.records {
            guard case .sink(let sink) = record.destination, let place = places[sink] else { continue }
            held[place].add(record, of: outbox)
        }
    }

    package func commit(
        _ changes: borrowing Outbox, _ positions: [SourcePartition: Int64], sequences: [Int32: UInt64]
    ) throws(Fault) {
        try base.commit(changes, positions, sequences: sequences)
        for (place, follower) in followers.enumerated() where !held[place].isEmpty {
            try follower.write(held[place])
            held[place].removeAll()
        }
    }

    package func changelogEnd(of task: Int32) -> Int64? { base.changelogEnd(of: task) }

    package var needsCommit: Bool {
        base.needsCommit || held.reduce(0) { $0 + $1.bytes.count } > heldBytesMax
    }

    /// Followers stay those that they are; which sink each belongs to may change.
    package func route(_ sinks: [SinkRoute]) throws(Fault) {
        try base.route(sinks)
        var moved: [Int: Int] = [:]
        for (sink, route) in sinks.enumerated() {
            if let place = route.former.flatMap({ places[$0] }) { moved[sink] = place }
        }
        places = moved
    }

    package func close() { base.close() }
}
