import Base
import Dataflow
import Records
import State
import Topology

/// Everything that one task (the topology's steps over one partition of each source) remembers.
package final class TaskState {
    package let partition: Int32
    let groups: [KeyGroup]
    /// Every store of what it remembers, step by step, then tables, then rules.
    let all: [any TaskStore]
    private let places: [UInt32: Int]
    /// By step; nil for steps without a window.
    let windows: [TaskWindows?]
    let stores: [WindowStore?]
    /// By step; nil for steps without an operator.
    let operators: [OperatorTask?]
    /// By source; nil for those that are no tables, and for tables that every lane has all of.
    let tables: [VersionedTable?]
    /// By rule.
    let rules: [TaskRule]
    /// By source: the greatest event time seen, and how far event time has certainly come.
    var times: [Int64]
    package internal(set) var watermarks: [Int64]
    /// By source: how far event time has come by its records; not used of streams, tables and repartition
    /// topics.
    var crowds: [CrowdTime]
    /// By source: event time up to which every row has gone through its steps. While a batch is under way,
    /// less than the watermark. `Upstream.idle`: the source has nothing that others could wait for.
    var settled: [Int64]
    package internal(set) var lateCount = 0
    /// For each source that is a repartition topic, what each partition upstream has carried last; empty for
    /// the others.
    var upstream: [[UpstreamTime]]
    /// What this task has carried last, by repartition topic. Not part of what must survive.
    var carried: [CarriedTime]
    /// By repartition topic: others have written to it since this task has last said how far it is; and so
    /// has this one.
    var isAsked: [Bool]
    var hasWritten: [Bool]
    /// For each source that is a repartition topic, the offset after the last record that was taken of each
    /// writer, as of the last commit; -1: none. Writers are read at their own paces, so the source's position
    /// is the least of them.
    package internal(set) var written: [[Int64]]
    /// Keys whose metrics changed since they were last collected, by step.
    var dirty: [DirtyKeys]
    /// What was forgotten of rules that are gone, since changes were last collected, as records for the
    /// changelog.
    var removals = Outbox()
    /// By source: the offset of the next record, as of the last commit; -1 before the first.
    package internal(set) var positions: [Int64]
    /// By source: the last record that was read, by which the log is known again.
    package internal(set) var marks: [LogMark?]
    /// Names this life of the task's changelog, from its first commit on; 0: none yet.
    package internal(set) var incarnation: UInt64 = 0
    /// What was restored so far was not taken from the changelog itself, whose next record of the task must
    /// name the same life.
    package internal(set) var isDoubtful = false
    /// It named another.
    package internal(set) var isContradicted = false
    /// Commits so far, and what the last one said about the task as a whole.
    package internal(set) var sequence: UInt64 = 0
    var lastMeta: [UInt8] = []
    /// The definitions under which the state was kept, as far as the changelog knows.
    var definitions: [UInt8] = []
    /// The format in which those were kept, and whether the keys of the changelog have the identities of
    /// `FormerState`.
    var keptFormat = StateIdentities.format
    var hasFormerIdentities = false
    /// What the changelog knows of rules, by their identity.
    var keptRules: [UInt32: KeptRule] = [:]
    /// The activation whose rules judge the task's records, as its state says; 0: those of a file.
    package internal(set) var epoch: Int64 = 0
    /// During a restore: what rules that the topology does not have remember of keys, by the rule's identity.
    var strangers: [UInt32: [[UInt8]: AlertEdge]] = [:]
    /// Raised alerts that the next commit clears, since no rule goes on with them.
    var abandoned: [AbandonedAlert] = []

    init(
        partition: Int32, groups: [KeyGroup], windows: [TaskWindows?], operators: [OperatorTask?],
        tables: [TaskTable?],
        rules: [TaskRule], crowds: [CrowdTime], upstream: [[UpstreamTime]],
        repartitions: Int
    ) {
        self.partition = partition
        self.groups = groups
        self.windows = windows
        stores = windows.map { $0?.store }
        self.operators = operators
        self.tables = tables.map { $0?.table }
        self.rules = rules
        self.crowds = crowds
        var all: [any TaskStore] = []
        for (windows, operation) in zip(windows, operators) {
            if let windows { all.append(windows) }
            if let operation { all.append(operation) }
        }
        all += tables.compactMap { $0 } as [any TaskStore] + rules
        // What is not kept has no identity.
        all.removeAll { $0.id == 0 }
        self.all = all
        places = Dictionary(uniqueKeysWithValues: all.enumerated().map { ($1.id, $0) })
        let sources = crowds.count
        positions = Array(repeating: -1, count: sources)
        marks = Array(repeating: nil, count: sources)
        times = Array(repeating: .min, count: sources)
        watermarks = Array(repeating: .min, count: sources)
        settled = watermarks
        self.upstream = upstream
        carried = Array(repeating: CarriedTime(), count: repartitions)
        isAsked = Array(repeating: false, count: repartitions)
        hasWritten = isAsked
        written = upstream.map { $0.map { _ in -1 } }
        dirty = windows.map { _ in DirtyKeys() }
    }

    /// An empty task that takes over in the middle of a log: the rules that judge what comes, and the late
    /// records that there were before.
    package func begin(epoch: Int64, late: Int) {
        self.epoch = epoch
        lateCount = late
    }

    /// True once its state was committed somewhere.
    package var isKept: Bool { sequence > 0 }

    /// The store that has an identity, if the topology has it.
    func store(_ id: UInt32) -> (any TaskStore)? { places[id].map { all[$0] } }

    /// Bytes of keys and stores.
    package var memoryBytes: Int {
        groups.reduce(0) { $0 + $1.keys.memoryBytes } + all.reduce(0) { $0 + $1.memoryBytes }
    }

    package var keyCount: Int {
        groups.reduce(0) { $0 + $1.keys.count } + operators.reduce(0) { $0 + ($1?.state.keyCount ?? 0) }
    }
}

/// Keys of one shape and who still needs them.
final class KeyGroup {
    let keys = KeyTable()
    /// Windows that hold each id.
    private var uses: [UInt16] = []

    func retain(_ id: UInt32) {
        if Int(id) >= uses.count {
            uses.append(contentsOf: repeatElement(0, count: Int(id) + 1 - uses.count + uses.count / 2))
        }
        uses[Int(id)] += 1
    }

    /// True if that was the last use; the caller then forgets the key.
    func release(_ id: UInt32) -> Bool {
        uses[Int(id)] -= 1
        return uses[Int(id)] == 0
    }

    func isUsed(_ id: UInt32) -> Bool { Int(id) < uses.count && uses[Int(id)] > 0 }
}

/// A set of key ids that is filled row by row and emptied at once.
struct DirtyKeys {
    private(set) var ids: [UInt32] = []
    private var flags: [UInt8] = []

    mutating func insert(_ id: UInt32) {
        if Int(id) >= flags.count {
            flags.append(contentsOf: repeatElement(0, count: Int(id) + 1 - flags.count + flags.count / 2))
        }
        if flags[Int(id)] == 0 {
            flags[Int(id)] = 1
            ids.append(id)
        }
    }

    /// Takes out up to `count` keys, those first that have waited longest.
    mutating func removeFirst(_ count: Int) -> [UInt32] {
        let taken = Array(ids.prefix(count))
        for id in taken { flags[Int(id)] = 0 }
        ids.removeFirst(taken.count)
        return taken
    }
}
