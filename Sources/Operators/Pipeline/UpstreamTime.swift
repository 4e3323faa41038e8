/// How far event time has come in a partition upstream of a repartition topic, as a task knows it.
struct UpstreamTime: Equatable {
    /// `.min`: nothing was heard of the partition.
    var watermark = Int64.min
    /// The partition was read to its end and is quiet, and holds nobody back until something comes from it.
    var isIdle = false
    /// The partition was read to its end.
    var isAtEnd = false

    /// What is known after the partition has carried `watermark` (`.min`: none) with a row or a mark.
    func after(_ watermark: Int64, isIdle: Bool, isAtEnd: Bool) -> UpstreamTime {
        UpstreamTime(
            watermark: max(self.watermark, watermark),
            // A row without a watermark says nothing of time.
            isIdle: isIdle || self.isIdle && watermark == .min,
            isAtEnd: isAtEnd)
    }

    /// The event time behind all of these partitions, `.min` where it is not known yet: that of the slowest
    /// that is not idle. Where all are, time goes on with the one that is ahead: each of them goes on with
    /// the clock from its last record, which may be long ago.
    static func behind(_ partitions: [UpstreamTime]) -> Int64 {
        var least = Int64.max
        var greatest = Int64.min
        for partition in partitions {
            if partition.isIdle {
                greatest = max(greatest, partition.watermark)
            } else {
                least = min(least, partition.watermark)
            }
        }
        return least == .max ? greatest : least
    }

    static func isQuiet(_ partitions: [UpstreamTime]) -> Bool { partitions.allSatisfy(\.isIdle) }
}

/// What a task has told about itself last, by repartition topic.
struct CarriedTime: Equatable {
    var watermark = Int64.min
    var isIdle = false
    var isAtEnd = false
}
