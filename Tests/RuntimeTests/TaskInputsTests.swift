import Base
import Dataflow
import Records
import Testing

@testable import Runtime

/// Goal: records are taken in the order that a plain merge of all of them has, however they come, and after a
/// crash each once; what is not there is waited for as long as is said, and no longer. Method: random inputs
/// against the merge, and a few records told by hand.
@Suite struct TaskInputsTests {
    typealias Harness = InputsHarness
    typealias Record = InputsHarness.Record

    static func times(_ random: inout SplitMix64, count: Int) -> [Int64] {
        var time: Int64 = 0
        return (0..<count).map { _ in
            // Many equal ones, gaps, and some that are out of order.
            time += [0, 0, 1, 2, 40][Int(random.next() % 5)]
            return time - (random.next() % 8 == 0 ? Int64(random.next() % 5) : 0)
        }
    }

    /// Rows of writers and their marks, each writer's in its order, mixed as commits mix them. At the end
    /// each says that nothing more comes.
    static func topic(_ random: inout SplitMix64, writers: Int, count: Int) -> [Record] {
        var own: [[Record]] = (0..<writers).map { writer in
            var reach = Int64.min
            var records: [Record] = []
            for time in times(&random, count: count / writers) {
                reach = max(reach, time)
                let isMark = random.next() % 4 == 0
                records.append(
                    Record(
                        time: isMark ? reach : time,
                        word: InputRows.Word(
                            writer: Int32(writer), isMark: isMark, reach: reach, state: .busy)))
            }
            return records
        }
        var topic: [Record] = []
        while own.contains(where: { !$0.isEmpty }) {
            let writer = Int(random.next() % UInt64(writers))
            let count = min(own[writer].count, Int(random.next() % 30))
            topic += own[writer].prefix(count)
            own[writer].removeFirst(count)
        }
        for writer in 0..<writers {
            topic.append(
                Record(
                    time: .max,
                    word: InputRows.Word(writer: Int32(writer), isMark: true, reach: .max, state: .idle)))
        }
        return topic
    }

    static func run(_ harness: Harness, _ random: inout SplitMix64, crashes: Bool) {
        var committed = (positions: harness.positions, written: harness.written, took: 0)
        while true {
            let open = harness.topics.indices.filter { harness.left($0) > 0 }
            if let source = open.randomElement(using: &random) {
                harness.give(source, 1 + Int(random.next() % 40))
                if harness.left(source) == 0 { harness.end(source) }
            }
            for _ in 0..<random.next() % 6 { harness.take() }
            if crashes, random.next() % 3 == 0 {
                committed = (harness.positions, harness.written, harness.took.count)
            }
            if crashes, random.next() % 10 == 0 {
                harness.crash(
                    positions: committed.positions, written: committed.written, took: committed.took)
                for source in harness.topics.indices where harness.left(source) == 0 { harness.end(source) }
            }
            guard harness.isGiven else { continue }
            // Partitions that were read to their ends are silent by now.
            harness.now += 100_000
            harness.takeAll()
            if harness.task.held == 0 { return }
        }
    }

    @Test(arguments: [false, true]) func theOrderIsThatOfAMerge(crashes: Bool) {
        for seed in UInt64(1)...60 {
            var random = SplitMix64(seed: seed)
            let streams = Int(random.next() % 4)
            let writers = streams == 0 || random.next() % 2 == 0 ? 1 + Int(random.next() % 4) : 0
            var inputs = (0..<streams).map { Harness.stream($0) }
            var topics = (0..<streams).map { _ in
                Self.times(&random, count: Int(random.next() % 300)).map { Record(time: $0, word: nil) }
            }
            if writers > 0 {
                inputs.append(Harness.repartition(streams, writers: writers))
                topics.append(Self.topic(&random, writers: writers, count: 300))
            }
            var options = TaskInputs.Options()
            options.behind = .max / 2
            let harness = Harness(inputs, topics, options: options)
            Self.run(harness, &random, crashes: crashes)
            let expected = Harness.merged(inputs, topics)
            let isSame = harness.rows == expected
            let place = zip(harness.rows, expected).enumerated().first { $0.element.0 != $0.element.1 }
            #expect(
                isSame,
                "seed \(seed), \(streams) streams, \(writers) writers: \(harness.rows.count) of \(expected.count), \(String(describing: place))"
            )
            #expect(harness.took.count == topics.reduce(0) { $0 + $1.count })
            #expect(harness.task.unaligned.isEmpty)
        }
    }

    /// Runs are as long as the other inputs let them be.
    @Test func runsAreCutWhereAnotherInputIsEarlier() {
        func records(_ times: [Int64]) -> [Record] { times.map { Record(time: $0, word: nil) } }
        let harness = Harness(
            [Harness.stream(0), Harness.stream(1)], [records([1, 2, 3, 10, 11, 12]), records([5, 6, 20])])
        harness.give(0, 6)
        harness.give(1, 3)
        harness.takeAll()
        #expect(harness.runs.map(\.source) == [0, 1, 0])
        #expect(harness.runs.map(\.count) == [3, 2, 3])
    }

    /// Inputs of other groups are not waited for.
    @Test func groupsDoNotWaitForEachOther() {
        let harness = Harness(
            [Harness.stream(0), Harness.stream(1, group: 1)],
            [[Record(time: 5, word: nil)], [Record(time: 1, word: nil)]])
        harness.give(0, 1)
        #expect(harness.take())
    }

    // MARK: Waiting

    private static func two(_ options: TaskInputs.Options = TaskInputs.Options()) -> Harness {
        Harness(
            [Harness.stream(0), Harness.stream(1)],
            [[Record(time: 5, word: nil)], [Record(time: 1, word: nil)]], options: options)
    }

    @Test func aPartitionWithMoreToReadIsWaitedFor() {
        let harness = Self.two()
        harness.give(0, 1)
        harness.now += Limits.inputBehindMilliseconds - 1
        #expect(!harness.take())
        harness.give(1, 1)
        harness.end(1)
        harness.takeAll()
        #expect(harness.took == [Harness.Took(source: 1, offset: 0), Harness.Took(source: 0, offset: 0)])
        #expect(harness.task.unaligned.isEmpty)
    }

    @Test func notForEver() {
        let harness = Self.two()
        harness.give(0, 1)
        harness.now += Limits.inputBehindMilliseconds
        #expect(harness.take())
        #expect(harness.task.unaligned == [TaskInputs.Unaligned(limit: .inputBehind, source: 1): 1])
    }

    /// A record that was just appended waits a little for a partition that is not idle yet, and less for one
    /// that is.
    @Test func aPartitionAtItsEndIsWaitedForALittle() {
        let harness = Self.two()
        harness.end(1)
        harness.give(0, 1)
        harness.now += Limits.taskIdleMilliseconds - 1
        #expect(!harness.take())
        harness.now += 1
        #expect(harness.take())

        let idle = Self.two()
        idle.end(1)
        idle.now += 500
        idle.give(0, 1)
        idle.now += Limits.inputConfirmMilliseconds - 1
        #expect(!idle.take())
        idle.now += 1
        #expect(idle.take())
    }

    /// One that has been in the topic for long waits for others to be idle, and then no more.
    @Test func anOldRecordWaitsUntilOthersAreIdle() {
        let harness = Self.two()
        harness.age = 3_600_000
        harness.end(1)
        harness.give(0, 1)
        harness.now += 499
        #expect(!harness.take())
        harness.now += 1
        #expect(harness.take())
    }

    @Test func whatIsAtHandIsNotWaitedFor() {
        let harness = Self.two()
        harness.give(0, 1)
        harness.give(1, 1)
        #expect(harness.take())
        // The other one is still there to say that it may wait.
        #expect(!harness.take())
    }

    private static func word(
        _ writer: Int32, _ reach: Int64, _ state: InputRows.Word.State, isMark: Bool = true
    ) -> Record {
        Record(time: reach, word: InputRows.Word(writer: writer, isMark: isMark, reach: reach, state: state))
    }

    /// Writers of a topic: the record of one waits until the others have come as far, or say after it that
    /// they have nothing.
    @Test func aWriterThatIsBehindIsWaitedFor() {
        let topic = [
            Self.word(0, 10, .busy, isMark: false), Self.word(1, 7, .busy), Self.word(1, 10, .busy),
            Self.word(1, 11, .busy),
        ]
        let harness = Harness([Harness.repartition(0, writers: 2)], [topic])
        harness.give(0, 2)
        harness.takeAll()
        #expect(harness.rows.isEmpty)
        // Rows of one time: writer 0 comes first.
        harness.give(0, 1)
        harness.takeAll()
        #expect(harness.rows.count == 1)
    }

    @Test func aWriterThatIsIdleMustSayItAgain() {
        let topic = [
            Self.word(1, 3, .idle), Self.word(0, 10, .busy, isMark: false), Self.word(0, 10, .busy),
            Self.word(1, 4, .idle),
        ]
        let harness = Harness([Harness.repartition(0, writers: 2)], [topic])
        harness.give(0, 1)
        harness.takeAll()
        harness.now += 10_000
        harness.give(0, 2)
        harness.takeAll()
        #expect(harness.rows.isEmpty && harness.took.count == 1)
        harness.now += 50
        harness.give(0, 1)
        harness.takeAll()
        #expect(harness.rows.count == 1 && harness.took.count == 4)
    }

    @Test func aWriterAtItsEndIsWaitedForALittle() {
        let topic = [Self.word(0, 10, .busy, isMark: false), Self.word(1, 4, .atEnd)]
        let harness = Harness([Harness.repartition(0, writers: 2)], [topic])
        harness.give(0, 2)
        harness.takeAll()
        #expect(harness.rows.isEmpty)
        harness.now += Limits.taskIdleMilliseconds
        harness.takeAll()
        #expect(harness.rows.count == 1)
    }
}
