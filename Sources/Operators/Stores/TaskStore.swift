import Base
import Dataflow
import Records
import State

/// What kind of store a section of a snapshot is of; with the store's id it says which.
enum StoreKind: UInt8 {
    case window = 1
    case operation, table, rule
}

/// A part of what a task remembers, which a changed topology finds by its identity: the windows of a step,
/// what an operator keeps, a table, the alerts of a rule.
protocol TaskStore: AnyObject {
    var kind: StoreKind { get }
    /// A hash of its name and of all that gives what it keeps a meaning (`StateIdentities`).
    var id: UInt32 { get }
    /// Appends what changed since the last call as records of the changelog.
    func drainChanges(into outbox: inout Outbox)
    /// Takes a record of the changelog that begins with `change` and its id; `key`: what follows. nil: the
    /// record is a tombstone. False: no version of this program wrote it.
    func restore(_ change: UInt8, _ key: inout BinaryReader, _ value: UnsafeBufferPointer<UInt8>?) -> Bool
    /// After the last record.
    func finishRestore()
    /// Appends all that it has. Right after `drainChanges`.
    func write(to snapshot: SnapshotWriter)
    /// Puts back into an empty store what `write` wrote. False: that is not what it reads.
    func read(_ reader: inout BinaryReader, _ snapshot: SnapshotReader) -> Bool
    /// Calls `body` with what it has of every key, in no particular order; `task`: its own.
    func describe(_ task: TaskState, _ bench: Workbench, _ body: (StateEntry) -> Void)
    /// nil: it is not listed.
    var summary: StoreSummary? { get }
    var memoryBytes: Int { get }
}

/// What stores write a snapshot to.
final class SnapshotWriter {
    let bytes: Arena
    /// By key group: numbers of the keys' ids.
    private let numbers: [[UInt32]]

    /// Writes the keys of every group, each known by the names of its fields.
    init(_ groups: [(names: [String], group: KeyGroup)], to bytes: Arena) {
        self.bytes = bytes
        bytes.appendVarint(UInt64(groups.count))
        numbers = groups.map { names, group in
            bytes.appendVarint(UInt64(names.count))
            for name in names { bytes.appendBlob(name) }
            var numberOf = [UInt32](repeating: 0, count: group.keys.idLimit)
            var next: UInt32 = 0
            bytes.appendVarint(UInt64(group.keys.count))
            group.keys.forEach { id in
                numberOf[Int(id)] = next
                next += 1
                bytes.appendBlob(group.keys.key(of: id))
            }
            return numberOf
        }
    }

    func number(of id: UInt32, in group: Int) -> UInt32 { numbers[group][Int(id)] }
    func withNumbers<T>(of group: Int, _ body: (UnsafeBufferPointer<UInt32>) -> T) -> T {
        numbers[group].withUnsafeBufferPointer(body)
    }

    /// Appends a store as a section that is passed over by whoever does not know it.
    func append(_ store: any TaskStore) {
        bytes.appendByte(store.kind.rawValue)
        bytes.appendWord(store.id)
        let place = bytes.count
        bytes.appendWord(UInt64(0))
        store.write(to: self)
        let length = UInt64(bytes.count - place - 8).littleEndian
        UnsafeMutableRawPointer(bytes.base + place).storeBytes(of: length, as: UInt64.self)
    }
}

/// The keys of a snapshot, under which its stores' entries stand.
struct SnapshotReader {
    /// As they were written: the names of each group's fields, and its keys by number.
    private(set) var keys: [[UnsafeBufferPointer<UInt8>]] = []
    /// By key group of the task: ids by number.
    let ids: [[UInt32]]

    /// nil: those are no keys.
    init?(_ reader: inout BinaryReader, _ groups: [(names: [String], group: KeyGroup)]) {
        let limit = reader.left + 1
        var ids = groups.map { _ in [UInt32]() }
        for _ in 0..<reader.count(below: limit) {
            let names = (0..<reader.count(below: limit)).map { _ in reader.text() }
            let own = (0..<reader.count(below: limit)).map { _ in reader.blob() }
            guard reader.isValid else { return nil }
            keys.append(own)
            if let place = groups.firstIndex(where: { $0.names == names }) {
                ids[place] = own.map { groups[place].group.keys.intern($0) }
            }
        }
        self.ids = ids
    }
}
