import Connectors
import Records

/// What was read of one input of a replay.
package struct InputSummary: Sendable {
    package struct File: Sendable {
        package var path: String
        package var records: Int64
        /// Records that could not be read; what a step refuses was read.
        package var unread: Int64
    }

    package var source: String
    package var files: [File]
    /// Records with an earlier event time than one before them, and by how much at most, milliseconds.
    package var outOfOrder: Int64
    package var behindMost: Int64
    /// They were put into order.
    package var isSorted: Bool

    package var records: Int64 { files.reduce(0) { $0 + $1.records } }

    /// `unread`: by file.
    init(_ source: String, _ input: OrderedInput, unread: [Int64]) {
        self.source = source
        let places = input.files
        files = places.indices.map { index in
            let end = index + 1 < places.count ? places[index + 1].first : input.recordsTaken
            return File(
                path: places[index].path, records: end - places[index].first,
                unread: index < unread.count ? unread[index] : 0)
        }
        outOfOrder = input.disorder.records
        behindMost = input.disorder.behindMost
        isSorted = input.isSorted
    }

    /// `record 17 of orders.jsonl`; `number` counts over all files, from 0.
    func place(of number: Int64) -> String {
        var first: Int64 = 0
        for file in files {
            if number < first + file.records { return "record \(number - first + 1) of \(file.path)" }
            first += file.records
        }
        return "record \(number + 1)"
    }
}

extension Replay.Summary {
    private static let refusalsShown = 5

    /// The most frequent reasons why records were refused, each with the first such record, a line each.
    package var refusalLines: [String] {
        var lines = refusals.prefix(Self.refusalsShown).map { refusal in
            "\(refusal.step): \(Self.records(refusal.count)) refused: \(refusal.message) (\(place(of: refusal)))"
        }
        let rest = refusals.dropFirst(Self.refusalsShown)
        if !rest.isEmpty {
            lines.append(
                "\(Self.records(rest.reduce(0) { $0 + $1.count })) refused for \(rest.count) other reasons")
        }
        return lines
    }

    private func place(of refusal: Refusal) -> String {
        let input = inputs.first { $0.source == refusal.step } ?? inputs.first { $0.source == refusal.origin }
        let place = input?.place(of: refusal.number) ?? "record \(refusal.number + 1) of \(refusal.origin)"
        return refusal.count == 1 ? place : "the first: \(place)"
    }

    /// Files of which nothing, or less than one record in a hundred, could be read, and inputs without a
    /// record. Whoever has such a line cannot rely on the results.
    package var unreadable: [String] {
        inputs.flatMap { input -> [String] in
            if input.records == 0 {
                let paths = input.files.map(\.path).joined(separator: ", ")
                return ["\(input.source): no record in \(paths); if that is right, leave this input out"]
            }
            let reason = refusals.first { $0.step == input.source }?.message ?? ""
            return input.files.filter { $0.records > 0 && $0.unread * 100 > $0.records * 99 }.map { file in
                let good = file.records - file.unread
                let share =
                    good == 0
                    ? file.records == 1 ? "the one record" : "none of \(Self.records(file.records))"
                    : "only \(good) of \(Self.records(file.records))"
                let verb = good == 0 && file.records == 1 ? "could not be read" : "could be read"
                return "\(input.source): \(share) of \(file.path) \(verb); most often: \(reason)"
            }
        }
    }

    /// What files have no record, though their input has some, and what was not in order.
    package var noteLines: [String] {
        inputs.flatMap { input -> [String] in
            var lines: [String] = []
            if input.records > 0 {
                lines += input.files.filter { $0.records == 0 }.map {
                    "\(input.source): no record in \($0.path)"
                }
            }
            guard input.outOfOrder > 0 else { return lines }
            let what =
                "\(Self.records(input.outOfOrder)) of \(input.records) stood behind later ones, by up to "
                + ValueText.duration(input.behindMost)
            lines.append(
                "\(input.source): \(what); \(input.isSorted ? "sorted by event time" : "taken as written")")
            return lines
        }
    }

    private static func records(_ count: Int64) -> String { count == 1 ? "1 record" : "\(count) records" }
}
