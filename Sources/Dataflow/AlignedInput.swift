/// What a lane has to know of a source to take its records in event-time order with those of others.
package struct AlignedInput: Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        /// A topic of the topology.
        case stream
        /// Versions by event time: taken as they come, so that they are there before what looks them up.
        case table
        /// The same of a table that every lane reads by itself, beside the task's records.
        case broadcast
        /// A repartition topic, which as many tasks write to.
        case repartition(writers: Int)
    }

    /// Counts the topology's sources.
    package var source: Int
    package var kind: Kind
    /// Sources of one group meet in a rule, an operator or a join, and are taken in the order of their event
    /// times.
    package var group: Int
    /// Of one event time, the rows of the source with the lesser one come first.
    package var rank: Int
    /// A partition that was read to its end and is silent for so long is not waited for, milliseconds.
    package var idle: Int64

    package init(source: Int, kind: Kind, group: Int, rank: Int, idle: Int64) {
        self.source = source
        self.kind = kind
        self.group = group
        self.rank = rank
        self.idle = idle
    }
}

/// What a lane has to know of some records before it takes them, a value for each.
package struct InputRows {
    /// Of rows of a repartition topic, the task that wrote each and what it says of itself.
    package struct Word: Equatable, Sendable {
        package enum State: Sendable {
            /// It has more to read.
            case busy
            /// It has read everything.
            case atEnd
            /// It has read everything, and its sources have been silent for their idle times.
            case idle
        }

        package var writer: Int32
        /// The record is no row: it only says how far its writer is.
        package var isMark: Bool
        /// Before this event time nothing comes from the writer any more, but for what is out of order.
        package var reach: Int64
        package var state: State
        /// It has written rows, and those who read the mark say how far they are.
        package var asks: Bool

        package init(writer: Int32, isMark: Bool, reach: Int64, state: State, asks: Bool = false) {
            self.writer = writer
            self.isMark = isMark
            self.reach = reach
            self.state = state
            self.asks = asks
        }
    }

    /// Event times, milliseconds; of a record without one, that of the record before it, `.min` for the
    /// first.
    package var times: [Int64]
    /// Empty for other sources.
    package var words: [Word]
    /// How long ago the newest of them was appended, milliseconds; nil: nobody knows.
    package var age: Int64?

    package init(times: [Int64], words: [Word] = [], age: Int64? = nil) {
        self.times = times
        self.words = words
        self.age = age
    }
}

/// An input of a task that records of another one wait for.
package struct InputBlocker: Equatable, Sendable {
    package var source: Int
    /// Of a repartition topic, who writes; else -1.
    package var writer: Int32

    package init(source: Int, writer: Int32) {
        self.source = source
        self.writer = writer
    }
}

/// What a task remembers of one who writes to a repartition topic that it reads.
package struct InputWriter: Equatable, Sendable {
    /// The offset after the last record of it that was taken; -1: none was.
    package var next: Int64
    /// As in its last word.
    package var reach: Int64
    package var state: InputRows.Word.State

    package init(next: Int64 = -1, reach: Int64 = .min, state: InputRows.Word.State = .busy) {
        self.next = next
        self.reach = reach
        self.state = state
    }
}
