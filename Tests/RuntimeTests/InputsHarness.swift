import Base
import Dataflow
import Records

@testable import Runtime

/// Inputs of a task in memory, handed over in pieces, and what came out of them.
final class InputsHarness {
    struct Record: Equatable {
        var time: Int64
        /// Of a repartition topic.
        var word: InputRows.Word?
    }

    struct Took: Equatable, CustomStringConvertible {
        var source: Int
        var offset: Int64
        var description: String { "\(source):\(offset)" }
    }

    let inputs: [AlignedInput]
    let topics: [[Record]]
    private(set) var task: TaskInputs
    private let options: TaskInputs.Options
    /// By source: records that were handed over.
    private(set) var given: [Int]
    private(set) var took: [Took] = []
    /// Sources and counts of runs, in their order.
    private(set) var runs: [(source: Int, count: Int)] = []
    var now: Int64 = 1000
    var age: Int64? = 0

    init(_ inputs: [AlignedInput], _ topics: [[Record]], options: TaskInputs.Options = TaskInputs.Options()) {
        self.inputs = inputs
        self.topics = topics
        self.options = options
        given = topics.map { _ in 0 }
        task = TaskInputs(inputs, options: options, now: now)
    }

    static func stream(_ source: Int, group: Int = 0, idle: Int64 = 500) -> AlignedInput {
        AlignedInput(source: source, kind: .stream, group: group, rank: source, idle: idle)
    }

    static func repartition(_ source: Int, writers: Int, group: Int = 0) -> AlignedInput {
        AlignedInput(
            source: source, kind: .repartition(writers: writers), group: group, rank: source, idle: 500)
    }

    func left(_ source: Int) -> Int { topics[source].count - given[source] }
    var isGiven: Bool { topics.indices.allSatisfy { left($0) == 0 } }

    /// Hands over the next records of a source.
    func give(_ source: Int, _ count: Int) {
        let count = min(count, left(source))
        guard count > 0 else { return }
        let storage = RawRecordStorage(capacity: count)
        let records = topics[source][given[source]..<given[source] + count]
        for row in 0..<count { storage.offsets[row] = Int64(given[source] + row) }
        let held = HeldRecords(RawRecords(at: storage, from: 0, count: count)) {
            withExtendedLifetime(storage) {}
        }
        let words = records.compactMap(\.word)
        task.add(
            held, InputRows(times: records.map(\.time), words: words, age: age), source: source, now: now)
        given[source] += count
    }

    func end(_ source: Int) { task.end(source, now: now) }

    /// Takes one run; false: there is none.
    @discardableResult
    func take() -> Bool {
        guard let run = task.next(now: now) else { return false }
        for row in 0..<run.raw.count { took.append(Took(source: run.source, offset: run.raw.offsets[row])) }
        runs.append((run.source, run.raw.count))
        return true
    }

    func takeAll() { while take() {} }

    /// What was taken since is forgotten as well, and everything is read again from where a commit says.
    func crash(positions: [Int64], written: [Int: [Int64]], took before: Int) {
        took.removeSubrange(before...)
        for source in topics.indices { given[source] = Int(positions[source]) }
        task = TaskInputs(
            inputs, writers: written.mapValues { $0.map { InputWriter(next: $0) } }, options: options,
            now: now)
    }

    var positions: [Int64] { topics.indices.map { task.position(of: $0) ?? Int64(given[$0]) } }
    var written: [Int: [Int64]] {
        Dictionary(
            uniqueKeysWithValues: topics.indices.compactMap { source in
                task.written(source).map { (source, $0) }
            })
    }

    /// The order by definition: again and again the least first record of all inputs. Marks stand for no row.
    static func merged(_ inputs: [AlignedInput], _ topics: [[Record]]) -> [Took] {
        struct Queue {
            var input: AlignedInput
            var writer: Int32
            var records: [(time: Int64, offset: Int64)]
        }
        var queues: [Queue] = []
        for input in inputs {
            let all = topics[input.source].enumerated().filter { $1.word?.isMark != true }
            for writer in Set(all.map { $1.word?.writer ?? -1 }) {
                let own = all.filter { ($1.word?.writer ?? -1) == writer }
                queues.append(Queue(input: input, writer: writer, records: own.map { ($1.time, Int64($0)) }))
            }
        }
        var result: [Took] = []
        while true {
            let open = queues.indices.filter { !queues[$0].records.isEmpty }
            let first = open.min { a, b in
                let (one, other) = (queues[a], queues[b])
                return (one.records[0].time, Int64(one.input.rank), Int64(one.writer))
                    < (other.records[0].time, Int64(other.input.rank), Int64(other.writer))
            }
            guard let first else { return result }
            let record = queues[first].records.removeFirst()
            result.append(Took(source: queues[first].input.source, offset: record.offset))
        }
    }

    /// What was taken, without marks.
    var rows: [Took] { took.filter { topics[$0.source][Int($0.offset)].word?.isMark != true } }
}
