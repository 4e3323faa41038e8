import Base
import Connectors
import Records
import Topology

/// A topology that reads a file, by what its first records look like: what is not sure stands in comments.
package struct SourceGuess {
    package let yaml: String

    private static let bytesMax = 8 << 20

    /// `name`: of topology and source; `path`: of the file, or of a folder, whose first file is looked at.
    package init(path: String, name: String, zone: String?) throws(Fault) {
        if let guess = AvroGuess(path: try FileSource.first(of: path), name: name, zone: zone) {
            yaml = guess.yaml
            return
        }
        let head = try FileHead(try FileSource.first(of: path), bytesMax: Self.bytesMax)
        let records = try GuessedRecords(head)
        let isJson = records.format == "json"
        let guesses = records.columns.map { ($0, $0.guess(isJson: isJson)) }
        let time = Self.timeColumn(guesses)
        var lines = [
            "# Guessed from the first \(records.count) records of \(path.split(separator: "/").last ?? "").",
            "topology: \(name)",
        ]
        let needsZone = guesses.contains { $0.1.isTime && !$0.1.hasZone }
        if let zone {
            lines.append("zone: \(zone)")
        } else if needsZone {
            lines.append(
                "zone: UTC    # unsure: times in the file have no zone; say whose clocks they are of (Asia/Shanghai)"
            )
        }
        lines += ["sources:", "  \(name):", "    kafka: { topic: \(name) }"]
        let encoding = head.encoding.map { ["encoding: \($0)"] } ?? []
        let options = encoding + records.options
        lines.append("    format: { type: \(records.format)\(options.map { ", \($0)" }.joined()) }")
        if head.isUnsure { lines.append("    # unsure: the encoding is the likeliest of several") }
        lines += records.doubts.map { "    # unsure: \($0)" }
        if let time {
            let (column, guess) = guesses[time]
            let disorder = Self.disorder(guess.times)
            let bound =
                disorder == 0 ? "" : ", out_of_order: \(max(1, (disorder + 86_399_999) / 86_400_000))d"
            lines.append("    time: { field: \(GuessedColumn.quoted(column.name))\(bound) }")
            if !bound.isEmpty {
                lines.append(
                    "    # the records are not in the order of time; out_of_order is by how much they were seen to be off"
                )
            }
            let others = guesses.indices.filter { $0 != time && guesses[$0].1.isTime }.map {
                guesses[$0].0.name
            }
            if !others.isEmpty {
                lines.append(
                    "    # unsure: the event time could be \(others.joined(separator: ", ")) as well")
            }
        } else {
            lines += [
                "    time: { of: 1970-01-01T00:00:00Z }",
                "    # unsure: no field was seen to be a time, so all records have this one",
            ]
        }
        lines.append("    schema:")
        for (index, (column, guess)) in guesses.enumerated() {
            lines += Self.field(column, guess, isTime: index == time, isJson: isJson)
        }
        let keys = guesses.filter { column, guess in
            (guess.type == "text" || guess.type == "int") && column.valueCount > 1 && column.distinctCount > 1
                && column.distinctCount * 2 <= column.valueCount
        }.sorted { ($0.0.isId ? 0 : 1, -$0.0.distinctCount) < ($1.0.isId ? 0 : 1, -$1.0.distinctCount) }
        if !keys.isEmpty {
            lines.append(
                "# candidates for a key: \(keys.prefix(3).map { "\($0.0.name) (\($0.0.distinctCount) values)" }.joined(separator: ", "))"
            )
        }
        let ids = guesses.filter {
            $0.1.type == "text" && $0.0.distinctCount == $0.0.valueCount && $0.0.valueCount == records.count
                && records.count > 1
        }
        if !ids.isEmpty {
            lines.append(
                "# different in every record: \(ids.prefix(3).map(\.0.name).joined(separator: ", "))")
        }
        lines += ["steps:", "  rows: { from: \(name) }", "sinks:", "  out: { stdout: {}, from: rows }"]
        let text = lines.map { line in
            String(
                String.UnicodeScalarView(line.unicodeScalars.map { GuessedColumn.isWritable($0) ? $0 : "?" }))
        }
        yaml = text.joined(separator: "\n") + "\n"
    }

    private static func field(
        _ column: GuessedColumn, _ guess: GuessedColumn.Guess, isTime: Bool, isJson: Bool
    ) -> [String] {
        let type = guess.type + (guess.isOptional && !isTime ? "?" : "")
        var name = column.name
        var options = guess.options
        // A dot in a name would be a path.
        let isOdd = column.path.contains { $0.contains(".") || $0.contains("`") } || name.utf8.count > 255
        if isOdd, !column.name.contains("`") {
            let path = column.path.map { $0.contains(".") ? "`\($0)`" : $0 }.joined(separator: ".")
            if isJson || column.path.count == 1 {
                options.insert("from: \(GuessedColumn.quoted(path, always: true))", at: 0)
            }
            name = column.name.replacing(".", with: "_")
        }
        let isWritable = column.name.unicodeScalars.allSatisfy(GuessedColumn.isWritable)
        guard isWritable, !column.name.contains("`") else { return ["      # left out: \(column.name)"] }
        let text = options.isEmpty ? type : "{ type: \(type)\(options.map { ", \($0)" }.joined()) }"
        return ["      \(GuessedColumn.quoted(name)): \(text)"] + guess.doubts.map { "      # unsure: \($0)" }
    }

    /// The first that every record has, one whose name says so before others, and one with times of day
    /// before dates.
    private static func timeColumn(_ guesses: [(GuessedColumn, GuessedColumn.Guess)]) -> Int? {
        func rank(_ index: Int) -> (Int, Int, Int) {
            let (column, guess) = guesses[index]
            let name = column.name.lowercased()
            let isMain = ["event_time", "timestamp", "time", "交易时间", "created_at", "order_time"].contains {
                name.hasSuffix($0)
            }
            let hasHours = guess.times.contains { $0 % 86_400_000 != 0 }
            return (isMain ? 0 : column.isTimeName ? 1 : 2, hasHours ? 0 : 1, index)
        }
        return guesses.indices.filter { guesses[$0].1.isTime && !guesses[$0].1.isOptional }.min {
            rank($0) < rank($1)
        }
    }

    /// By how much a record is behind one before it at most, milliseconds.
    private static func disorder(_ times: [Int64]) -> Int64 {
        var (greatest, most) = (Int64.min, Int64(0))
        for time in times {
            if time < greatest { most = max(most, greatest - time) }
            greatest = max(greatest, time)
        }
        return most
    }
}
