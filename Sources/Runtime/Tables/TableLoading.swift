import Dataflow

/// Tables of tasks are read to their ends before the streams that look things up in them.
struct TableLoading {
    private let graph: any LaneGraph
    /// By task: partitions of its tables that were not read to their ends since the task came.
    private var loading: [Int32: Set<SourcePartition>] = [:]
    /// Since the last call of `takeLoaded`, streams of a task need not wait any more.
    private var isLoaded = false

    init(_ graph: any LaneGraph) { self.graph = graph }

    /// Streams of tasks that have tables wait from now on.
    mutating func begin(_ partitions: some Sequence<SourcePartition>) {
        loading = [:]
        for partition in partitions where graph.isTable(partition) {
            loading[partition.partition, default: []].insert(partition)
        }
    }

    mutating func removeAll() { loading = [:] }

    var isEmpty: Bool { loading.isEmpty }

    /// Nothing may come from the partition yet.
    func isWaiting(_ partition: SourcePartition) -> Bool {
        loading[partition.partition] != nil && !graph.isTable(partition)
    }

    /// True if the task has all of its tables now.
    mutating func noteCaughtUp(_ partition: SourcePartition) -> Bool {
        guard loading[partition.partition]?.remove(partition) != nil,
            loading[partition.partition]?.isEmpty == true
        else { return false }
        loading[partition.partition] = nil
        isLoaded = true
        return true
    }

    mutating func takeLoaded() -> Bool {
        defer { isLoaded = false }
        return isLoaded
    }
}
