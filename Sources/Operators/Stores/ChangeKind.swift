import Dataflow
import Records

/// The kinds of records in a changelog; the first byte of their keys.
enum ChangeKind {
    /// The task as a whole: positions, watermarks, what was closed. One record, the last of each commit.
    static let meta: UInt8 = 0
    /// step, segment, key -> the panes of a segment.
    static let panes: UInt8 = 1
    /// rule, key -> whether its alert is raised.
    static let edge: UInt8 = 2
    /// rule, hash of key and event time -> alerts on records so far.
    static let seen: UInt8 = 3
    /// Under which definitions the state is kept. One record.
    static let definitions: UInt8 = 4
    /// step, key of the operator's choosing -> what it remembers under it.
    static let operatorState: UInt8 = 5
    /// step, sequence number -> a row that waits in an operator's buffer.
    static let buffered: UInt8 = 6
    /// rule -> what is kept of it beside its edges. One record a rule.
    static let rule: UInt8 = 8
    /// step, page, key -> panes that lie ahead of what the key's ring reaches.
    static let panesAhead: UInt8 = 7

    /// Those whose keys name a step or a table.
    static let ofStores: Set<UInt8> = [panes, operatorState, buffered, panesAhead]
}

extension Outbox {
    /// Appends what the store `id` keeps under a key; both stand in `bytes`. nil: it keeps nothing any more.
    mutating func addState(_ id: UInt32, _ key: Range<Int>, _ value: Range<Int>?, partition: Int32) {
        let start = bytes.count
        bytes.appendByte(ChangeKind.operatorState)
        bytes.appendWord(id)
        bytes.append(key)
        add(.changelog, partition: partition, key: start..<bytes.count, value: value)
    }
}
