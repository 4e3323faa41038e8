import Base
import Models
import Records

/// `--at labels.csv`: keys and times, each with what is to be learned of it. Each row gets what was known of
/// its key then: the last row of features whose event time is not after it.
struct FeatureLabels {
    /// The file's columns and rows.
    let rows: FeatureRows
    /// Of each row: the newest event time of features that is not after its own, and those.
    private(set) var found: [(time: Int64, values: [DocumentValue])?]
    /// By key: numbers of rows, by their times.
    private var ofKey: [[String]: [(time: Int64, row: Int)]] = [:]

    static let time = "as_of"

    /// `key`: names of its fields.
    init(_ path: String, key: [String]) throws(Fault) {
        do throws(Fault) {
            rows = try FeatureRows(try FileText.bytes(of: path, bytesMax: Limits.modelBytesMax))
            found = Array(repeating: nil, count: rows.rows.count)
            let places = try rows.places(of: key + [Self.time])
            for (number, row) in rows.rows.enumerated() {
                guard let text = row[places[key.count]], let time = Self.milliseconds(text) else {
                    throw Fault(
                        .user,
                        "\(rows.lines[number]): \(Self.time) is \(row[places[key.count]].map { "'\($0)'" } ?? "missing"); a time with its zone "
                            + "(2024-03-01T00:00:00Z), or milliseconds since 1970, was expected")
                }
                var values: [String] = []
                for place in places.dropLast() {
                    guard let text = row[place] else {
                        throw Fault(.user, "\(rows.lines[number]): \(rows.names[place]) is missing")
                    }
                    values.append(text)
                }
                ofKey[values, default: []].append((time, number))
            }
            guard !rows.rows.isEmpty else { throw Fault(.user, "no rows") }
            for key in ofKey.keys { ofKey[key]?.sort { $0.time < $1.time } }
        } catch {
            throw error.detail.hasPrefix(path) ? error : Fault(error.domain, "\(path):\(error.detail)")
        }
    }

    static func milliseconds(_ text: String) -> Int64? {
        if let number = Int64(text), abs(number) >= 100_000_000_000 { return number }
        return CivilTime.parse(text).flatMap { $0.hasZone ? $0.milliseconds : nil }
    }

    /// Features of a key came at `time`; of those of one time the last that came counts.
    mutating func take(_ key: [String], at time: Int64, _ values: [DocumentValue]) {
        guard let rows = ofKey[key] else { return }
        var (low, high) = (0, rows.count)
        while low < high {
            let middle = (low + high) / 2
            if rows[middle].time < time { low = middle + 1 } else { high = middle }
        }
        for place in low..<rows.count where found[rows[place].row].map({ $0.time <= time }) ?? true {
            found[rows[place].row] = (time, values)
        }
    }

    var missing: Int { found.count { $0 == nil } }
}
