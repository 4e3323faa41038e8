import Base

/// How far the event time of one source and partition has come. It is that of the greatest of its records,
/// but not of one alone that is ahead of the time at which it came: such a record would end every window
/// before it, and make late what has yet to come.
///
/// A record *leaps* if it lies further beyond what has come than `step`, and is ahead of its arrival: of the
/// time that Kafka has for it, and of the clock. It counts, but event time follows only as fast as arrivals
/// go on, and, after `confirmations` records in a row that all leap, as far ahead of arrivals as every one of
/// them was. So what is caught up with, and what comes after a pause, is no leap, and the same records give
/// the same event time whenever they are read.
///
/// Times are milliseconds.
struct CrowdTime: Equatable {
    static let confirmations = 1_000
    /// Clocks of well-kept machines, and how long a record is under way, differ by no more.
    static let stepMin: Int64 = 1_000
    /// A record's time in Kafka that is so much before its event time tells of a broken clock, and nothing
    /// else.
    static let witnessMax: Int64 = 86_400_000
    /// Before the first record. No time of a record is within any step of it.
    static let unknown = Int64.min / 4

    /// `out_of_order` of the source, at least `stepMin`: a record that is less far ahead makes none late that
    /// is in order.
    let step: Int64
    /// How far event time has come by records.
    var reached = Self.unknown
    /// What had come when the last batch was through, and when its last record arrived.
    private var base = Self.unknown
    private var basedAt: Int64 = 0
    /// Records in a row that leap, and by how much all of them are ahead of their arrival.
    private var count = 0
    private var lead = Int64.max
    /// The place of the last of them among the batch's records; 0: the batch's before.
    private var place = 0

    /// Without a clock, as in a replay, nothing leaps.
    init(outOfOrder: Int64, hasClock: Bool) {
        step = hasClock ? max(outOfOrder, Self.stepMin) : .max
    }

    private var isKnown: Bool { reached != Self.unknown }

    /// A record at `time` that is more than `step` beyond `reached`. `row`: its place among the batch's
    /// records that have a time, from 1; `appended`: its time in Kafka, 0 or less if it has none. True if it
    /// leaps. A record that is not is `reached`, if it is later. Without a clock there is none: a difference
    /// that wraps is negative.
    @inline(never)
    mutating func leap(_ time: Int64, appended: Int64, row: Int, now: Int64) -> Bool {
        let arrival = Self.arrival(time, appended, now)
        if time <= arrival {
            reached = time
            count = 0
            return false
        }
        if !isKnown {
            reached = arrival
            (base, basedAt) = (arrival, arrival)
        }
        basedAt = min(basedAt, arrival)
        if row != place + 1 || count == 0 { (count, lead) = (0, .max) }
        place = row
        count += 1
        lead = min(lead, time - arrival)
        reached = max(reached, min(time, base + max(0, arrival - basedAt)))
        if count >= Self.confirmations {
            reached = max(reached, arrival + lead)
            (base, basedAt) = (reached, arrival)
            count = 0
        }
        return true
    }

    private static func arrival(_ time: Int64, _ appended: Int64, _ now: Int64) -> Int64 {
        appended > 0 && appended >= time - witnessMax ? min(appended, now) : now
    }

    /// The records of a batch are through; `rows`: those that have a time; `appended`: the last one's time in
    /// Kafka.
    mutating func endBatch(rows: Int, appended: Int64, now: Int64) {
        if place != rows { count = 0 }
        place = 0
        guard reached > base else { return }
        (base, basedAt) = (reached, Self.arrival(reached, appended, now))
    }

    /// After a restore: event time had come to `reached` with a record that Kafka has for `appended`; nil:
    /// that is not known.
    mutating func restore(reached: Int64, appended: Int64?) {
        self.reached = reached
        (base, basedAt, count) = (reached, appended ?? .max, 0)
    }
}
