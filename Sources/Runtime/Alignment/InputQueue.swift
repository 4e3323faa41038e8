import Dataflow
import Records

/// Records of one source, or of one writer of a repartition topic, that were polled and not taken yet, in
/// offset order.
struct InputQueue {
    /// Some that were polled at one time.
    struct Chunk {
        var raw: RawRecords
        var times: [Int64]
        /// True for what is no row; empty: all are rows.
        var isMark: [Bool]
        /// Of marks: their writer has nothing to wait for.
        var isIdle: [Bool] = []
        /// Keeps what `raw` points at.
        var owners: [AnyObject]
        var polledAt: Int64
        /// Appended so lately that somebody may be waiting for what comes of them.
        var isFresh: Bool
        /// The next one.
        var at = 0

        var left: Int { raw.count - at }
    }

    let input: AlignedInput
    /// Counts the writers of a repartition topic; -1: the source is none.
    let writer: Int32
    private var chunks: [Chunk] = []
    /// Chunks before this one are used up.
    private var first = 0
    private(set) var count = 0
    /// Of a writer: before this event time nothing comes any more.
    var reach = Int64.min
    /// What is known of those who write.
    var state = InputRows.Word.State.busy
    /// When that was last heard, milliseconds, and the offset of the record that said so.
    var heardAt = Int64.min
    var heardOffset = Int64.min
    /// Since when there is nothing more to read.
    var endedAt = Int64.min
    /// When the last record came.
    var spokeAt: Int64
    /// The offset after the last record that was taken.
    var next: Int64 = -1

    init(_ input: AlignedInput, writer: Int32, now: Int64) {
        self.input = input
        self.writer = writer
        spokeAt = now
    }

    var isEmpty: Bool { count == 0 }

    /// The chunk with the next record; there must be one.
    var head: Chunk {
        _read { yield chunks[first] }
        _modify { yield &chunks[first] }
    }

    var time: Int64 { head.times[head.at] }
    /// Offset of the next record; nil: there is none. Also while what was taken last is not released.
    var offset: Int64? {
        var place = first
        while place < chunks.count, chunks[place].left == 0 { place += 1 }
        return place < chunks.count ? chunks[place].raw.offsets[chunks[place].at] : nil
    }
    var isMark: Bool { head.isMark.isEmpty ? false : head.isMark[head.at] }
    var isIdleMark: Bool { isMark && head.isIdle[head.at] }

    /// A record of the writer says how far it is.
    mutating func hear(_ word: InputRows.Word, _ offset: Int64, _ now: Int64) {
        reach = max(reach, word.reach)
        state = word.state
        (heardAt, heardOffset) = (now, offset)
    }

    mutating func append(_ chunk: Chunk) {
        guard chunk.raw.count > 0 else { return }
        chunks.append(chunk)
        count += chunk.raw.count
    }

    /// Takes the next `rows` records of the first chunk; they are valid until the next call.
    mutating func take(_ rows: Int) -> RawRecords {
        let raw = chunks[first].raw.slice(from: chunks[first].at, count: rows)
        next = raw.offsets[rows - 1] + 1
        chunks[first].at += rows
        count -= rows
        return raw
    }

    /// Lets go of what is used up.
    mutating func release() {
        while first < chunks.count, chunks[first].left == 0 {
            chunks[first].owners.removeAll()
            first += 1
        }
        if first == chunks.count || first > 64 {
            chunks.removeFirst(first)
            first = 0
        }
    }
}
