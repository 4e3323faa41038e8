import Dataflow
import Testing

/// Goal: a topic of which nothing, or less than one record in a hundred, could be read is told, with the most
/// frequent reason.
@Suite struct ReadCountsTests {
    /// Refused by reason, in two lanes that saw half of it each.
    private func complaint(records: Int64, refused: [(status: UInt8, field: Int16, count: Int)]) -> String? {
        var lanes = [ReadCounts(), ReadCounts()]
        lanes[0].records = records
        for (status, field, count) in refused {
            for number in 0..<count {
                lanes[number % 2].refuse(status: status, field: field) { "reason \(status), \(field)" }
            }
        }
        var all = ReadCounts()
        for lane in lanes { all.add(lane) }
        return all.complaint("topic 'orders'")
    }

    @Test func whatCouldNotBeReadIsTold() {
        #expect(complaint(records: 0, refused: []) == nil)
        #expect(complaint(records: 500, refused: [(2, 1, 495)]) == nil)
        #expect(
            complaint(records: 500, refused: [(1, -1, 200), (2, 1, 220), (2, 3, 76)])
                == "only 4 of 500 records of topic 'orders' could be read; most often: reason 2, 1")
        #expect(
            complaint(records: 3, refused: [(1, -1, 3)])
                == "none of 3 records of topic 'orders' could be read; most often: reason 1, -1")
        #expect(
            complaint(records: 1, refused: [(4, 0, 1)])
                == "the one record of topic 'orders' could not be read; most often: reason 4, 0")
    }
}
