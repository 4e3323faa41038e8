import Base
import Glibc

/// Rows of features as a CSV with a header has them (RFC 4180), by column; texts, so that nothing is rounded
/// twice.
package struct FeatureRows {
    package var names: [String]
    /// Of each row, as many as there are names; nil: missing.
    package var rows: [[String?]]
    /// Where each row begins.
    package var lines: [Int]

    /// What counts as missing.
    static let missing: Set<String> = ["", "NA", "NaN", "nan", "null", "NULL", "None"]

    package init(_ bytes: [UInt8]) throws(Fault) {
        var reader = Reader(
            bytes: bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes)
        guard let header = try reader.next() else {
            throw Fault(.user, "an empty file; a header was expected")
        }
        names = header.fields.map { $0 ?? "" }
        if let twice = Dictionary(grouping: names, by: { $0 }).first(where: {
            $0.value.count > 1 && $0.key != ""
        }) {
            throw Fault(.user, "1: two columns are named '\(twice.key)'")
        }
        rows = []
        lines = []
        while let row = try reader.next() {
            guard row.fields.count == names.count else {
                throw Fault(.user, "\(row.line): \(row.fields.count) fields; the header has \(names.count)")
            }
            rows.append(row.fields)
            lines.append(row.line)
        }
    }

    /// The place of each of these columns.
    package func places(of wanted: [String]) throws(Fault) -> [Int] {
        var places: [Int] = []
        for name in wanted {
            guard let place = names.firstIndex(of: name) else {
                throw Fault(
                    .user,
                    "1: no column '\(name)'; there is \(names.filter { $0 != "" }.joined(separator: ", "))")
            }
            places.append(place)
        }
        return places
    }

    private struct Reader {
        let bytes: [UInt8]
        var at = 0
        var line = 1

        init(bytes: [UInt8]) { self.bytes = bytes }

        mutating func next() throws(Fault) -> (fields: [String?], line: Int)? {
            // Lines without anything stand for nothing.
            while at < bytes.count, bytes[at] == 0x0A || bytes[at] == 0x0D {
                if bytes[at] == 0x0A { line += 1 }
                at += 1
            }
            guard at < bytes.count else { return nil }
            let begin = line
            var fields: [String?] = []
            while true {
                fields.append(try field(begin))
                guard at < bytes.count, bytes[at] == UInt8(ascii: ",") else { break }
                at += 1
            }
            return (fields, begin)
        }

        private mutating func field(_ begin: Int) throws(Fault) -> String? {
            var value: [UInt8] = []
            if at < bytes.count, bytes[at] == UInt8(ascii: "\"") {
                at += 1
                while true {
                    guard at < bytes.count else { throw Fault(.user, "\(begin): a quote without end") }
                    if bytes[at] == UInt8(ascii: "\"") {
                        at += 1
                        guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else { break }
                    }
                    if bytes[at] == 0x0A { line += 1 }
                    value.append(bytes[at])
                    at += 1
                }
                guard at == bytes.count || [UInt8(ascii: ","), 0x0A, 0x0D].contains(bytes[at]) else {
                    throw Fault(.user, "\(line): text behind a closing quote")
                }
            } else {
                while at < bytes.count, ![UInt8(ascii: ","), 0x0A, 0x0D].contains(bytes[at]) {
                    value.append(bytes[at])
                    at += 1
                }
            }
            guard let text = String(validating: value, as: UTF8.self) else {
                throw Fault(.user, "\(line): text that is not UTF-8")
            }
            return FeatureRows.missing.contains(text) ? nil : text
        }
    }
}

extension Model {
    /// The values of one row's texts, NaN where one is missing or its category unknown.
    package func values(_ texts: [String?]) throws(Fault) -> [Double] {
        var values: [Double] = []
        for (feature, text) in zip(features, texts) { values.append(try feature.value(text)) }
        return values
    }
}

extension Model.Feature {
    package func value(_ text: String?) throws(Fault) -> Double {
        guard let text else { return .nan }
        if !categories.isEmpty { return categories.firstIndex(of: text).map(Double.init) ?? .nan }
        var end: UnsafeMutablePointer<CChar>?
        let value = strtod(text, &end)
        guard let end, end.pointee == 0, value.isFinite else {
            throw Fault(
                .user,
                "'\(name ?? "a feature")' is \"\(text)\"; \(isCategorical ? "a category's code" : "a number") was expected"
            )
        }
        return value
    }
}
