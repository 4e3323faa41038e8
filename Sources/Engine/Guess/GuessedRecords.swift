import Base
import Connectors
import Formats
import Records

/// The first records of a file, and how they are written, as far as that can be seen.
struct GuessedRecords {
    /// `csv` or `json`.
    var format: String
    /// Options of the format as YAML, without type and encoding.
    var options: [String] = []
    /// What may be otherwise.
    var doubts: [String] = []
    var columns: [GuessedColumn] = []
    var count = 0

    private static let recordsMax = 10_000

    init(_ head: FileHead) throws(Fault) {
        guard let first = head.text.first(where: { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }) else {
            throw Fault(.user, "the file is empty")
        }
        let isJson = (first == 0x7B || first == 0x5B)
        format = isJson ? "json" : "csv"
        if isJson { readJson(head) } else { readFields(head) }
        guard count > 0, !columns.isEmpty else { throw Fault(.user, "no records can be seen in the file") }
    }

    // MARK: JSON

    private mutating func readJson(_ head: FileHead) {
        var places: [String: Int] = [:]
        var isDocuments = false
        var arrays: [String: Int] = [:]
        head.text.withUnsafeBufferPointer { bytes in
            guard let start = bytes.baseAddress else { return }
            let scan = JsonScan(start, bytes.count)
            var at = scan.start
            if at < bytes.count, bytes[at] == 0x5B {
                isDocuments = true
                at += 1
            }
            while count < Self.recordsMax {
                at = scan.skipBlanks(at)
                if isDocuments, at < bytes.count, bytes[at] == 0x2C || bytes[at] == 0x5D {
                    at += 1
                    continue
                }
                guard at < bytes.count, bytes[at] == 0x7B, let end = scan.endOfValue(at) else { break }
                if bytes[at..<end].contains(0x0A) { isDocuments = true }
                // Two on one line.
                var next = end
                while next < bytes.count, bytes[next] == 0x20 || bytes[next] == 0x0D { next += 1 }
                if next < bytes.count, bytes[next] == 0x7B { isDocuments = true }
                readMembers(scan, at, [], &places, &arrays)
                count += 1
                at = end
            }
        }
        if isDocuments { options.append("layout: documents") }
        for (path, number) in arrays.sorted(by: { $0.key < $1.key }) where number * 2 > count {
            doubts.append("'\(path)' is an array; explode: \(path) makes a row of each element")
        }
        for index in columns.indices { columns[index].missing += count - columns[index].seen }
    }

    private mutating func readMembers(
        _ scan: JsonScan, _ at: Int, _ path: [String], _ places: inout [String: Int],
        _ arrays: inout [String: Int]
    ) {
        guard path.count < 8 else { return }
        var objects: [(at: Int, path: [String])] = []
        var found: [(path: [String], range: Range<Int>)] = []
        _ = scan.forEachMember(at) { name, value in
            let path =
                path + [
                    String(
                        decoding: UnsafeBufferPointer(start: scan.bytes + name.lowerBound, count: name.count),
                        as: UTF8.self)
                ]
            switch scan.bytes[value.lowerBound] {
            case 0x7B: objects.append((value.lowerBound, path))
            case 0x5B: arrays[path.joined(separator: "."), default: 0] += 1
            default: found.append((path, value))
            }
        }
        for (path, range) in found {
            let key = path.joined(separator: "\u{1}")
            let index = places[key] ?? columns.count
            if index == columns.count {
                guard columns.count < Limits.columnsMax else { continue }
                places[key] = index
                columns.append(GuessedColumn(path))
                columns[index].missing = 0
            }
            let text = String(
                decoding: UnsafeBufferPointer(start: scan.bytes + range.lowerBound, count: range.count),
                as: UTF8.self)
            if text == "null" {
                columns[index].addMissing()
            } else if text.hasPrefix("\"") {
                let plain = Arena(capacity: range.count)
                let isGood = scan.unescape(range.lowerBound + 1..<range.upperBound - 1, into: plain)
                columns[index].add(
                    isGood
                        ? String(
                            decoding: UnsafeBufferPointer(start: plain.base, count: plain.count),
                            as: UTF8.self) : text)
            } else {
                columns[index].add(text, isBare: true)
            }
        }
        for object in objects { readMembers(scan, object.at, object.path, &places, &arrays) }
    }

    // MARK: Fields

    private mutating func readFields(_ head: FileHead) {
        let text = String(decoding: head.text, as: UTF8.self)
        let table = DelimitedGuess(text, isWhole: head.isWhole, recordsMax: Self.recordsMax)
        options = table.options
        doubts = table.doubts
        count = table.rows.count
        var names: [String: Int] = [:]
        for (index, name) in table.names.enumerated() where !name.isEmpty {
            names[name, default: 0] += 1
            var column = GuessedColumn([name])
            for row in table.rows {
                let value = index < row.count ? row[index] : ""
                if value.isEmpty { column.addMissing() } else { column.add(value) }
            }
            columns.append(column)
        }
    }
}
