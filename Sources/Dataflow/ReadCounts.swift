/// How much of a source could be read.
package struct ReadCounts: Sendable {
    /// Records that a source refused for one reason.
    package struct Refused: Sendable {
        package var count: Int64
        /// What the dead letter of the first one says.
        package var message: String
    }

    package var records: Int64 = 0
    /// By the status of the record and the field that it is about.
    package var refused: [Int32: Refused] = [:]

    package init() {}

    package mutating func add(_ other: ReadCounts) {
        records += other.records
        refused.merge(other.refused) { Refused(count: $0.count + $1.count, message: $0.message) }
    }

    /// One record more that was refused; `message` is asked for of the first.
    package mutating func refuse(status: UInt8, field: Int16, message: () -> String) {
        let reason = Int32(status) << 16 | Int32(UInt16(bitPattern: field))
        if let before = refused[reason]?.count {
            refused[reason]?.count = before + 1
        } else {
            refused[reason] = Refused(count: 1, message: message())
        }
    }

    /// What is to be said if nothing, or less than one record in a hundred, could be read; `topic`: where
    /// they are from.
    package func complaint(_ topic: String) -> String? {
        let unread = refused.values.reduce(0) { $0 + $1.count }
        guard unread > 0, unread * 100 > records * 99 else { return nil }
        let most =
            refused.sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }.first?.value.message ?? ""
        let all = records == 1 ? "1 record" : "\(records) records"
        let share =
            records > unread
            ? "only \(records - unread) of \(all)" : records == 1 ? "the one record" : "none of \(all)"
        return "\(share) of \(topic) could \(records == 1 ? "not " : "")be read; most often: \(most)"
    }
}
