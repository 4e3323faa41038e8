import Base
import Dataflow
import Records

/// The inputs of one task, taken in the order of their event times as far as they are at hand, so that
/// catching up gives what live would have given (Kafka's KIP-353 and KIP-695, for runs of records).
///
/// - The next record is the one with the least event time among the first of each input; of one time, that of
///   the source with the lesser rank, then of the writer with the lesser number. Records of one partition
///   keep their order, and so do those that one task wrote to a partition of a repartition topic, which are
///   an input for each writer.
/// - An input with nothing at hand is waited for. How long depends on what is known of it:
///   - a partition that has more to read, or a writer that has, for `behind` since the record was polled;
///   - one that was read to its end, for `idle` since then;
///   - one that is silent for its idle time as well is not waited for. But a record that was appended just
///     now waits for one round of fetches (`confirm`), or, of a repartition topic, for the next word of the
///     writer, since what was appended before it elsewhere may be under way.
/// - Records that have waited in the topic since long ago, of which nobody waits for an alert any more, wait
///   for the idle time (`settle` at most) of inputs that have just been read to their end.
/// - Tables are taken as they come.
///
/// Which record comes next depends on event times and offsets alone, as long as no wait runs out. A task that
/// is restored begins again at its last commit, of which nothing later was published, so the order that was
/// is not kept anywhere.
///
/// Times are milliseconds of one clock that never goes back. Used by one thread.
package final class TaskInputs {
    package struct Options: Sendable {
        package var idle = Limits.taskIdleMilliseconds
        package var confirm = Limits.inputConfirmMilliseconds
        package var behind = Limits.inputBehindMilliseconds
        package var settle = Limits.inputSettleMilliseconds
        /// Bytes of values that are held at most; beyond, records are taken without waiting.
        package var bytesMax = Limits.inputBytesMax
        /// All that there is has been added, so nothing waits.
        package var isWhole = false

        package init() {}
    }

    /// Records of one source that come next.
    package struct Run {
        package var source: Int
        /// Of a repartition topic, who wrote them; else -1.
        package var writer: Int32
        /// Valid until the next call of `next`.
        package var raw: RawRecords
    }

    /// Waits that ran out: which limit ended them, and the source that was waited for.
    package struct Unaligned: Hashable, Sendable {
        package var limit: LimitName
        package var source: Int
    }

    private let options: Options
    private var queues: [InputQueue] = []
    /// Places in `queues`.
    private var groups: [[Int]] = []
    private var queuesOf: [Int: [Int]] = [:]
    /// By source: the offset after the last record that was polled.
    private var polled: [Int: Int64] = [:]
    private var turn = 0
    private var lent = -1
    /// Records that wait, and the bytes of their values.
    package private(set) var held = 0
    private var heldBytes = 0
    /// The input that the last call of `next` found nothing of.
    package private(set) var blocker: InputBlocker?
    /// Records that were taken though an input had more to read.
    package private(set) var unaligned: [Unaligned: Int64] = [:]

    /// `known`: by source, the writers of repartition topics.
    package init(
        _ inputs: [AlignedInput], writers known: [Int: [InputWriter]] = [:], options: Options = Options(),
        now: Int64
    ) {
        self.options = options
        var byGroup: [Int: [Int]] = [:]
        for input in inputs {
            var writers: [Int32] = [-1]
            if case .repartition(let count) = input.kind { writers = (0..<Int32(count)).map { $0 } }
            for writer in writers {
                var queue = InputQueue(input, writer: writer, now: now)
                if writer >= 0, let known = known[input.source], Int(writer) < known.count {
                    let writer = known[Int(writer)]
                    (queue.next, queue.reach, queue.state) = (writer.next, writer.reach, writer.state)
                }
                queuesOf[input.source, default: []].append(queues.count)
                byGroup[input.group, default: []].append(queues.count)
                queues.append(queue)
            }
        }
        groups = byGroup.sorted { $0.key < $1.key }.map(\.value)
    }

    // MARK: What comes in

    /// How many records of a source may be polled now.
    package func room(for source: Int) -> Int {
        guard let own = queuesOf[source], let first = own.first else { return 0 }
        if case .repartition = queues[first].input.kind {
            return heldBytes < options.bytesMax ? Limits.rowsPerBatchMax : 0
        }
        return queues[first].count < 2 * Limits.rowsPerBatchMax ? Limits.rowsPerBatchMax : 0
    }

    package func add(_ records: HeldRecords, _ rows: InputRows, source: Int, now: Int64) {
        guard records.raw.count > 0, let own = queuesOf[source], let first = own.first else { return }
        polled[source] = records.raw.offsets[records.raw.count - 1] + 1
        let isFresh = rows.age.map { $0 < Limits.inputFreshMilliseconds } ?? true
        if rows.words.isEmpty {
            let chunk = InputQueue.Chunk(
                raw: records.raw, times: rows.times, isMark: [], owners: [records], polledAt: now,
                isFresh: isFresh)
            append(chunk, to: first, now)
        } else {
            deal(records, rows, own, isFresh, now)
        }
    }

    private func append(_ chunk: InputQueue.Chunk, to queue: Int, _ now: Int64) {
        queues[queue].append(chunk)
        queues[queue].spokeAt = now
        queues[queue].endedAt = .min
        held += chunk.raw.count
        heldBytes += Self.bytes(chunk.raw, chunk.raw.count)
    }

    private static func bytes(_ raw: RawRecords, _ count: Int) -> Int {
        var bytes = 0
        for row in 0..<count { bytes += max(0, Int(raw.valueCounts[row])) }
        return bytes
    }

    /// Records of a repartition topic go to their writers' queues.
    private func deal(_ records: HeldRecords, _ rows: InputRows, _ own: [Int], _ isFresh: Bool, _ now: Int64)
    {
        var counts = [Int](repeating: 0, count: own.count)
        for row in 0..<records.raw.count {
            let word = rows.words[row]
            let queue = own[Int(word.writer)]
            if records.raw.offsets[row] < queues[queue].next { continue }
            counts[Int(word.writer)] += 1
        }
        var chunks: [(storage: RawRecordStorage, times: [Int64], isMark: [Bool], isIdle: [Bool])?] =
            counts.map { count in
                count > 0
                    ? (
                        RawRecordStorage(capacity: count, findHeader: records.raw.findHeader), [], [], []
                    ) : nil
            }
        for row in 0..<records.raw.count {
            let word = rows.words[row]
            let place = Int(word.writer)
            let queue = own[place]
            // Also of a record that was taken before a restart.
            queues[queue].hear(word, records.raw.offsets[row], now)
            guard records.raw.offsets[row] >= queues[queue].next, let storage = chunks[place]?.storage,
                let at = chunks[place]?.times.count
            else { continue }
            storage.copy(records.raw, row, to: at)
            chunks[place]?.times.append(rows.times[row])
            chunks[place]?.isMark.append(word.isMark)
            chunks[place]?.isIdle.append(word.state == .idle)
        }
        for (place, chunk) in chunks.enumerated() {
            guard let chunk else { continue }
            append(
                InputQueue.Chunk(
                    raw: RawRecords(at: chunk.storage, from: 0, count: chunk.times.count), times: chunk.times,
                    isMark: chunk.isMark, isIdle: chunk.isIdle, owners: [records, chunk.storage],
                    polledAt: now, isFresh: isFresh),
                to: own[place], now)
        }
    }

    /// The source's partition was read to its end.
    package func end(_ source: Int, now: Int64) {
        for queue in queuesOf[source] ?? [] { queues[queue].endedAt = now }
    }

    // MARK: What comes next

    /// The records that come next; nil: there are none, or they wait.
    package func next(now: Int64) -> Run? {
        if lent >= 0 { queues[lent].release() }
        lent = -1
        blocker = nil
        guard held > 0 else { return nil }
        for _ in groups.indices {
            let group = groups[turn]
            if let run = next(of: group, now) { return run }
            turn = (turn + 1) % groups.count
        }
        return nil
    }

    private func next(of group: [Int], _ now: Int64) -> Run? {
        var best = -1
        for place in group where !queues[place].isEmpty {
            if queues[place].input.kind == .table { return take(place, queues[place].head.left) }
            if queues[place].isMark, mayTakeMark(place, now) { return take(place, marks(place)) }
            if best < 0 || precedes(place, best) { best = place }
        }
        guard best >= 0, !queues[best].isMark else { return nil }
        // Up to the first record of another input, or what a writer has said.
        var (time, isInclusive) = (Int64.max, true)
        func bound(_ other: Int64, _ inclusive: Bool) {
            if other < time {
                (time, isInclusive) = (other, inclusive)
            } else if other == time {
                isInclusive = isInclusive && inclusive
            }
        }
        var missed: Unaligned?
        for place in group where place != best {
            if !queues[place].isEmpty {
                bound(queues[place].time, isBefore(best, place))
            } else if !passes(place, best, now) {
                let reach = queues[place].reach
                if reach > queues[best].time || (reach == queues[best].time && isBefore(best, place)) {
                    bound(reach, isBefore(best, place))
                } else if now - queues[best].head.polledAt >= options.behind {
                    missed = Unaligned(limit: .inputBehind, source: queues[place].input.source)
                } else if heldBytes >= options.bytesMax {
                    missed = Unaligned(limit: .inputBytes, source: queues[place].input.source)
                } else {
                    blocker = InputBlocker(source: queues[place].input.source, writer: queues[place].writer)
                    return nil
                }
            }
        }
        let rows = rows(best, before: time, isInclusive)
        if let missed { unaligned[missed, default: 0] += Int64(rows) }
        return take(best, rows)
    }

    /// True if a row of the first queue comes before one of the second with the same event time.
    private func isBefore(_ one: Int, _ other: Int) -> Bool {
        let (a, b) = (queues[one], queues[other])
        return a.input.rank != b.input.rank ? a.input.rank < b.input.rank : a.writer < b.writer
    }

    private func precedes(_ one: Int, _ other: Int) -> Bool {
        let (a, b) = (queues[one].time, queues[other].time)
        return a != b ? a < b : isBefore(one, other)
    }

    /// How many rows from the head of a queue come before this time.
    private func rows(_ place: Int, before time: Int64, _ isInclusive: Bool) -> Int {
        let head = queues[place].head
        var count = 1
        while count < head.left, head.isMark.isEmpty || !head.isMark[head.at + count] {
            let next = head.times[head.at + count]
            guard next < time || (isInclusive && next == time) else { break }
            count += 1
        }
        return count
    }

    private func marks(_ place: Int) -> Int {
        let head = queues[place].head
        var count = 1
        while count < head.left, head.isMark[head.at + count] { count += 1 }
        return count
    }

    /// Event time behind a topic goes by the least of those who write and are not idle. So a mark can be
    /// taken once it is certain that those who were idle still are.
    private func mayTakeMark(_ place: Int, _ now: Int64) -> Bool {
        let queue = queues[place]
        if options.isWhole || queue.isIdleMark || now - queue.head.polledAt >= options.behind { return true }
        let offset = queue.offset ?? .max
        return (queuesOf[queue.input.source] ?? []).allSatisfy { other in
            other == place || !queues[other].isEmpty || queues[other].state != .idle
                || queues[other].heardOffset > offset
        }
    }

    /// True if the record that waits need not wait for this input, which has nothing at hand.
    private func passes(_ place: Int, _ best: Int, _ now: Int64) -> Bool {
        if options.isWhole { return true }
        let head = queues[best].head
        let waited = now - head.polledAt
        let queue = queues[place]
        switch queue.input.kind {
        case .table: return queue.endedAt != .min && (!head.isFresh || waited >= options.confirm)
        case .broadcast: return !head.isFresh || waited >= options.confirm
        case .stream:
            guard queue.endedAt != .min else { return false }
            if now - queue.spokeAt >= queue.input.idle { return !head.isFresh || waited >= options.confirm }
            if head.isFresh { return waited >= options.idle }
            return now - max(queue.endedAt, queue.spokeAt) >= min(queue.input.idle, options.settle)
        case .repartition:
            // Who reads the topic has answered to what was written before. Other topics nobody need answer
            // to.
            let isOwn = queue.input.source == queues[best].input.source
            let hasAnswered =
                isOwn ? queue.heardOffset > queues[best].offset ?? .max : queue.heardAt > head.polledAt
            switch queue.state {
            case .busy: return false
            case .atEnd where isOwn: return hasAnswered && waited >= options.idle
            case .atEnd:
                return waited >= (head.isFresh ? options.idle : min(queue.input.idle, options.settle))
            case .idle: return hasAnswered || !isOwn && waited >= options.idle
            }
        }
    }

    private func take(_ place: Int, _ rows: Int) -> Run {
        lent = place
        held -= rows
        let queue = queues[place]
        let run = Run(
            source: queue.input.source, writer: queue.writer, raw: queues[place].take(rows))
        heldBytes -= Self.bytes(run.raw, rows)
        return run
    }

    // MARK: Where it stands

    /// The least offset of a source that was not taken; nil: nothing of it was polled.
    package func position(of source: Int) -> Int64? {
        guard let end = polled[source] else { return nil }
        return (queuesOf[source] ?? []).reduce(end) { min($0, queues[$1].offset ?? $0) }
    }

    /// For each writer of a repartition topic, the offset after its last record that was taken, -1 for none;
    /// nil for other sources.
    package func written(_ source: Int) -> [Int64]? {
        guard let own = queuesOf[source], let first = own.first, queues[first].writer >= 0 else { return nil }
        return own.map { queues[$0].next }
    }

    /// Records of a source that are held.
    package func held(of source: Int) -> Int { (queuesOf[source] ?? []).reduce(0) { $0 + queues[$1].count } }

    /// Since the last call.
    package func drainUnaligned() -> [Unaligned: Int64] {
        defer { unaligned = [:] }
        return unaligned
    }
}

extension RawRecordStorage {
    fileprivate func copy(_ from: RawRecords, _ row: Int, to place: Int) {
        values[place] = from.values[row]
        valueCounts[place] = from.valueCounts[row]
        keys[place] = from.keys[row]
        keyCounts[place] = from.keyCounts[row]
        offsets[place] = from.offsets[row]
        timestamps[place] = from.timestamps[row]
        holders[place] = from.holders[row]
    }
}
